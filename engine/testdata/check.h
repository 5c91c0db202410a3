/* Programs that ask sockets questions and print the answers, one line each. The
 * same program runs on the kernel and in a sandbox; both must print the same. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct scenario { const char *name; void (*run)(void); };

/* say prints a result: the value, or the name of the error. */
static __attribute__((unused)) void say(const char *what, long r)
{
	int e = errno;
	if (r < 0)
		printf("%s: %s\n", what, strerrorname_np(e) ? strerrorname_np(e) : "?");
	else
		printf("%s: %ld\n", what, r);
	fflush(stdout);
}

static __attribute__((unused)) void tell(const char *fmt, ...)
{
	va_list a;
	va_start(a, fmt);
	vprintf(fmt, a);
	va_end(a);
	putchar('\n');
	fflush(stdout);
}

#define SAY(call) say(#call, (long)(call))

static struct sockaddr_in at(int port)
{
	struct sockaddr_in s = {.sin_family = AF_INET, .sin_port = htons(port)};
	s.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return s;
}

static __attribute__((unused)) int port_of(int fd)
{
	struct sockaddr_storage s;
	socklen_t n = sizeof s;
	if (getsockname(fd, (struct sockaddr *)&s, &n))
		return -1;
	return ntohs(((struct sockaddr_in *)&s)->sin_port);
}

static __attribute__((unused)) int tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static __attribute__((unused)) int udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }

static __attribute__((unused)) int bound(int fd, int port)
{
	struct sockaddr_in s = at(port);
	if (bind(fd, (struct sockaddr *)&s, sizeof s)) {
		say("bind", -1);
		exit(1);
	}
	return fd;
}

static __attribute__((unused)) int listener(void)
{
	int l = bound(tcp(), 0);
	if (listen(l, 16)) {
		say("listen", -1);
		exit(1);
	}
	return l;
}

static __attribute__((unused)) int dial(int fd, int port)
{
	struct sockaddr_in s = at(port);
	return connect(fd, (struct sockaddr *)&s, sizeof s);
}

/* link2 makes a connection; c is the client's end, s the server's. */
static __attribute__((unused)) void link2(int *c, int *s)
{
	int l = listener();
	*c = tcp();
	if (dial(*c, port_of(l))) {
		say("link2: connect", -1);
		exit(1);
	}
	*s = accept(l, NULL, NULL);
	if (*s < 0) {
		say("link2: accept", -1);
		exit(1);
	}
	close(l);
}

/* closed_port is one that nobody listens on. */
static __attribute__((unused)) int closed_port(void)
{
	int l = listener(), p = port_of(l);
	close(l);
	return p;
}

static __attribute__((unused)) void nonblock(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

/* ready polls for up to ms and prints the bits of interest by name. */
static __attribute__((unused)) void ready(const char *what, int fd, short want, short show, int ms)
{
	struct pollfd p = {fd, want, 0};
	int n = poll(&p, 1, ms);
	short r = p.revents & show;
	printf("%s: poll %d%s%s%s%s%s%s\n", what, n > 0 && r ? 1 : 0, r & POLLIN ? " IN" : "", r & POLLOUT ? " OUT" : "",
	       r & POLLPRI ? " PRI" : "", r & POLLRDHUP ? " RDHUP" : "", r & POLLHUP ? " HUP" : "", r & POLLERR ? " ERR" : "");
	fflush(stdout);
}

static __attribute__((unused)) int so_error(int fd)
{
	int e = -1;
	socklen_t n = sizeof e;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n);
	return e;
}

static __attribute__((unused)) void say_error(const char *what, int fd)
{
	int e = so_error(fd);
	printf("%s: SO_ERROR %s\n", what, e ? strerrorname_np(e) : "0");
	fflush(stdout);
}

static __attribute__((unused)) void nap(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static __attribute__((unused)) void timeout_of(int fd, int name, int ms)
{
	struct timeval t = {ms / 1000, ms % 1000 * 1000};
	if (setsockopt(fd, SOL_SOCKET, name, &t, sizeof t))
		say("setsockopt timeout", -1);
}

static __attribute__((unused)) double clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* readall reads until the end or an error and prints what it was. */
static __attribute__((unused)) void readall(const char *what, int fd)
{
	char b[65536];
	long sum = 0, n;
	while ((n = read(fd, b, sizeof b)) > 0)
		sum += n;
	printf("%s: %ld bytes, ", what, sum);
	say("then", n);
}

/* Every scenario runs in a process of its own, which a hang does not outlive. */
static __attribute__((unused)) int run_all(const struct scenario *list, int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	for (; list->name; list++) {
		if (argc > 1 && strcmp(argv[1], list->name))
			continue;
		printf("== %s\n", list->name);
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			alarm(20);
			list->run();
			fflush(stdout);
			_exit(0);
		}
		int st = 0;
		waitpid(pid, &st, 0);
		if (WIFSIGNALED(st))
			tell("ended by signal %d", WTERMSIG(st));
		else if (WEXITSTATUS(st))
			tell("exit status %d", WEXITSTATUS(st));
	}
	return 0;
}
