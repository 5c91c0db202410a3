#include "check.h"

static void fresh(void)
{
	int s = tcp(), v = 0;
	socklen_t n = sizeof v;
	struct sockaddr_in a;
	socklen_t an = sizeof a;
	getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &n), tell("type %d", v);
	getsockopt(s, SOL_SOCKET, SO_DOMAIN, &v, &n), tell("domain %d", v);
	getsockopt(s, SOL_SOCKET, SO_PROTOCOL, &v, &n), tell("protocol %d", v);
	SAY(getsockname(s, (void *)&a, &an));
	tell("name %s:%d len %d", inet_ntoa(a.sin_addr), ntohs(a.sin_port), an);
	SAY(getpeername(s, (void *)&a, &an));
	SAY(accept(s, NULL, NULL));
	SAY(shutdown(s, SHUT_RDWR));
	SAY(listen(s, 1));
	tell("listening without bind chose a port: %d", port_of(s) > 0);
	tell("cloexec %d nonblock %d", fcntl(s, F_GETFD), !!(fcntl(s, F_GETFL) & O_NONBLOCK));
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	tell("cloexec %d nonblock %d", fcntl(s, F_GETFD), !!(fcntl(s, F_GETFL) & O_NONBLOCK));
	SAY(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	SAY(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
	SAY(socket(AF_INET, SOCK_STREAM | 0x100, 0));
}

static void refused(void)
{
	int l = listener(), s = tcp();
	SAY(dial(s, closed_port()));
	say_error("after a refused connect", s);
	SAY(dial(s, port_of(l)));
	SAY(dial(s, port_of(l)));
	int c = accept(l, NULL, NULL);
	SAY(write(c, "x", 1));
	char b[8];
	SAY(read(s, b, sizeof b));
}

static void nonblocking_connect(void)
{
	int l = listener(), s = tcp();
	nonblock(s);
	SAY(dial(s, port_of(l)));
	ready("connected", s, POLLOUT | POLLIN, POLLOUT | POLLIN | POLLERR | POLLHUP, 2000);
	say_error("connected", s);
	SAY(dial(s, port_of(l)));
	SAY(dial(s, port_of(l)));
	char b[8];
	SAY(read(s, b, sizeof b));
	SAY(write(s, "hello", 5));
	int c = accept(l, NULL, NULL);
	SAY(read(c, b, sizeof b));
}

static void nonblocking_refused(void)
{
	int s = tcp();
	nonblock(s);
	SAY(dial(s, closed_port()));
	ready("refused", s, POLLOUT | POLLIN | POLLRDHUP, POLLOUT | POLLIN | POLLRDHUP | POLLERR | POLLHUP, 2000);
	say_error("first", s);
	say_error("second", s);
	int l = listener();
	/* The first call after the failure reports that one. */
	SAY(dial(s, port_of(l)));
	SAY(dial(s, port_of(l)));
	ready("connected", s, POLLOUT, POLLOUT, 2000);
	say_error("connected", s);
}

static void written_though_refused(void)
{
	int s = tcp();
	char b[4];
	nonblock(s);
	SAY(dial(s, closed_port()));
	ready("refused", s, POLLOUT, POLLOUT, 2000);
	say_error("error", s);
	SAY(write(s, "x", 1));
	SAY(read(s, b, sizeof b) > 0 ? 1 : 0);
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	SAY(getpeername(s, (void *)&a, &n));
}

static void written_to_listener(void)
{
	int l = listener(), port = port_of(l);
	SAY(write(l, "x", 1));
	SAY(send(l, "x", 1, 0));
	SAY(listen(l, 20));
	SAY(dial(tcp(), port));
	ready("listener", l, POLLIN | POLLOUT, POLLIN | POLLOUT | POLLHUP, 1000);
}

static void bound_and_refused(void)
{
	int s = bound(tcp(), 0), one = 1;
	setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	nonblock(s);
	fcntl(s, F_SETFD, FD_CLOEXEC);
	dial(s, closed_port());
	ready("refused", s, POLLOUT, POLLOUT, 2000);
	say_error("error", s);
	int l = listener(), got = 0;
	socklen_t n = sizeof got;
	SAY(dial(s, port_of(l)));
	SAY(dial(s, port_of(l)));
	ready("connected", s, POLLOUT, POLLOUT, 2000);
	getsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &got, &n);
	tell("options kept %d, cloexec %d, nonblock %d", got, fcntl(s, F_GETFD), !!(fcntl(s, F_GETFL) & O_NONBLOCK));
	close(s);
}

