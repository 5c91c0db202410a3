/*
 * The server of the benchmark: an ordinary program with one thread and epoll,
 * which knows nothing of where it runs.
 *
 *   server PORT [CONGESTION]
 *
 * CONGESTION is the name of a congestion control, the system's default if none.
 * Each port is there for IPv4 and, where the system has it, for IPv6.
 *
 * TCP PORT     reads and throws away; at end of file answers with the number of
 *              bytes, 8 of them in host order
 * TCP PORT+1   writes without end
 * TCP PORT+2   sends back what it receives; PORT+8 does the same, so that one
 *              client address can have more connections than there are ports
 * TCP PORT+3   reads 4 bytes, a size in host order, then answers every message
 *              of that size with one of that size
 * UDP PORT+4   sends back what it receives, to where it came from
 * UDP PORT+5   connects to whoever sends first and sends back what it receives,
 *              until a datagram that begins with 'q'
 * UDP PORT+6   counts what it receives
 * TCP PORT+6   answers with that count, 8 bytes in host order, and closes
 * UDP PORT+7   reads milliseconds and a size, 4 bytes each in host order, and
 *              sends datagrams of that size back for so long
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum kind { SINK, SOURCE, ECHO, MESSAGE, UDPECHO, UDPPEER, UDPSINK, UDPSOURCE, STATISTICS };
enum { LISTENER = 32, SIX = 64, BUFFER = 128 << 10, BATCH = 256, MAXFD = 1 << 20, PORTS = 9 };

static const struct {
	int port, kind, type;
} services[] = {
	{ 0, SINK, SOCK_STREAM },      { 1, SOURCE, SOCK_STREAM },   { 2, ECHO, SOCK_STREAM },
	{ 3, MESSAGE, SOCK_STREAM },   { 4, UDPECHO, SOCK_DGRAM },   { 5, UDPPEER, SOCK_DGRAM },
	{ 6, UDPSINK, SOCK_DGRAM },    { 6, STATISTICS, SOCK_STREAM }, { 7, UDPSOURCE, SOCK_DGRAM },
	{ 8, ECHO, SOCK_STREAM },
};

static char buffer[BUFFER];
/* By connection; pages appear on use. */
static uint64_t received[MAXFD];
static struct message {
	uint32_t size, got, owed;
} messages[MAXFD];
static uint64_t datagrams;
static int ep, base;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int op, int fd, int kind, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)kind << 32 | (uint32_t)fd };

	if (epoll_ctl(ep, op, fd, &ev) < 0)
		die("epoll_ctl");
}

/* open_at returns -1 when the system has no IPv6. */
static int open_at(int six, int type, int port)
{
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = { 0 };
	int on = 1, fd = socket(six ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK, 0);
	socklen_t len = six ? sizeof at.v6 : sizeof at.v4;

	if (fd < 0) {
		if (six)
			return -1;
		die("socket");
	}
	if (six) {
		at.v6.sin6_family = AF_INET6;
		at.v6.sin6_port = htons(port);
		if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
			die("IPV6_V6ONLY");
	} else {
		at.v4.sin_family = AF_INET;
		at.v4.sin_port = htons(port);
	}
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		die("SO_REUSEADDR");
	if (bind(fd, (struct sockaddr *)&at, len) < 0) {
		if (six) {
			close(fd);
			return -1;
		}
		die("bind");
	}
	return fd;
}

static void serve_at(int six, int port, int kind, int type, const char *congestion)
{
	int fd = open_at(six, type, port);

	if (fd < 0)
		return;
	if (type == SOCK_STREAM) {
		if (congestion && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)) < 0)
			die("TCP_CONGESTION");
		if (listen(fd, 4096) < 0)
			die("listen");
		kind |= LISTENER;
	}
	watch(EPOLL_CTL_ADD, fd, kind | (six ? SIX : 0), EPOLLIN);
}

static void take(int listener, int kind)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			die("accept4");
		return;
	}
	if (kind == STATISTICS && write(fd, &datagrams, sizeof datagrams) < 0)
		perror("write");
	if (fd >= MAXFD || kind == STATISTICS) {
		close(fd);
		return;
	}
	received[fd] = 0;
	messages[fd] = (struct message){ 0 };
	watch(EPOLL_CTL_ADD, fd, kind, kind == SOURCE ? EPOLLOUT : EPOLLIN);
}

