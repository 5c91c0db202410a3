/* Handing over to who sleeps: there and back, on one processor and on two. */
#include "limits.h"

enum { FREE = -1, HERE = 0, ELSEWHERE = 1 };

static int there[2], back[2], epolls[2];
static int spins; /* who waits looks again and again */

static _Atomic int turn;

static void futex_wait_for(int value)
{
	int now;

	while ((now = turn) != value)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL);
}

static void futex_give(int value)
{
	turn = value;
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
}

static void *futex_peer(void *arg)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL); /* out of the raw system call */
	pin((int)(intptr_t)arg);
	for (;;) {
		futex_wait_for(1);
		futex_give(0);
	}
	return NULL;
}

static void futex_turn(size_t n)
{
	(void)n;
	futex_give(1);
	futex_wait_for(0);
}

static void futex_loop(const char *name, int place)
{
	pthread_t t;

	if (!wanted(name))
		return;
	turn = 0;
	pin(place == FREE ? FREE : HERE);
	if (pthread_create(&t, NULL, futex_peer, (void *)(intptr_t)place) != 0)
		die("pthread_create");
	measure(name, 0, futex_turn);
	pthread_cancel(t);
	pthread_join(t, NULL);
	pin(FREE);
}

static void epoll_pass(int poll, int in, int out)
{
	struct epoll_event ev;
	char c = 0;

	while (epoll_wait(poll, &ev, 1, spins ? 0 : -1) != 1)
		;
	if (read(in, &c, 1) != 1)
		die("read");
	if (out >= 0 && write(out, &c, 1) != 1)
		die("write");
}

static void epoll_peer(void)
{
	for (;;)
		epoll_pass(epolls[1], there[1], back[1]);
}

static void epoll_turn(size_t n)
{
	(void)n;
	if (write(there[0], from, 1) != 1)
		die("write");
	epoll_pass(epolls[0], back[0], -1);
}

static void epoll_loop(const char *name, int place, int spinning)
{
	pid_t child;

	if (!wanted(name))
		return;
	pin(place == FREE ? FREE : HERE);
	spins = spinning;
	child = start(place, epoll_peer);
	measure(name, 1, epoll_turn);
	stop(child);
	pin(FREE);
	while (recv(back[0], to, 64, MSG_DONTWAIT) > 0 || recv(there[1], to, 64, MSG_DONTWAIT) > 0)
		;
}

void wake_loops(void)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (!wanted("wake-"))
		return;
	futex_loop("wake-futex-same", HERE);
	futex_loop("wake-futex-other", ELSEWHERE);
	futex_loop("wake-futex-free", FREE);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, there) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, back) < 0)
		die("socketpair");
	for (int i = 0; i < 2; i++) {
		epolls[i] = epoll_create1(0);
		if (epoll_ctl(epolls[i], EPOLL_CTL_ADD, i ? there[1] : back[0], &ev) < 0)
			die("epoll_ctl");
	}
	epoll_loop("wake-epoll-same", HERE, 0);
	epoll_loop("wake-epoll-other", ELSEWHERE, 0);
	epoll_loop("wake-epoll-free", FREE, 0);
	epoll_loop("wake-epoll-other-spins", ELSEWHERE, 1);
}