static void epoll_before_connect(void)
{
	int l = listener(), s = tcp(), ep = epoll_create1(0);
	struct epoll_event ev = {EPOLLIN | EPOLLOUT | EPOLLET, {0}}, got[4];
	nonblock(s);
	epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
	while (epoll_wait(ep, got, 4, 0) > 0)
		;
	SAY(dial(s, port_of(l)));
	int n = epoll_wait(ep, got, 4, 2000);
	tell("events %d out %d", n, !!(got[0].events & EPOLLOUT));
	nap(30);
	while (epoll_wait(ep, got, 4, 0) > 0)
		;
	int c = accept(l, NULL, NULL);
	SAY(write(c, "a", 1));
	n = epoll_wait(ep, got, 4, 2000);
	tell("events %d in %d", n, !!(got[0].events & EPOLLIN));
	n = epoll_wait(ep, got, 4, 50);
	tell("no edge without news: %d", n);
	SAY(write(c, "b", 1));
	n = epoll_wait(ep, got, 4, 2000);
	tell("events %d in %d", n, !!(got[0].events & EPOLLIN));
}

static void epoll_before_listen(void)
{
	int s = tcp(), ep = epoll_create1(0), a, b, n;
	struct epoll_event ev = {EPOLLIN | EPOLLET, {0}}, got[4];
	nonblock(s);
	epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
	while (epoll_wait(ep, got, 4, 0) > 0)
		;
	bound(s, 0);
	SAY(listen(s, 8));
	while (epoll_wait(ep, got, 4, 0) > 0)
		;
	a = tcp(), b = tcp();
	SAY(dial(a, port_of(s)));
	n = epoll_wait(ep, got, 4, 2000);
	tell("events %d in %d", n, !!(got[0].events & EPOLLIN));
	SAY(epoll_wait(ep, got, 4, 30));
	SAY(dial(b, port_of(s)));
	n = epoll_wait(ep, got, 4, 2000);
	tell("events %d in %d", n, !!(got[0].events & EPOLLIN));
	tell("accept %d", accept(s, NULL, NULL) >= 0);
	ready("one left", s, POLLIN | POLLOUT, POLLIN | POLLOUT, 0);
	tell("accept %d", accept(s, NULL, NULL) >= 0);
	ready("none left", s, POLLIN | POLLOUT, POLLIN | POLLOUT, 0);
	SAY(accept(s, NULL, NULL));
}

static void accepted(void)
{
	int l = listener(), c = tcp();
	nonblock(l);
	SAY(dial(c, port_of(l)));
	struct sockaddr_in a, b;
	socklen_t n = sizeof a;
	int s = accept(l, (void *)&a, &n);
	tell("nonblock %d cloexec %d len %d", !!(fcntl(s, F_GETFL) & O_NONBLOCK), fcntl(s, F_GETFD), n);
	tell("peer is the client: %d", ntohs(a.sin_port) == port_of(c));
	n = sizeof b;
	SAY(getpeername(s, (void *)&b, &n));
	tell("same %d", !memcmp(&a.sin_port, &b.sin_port, 6));
	tell("own port is the listener's: %d", port_of(s) == port_of(l));
	n = sizeof b;
	SAY(getpeername(c, (void *)&b, &n));
	tell("the client's peer is the listener: %d %s", ntohs(b.sin_port) == port_of(l), inet_ntoa(b.sin_addr));
	int d = tcp();
	SAY(dial(d, port_of(l)));
	nap(20);
	s = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	tell("nonblock %d cloexec %d", !!(fcntl(s, F_GETFL) & O_NONBLOCK), fcntl(s, F_GETFD));
	SAY(accept4(l, NULL, NULL, 1));
}