/* answer moves messages as far as it can without waiting; what it returns is
 * what the last call did. */
static ssize_t answer(int fd)
{
	struct message *m = &messages[fd];
	int owing = m->owed > 0;
	ssize_t n;

	if (m->size == 0) {
		n = recv(fd, &m->size, sizeof m->size, 0);
		if (n > 0 && (n != sizeof m->size || m->size == 0))
			return 0; /* nobody sends so little in pieces */
		return n;
	}
	if (m->owed == 0) {
		uint32_t want = m->size - m->got;

		n = read(fd, buffer, want < sizeof buffer ? want : sizeof buffer);
		if (n <= 0)
			return n;
		m->got += n;
		if (m->got < m->size)
			return n;
		m->got = 0;
		m->owed = m->size;
	}
	for (;;) {
		n = write(fd, buffer, m->owed < sizeof buffer ? m->owed : sizeof buffer);
		if (n > 0)
			m->owed -= n;
		if (n < 0 || m->owed == 0)
			break;
	}
	if (owing != (m->owed > 0))
		watch(EPOLL_CTL_MOD, fd, MESSAGE, m->owed > 0 ? EPOLLOUT : EPOLLIN);
	return n;
}

static void serve(int fd, int kind)
{
	ssize_t n;

	if (kind == SOURCE) {
		n = write(fd, buffer, sizeof buffer);
	} else if (kind == MESSAGE) {
		n = answer(fd);
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

static void flood(int fd, uint32_t ms, uint32_t size, struct sockaddr *to, socklen_t len)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		for (int i = 0; i < 16; i++)
			if (sendto(fd, buffer, size, 0, to, len) < 0) {
				struct pollfd p = { .fd = fd, .events = POLLOUT };

				poll(&p, 1, 10);
			}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < (int64_t)ms);
}

static void serve_datagram(int fd, int kind, int six)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	uint32_t order[2];
	ssize_t n;

	switch (kind) {
	case UDPECHO:
		n = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &len);
		if (n > 0)
			sendto(fd, buffer, n, 0, (struct sockaddr *)&from, len);
		break;
	case UDPPEER:
		if (received[fd] == 0) {
			n = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &len);
			if (n <= 0 || buffer[0] == 'q')
				break;
			if (connect(fd, (struct sockaddr *)&from, len) < 0)
				die("connect");
			received[fd] = 1;
		} else {
			n = read(fd, buffer, sizeof buffer);
		}
		if (n > 0 && buffer[0] == 'q') {
			received[fd] = 0;
			close(fd);
			serve_at(six, base + 5, UDPPEER, SOCK_DGRAM, NULL);
			break;
		}
		if (n > 0 && write(fd, buffer, n) < 0)
			perror("write");
		break;
	case UDPSINK:
		for (int i = 0; i < 64 && recv(fd, buffer, sizeof buffer, 0) > 0; i++)
			datagrams++;
		break;
	case UDPSOURCE:
		n = recvfrom(fd, order, sizeof order, 0, (struct sockaddr *)&from, &len);
		if (n == sizeof order && order[1] <= sizeof buffer)
			flood(fd, order[0], order[1], (struct sockaddr *)&from, len);
		break;
	}
	memset(buffer, 'x', 8);
}

int main(int argc, char **argv)
{
	struct epoll_event events[BATCH];
	struct rlimit files;

	base = argc == 2 || argc == 3 ? atoi(argv[1]) : 0;
	if (base < 1 || base > 65536 - PORTS) {
		fprintf(stderr, "usage: server PORT [CONGESTION]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	ep = epoll_create1(0);
	if (ep < 0)
		die("epoll_create1");
	memset(buffer, 'x', sizeof buffer);
	for (int six = 0; six < 2; six++)
		for (unsigned i = 0; i < sizeof services / sizeof services[0]; i++)
			serve_at(six, base + services[i].port, services[i].kind, services[i].type, argv[2]);
	for (;;) {
		int n = epoll_wait(ep, events, BATCH, -1);

		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			int fd = (uint32_t)events[i].data.u64, kind = events[i].data.u64 >> 32;
			int six = kind & SIX;

			kind &= ~SIX;
			if (kind & LISTENER)
				take(fd, kind & ~LISTENER);
			else if (kind >= UDPECHO)
				serve_datagram(fd, kind, six);
			else
				serve(fd, kind);
		}
	}
}
