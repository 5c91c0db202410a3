#include "check.h"

#include <sys/syscall.h>

/* What a program does to itself while a call is under way must not hurt anybody
 * else: after each scenario the sandbox still works. */
static void still_works(void)
{
	int c, s;
	char b[4];
	link2(&c, &s);
	tell("works: %d", write(c, "x", 1) == 1 && read(s, b, 4) == 1);
}

static int victim;
static volatile int stop;

static void *closer(void *arg)
{
	(void)arg;
	while (!stop) {
		int f = victim;
		close(f);
		victim = tcp();
	}
	return NULL;
}

static void closing(void)
{
	pthread_t t[2];
	victim = tcp();
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, closer, NULL);
	for (int i = 0; i < 2000; i++) {
		struct sockaddr_in a = at(0);
		bind(victim, (void *)&a, sizeof a);
		listen(victim, 1);
		fcntl(victim, F_SETFL, O_NONBLOCK);
		accept4(victim, NULL, NULL, SOCK_NONBLOCK);
		so_error(victim);
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	still_works();
}

static struct sockaddr_in moving;

static void *mover(void *arg)
{
	(void)arg;
	while (!stop) {
		moving.sin_family = AF_UNIX;
		moving.sin_family = AF_INET;
		moving.sin_addr.s_addr ^= 0x01010101;
	}
	return NULL;
}

static void changing_memory(void)
{
	pthread_t t;
	stop = 0, moving = at(1);
	pthread_create(&t, NULL, mover, NULL);
	for (int i = 0; i < 2000; i++) {
		int s = tcp(), u = udp();
		nonblock(s);
		bind(s, (void *)&moving, sizeof moving);
		sendto(u, "x", 1, 0, (void *)&moving, sizeof moving);
		close(s), close(u);
	}
	stop = 1;
	pthread_join(t, NULL);
	still_works();
}

static void killed_while_waiting(void)
{
	int l = listener(), port = port_of(l);
	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			accept(l, NULL, NULL);
			_exit(0);
		}
		nap(2);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	int c = tcp();
	char b[8];
	SAY(dial(c, port));
	nap(20);
	int s = accept(l, NULL, NULL);
	SAY(write(s, "alive", 5));
	SAY(read(c, b, sizeof b));
	still_works();
}

static void stolen_tokens(void)
{
	int l = listener(), port = port_of(l), c = tcp(), d = tcp();
	char b[8];
	SAY(dial(c, port));
	nap(20);
	recv(l, b, sizeof b, MSG_DONTWAIT);
	SAY(dial(d, port));
	nap(20);
	ready("listener", l, POLLIN, POLLIN, 1000);
	tell("accepted %d %d", accept(l, NULL, NULL) >= 0, accept(l, NULL, NULL) >= 0);
	still_works();
}

static void strange_arguments(void)
{
	int s = tcp();
	SAY(syscall(SYS_bind, s, -1L, 16));
	SAY(syscall(SYS_connect, s, 0L, 16));
	SAY(syscall(SYS_getsockname, s, 0L, 0L));
	SAY(syscall(SYS_listen, s, -1));
	SAY(syscall(SYS_bind, -1, 0L, 0));
	SAY(syscall(SYS_accept, 9999, 0L, 0L));
	SAY(syscall(SYS_listen, 0, 1));
	SAY(syscall(SYS_setsockopt, s, 1, 2, 0xffffffffffff0000UL, 4));
	SAY(syscall(SYS_sendmsg, s, 0xffffffffffff0000UL, 0));
	SAY(syscall(SYS_recvmmsg, s, 0L, 0, 0, 0L) < 0 ? 0 : 0);
	still_works();
}

static void unix_sockets(void)
{
	int p[2];
	char b[8];
	struct sockaddr_un a = {.sun_family = AF_UNIX}, x;
	socklen_t n = sizeof x;
	snprintf(a.sun_path + 1, 90, "check-%d", getpid());
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	SAY(bind(l, (void *)&a, sizeof a));
	SAY(listen(l, 4));
	SAY(connect(c, (void *)&a, sizeof a));
	int s = accept(l, NULL, NULL);
	SAY(getsockname(s, (void *)&x, &n));
	tell("family %d", x.sun_family);
	SAY(write(c, "unix", 4));
	SAY(read(s, b, sizeof b));
	SAY(shutdown(c, SHUT_WR));
	SAY(read(s, b, sizeof b));
	socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
	struct iovec v = {"dg", 2};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	SAY(sendmsg(p[0], &m, 0));
	SAY(recv(p[1], b, sizeof b, 0));
}

static const struct scenario scenarios[] = {
	{"closing", closing}, {"changing_memory", changing_memory},
	{"killed_while_waiting", killed_while_waiting}, {"stolen_tokens", stolen_tokens},
	{"strange_arguments", strange_arguments}, {"unix_sockets", unix_sockets}, {0},
};

int main(int argc, char **argv) { return run_all(scenarios, argc, argv); }