static void end_of_file(void)
{
	int c, s;
	char b[16];
	link2(&c, &s);
	SAY(write(s, "bye", 3));
	close(s);
	nap(30);
	ready("closed", c, POLLIN | POLLRDHUP, POLLIN | POLLRDHUP | POLLHUP | POLLERR, 1000);
	SAY(read(c, b, sizeof b));
	SAY(read(c, b, sizeof b));
	SAY(read(c, b, sizeof b));
	say_error("after the end", c);
}

static void half_close(void)
{
	int c, s;
	char b[16];
	link2(&c, &s);
	SAY(write(c, "question", 8));
	SAY(shutdown(c, SHUT_WR));
	SAY(write(c, "x", 1));
	readall("server", s);
	ready("server", s, POLLIN | POLLOUT | POLLRDHUP, POLLIN | POLLOUT | POLLRDHUP | POLLHUP, 100);
	SAY(write(s, "answer", 6));
	SAY(read(c, b, sizeof b));
	ready("client still open for reading", c, POLLIN, POLLIN, 20);
	SAY(shutdown(s, SHUT_WR));
	SAY(read(c, b, sizeof b));
	nap(30);
	ready("client", c, POLLIN | POLLOUT | POLLRDHUP, POLLIN | POLLRDHUP | POLLHUP, 100);
	SAY(shutdown(c, 3));
	SAY(shutdown(c, -1));
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	SAY(getpeername(s, (void *)&a, &n));
}

static void shut_reading(void)
{
	int c, s;
	char b[16];
	link2(&c, &s);
	SAY(shutdown(c, SHUT_RD));
	SAY(read(c, b, sizeof b));
	SAY(write(c, "still", 5));
	SAY(read(s, b, sizeof b));
	SAY(shutdown(c, SHUT_WR));
	SAY(read(s, b, sizeof b));
	SAY(shutdown(c, SHUT_RDWR));
}

