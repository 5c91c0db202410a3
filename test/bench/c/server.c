/*
 * The server of the benchmark: an ordinary program with one thread and epoll,
 * which knows nothing of where it runs.
 *
 *   server PORT [CONGESTION]
 *
 * CONGESTION is the name of a congestion control, the system's default if none.
 *
 * PORT    reads and throws away; at end of file answers with the number of
 *         bytes, 8 of them in host order
 * PORT+1  writes without end
 * PORT+2  sends back what it receives
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind { SINK, SOURCE, ECHO, KINDS };
enum { LISTENER = 16, BUFFER = 128 << 10, BATCH = 256, MAXFD = 1 << 20 };

static char buffer[BUFFER];
static uint64_t received[MAXFD]; /* by SINK connections; pages appear on use */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int ep, int fd, int kind, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)kind << 32 | (uint32_t)fd };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll_ctl");
}

static void listen_at(int ep, int kind, int port, const char *congestion)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		die("SO_REUSEADDR");
	if (congestion && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)) < 0)
		die("TCP_CONGESTION");
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		die("bind");
	if (listen(fd, 4096) < 0)
		die("listen");
	watch(ep, fd, kind | LISTENER, EPOLLIN);
}

static void take(int ep, int listener, int kind)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			die("accept4");
		return;
	}
	if (fd >= MAXFD) {
		close(fd);
		return;
	}
	received[fd] = 0;
	watch(ep, fd, kind, kind == SOURCE ? EPOLLOUT : EPOLLIN);
}

static void serve(int fd, int kind)
{
	ssize_t n;

	if (kind == SOURCE) {
		n = write(fd, buffer, sizeof buffer);
	} else {
		n = read(fd, buffer, sizeof buffer);
		if (n > 0 && kind == SINK)
			received[fd] += n;
		/* A request is far smaller than any socket buffer. */
		if (n > 0 && kind == ECHO)
			n = write(fd, buffer, n);
	}
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (n == 0 && kind == SINK && write(fd, &received[fd], sizeof received[fd]) < 0)
		perror("write");
	close(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[BATCH];
	struct rlimit files;
	int port = argc == 2 || argc == 3 ? atoi(argv[1]) : 0, ep = epoll_create1(0);

	if (port < 1 || port > 65535 - KINDS) {
		fprintf(stderr, "usage: server PORT [CONGESTION]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (ep < 0)
		die("epoll_create1");
	memset(buffer, 'x', sizeof buffer);
	for (int kind = SINK; kind < KINDS; kind++)
		listen_at(ep, kind, port + kind, argv[2]);
	for (;;) {
		int n = epoll_wait(ep, events, BATCH, -1);

		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			int fd = (uint32_t)events[i].data.u64, kind = events[i].data.u64 >> 32;

			if (kind & LISTENER)
				take(ep, fd, kind & ~LISTENER);
			else
				serve(fd, kind);
		}
	}
}
