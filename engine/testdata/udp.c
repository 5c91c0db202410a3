#include "check.h"

static struct sockaddr_in name_of(int fd) { return at(port_of(fd)); }

static long send_to(int fd, const char *text, struct sockaddr_in to)
{
	return sendto(fd, text, strlen(text), 0, (void *)&to, sizeof to);
}

/* from receives and prints the datagram and whether it is from who. */
static void from(const char *what, int fd, int who, int flags)
{
	char b[64] = {0};
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	memset(&a, 0, sizeof a);
	long r = recvfrom(fd, b, sizeof b - 1, flags, (void *)&a, &n);
	if (r < 0)
		say(what, r);
	else
		tell("%s: %ld '%s' len %d expected source %d", what, r, b, n, ntohs(a.sin_port) == port_of(who));
}

static void addressed(void)
{
	int a = bound(udp(), 0), b = bound(udp(), 0), c = bound(udp(), 0);
	SAY(send_to(a, "one", name_of(b)));
	SAY(send_to(c, "two", name_of(b)));
	SAY(send_to(a, "", name_of(b)));
	SAY(send_to(c, "three", name_of(b)));
	nap(20);
	ready("receiver", b, POLLIN | POLLOUT, POLLIN | POLLOUT, 100);
	from("peek", b, a, MSG_PEEK);
	from("first", b, a, 0);
	from("second", b, c, 0);
	from("empty", b, a, 0);
	from("last", b, c, 0);
	from("none", b, a, MSG_DONTWAIT);
	ready("receiver", b, POLLIN | POLLOUT, POLLIN | POLLOUT, 0);
	int d = udp();
	SAY(send_to(d, "x", name_of(b)));
	tell("a port was chosen: %d", port_of(d) > 0);
	from("from it", b, d, 0);
}

static void mixed(void)
{
	int a = bound(udp(), 0), b = bound(udp(), 0), c = bound(udp(), 0);
	char x[16];
	const char *words[] = {"a", "bb", "ccc", "dddd", "eeeee", "ffffff"};
	for (int i = 0; i < 6; i++)
		send_to(i % 2 ? c : a, words[i], name_of(b));
	nap(20);
	SAY(recv(b, x, sizeof x, 0));
	from("after a recv", b, c, 0);
	SAY(read(b, x, sizeof x));
	SAY(read(b, x, sizeof x));
	from("after two reads", b, a, 0);
	from("then", b, c, 0);
	SAY(recv(b, x, sizeof x, MSG_DONTWAIT));
	for (int i = 0; i < 300; i++) {
		send_to(a, "abc", name_of(b));
		if (recv(b, x, sizeof x, 0) != 3)
			tell("lost");
	}
	SAY(send_to(c, "end", name_of(b)));
	from("after many", b, c, 0);
}

static void connected(void)
{
	int a = bound(udp(), 0), b = bound(udp(), 0), c = bound(udp(), 0);
	struct sockaddr_in n = name_of(b), p;
	socklen_t l = sizeof p;
	char x[16];
	SAY(getpeername(a, (void *)&p, &l));
	SAY(connect(a, (void *)&n, sizeof n));
	SAY(getpeername(a, (void *)&p, &l));
	tell("peer %d", p.sin_port == n.sin_port);
	SAY(send(a, "native", 6, 0));
	from("native send", b, a, 0);
	SAY(write(a, "written", 7));
	from("write", b, a, 0);
	SAY(send_to(c, "stranger", name_of(a)));
	SAY(send_to(b, "peer", name_of(a)));
	nap(20);
	from("only from the peer", a, b, 0);
	SAY(send_to(b, "peer2", name_of(a)));
	SAY(recv(a, x, sizeof x, 0));
	SAY(send_to(a, "elsewhere", name_of(c)));
	from("elsewhere", c, a, 0);
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	SAY(connect(a, &none, sizeof none));
	SAY(getpeername(a, (void *)&p, &l));
}

static void unreachable(void)
{
	int a = udp(), b = bound(udp(), 0);
	struct sockaddr_in gone = name_of(b);
	char x[8];
	close(b);
	SAY(send_to(a, "unconnected hears nothing", gone));
	nap(20);
	say_error("unconnected", a);
	SAY(connect(a, (void *)&gone, sizeof gone));
	SAY(send(a, "x", 1, 0));
	nap(30);
	ready("error", a, POLLIN, 0, 0);
	from("error", a, a, 0);
	from("once", a, a, MSG_DONTWAIT);
	SAY(send(a, "x", 1, 0));
	nap(30);
	say_error("as option", a);
	say_error("once", a);
	from("nothing", a, a, MSG_DONTWAIT);
	SAY(recv(a, x, sizeof x, MSG_DONTWAIT));
}

