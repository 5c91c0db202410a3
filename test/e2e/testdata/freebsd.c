/*
 * What tcp(4) of FreeBSD says of socket options, asked of a sandbox that has
 * profile freebsd; with the argument "sortix" or "cxux" the page of that system.
 * Options that Linux lacks come from tcpcni.h. Every line that is printed is a
 * fault.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tcpcni.h"

#define T IPPROTO_TCP
#define S SOL_SOCKET

/* struct tcp_function_set and struct cc_newreno_opts of FreeBSD. */
struct function_set {
	char name[32];
	uint32_t pcbcnt;
};
struct newreno_opts {
	int name;
	uint32_t val;
};

static int tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }

static int set(int fd, int level, int name, unsigned value)
{
	return setsockopt(fd, level, name, &value, sizeof value) ? errno : 0;
}

static long get(int fd, int level, int name)
{
	unsigned value = 0;
	socklen_t len = sizeof value;

	return getsockopt(fd, level, name, &value, &len) ? -errno : (long)value;
}

static int dial(int fd, const char *addr, int port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, addr, &sin.sin_addr);
	return connect(fd, (void *)&sin, sizeof sin) ? errno : 0;
}

static int listener(int port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = tcp();

	if (bind(fd, (void *)&sin, sizeof sin))
		printf("bind: %s\n", strerror(errno));
	return fd;
}

