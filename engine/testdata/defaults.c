/* Prints the options that connections have in a sandbox with rules; see
 * defaults_test.go. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void show(const char *who, int fd)
{
	char name[16] = "";
	socklen_t n = sizeof name;
	int nodelay = -1, idle = -1;
	getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &n);
	n = sizeof nodelay;
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &n);
	n = sizeof idle;
	getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &n);
	printf("%s: %s nodelay %d idle %d\n", who, name, nodelay, idle);
}

static struct sockaddr_in at(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int listener(int port)
{
	struct sockaddr_in a = at(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 5))
		perror("listen");
	return fd;
}

static void meet(int l, int c, int port)
{
	struct sockaddr_in a = at(port);
	char who[32];
	if (connect(c, (struct sockaddr *)&a, sizeof a))
		perror("connect");
	int s = accept(l, 0, 0);
	snprintf(who, sizeof who, "to %d", port);
	show(who, c);
	snprintf(who, sizeof who, "at %d", port);
	show(who, s);
	close(s);
}

int main(void)
{
	int a = listener(8080), b = listener(9090), c, off = 0;

	c = socket(AF_INET, SOCK_STREAM, 0);
	show("new", c);
	meet(a, c, 8080);
	setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
	show("later", c);

	/* The same socket, for another peer. */
	struct sockaddr_in none = {.sin_family = AF_UNSPEC};
	connect(c, (struct sockaddr *)&none, sizeof none);
	meet(b, c, 9090);
	close(c);

	/* The program's own choice, before. */
	c = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(c, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
	meet(a, c, 8080);
	return 0;
}