static void truncated(void)
{
	int a = bound(udp(), 0), b = bound(udp(), 0);
	char x[4];
	struct sockaddr_in s;
	struct iovec v = {x, sizeof x};
	struct msghdr m = {.msg_name = &s, .msg_namelen = sizeof s, .msg_iov = &v, .msg_iovlen = 1};
	for (int i = 0; i < 4; i++)
		send_to(a, "0123456789", name_of(b));
	nap(20);
	SAY(recvfrom(b, x, sizeof x, 0, NULL, NULL));
	socklen_t n = sizeof s;
	SAY(recvfrom(b, x, sizeof x, MSG_TRUNC, (void *)&s, &n));
	SAY(recvmsg(b, &m, 0));
	tell("truncated %d, name %d, %.4s", !!(m.msg_flags & MSG_TRUNC), m.msg_namelen, x);
	n = 4;
	SAY(recvfrom(b, x, sizeof x, 0, (void *)&s, &n));
	tell("true length %d", n);
}

static void sizes(void)
{
	int a = bound(udp(), 0), b = bound(udp(), 0);
	static char big[70000];
	struct sockaddr_in to = name_of(b);
	SAY(sendto(a, big, 65508, 0, (void *)&to, sizeof to));
	SAY(sendto(a, big, 65507, 0, (void *)&to, sizeof to));
	nap(50);
	SAY(recv(b, big, sizeof big, 0));
	SAY(sendto(a, big, 9000, 0, (void *)&to, sizeof to));
	nap(50);
	SAY(recv(b, big, sizeof big, 0));
}

static void several(void)
{
	int a = bound(udp(), 0), b = bound(udp(), 0);
	struct sockaddr_in to = name_of(b), src[4];
	struct iovec v[3] = {{"one", 3}, {"three", 5}, {"", 0}};
	struct mmsghdr m[3];
	memset(m, 0, sizeof m);
	for (int i = 0; i < 3; i++)
		m[i].msg_hdr = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &v[i], .msg_iovlen = 1};
	SAY(sendmmsg(a, m, 3, 0));
	tell("lengths %d %d %d", m[0].msg_len, m[1].msg_len, m[2].msg_len);
	nap(30);
	char room[4][8];
	struct iovec w[4];
	struct mmsghdr r[4];
	memset(r, 0, sizeof r);
	for (int i = 0; i < 4; i++) {
		w[i] = (struct iovec){room[i], 8};
		r[i].msg_hdr = (struct msghdr){.msg_name = &src[i], .msg_namelen = sizeof src[i], .msg_iov = &w[i], .msg_iovlen = 1};
	}
	SAY(recvmmsg(b, r, 4, MSG_DONTWAIT, NULL));
	tell("lengths %d %d %d from %d", r[0].msg_len, r[1].msg_len, r[2].msg_len, ntohs(src[1].sin_port) == port_of(a));
	SAY(recvmmsg(b, r, 4, MSG_DONTWAIT, NULL));
	SAY(sendmmsg(a, m, 1, 0));
	SAY(recvmmsg(b, r, 4, MSG_WAITFORONE, NULL));
}

static void gathered(void)
{
	int a = bound(udp(), 0), b = bound(udp(), 0);
	struct sockaddr_in to = name_of(b);
	struct iovec v[3] = {{"ga", 2}, {"the", 3}, {"red", 3}};
	struct msghdr m = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = v, .msg_iovlen = 3};
	SAY(sendmsg(a, &m, 0));
	char x[3], y[3], z[9];
	struct iovec w[3] = {{x, 3}, {y, 3}, {z, 9}};
	struct msghdr r = {.msg_iov = w, .msg_iovlen = 3};
	SAY(recvmsg(b, &r, 0));
	tell("%.3s %.3s %.2s", x, y, z);
	m.msg_iovlen = 2000;
	SAY(sendmsg(a, &m, 0));
	m.msg_iovlen = 3, m.msg_name = (void *)8;
	SAY(sendmsg(a, &m, 0));
	m.msg_name = &to, v[1].iov_base = (void *)8;
	SAY(sendmsg(a, &m, 0));
	SAY(sendmsg(a, (void *)8, 0));
	SAY(sendmsg(a, &(struct msghdr){0}, 0));
}

static void ancillary(void)
{
	int a = bound(udp(), 0), b = udp(), one = 1;
	struct sockaddr_in any = {.sin_family = AF_INET};
	bind(b, (void *)&any, sizeof any);
	SAY(setsockopt(b, IPPROTO_IP, IP_PKTINFO, &one, sizeof one));
	SAY(send_to(a, "info", name_of(b)));
	char x[8], ctl[256];
	struct iovec v = {x, 8};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
	SAY(recvmsg(b, &m, 0));
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (!h) {
		tell("no ancillary data");
		return;
	}
	struct in_pktinfo *p = (void *)CMSG_DATA(h);
	tell("level %d type %d to %s on %d", h->cmsg_level, h->cmsg_type, inet_ntoa(p->ipi_addr), p->ipi_ifindex);
	/* The answer goes back with the same piece. */
	struct sockaddr_in to = name_of(a);
	m.msg_name = &to, m.msg_namelen = sizeof to;
	SAY(sendmsg(b, &m, 0));
	from("answer", a, b, 0);
	h->cmsg_type = 12345;
	SAY(sendmsg(b, &m, 0));
	SAY(send_to(a, "cut", name_of(b)));
	m = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1};
	SAY(recvmsg(b, &m, 0));
	tell("control cut %d", !!(m.msg_flags & MSG_CTRUNC));
}

