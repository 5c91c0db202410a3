/*
 * poll(2) as tcp(4) of Sortix has it: POLLIN for data and for the end of what the
 * remote socket sends, POLLOUT while the socket can be written to and is not shut
 * for writing, POLLHUP when it is. Every line that is printed is a fault.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define IS(got, want) \
	do { \
		long g = (got), w = (want); \
		if (g != w) \
			printf("line %d: %s is %#lx, want %#lx\n", __LINE__, #got, g, w); \
	} while (0)
#define ALL (POLLIN | POLLOUT | POLLPRI | POLLWRNORM)

/* What poll shows of one descriptor within ms. */
static int shown(int fd, int events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events, .revents = -1};
	int n = poll(&p, 1, ms);

	if (n != (p.revents != 0))
		printf("poll returned %d with events %#x\n", n, p.revents);
	return p.revents;
}

static void pair(int fds[2])
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof sin;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, "127.0.0.1", &sin.sin_addr);
	IS(bind(l, (void *)&sin, len), 0);
	IS(listen(l, 1), 0);
	IS(getsockname(l, (void *)&sin, &len), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	IS(connect(fds[0], (void *)&sin, len), 0);
	fds[1] = accept(l, NULL, NULL);
	close(l);
}

static void halves(void)
{
	int s[2], copy;
	char text[100];

	pair(s);
	IS(shown(s[0], ALL, -1), POLLOUT | POLLWRNORM);
	IS(shutdown(s[0], SHUT_WR), 0);
	IS(shown(s[0], ALL, -1), POLLHUP);
	IS(shown(s[0], 0, -1), POLLHUP);
	copy = dup(s[0]);
	IS(shown(copy, POLLOUT, -1), POLLHUP);
	close(copy);

	/* The remote socket sees the end, and can go on writing. */
	IS(shown(s[1], POLLIN, -1), POLLIN);
	IS(shown(s[1], ALL, 0), POLLIN | POLLOUT | POLLWRNORM);
	IS(read(s[1], text, sizeof text), 0);
	IS(write(s[1], "answer", 6), 6);
	IS(recv(s[0], text, sizeof text, MSG_PEEK), 6); /* it is there */
	IS(shown(s[0], ALL, -1), POLLIN | POLLHUP);
	IS(read(s[0], text, sizeof text), 6);
	IS(shown(s[0], ALL, -1), POLLHUP);
	IS(send(s[0], "x", 1, MSG_NOSIGNAL) < 0 ? errno : 0, EPIPE);

	IS(shutdown(s[1], SHUT_WR), 0);
	IS(read(s[0], text, sizeof text), 0);
	IS(shown(s[0], ALL, -1), POLLIN | POLLHUP);
	IS(shown(s[1], ALL, -1), POLLIN | POLLHUP);
	close(s[0]);
	close(s[1]);
}

/* Everything else in the same call is as it would be without that socket. */
static void company(void)
{
	struct timespec day = {.tv_sec = 86400};
	struct pollfd p[8];
	int s[2], pipes[2], file = open("/proc/self/exe", O_RDONLY), gone = 999;

	pair(s);
	IS(pipe(pipes), 0);
	IS(write(pipes[1], "x", 1), 1);
	IS(shutdown(s[0], SHUT_WR), 0);
	p[0] = (struct pollfd){.fd = s[0], .events = POLLIN};
	p[1] = (struct pollfd){.fd = s[1], .events = POLLOUT};
	p[2] = (struct pollfd){.fd = pipes[0], .events = ALL};
	p[3] = (struct pollfd){.fd = pipes[1], .events = POLLIN};
	p[4] = (struct pollfd){.fd = gone, .events = ALL};
	p[5] = (struct pollfd){.fd = -1, .events = ALL, .revents = 77};
	p[6] = (struct pollfd){.fd = file, .events = POLLIN};
	p[7] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};
	for (int i = 0; i < 2; i++) {
		IS(i ? ppoll(p, 8, &day, NULL) : poll(p, 8, -1), 5);
		IS(p[0].revents, POLLHUP);
		IS(p[1].revents, POLLOUT);
		IS(p[2].revents, POLLIN);
		IS(p[3].revents, 0);
		IS(p[4].revents, POLLNVAL);
		IS(p[5].revents, 0);
		IS(p[6].revents, POLLIN);
		IS(p[7].revents, 0);
		for (int j = 0; j < 8; j++)
			p[j].revents = -1;
	}
	IS(syscall(SYS_poll, 8, 8, 0) < 0 ? errno : 0, EFAULT);
	close(s[0]);
	close(s[1]);
	close(pipes[0]);
	close(pipes[1]);
	close(file);
	close(p[7].fd);
}

static void *writes(void *fd)
{
	IS(write(*(int *)fd, "x", 1), 1);
	return NULL;
}

/* Waits that no shut socket ends are the kernel's. */
static void waits(void)
{
	struct pollfd many[1025];
	int s[2];
	pthread_t t;

	pair(s);
	IS(shown(s[0], POLLIN, 20), 0);
	IS(pthread_create(&t, NULL, writes, &s[1]), 0);
	IS(shown(s[0], POLLIN, -1), POLLIN);
	pthread_join(t, NULL);
	IS(poll(NULL, 0, 1), 0);

	/* More than the engine looks at: the kernel answers. */
	for (int i = 0; i < 1025; i++)
		many[i] = (struct pollfd){.fd = i ? -1 : s[0], .events = POLLIN};
	IS(shutdown(s[0], SHUT_WR), 0);
	IS(poll(many, 1024, -1), 1);
	IS(many[0].revents, POLLIN | POLLHUP);
	IS(poll(many, 1025, -1), 1);
	IS(many[0].revents, POLLIN);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	halves();
	company();
	waits();
	return 0;
}
