/*
 * Does what its arguments say with sockets that have names, and prints each
 * step with its outcome: "ok", a number, or the name of the error.
 *
 *	NAME = tcp4|tcp6|udp4|udp6     socket(2)
 *	NAME set OPTION VALUE          setsockopt(2)
 *	NAME get OPTION                getsockopt(2): the value
 *	NAME bind ADDRESS PORT         bind(2)
 *	NAME connect ADDRESS PORT      connect(2)
 *	NAME listen                    listen(2)
 *	NAME accept OTHER              accept(2): the connection is OTHER
 *	NAME finish                    shutdown(2) for writing, then read to the end
 *	NAME within LOW HIGH           getsockname(2): ok if its port is in the range
 *	NAME close
 *	fill KIND ADDRESS              bind(2) with port 0, until it fails: how often it did not
 *	user NUMBER                    seteuid(2)
 *	reset                          closes all sockets
 *	wait                           reads a line
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcpcni.h"

static const struct {
	const char *name;
	int level, number;
} options[] = {
	{"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR},
	{"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT},
	{"SO_REUSEPORT_LB", SOL_SOCKET, SO_REUSEPORT_LB},
	{"SO_EXCLBIND", SOL_SOCKET, SO_EXCLBIND},
	{"TCP_EXCLBIND", IPPROTO_TCP, TCP_EXCLBIND},
	{"TCP_ANONPRIVBIND", IPPROTO_TCP, TCP_ANONPRIVBIND},
	{"IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY},
};

static struct { char name[16]; int fd, domain; } sockets[64];
static int filled[65536], nfilled;

static int
slot(const char *name, int create)
{
	int i, empty = -1;

	for (i = 0; i < 64; i++) {
		if (strcmp(sockets[i].name, name) == 0)
			return i;
		if (empty < 0 && sockets[i].name[0] == '\0')
			empty = i;
	}
	if (!create || empty < 0) {
		fprintf(stderr, "no socket %s\n", name);
		exit(2);
	}
	snprintf(sockets[empty].name, sizeof sockets[empty].name, "%s", name);
	sockets[empty].fd = -1;
	return empty;
}

static int
create(const char *name, const char *kind)
{
	int i = slot(name, 1);

	if (sockets[i].fd >= 0)
		close(sockets[i].fd);
	sockets[i].domain = kind[3] == '6' ? AF_INET6 : AF_INET;
	sockets[i].fd = socket(sockets[i].domain, kind[0] == 'u' ? SOCK_DGRAM : SOCK_STREAM, 0);
	return sockets[i].fd;
}

static socklen_t
address(int domain, const char *text, int port, struct sockaddr_storage *sa)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;

	memset(sa, 0, sizeof *sa);
	sa->ss_family = domain;
	v4->sin_port = htons(port);
	if (inet_pton(domain, text, domain == AF_INET6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr) != 1) {
		fprintf(stderr, "no address: %s\n", text);
		exit(2);
	}
	return domain == AF_INET6 ? sizeof *v6 : sizeof *v4;
}

static int
option(int fd, const char *name, const int *set, int *get)
{
	socklen_t len = sizeof *get;
	size_t i;

	for (i = 0; i < sizeof options / sizeof options[0]; i++) {
		if (strcmp(options[i].name, name) != 0)
			continue;
		if (set != NULL)
			return setsockopt(fd, options[i].level, options[i].number, set, sizeof *set);
		return getsockopt(fd, options[i].level, options[i].number, get, &len);
	}
	fprintf(stderr, "no option %s\n", name);
	exit(2);
}

static int
finish(int fd)
{
	char c;

	if (shutdown(fd, SHUT_WR) != 0)
		return -1;
	return read(fd, &c, 1);
}

static int
within(int fd, int low, int high)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	int port;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		return -1;
	port = ntohs(((struct sockaddr_in *)&sa)->sin_port);
	if (port >= low && port <= high)
		return 0;
	fprintf(stderr, "port %d\n", port);
	errno = ERANGE;
	return -1;
}

/* fill takes every port that there is, and leaves errno as the first that failed did. */
static int
fill(const char *kind, const char *text)
{
	struct rlimit most = {8192, 8192};
	struct sockaddr_storage sa;
	int domain = kind[3] == '6' ? AF_INET6 : AF_INET;
	socklen_t len = address(domain, text, 0, &sa);

	setrlimit(RLIMIT_NOFILE, &most);
	while (nfilled < 65536) {
		int fd = socket(domain, kind[0] == 'u' ? SOCK_DGRAM : SOCK_STREAM, 0);

		if (fd < 0)
			return -1;
		if (bind(fd, (struct sockaddr *)&sa, len) != 0) {
			close(fd);
			break;
		}
		filled[nfilled++] = fd;
	}
	return nfilled;
}