#define IS(got, want) \
	do { \
		long g = (got), w = (want); \
		if (g != w) \
			printf("line %d: %s is %ld, want %ld\n", __LINE__, #got, g, w); \
	} while (0)

static void freebsd(void)
{
	struct function_set blk = {"rack"}, none = {"nosuchstack"};
	struct newreno_opts opts = {1, 70};
	unsigned char info[512] = {0};
	socklen_t len = sizeof blk;
	char name[16] = "";
	int l = listener(7000), c = tcp(), a;

	/* TCP_KEEPINIT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT and their inheritance */
	IS(get(l, T, TCP_KEEPINIT), 75);
	IS(get(l, T, TCP_KEEPIDLE), 7200);
	IS(get(l, T, TCP_KEEPINTVL), 75);
	IS(get(l, T, TCP_KEEPCNT), 8);
	IS(set(l, T, TCP_KEEPINIT, 4294968), EINVAL);
	IS(set(l, T, TCP_KEEPINIT, 11), 0);
	IS(set(l, T, TCP_KEEPIDLE, 12), 0);
	IS(set(l, T, TCP_KEEPINTVL, 13), 0);
	IS(set(l, T, TCP_KEEPCNT, 14), 0);
	IS(set(l, S, SO_KEEPALIVE, 1), 0);
	IS(get(l, S, SO_KEEPALIVE), 8);
	IS(set(l, T, TCP_NODELAY, 1), 0);
	IS(get(l, T, TCP_NODELAY), 4);
	IS(setsockopt(l, T, TCP_CONGESTION, "cubic", 5), 0);
	IS(listen(l, 5), 0);
	IS(get(l, S, SO_ACCEPTCONN), 2);

	/* TCP_FUNCTION_BLK */
	IS(setsockopt(c, T, TCP_FUNCTION_BLK, &none, sizeof none) ? errno : 0, ENOENT);
	IS(setsockopt(c, T, TCP_FUNCTION_BLK, &blk, sizeof blk - 1) ? errno : 0, EINVAL);
	IS(setsockopt(c, T, TCP_FUNCTION_BLK, &blk, sizeof blk) ? errno : 0, 0);
	IS(dial(c, "127.0.0.1", 7000), 0);
	a = accept(l, NULL, NULL);
	IS(a < 0, 0);
	memset(&blk, 0, sizeof blk);
	IS(getsockopt(c, T, TCP_FUNCTION_BLK, &blk, &len) ? errno : 0, 0);
	IS(strcmp(blk.name, "rack"), 0);
	IS(blk.pcbcnt, 1);

	IS(get(a, T, TCP_KEEPINIT), 11);
	IS(get(a, T, TCP_KEEPIDLE), 12);
	IS(get(a, T, TCP_KEEPINTVL), 13);
	IS(get(a, T, TCP_KEEPCNT), 14);
	IS(get(a, T, TCP_NODELAY), 4);
	len = sizeof name;
	IS(getsockopt(a, T, TCP_CONGESTION, name, &len) ? errno : 0, 0);
	IS(strcmp(name, "newreno"), 0); /* the system's, not the listener's */
	IS(len, 8);
	IS(setsockopt(a, T, TCP_CONGESTION, "nosuch", 6) ? errno : 0, EINVAL);

	/* TCP_CCALGOOPT of cc_newreno: getsockopt says in the buffer what it asks for */
	IS(setsockopt(a, T, TCP_CCALGOOPT, &opts, sizeof opts) ? errno : 0, 0);
	opts.val = 0;
	len = sizeof opts;
	IS(getsockopt(a, T, TCP_CCALGOOPT, &opts, &len) ? errno : 0, 0);
	IS(opts.val, 70);
	opts.name = 9;
	IS(getsockopt(a, T, TCP_CCALGOOPT, &opts, &len) ? errno : 0, ENOPROTOOPT);

	/* TCP_MAXSEG reduces and never raises */
	IS(set(a, T, TCP_MAXSEG, 65535), EINVAL);
	IS(set(a, T, TCP_MAXSEG, 500), 0);
	IS(get(a, T, TCP_MAXSEG), 500);

	/* TCP_NOOPT: of a connection and of a listener */
	IS(set(a, T, TCP_NOOPT, 1), 0);
	IS(get(a, T, TCP_NOOPT), 8);
	IS(set(a, T, TCP_NOOPT, 0), 0);
	IS(get(a, T, TCP_NOOPT), 0);
	IS(set(l, T, TCP_NOOPT, 1), 0);
	IS(get(l, T, TCP_NOOPT), 8);

	/* TCP_NOPUSH */
	IS(set(a, T, TCP_NOPUSH, 1), 0);
	IS(get(a, T, TCP_NOPUSH), 0x1000);

	/* TCP_INFO: state 4 is ESTABLISHED there */
	len = sizeof info;
	IS(getsockopt(a, T, TCP_INFO, info, &len) ? errno : 0, 0);
	IS(len, 236);
	IS(info[0], 4);

	/* ERRORS */
	IS(dial(a, "127.0.0.1", 7000), EISCONN);
	IS(dial(tcp(), "127.0.0.1", 7001), ECONNREFUSED);
	IS(dial(tcp(), "224.0.0.1", 7000), EAFNOSUPPORT);
	IS(get(a, T, 999), -ENOPROTOOPT);
	IS(get(a, 284, 1), -EINVAL);
	IS(set(a, S, SO_SNDBUF, 0), EINVAL);
	IS(set(a, S, SO_SNDBUF, 1 << 30), ENOBUFS);
}

static void sortix(void)
{
	int s = tcp(), i;

	IS(get(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), S, SO_PROTOCOL), IPPROTO_TCP);
	IS(get(s, S, SO_RCVBUF), 65536);
	IS(get(s, S, SO_SNDBUF), 65536);
	IS(get(s, S, SO_DOMAIN), AF_INET);
	IS(get(s, S, SO_PROTOCOL), IPPROTO_TCP);
	IS(get(s, S, SO_TYPE), SOCK_STREAM);
	IS(get(s, S, SO_DEBUG), 0);
	IS(set(s, S, SO_DEBUG, 1), EPERM);
	IS(set(s, S, SO_DEBUG, 0), 0);
	IS(set(s, S, SO_TYPE, 1), ENOPROTOOPT);
	IS(set(s, T, TCP_NODELAY, 1), ENOPROTOOPT);
	IS(get(s, T, TCP_NODELAY), -ENOPROTOOPT);
	IS(get(s, 284, 1), -EINVAL);
	IS(set(s, S, SO_BINDTOINDEX, 12345), ENODEV);
	IS(set(s, S, SO_BINDTOINDEX, 0), 0);
	IS(setsockopt(s, S, SO_BINDTODEVICE, "nosuch", 7) ? errno : 0, ENODEV);
	IS(setsockopt(s, S, SO_BINDTODEVICE, "eth0", 5) ? errno : 0, 0);
	s = tcp();
	IS(dial(s, "127.0.0.1", 0), EADDRNOTAVAIL);

	/* Errors are permanent: after a connect that does not wait, too. */
	IS(fcntl(s, F_SETFL, O_NONBLOCK), 0);
	IS(dial(s, "127.0.0.1", 7001), EINPROGRESS);
	{
		struct pollfd p = {.fd = s, .events = POLLOUT};

		IS(poll(&p, 1, 5000), 1);
	}
	for (i = 0; i < 3; i++)
		IS(get(s, S, SO_ERROR), ECONNREFUSED);
}

static void cxux(void)
{
	int s = tcp();

	IS(get(s, T, TCP_NODELAY), 0);
	IS(set(s, T, TCP_NODELAY, 1), 0);
	IS(get(s, T, TCP_NODELAY), 1);
	IS(set(s, T, TCP_KEEPIDLE, 10), ENOPROTOOPT);
	IS(get(s, T, TCP_MAXSEG), -ENOPROTOOPT);
	IS(get(s, T, TCP_INFO), -ENOPROTOOPT);
	IS(set(s, S, SO_KEEPALIVE, 1), 0);
	IS(set(s, S, SO_REUSEPORT, 1), ENOPROTOOPT);
	IS(dial(s, "127.0.0.1", 7001), ECONNREFUSED);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "sortix"))
		sortix();
	else if (argc > 1 && !strcmp(argv[1], "cxux"))
		cxux();
	else
		freebsd();
	return 0;
}