static void reset_by_linger(void)
{
	int c, s;
	char b[16];
	struct linger lg = {1, 0};
	link2(&c, &s);
	SAY(write(s, "last", 4));
	nap(20);
	setsockopt(s, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
	close(s);
	nap(30);
	ready("reset", c, POLLIN | POLLOUT | POLLRDHUP, POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR, 1000);
	SAY(read(c, b, sizeof b));
	SAY(read(c, b, sizeof b));
	SAY(read(c, b, sizeof b));
	SAY(write(c, "x", 1));
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	SAY(getpeername(c, (void *)&a, &n));
}

static void reset_seen_by_option(void)
{
	int c, s;
	struct linger lg = {1, 0};
	link2(&c, &s);
	setsockopt(s, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
	close(s);
	nap(30);
	say_error("first", c);
	say_error("second", c);
}

static void reset_by_unread(void)
{
	int c, s;
	char b[16];
	link2(&c, &s);
	SAY(write(c, "unread", 6));
	nap(30);
	close(s);
	nap(30);
	SAY(read(c, b, sizeof b));
}

static void duplicate(void)
{
	int c, s;
	char b[16];
	link2(&c, &s);
	int d = dup(c);
	close(c);
	SAY(write(d, "dup", 3));
	SAY(read(s, b, sizeof b));
	int e = fcntl(d, F_DUPFD, 100);
	tell("number %d", e);
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	SAY(getpeername(e, (void *)&a, &n));
	close(d);
	ready("open while one is left", s, POLLIN | POLLRDHUP, POLLIN | POLLRDHUP, 30);
	close(e);
	SAY(read(s, b, sizeof b));
}

static void forked(void)
{
	int l = listener(), port = port_of(l);
	pid_t pid = fork();
	if (pid == 0) {
		int s = accept(l, NULL, NULL);
		char b[16];
		long n = read(s, b, sizeof b);
		write(s, b, n);
		_exit(0);
	}
	close(l);
	int c = tcp();
	char b[16];
	SAY(dial(c, port));
	SAY(write(c, "child", 5));
	SAY(read(c, b, sizeof b));
	waitpid(pid, NULL, 0);
	SAY(read(c, b, sizeof b));
	nap(20);
	SAY(dial(tcp(), port));
}

static void send_fd(int via, int fd)
{
	char x = 'x', ctl[CMSG_SPACE(sizeof fd)];
	struct iovec v = {&x, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	SAY(sendmsg(via, &m, 0));
}

static int recv_fd(int via)
{
	char x, ctl[CMSG_SPACE(sizeof(int))];
	struct iovec v = {&x, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
	int fd = -1;
	if (recvmsg(via, &m, 0) == 1)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	return fd;
}

static void passed_on(void)
{
	int pair[2], l = listener(), port = port_of(l);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	pid_t pid = fork();
	if (pid == 0) {
		close(l);
		int got = recv_fd(pair[1]);
		int s = accept(got, NULL, NULL);
		write(s, "passed", 6);
		_exit(port_of(s) == port ? 0 : 1);
	}
	send_fd(pair[0], l);
	close(l);
	int c = tcp();
	SAY(dial(c, port));
	readall("client", c);
	int st;
	waitpid(pid, &st, 0);
	tell("child %d", WEXITSTATUS(st));
}

static int shared;

static void *acceptor(void *arg)
{
	(void)arg;
	int s = accept(shared, NULL, NULL);
	write(s, "t", 1);
	close(s);
	return NULL;
}

static void threads_in_accept(void)
{
	pthread_t t[4];
	shared = listener();
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, acceptor, NULL);
	nap(50);
	for (int i = 0; i < 4; i++) {
		int c = tcp();
		SAY(dial(c, port_of(shared)));
		readall("client", c);
		close(c);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static void addresses(void)
{
	int s = tcp(), t = tcp();
	struct sockaddr_in a = at(0);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_storage out;
	socklen_t n;
	SAY(bind(s, (void *)&a, 8));
	SAY(bind(s, (void *)&a, 200));
	SAY(bind(s, (void *)&six, sizeof six));
	SAY(bind(s, (void *)8, sizeof a));
	SAY(connect(s, (void *)&six, sizeof six));
	SAY(connect(s, (void *)&a, 1));
	SAY(connect(s, (void *)&a, 8));
	SAY(connect(s, (void *)8, sizeof a));
	a.sin_addr.s_addr = htonl(0xc0000201);
	SAY(bind(s, (void *)&a, sizeof a));
	a = at(0);
	SAY(bind(bound(s, 0), (void *)&a, sizeof a));
	a = at(port_of(s));
	SAY(bind(t, (void *)&a, sizeof a));
	n = 4;
	memset(&out, 0xee, sizeof out);
	SAY(getsockname(s, (void *)&out, &n));
	tell("length %d, family %d, untouched behind: %d", n, out.ss_family, ((unsigned char *)&out)[4] == 0xee);
	n = -1;
	SAY(getsockname(s, (void *)&out, &n));
	n = sizeof out;
	SAY(getsockname(s, (void *)8, &n));
	SAY(getsockname(s, (void *)&out, (void *)8));
	n = 0;
	SAY(getsockname(s, NULL, &n));
	tell("length %d", n);
	SAY(listen(s, 1));
	SAY(connect(s, (void *)&a, sizeof a));
	a = at(port_of(s));
	int c = tcp();
	SAY(dial(c, port_of(s)));
	SAY(listen(c, 1));
	SAY(bind(c, (void *)&a, sizeof a));
	SAY(accept(c, NULL, NULL));
	n = 1;
	SAY(accept(s, (void *)8, &n) < 0 ? -1 : 0);
}

static void options(void)
{
	int s = tcp(), v = 1, got = 0;
	socklen_t n = sizeof got;
	SAY(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, sizeof v));
	SAY(getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &got, &n));
	tell("value %d len %d", got, n);
	SAY(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, 2));
	SAY(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, (void *)8, sizeof v));
	SAY(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &v, -1));
	SAY(setsockopt(s, SOL_SOCKET, 9999, &v, sizeof v));
	SAY(setsockopt(s, 9999, 1, &v, sizeof v));
	SAY(getsockopt(s, SOL_SOCKET, SO_REUSEADDR, (void *)8, &n));
	SAY(getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &got, (void *)8));
	n = -1;
	SAY(getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &got, &n));
	n = 2;
	SAY(getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &got, &n));
	tell("len %d", n);
	n = sizeof got;
	SAY(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &v, sizeof v));
	SAY(getsockopt(s, IPPROTO_TCP, TCP_NODELAY, &got, &n));
	tell("nodelay %d", got);
	int l = listener();
	setsockopt(l, SOL_SOCKET, SO_KEEPALIVE, &v, sizeof v);
	int c = tcp();
	SAY(dial(c, port_of(l)));
	int a = accept(l, NULL, NULL);
	getsockopt(a, SOL_SOCKET, SO_KEEPALIVE, &got, &n);
	tell("inherited %d", got);
	getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &got, &n);
	tell("accepting %d", got);
}