static int box;

static void *late(void *arg)
{
	(void)arg;
	nap(60);
	int a = udp();
	send_to(a, "late", name_of(box));
	return NULL;
}

static void waits(void)
{
	pthread_t t;
	char x[16];
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	box = bound(udp(), 0);
	pthread_create(&t, NULL, late, NULL);
	SAY(recvfrom(box, x, sizeof x, 0, (void *)&a, &n));
	pthread_join(t, NULL);
	pthread_create(&t, NULL, late, NULL);
	SAY(recv(box, x, sizeof x, 0));
	pthread_join(t, NULL);
	pthread_create(&t, NULL, late, NULL);
	struct iovec v = {x, sizeof x};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	SAY(recvmsg(box, &m, 0));
	pthread_join(t, NULL);
	timeout_of(box, SO_RCVTIMEO, 80);
	double t0 = clock_now();
	SAY(recvfrom(box, x, sizeof x, 0, (void *)&a, &n));
	SAY(recv(box, x, sizeof x, 0));
	double d = clock_now() - t0;
	tell("waited %d", d > 0.15 && d < 0.6);
}

static void *unblock(void *arg)
{
	nap(60);
	shutdown(*(int *)arg, SHUT_RDWR);
	return NULL;
}

static void shut(void)
{
	int b = bound(udp(), 0);
	pthread_t t;
	char x[8];
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	pthread_create(&t, NULL, unblock, &b);
	SAY(recvfrom(b, x, sizeof x, 0, (void *)&a, &n));
	pthread_join(t, NULL);
	b = bound(udp(), 0);
	pthread_create(&t, NULL, unblock, &b);
	SAY(recv(b, x, sizeof x, 0));
	pthread_join(t, NULL);
}

static void errors(void)
{
	int a = udp();
	struct sockaddr_in to = at(0);
	SAY(send_to(a, "x", to));
	SAY(sendto(a, "x", 1, 0, (void *)&to, 3));
	SAY(sendto(a, "x", 1, MSG_OOB, (void *)&to, sizeof to));
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	SAY(sendto(a, "x", 1, 0, (void *)&six, sizeof six));
	to.sin_port = 1;
	SAY(sendto(a, (void *)8, 1, 0, (void *)&to, sizeof to));
	SAY(sendto(a, "x", 1, 0, (void *)8, sizeof to));
	SAY(listen(a, 1));
	SAY(accept(a, NULL, NULL));
	to.sin_addr.s_addr = htonl(INADDR_BROADCAST);
	int s = bound(udp(), 0), t = udp();
	struct sockaddr_in taken = name_of(s);
	SAY(bind(t, (void *)&taken, sizeof taken));
	char x[4];
	send_to(t, "fault", taken);
	nap(20);
	socklen_t n = sizeof taken;
	SAY(recvfrom(s, (void *)8, 4, 0, (void *)&taken, &n));
	SAY(recvfrom(s, x, 4, MSG_DONTWAIT, (void *)&taken, &n));
}

static void six(void)
{
	int a = socket(AF_INET6, SOCK_DGRAM, 0), b = socket(AF_INET6, SOCK_DGRAM, 0), c = udp();
	struct sockaddr_in6 any = {.sin6_family = AF_INET6}, f, to = {.sin6_family = AF_INET6};
	socklen_t n = sizeof f;
	char x[8], text[64];
	SAY(bind(b, (void *)&any, sizeof any));
	to.sin6_addr = in6addr_loopback, to.sin6_port = htons(port_of(b));
	SAY(sendto(a, "six", 3, 0, (void *)&to, sizeof to));
	SAY(recvfrom(b, x, sizeof x, 0, (void *)&f, &n));
	tell("from %s len %d", inet_ntop(AF_INET6, &f.sin6_addr, text, sizeof text), n);
	SAY(send_to(c, "four", at(port_of(b))));
	SAY(recvfrom(b, x, sizeof x, 0, (void *)&f, &n));
	tell("from %s", inet_ntop(AF_INET6, &f.sin6_addr, text, sizeof text));
	SAY(sendto(b, "back", 4, 0, (void *)&f, sizeof f));
	SAY(recv(c, x, sizeof x, 0));
	int d = socket(AF_INET6, SOCK_DGRAM, 0);
	SAY(send_to(d, "v4 address", at(port_of(b))));
	SAY(recv(b, x, sizeof x, 0));
}

static const struct scenario scenarios[] = {
	{"addressed", addressed}, {"mixed", mixed}, {"connected", connected}, {"unreachable", unreachable},
	{"truncated", truncated}, {"sizes", sizes}, {"several", several}, {"gathered", gathered},
	{"ancillary", ancillary}, {"waits", waits}, {"shut", shut}, {"errors", errors}, {"six", six}, {0},
};

int main(int argc, char **argv) { return run_all(scenarios, argc, argv); }
