/* What options show and take in each state of a socket. Left out is what a
 * connection decides by itself: buffer sizes, segment size, window clamp, the
 * machine's own congestion control; and what takes privileges. */
#include "check.h"

static const struct { int level, name; const char *text; } options[] = {
#define O(level, name) {level, name, #name}
	O(SOL_SOCKET, SO_REUSEADDR), O(SOL_SOCKET, SO_REUSEPORT), O(SOL_SOCKET, SO_TYPE), O(SOL_SOCKET, SO_ERROR),
	O(SOL_SOCKET, SO_DONTROUTE), O(SOL_SOCKET, SO_BROADCAST), O(SOL_SOCKET, SO_KEEPALIVE), O(SOL_SOCKET, SO_OOBINLINE),
	O(SOL_SOCKET, SO_PRIORITY), O(SOL_SOCKET, SO_LINGER), O(SOL_SOCKET, SO_RCVLOWAT), O(SOL_SOCKET, SO_SNDLOWAT),
	O(SOL_SOCKET, SO_ACCEPTCONN), O(SOL_SOCKET, SO_PROTOCOL), O(SOL_SOCKET, SO_DOMAIN), O(IPPROTO_TCP, 36 /* TCP_INQ */), O(SOL_SOCKET, SO_PEEK_OFF),
	O(SOL_SOCKET, 999), O(IPPROTO_TCP, TCP_NODELAY), O(IPPROTO_TCP, TCP_CORK), O(IPPROTO_TCP, TCP_KEEPIDLE),
	O(IPPROTO_TCP, TCP_KEEPINTVL), O(IPPROTO_TCP, TCP_KEEPCNT), O(IPPROTO_TCP, TCP_SYNCNT), O(IPPROTO_TCP, TCP_LINGER2),
	O(IPPROTO_TCP, TCP_DEFER_ACCEPT), O(IPPROTO_TCP, TCP_USER_TIMEOUT), O(IPPROTO_TCP, 25 /* TCP_NOTSENT_LOWAT */),
	O(IPPROTO_TCP, 999), O(IPPROTO_IP, IP_TOS), O(IPPROTO_IP, IP_TTL), O(IPPROTO_IP, IP_PKTINFO),
	O(IPPROTO_IP, IP_MTU_DISCOVER), O(IPPROTO_IP, IP_FREEBIND), O(IPPROTO_IP, IP_MINTTL), O(IPPROTO_IP, IP_MULTICAST_LOOP),
	O(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), O(IPPROTO_IP, 60), O(IPPROTO_IPV6, IPV6_UNICAST_HOPS), O(IPPROTO_IPV6, IPV6_TCLASS),
	O(IPPROTO_IPV6, IPV6_MTU_DISCOVER), O(IPPROTO_IPV6, IPV6_RECVPKTINFO), O(IPPROTO_IPV6, 999), O(IPPROTO_SCTP, 1),
};

static void show(const char *when, int fd, int i)
{
	unsigned char b[64];
	socklen_t n = sizeof b;
	printf("%s %s: ", options[i].text, when);
	if (getsockopt(fd, options[i].level, options[i].name, b, &n)) {
		puts(strerrorname_np(errno));
		return;
	}
	for (socklen_t j = 0; j < n; j++)
		printf("%02x", b[j]);
	putchar('\n');
}

/* every asks the sockets that make gives about every option, a new one each. */
static void every(int (*make)(int domain), int domain)
{
	for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
		int fd = make(domain), v[] = {1, 3, -1, 200, 1};
		show("at first", fd, i);
		for (unsigned j = 0; j < sizeof v / sizeof *v; j++) {
			int two[] = {v[j], v[j]}; /* struct linger */
			if (v[j] < 0 && (options[i].name == SO_LINGER || options[i].name == SO_RCVLOWAT) && options[i].level == SOL_SOCKET)
				continue; /* a number that overflows, a limit of the machine's */
			if (setsockopt(fd, options[i].level, options[i].name, two, sizeof two))
				printf("%s = %d: %s\n", options[i].text, v[j], strerrorname_np(errno));
			show("then", fd, i);
		}
		close(fd);
	}
}

static socklen_t loopback(int domain, int port, struct sockaddr_storage *s)
{
	memset(s, 0, sizeof *s);
	if (domain == AF_INET) {
		*(struct sockaddr_in *)s = at(port);
		return sizeof(struct sockaddr_in);
	}
	struct sockaddr_in6 *six = (void *)s;
	six->sin6_family = AF_INET6, six->sin6_port = htons(port), six->sin6_addr = in6addr_loopback;
	return sizeof *six;
}

static int stream(int domain) { return socket(domain, SOCK_STREAM, 0); }
static int packet(int domain) { return socket(domain, SOCK_DGRAM, 0); }

static int bind_to(int fd, int domain)
{
	struct sockaddr_storage s;
	socklen_t n = loopback(domain, 0, &s);
	if (bind(fd, (void *)&s, n))
		say("bind", -1);
	return fd;
}

static int connect_to(int fd, int domain, int port)
{
	struct sockaddr_storage s;
	socklen_t n = loopback(domain, port, &s);
	return connect(fd, (void *)&s, n);
}

static int listening(int domain)
{
	int l = bind_to(stream(domain), domain);
	listen(l, 4);
	return l;
}

static int other = -1; /* the far end, and what it takes to keep it */

static int pair(int domain, int wantServer)
{
	int l = listening(domain), c = stream(domain);
	if (connect_to(c, domain, port_of(l)))
		say("connect", -1);
	int s = accept(l, NULL, NULL);
	close(l);
	close(other);
	other = wantServer ? c : s;
	return wantServer ? s : c;
}

static int client(int domain) { return pair(domain, 0); }
static int server(int domain) { return pair(domain, 1); }

static int failed(int domain)
{
	int l = listening(domain), port = port_of(l), fd = stream(domain);
	close(l);
	connect_to(fd, domain, port);
	return fd;
}

static int packet_bound(int domain) { return bind_to(packet(domain), domain); }

static int packet_connected(int domain)
{
	int fd = packet(domain);
	close(other);
	other = packet_bound(domain);
	if (connect_to(fd, domain, port_of(other)))
		say("connect", -1);
	return fd;
}

#define BOTH(name) \
	static void name##_4(void) { every(name, AF_INET); } \
	static void name##_6(void) { every(name, AF_INET6); }
BOTH(stream) BOTH(listening) BOTH(client) BOTH(server) BOTH(failed) BOTH(packet) BOTH(packet_bound) BOTH(packet_connected)

int main(int argc, char **argv)
{
	static const struct scenario list[] = {
#define S(name) {#name, name}
		S(stream_4), S(stream_6), S(listening_4), S(listening_6), S(client_4), S(client_6), S(server_4), S(server_6),
		S(failed_4), S(failed_6), S(packet_4), S(packet_6), S(packet_bound_4), S(packet_bound_6),
		S(packet_connected_4), S(packet_connected_6), {0},
	};
	return run_all(list, argc, argv);
}