static char block[1 << 16];

static void *writer(void *arg)
{
	int fd = *(int *)arg;
	for (int i = 0; i < 128; i++) {
		memset(block, i, sizeof block);
		for (size_t done = 0; done < sizeof block;) {
			long n = write(fd, block + done, sizeof block - done);
			if (n <= 0) {
				say("writer", n);
				return NULL;
			}
			done += n;
		}
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

static void bulk(void)
{
	int c, s;
	pthread_t t;
	link2(&c, &s);
	pthread_create(&t, NULL, writer, &c);
	static char b[100000];
	long n, sum = 0, wrong = 0;
	while ((n = read(s, b, sizeof b)) > 0)
		for (long i = 0; i < n; i++, sum++)
			wrong += b[i] != (char)(sum >> 16);
	tell("%ld bytes, %ld wrong, end %ld", sum, wrong, n);
	pthread_join(t, NULL);
}

static void backpressure(void)
{
	int c, s;
	link2(&c, &s);
	nonblock(c);
	long sent = 0, n;
	for (int idle = 0; idle < 3;) {
		n = write(c, block, sizeof block);
		if (n > 0)
			sent += n, idle = 0;
		else
			nap(100), idle++;
	}
	SAY(write(c, block, sizeof block));
	tell("stopped within bounds: %d", sent > 100000 && sent < 32 << 20);
	ready("full", c, POLLOUT, POLLOUT, 50);
	long got = 0;
	while (got < sent && (n = read(s, block, sizeof block)) > 0)
		got += n;
	tell("all arrived: %d", got == sent);
	ready("empty again", c, POLLOUT, POLLOUT, 2000);
}

static volatile sig_atomic_t urgent;

static void on_urgent(int sig) { (void)sig, urgent++; }

static void urgent_data(void)
{
	int c, s, mark;
	char b[32];
	link2(&c, &s);
	signal(SIGURG, on_urgent);
	fcntl(s, F_SETOWN, getpid());
	SAY(send(c, "abc", 3, 0));
	SAY(send(c, "X", 1, MSG_OOB));
	SAY(send(c, "def", 3, 0));
	nap(50);
	tell("SIGURG %d", urgent > 0);
	ready("urgent", s, POLLIN | POLLPRI, POLLIN | POLLPRI, 1000);
	ioctl(s, SIOCATMARK, &mark), tell("at mark %d", mark);
	long n = read(s, b, sizeof b);
	tell("read %ld", n);
	ioctl(s, SIOCATMARK, &mark), tell("at mark %d", mark);
	SAY(recv(s, b, sizeof b, MSG_OOB));
	tell("byte %c", b[0]);
	n = read(s, b, sizeof b);
	tell("read %ld %.*s", n, (int)n, b);
}

static void urgent_inline(void)
{
	int c, s, one = 1, mark;
	char b[32];
	link2(&c, &s);
	SAY(setsockopt(s, SOL_SOCKET, SO_OOBINLINE, &one, sizeof one));
	SAY(send(c, "abcX", 4, MSG_OOB));
	SAY(send(c, "def", 3, 0));
	nap(50);
	long n = read(s, b, sizeof b);
	tell("read %ld %.*s", n, (int)n, b);
	ioctl(s, SIOCATMARK, &mark), tell("at mark %d", mark);
	n = read(s, b, sizeof b);
	tell("read %ld %.*s", n, (int)n, b);
	SAY(recv(s, b, sizeof b, MSG_OOB));
}

static void flags(void)
{
	int c, s, n;
	char b[32];
	link2(&c, &s);
	SAY(recv(s, b, sizeof b, MSG_DONTWAIT));
	SAY(write(c, "hello", 5));
	nap(20);
	SAY(recv(s, b, 2, MSG_PEEK));
	ioctl(s, FIONREAD, &n), tell("waiting %d", n);
	SAY(recv(s, b, sizeof b, 0));
	SAY(write(c, "ab", 2));
	nap(20);
	SAY(write(c, "cd", 2));
	SAY(recv(s, b, 4, MSG_WAITALL));
	struct iovec v[2] = {{"one", 3}, {"two", 3}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
	SAY(sendmsg(c, &m, 0));
	char x[2], y[10];
	struct iovec w[2] = {{x, 2}, {y, 10}};
	struct msghdr r = {.msg_iov = w, .msg_iovlen = 2};
	SAY(recvmsg(s, &r, 0));
	tell("%.2s %.4s", x, y);
	struct sockaddr_in from;
	socklen_t fl = sizeof from;
	SAY(write(c, "z", 1));
	SAY(recvfrom(s, b, sizeof b, 0, (void *)&from, &fl));
	tell("address length %d", fl);
	struct sockaddr_in to = at(1);
	SAY(sendto(c, "addr", 4, 0, (void *)&to, sizeof to));
	SAY(recv(s, b, sizeof b, 0));
	SAY(recv(s, b, sizeof b, MSG_ERRQUEUE));
	int alone = tcp();
	SAY(sendmsg(alone, &m, MSG_NOSIGNAL));
	SAY(recvmsg(alone, &r, 0));
	SAY(sendto(alone, "addr", 4, MSG_NOSIGNAL, (void *)&to, sizeof to));
}

static void listener_closed(void)
{
	int l = listener(), c = tcp();
	char b[4];
	SAY(dial(c, port_of(l)));
	SAY(write(c, "x", 1));
	nap(20);
	close(l);
	nap(30);
	SAY(read(c, b, sizeof b));
}

static void *wait_accept(void *arg)
{
	int l = *(int *)arg;
	return (void *)(long)(accept(l, NULL, NULL) < 0 ? errno : 0);
}

static void listener_shut(void)
{
	int l = listener();
	pthread_t t;
	pthread_create(&t, NULL, wait_accept, &l);
	nap(50);
	void *e;
	SAY(shutdown(l, SHUT_RD));
	pthread_join(t, &e);
	tell("the thread got %s", strerrorname_np((long)e));
	SAY(accept(l, NULL, NULL));
}

static void early_data(void)
{
	int l = listener(), c = tcp();
	char b[16];
	SAY(dial(c, port_of(l)));
	SAY(write(c, "early", 5));
	close(c);
	nap(30);
	int s = accept(l, NULL, NULL);
	SAY(read(s, b, sizeof b));
	SAY(read(s, b, sizeof b));
}

/* polled accepts a connection after a poll, as servers with an event loop do. */
static int polled(int l, int flags)
{
	int s;

	ready("listener", l, POLLIN, POLLIN, 5000);
	s = accept4(l, NULL, NULL, flags);
	say("accept4", s < 0 ? s : 0);
	return s;
}

static void got(const char *what, int fd)
{
	char b[16];
	long n = read(fd, b, sizeof b);

	say(what, n);
	if (n > 0)
		tell("%.*s", (int)n, b);
}

/* What has come to a connection before it was accepted, and while it could not. */
static void accepted_late(void)
{
	int l = listener(), c[4], s, fl;
	struct rlimit old, few;
	struct linger hard = {1, 0};

	SAY(dial(c[0] = tcp(), port_of(l)));
	s = polled(l, SOCK_NONBLOCK);
	say("read", read(s, &fl, 1));
	close(s);
	/* Now a connection with text, when there is no descriptor left. */
	SAY(dial(c[1] = tcp(), port_of(l)));
	SAY(write(c[1], "hello", 5));
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = dup(0);
	close(few.rlim_cur);
	setrlimit(RLIMIT_NOFILE, &few);
	polled(l, SOCK_NONBLOCK);
	polled(l, 0);
	setrlimit(RLIMIT_NOFILE, &old);
	s = polled(l, 0);
	tell("non-blocking: %d", !!(fcntl(s, F_GETFL) & O_NONBLOCK));
	got("hello", s);
	SAY(write(c[1], "again", 5));
	got("again", s);
	SAY(write(s, "back", 4));
	got("back", c[1]);
	close(s);
	got("end", c[1]);
	/* The peer has closed, with text and a FIN. */
	SAY(dial(c[2] = tcp(), port_of(l)));
	SAY(write(c[2], "last", 4));
	close(c[2]);
	nap(50);
	s = polled(l, SOCK_NONBLOCK | SOCK_CLOEXEC);
	tell("non-blocking: %d", !!(fcntl(s, F_GETFL) & O_NONBLOCK));
	tell("close-on-exec: %d", !!(fcntl(s, F_GETFD) & FD_CLOEXEC));
	got("last", s);
	got("end", s);
	close(s);
	/* The peer has reset. */
	SAY(dial(c[2] = tcp(), port_of(l)));
	SAY(setsockopt(c[2], SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
	nap(50);
	close(c[2]);
	nap(50);
	s = polled(l, 0);
	got("reset", s);
	got("after", s);
	close(s);
	/* Nobody accepts any more. */
	SAY(dial(c[2] = tcp(), port_of(l)));
	SAY(dial(c[3] = tcp(), port_of(l)));
	nap(50);
	close(l);
	got("closed", c[2]);
	got("closed", c[3]);
}

static void six(void)
{
	int l = socket(AF_INET6, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in6 a = {.sin6_family = AF_INET6}, p;
	socklen_t n = sizeof p;
	char text[64];
	SAY(bind(l, (void *)&a, sizeof a));
	SAY(listen(l, 4));
	int port = port_of(l);
	int c = tcp();
	SAY(dial(c, port));
	int s = accept(l, (void *)&p, &n);
	tell("from %s len %d", inet_ntop(AF_INET6, &p.sin6_addr, text, sizeof text), n);
	getsockname(s, (void *)&p, &n);
	tell("at %s", inet_ntop(AF_INET6, &p.sin6_addr, text, sizeof text));
	int d = socket(AF_INET6, SOCK_STREAM, 0);
	a.sin6_addr = in6addr_loopback, a.sin6_port = htons(port);
	SAY(connect(d, (void *)&a, sizeof a));
	s = accept(l, (void *)&p, &n);
	tell("from %s", inet_ntop(AF_INET6, &p.sin6_addr, text, sizeof text));
	int e = socket(AF_INET6, SOCK_STREAM, 0);
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &a.sin6_addr);
	SAY(connect(e, (void *)&a, sizeof a));
	getpeername(e, (void *)&p, &n);
	tell("peer %s", inet_ntop(AF_INET6, &p.sin6_addr, text, sizeof text));
	int f = socket(AF_INET6, SOCK_STREAM, 0);
	SAY(setsockopt(f, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one));
	SAY(connect(f, (void *)&a, sizeof a));
	struct sockaddr_in four = at(port);
	SAY(connect(f, (void *)&four, sizeof four));
}

static void disconnect(void)
{
	int l = listener(), c = tcp();
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	char b[8];
	SAY(connect(c, &none, sizeof none));
	SAY(dial(c, port_of(l)));
	int s = accept(l, NULL, NULL);
	SAY(connect(c, &none, sizeof none));
	nap(30);
	SAY(read(s, b, sizeof b));
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	SAY(getpeername(c, (void *)&a, &n));
	SAY(dial(c, port_of(l)));
	s = accept(l, NULL, NULL);
	SAY(write(s, "again", 5));
	SAY(read(c, b, sizeof b));
}

static void from_file(void)
{
	int c, s;
	char path[] = "/tmp/sendfileXXXXXX";
	int f = mkstemp(path);
	unlink(path);
	for (int i = 0; i < 4; i++)
		write(f, block, sizeof block);
	link2(&c, &s);
	pid_t pid = fork();
	if (pid == 0) {
		close(s);
		off_t off = 0;
		while (off < 4 * (off_t)sizeof block && sendfile(c, f, &off, 4 * sizeof block) > 0)
			;
		_exit(0);
	}
	close(c);
	readall("from file", s);
	waitpid(pid, NULL, 0);
}

static void selected(void)
{
	int c, s;
	link2(&c, &s);
	fd_set r, w;
	struct timeval t = {0, 20000};
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(s, &r);
	FD_SET(s, &w);
	SAY(select(s + 1, &r, &w, NULL, &t));
	write(c, "x", 1);
	FD_ZERO(&r);
	FD_SET(s, &r);
	t = (struct timeval){2, 0};
	SAY(select(s + 1, &r, NULL, NULL, &t));
}

static void many(void)
{
	int l = listener(), ok = 0;
	for (int i = 0; i < 200; i++) {
		int c = tcp(), s;
		char b[4];
		if (dial(c, port_of(l)))
			break;
		s = accept(l, NULL, NULL);
		ok += write(c, "x", 1) == 1 && read(s, b, 4) == 1 && write(s, "yy", 2) == 2 && read(c, b, 4) == 2;
		close(c), close(s);
	}
	tell("exchanges %d", ok);
}

static void limit(void)
{
	int last = -1, n = 0;
	struct rlimit few = {64, 64};
	setrlimit(RLIMIT_NOFILE, &few);
	while ((last = tcp()) >= 0)
		n++;
	say("too many", last);
	tell("some worked: %d", n > 10);
}

static const struct scenario scenarios[] = {
	{"fresh", fresh}, {"refused", refused}, {"nonblocking_connect", nonblocking_connect},
	{"nonblocking_refused", nonblocking_refused}, {"written_though_refused", written_though_refused},
	{"written_to_listener", written_to_listener}, {"bound_and_refused", bound_and_refused},
	{"epoll_before_connect", epoll_before_connect},
	{"epoll_before_listen", epoll_before_listen}, {"accepted", accepted}, {"end_of_file", end_of_file},
	{"half_close", half_close}, {"shut_reading", shut_reading}, {"reset_by_linger", reset_by_linger},
	{"reset_seen_by_option", reset_seen_by_option}, {"reset_by_unread", reset_by_unread},
	{"duplicate", duplicate}, {"forked", forked}, {"passed_on", passed_on},
	{"threads_in_accept", threads_in_accept}, {"addresses", addresses}, {"options", options},
	{"bulk", bulk}, {"backpressure", backpressure}, {"urgent_data", urgent_data},
	{"urgent_inline", urgent_inline}, {"flags", flags}, {"listener_closed", listener_closed},
	{"listener_shut", listener_shut}, {"early_data", early_data},
	{"accepted_late", accepted_late}, {"six", six},
	{"disconnect", disconnect}, {"from_file", from_file}, {"selected", selected}, {"many", many},
	{"limit", limit}, {0},
};

int main(int argc, char **argv) { return run_all(scenarios, argc, argv); }