/* step does one and returns -1 and errno, or 0; *value is what it printed. */
static int
step(char *line, int *value)
{
	char *word[5] = {NULL};
	struct sockaddr_storage sa;
	socklen_t len;
	int i, n = 0, fd;
	char *next;

	for (next = strtok(line, " "); next != NULL && n < 5; next = strtok(NULL, " "))
		word[n++] = next;
	if (n == 1 && strcmp(word[0], "reset") == 0) {
		for (i = 0; i < 64; i++) {
			if (sockets[i].name[0] != '\0' && sockets[i].fd >= 0)
				close(sockets[i].fd);
			sockets[i].name[0] = '\0';
		}
		while (nfilled > 0)
			close(filled[--nfilled]);
		return 0;
	}
	if (n == 1 && strcmp(word[0], "wait") == 0)
		return getchar() == EOF ? -1 : 0;
	if (n == 3 && strcmp(word[0], "fill") == 0)
		return *value = fill(word[1], word[2]);
	if (n == 2 && strcmp(word[0], "user") == 0)
		return seteuid(atoi(word[1]));
	if (n == 3 && strcmp(word[1], "=") == 0)
		return create(word[0], word[2]);
	if (n < 2) {
		fprintf(stderr, "no step: %s\n", word[0]);
		exit(2);
	}
	i = slot(word[0], 0);
	fd = sockets[i].fd;
	if (n == 4 && strcmp(word[1], "set") == 0) {
		int v = atoi(word[3]);
		return option(fd, word[2], &v, NULL);
	}
	if (n == 3 && strcmp(word[1], "get") == 0) {
		*value = 0;
		return option(fd, word[2], NULL, value);
	}
	if (n == 4 && strcmp(word[1], "within") == 0)
		return within(fd, atoi(word[2]), atoi(word[3]));
	if (n == 4 && (strcmp(word[1], "bind") == 0 || strcmp(word[1], "connect") == 0)) {
		len = address(sockets[i].domain, word[2], atoi(word[3]), &sa);
		return word[1][0] == 'b' ? bind(fd, (struct sockaddr *)&sa, len) : connect(fd, (struct sockaddr *)&sa, len);
	}
	if (n == 2 && strcmp(word[1], "listen") == 0)
		return listen(fd, 5);
	if (n == 3 && strcmp(word[1], "accept") == 0) {
		int other = slot(word[2], 1);
		sockets[other].domain = sockets[i].domain;
		return sockets[other].fd = accept(fd, NULL, NULL);
	}
	if (n == 2 && strcmp(word[1], "finish") == 0)
		return finish(fd);
	if (n == 2 && strcmp(word[1], "close") == 0) {
		sockets[i].fd = -1;
		return close(fd);
	}
	fprintf(stderr, "no step: %s\n", word[1]);
	exit(2);
}

int
main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		char line[256];
		int value = -1, r;

		snprintf(line, sizeof line, "%s", argv[i]);
		r = step(line, &value);
		if (r < 0)
			printf("%s -> %s\n", argv[i], strerrorname_np(errno));
		else if (value >= 0)
			printf("%s -> %d\n", argv[i], value);
		else
			printf("%s -> ok\n", argv[i]);
		fflush(stdout);
	}
	return 0;
}
