/* What a hostile program tries against the engine of its own sandbox, and
 * through it against everybody else's. Each scenario ends by itself; what it
 * prints last is for the test to compare. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void tell(const char *f, ...)
{
	va_list ap;
	va_start(ap, f);
	vprintf(f, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static const char *name(int e) { return e == 0 ? "done" : strerrorname_np(e); }

static struct sockaddr_in at(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return a;
}

/* Whose a socket is: the kernel's own answer, which no engine is asked for. */
static const char *whose(int fd)
{
	static char proto[64];
	memset(proto, 0, sizeof proto);
	if (fgetxattr(fd, "system.sockprotoname", proto, sizeof proto - 1) < 0)
		return name(errno);
	return strncmp(proto, "UNIX", 4) == 0 ? "AF_UNIX" : proto;
}

/* works makes a connection to itself and sends a byte, as any program would. */
static void works(void)
{
	struct sockaddr_in a = at(0);
	socklen_t n = sizeof a;
	char b;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	if (l < 0 || bind(l, (void *)&a, sizeof a) || listen(l, 8) || getsockname(l, (void *)&a, &n))
		die("listener");
	int c = socket(AF_INET, SOCK_STREAM, 0);
	if (c < 0 || connect(c, (void *)&a, sizeof a))
		die("connect");
	int s = accept(l, NULL, NULL);
	if (s < 0 || write(c, "x", 1) != 1 || read(s, &b, 1) != 1 || b != 'x')
		die("byte");
	close(l), close(c), close(s);
	tell("works");
}

/* ---- descriptors and memory that change under a call ---- */

enum { slots = 8, base = 100 };
static volatile int stop;
static int kinds[8];
static char arena[1 << 16];

static void *swapper(void *arg)
{
	unsigned seed = (uintptr_t)arg;
	while (!stop) {
		int fd = base + rand_r(&seed) % slots;
		if (rand_r(&seed) % 4 == 0)
			close(fd);
		else
			dup2(kinds[rand_r(&seed) % 8], fd);
	}
	return NULL;
}

/* What an argument may become: lengths, families, pointers into memory that is
 * there, that is not, and that is the program's code. */
static const uint64_t words[] = {
	0, 1, 2, 10, 16, 28, 128, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
	0xffffffffffffffff, 0xffffffffff600000, 0x1000, 0x0100007f00000002, 0x0100007f1f900002,
};

static void *scribbler(void *arg)
{
	unsigned seed = (uintptr_t)arg;
	while (!stop) {
		size_t i = rand_r(&seed) % (sizeof arena / 8);
		uint64_t v = words[rand_r(&seed) % (sizeof words / 8)];
		if (rand_r(&seed) % 3 == 0)
			v = (uint64_t)(arena + rand_r(&seed) % sizeof arena);
		((volatile uint64_t *)arena)[i] = v;
	}
	return NULL;
}

static void ignore(int sig) { (void)sig; }

static void one_call(unsigned *seed)
{
	int fd = base + rand_r(seed) % slots;
	char *p = arena + rand_r(seed) % (sizeof arena / 2) / 8 * 8, *q = arena + rand_r(seed) % (sizeof arena / 2) / 8 * 8;
	unsigned n = words[rand_r(seed) % (sizeof words / 8)];
	static const int levels[] = {SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6};
	int level = levels[rand_r(seed) % 4], opt = rand_r(seed) % 80;
	if (rand_r(seed) % 16 == 0)
		p = (char *)words[rand_r(seed) % (sizeof words / 8)];
	switch (rand_r(seed) % 19) {
	case 0: bind(fd, (void *)p, n); break;
	case 1: listen(fd, (int)n); break;
	case 2: accept4(fd, (void *)p, (void *)q, SOCK_NONBLOCK); break;
	case 3: connect(fd, (void *)p, n); break;
	case 4: getsockname(fd, (void *)p, (void *)q); break;
	case 5: getpeername(fd, (void *)p, (void *)q); break;
	case 6: getsockopt(fd, level, opt, p, (void *)q); break;
	case 7: setsockopt(fd, level, opt, p, n % 5000); break;
	case 8: shutdown(fd, (int)n % 3); break;
	case 9: sendto(fd, p, n % 70000, MSG_DONTWAIT | MSG_NOSIGNAL, (void *)q, n); break;
	case 10: recvfrom(fd, p, n % 5000, MSG_DONTWAIT, (void *)q, (void *)(q + 256)); break;
	case 11: syscall(SYS_sendmsg, fd, p, MSG_DONTWAIT | MSG_NOSIGNAL); break;
	case 12: syscall(SYS_recvmsg, fd, p, MSG_DONTWAIT); break;
	case 13: syscall(SYS_sendmmsg, fd, p, n % 2000, MSG_DONTWAIT | MSG_NOSIGNAL); break;
	case 14: syscall(SYS_recvmmsg, fd, p, n % 2000, MSG_DONTWAIT, NULL); break;
	case 15: ioctl(fd, SIOCOUTQ, p); break;
	case 16: ioctl(fd, SIOCGIFADDR, p); break;
	case 17: sendto(fd, p, n % 70000, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_FASTOPEN, (void *)q, 16); break;
	case 18: close(syscall(SYS_socket, n % 2 ? AF_INET : AF_INET6, (rand_r(seed) % 6) | SOCK_NONBLOCK, rand_r(seed) % 140)); break;
	}
}

static void *caller(void *arg)
{
	unsigned seed = 100 + (uintptr_t)arg;
	for (int i = 0; i < 4000; i++)
		one_call(&seed);
	return NULL;
}

static void races_in_child(void)
{
	int pair[2], pipes[2];
	struct sockaddr_in a = at(0);
	struct itimerval often = {{0, 700}, {0, 700}};
	/* Nobody who is made here may wait for anything. */
	kinds[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	kinds[1] = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	kinds[2] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (kinds[2] < 0 || bind(kinds[2], (void *)&a, sizeof a) || listen(kinds[2], 4) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) || pipe2(pipes, O_NONBLOCK))
		die("descriptors");
	kinds[3] = pair[0], kinds[4] = pipes[0];
	kinds[5] = open("/dev/null", O_RDWR);
	kinds[6] = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0);
	kinds[7] = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	for (int i = 0; i < slots; i++)
		dup2(kinds[i % 8], base + i);
	struct sigaction act = {.sa_handler = ignore};
	sigaction(SIGALRM, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	signal(SIGURG, SIG_IGN);
	setitimer(ITIMER_REAL, &often, NULL);

	pthread_t others[4], callers[4];
	pthread_create(&others[0], NULL, swapper, (void *)1);
	pthread_create(&others[1], NULL, swapper, (void *)2);
	pthread_create(&others[2], NULL, scribbler, (void *)3);
	pthread_create(&others[3], NULL, scribbler, (void *)4);
	for (intptr_t i = 0; i < 4; i++)
		pthread_create(&callers[i], NULL, caller, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(callers[i], NULL);
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(others[i], NULL);
}

/* in_child runs f in a process of its own, which it may spoil. */
static void in_child(void (*f)(void))
{
	int st;
	pid_t pid = fork();
	if (pid == 0) {
		f();
		_exit(0);
	}
	if (waitpid(pid, &st, 0) != pid || st != 0)
		tell("the child ended with %#x", st);
}

static void races(void)
{
	in_child(races_in_child);
	works();
}

/* ---- many ---- */

static int got, asked;
static pthread_mutex_t go = PTHREAD_MUTEX_INITIALIZER;
static sem_t calling; /* how many may be in a call at a time */

static void *one_of_many(void *arg)
{
	struct sockaddr_in a = at(9);
	(void)arg;
	while (sem_wait(&calling) != 0)
		;
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (s >= 0 && connect(s, (void *)&a, sizeof a) < 0 && (errno == EINPROGRESS || errno == ECONNREFUSED))
		__atomic_fetch_add(&got, 1, __ATOMIC_RELAXED);
	close(s);
	sem_post(&calling);
	__atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
	/* Nobody ends before everybody was there. */
	pthread_mutex_lock(&go);
	pthread_mutex_unlock(&go);
	return NULL;
}

/* threads has n of them, of which some make calls at the same time. */
static void threads(int n, int at_once)
{
	pthread_attr_t small;
	pthread_t t;
	int made = 0;
	sem_init(&calling, 0, at_once);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 16384);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&go);
	while (made < n && pthread_create(&t, &small, one_of_many, NULL) == 0)
		made++;
	while (__atomic_load_n(&asked, __ATOMIC_RELAXED) < made)
		usleep(1000);
	tell("threads %d, answered %d", made, got);
	works(); /* with all of them there */
	pthread_mutex_unlock(&go);
}

/* bomb has processes make notified calls and end, or be killed, within them. */
static void bomb(int n)
{
	signal(SIGCHLD, SIG_IGN);
	pid_t pids[64] = {0};
	for (int i = 0; i < n; i++) {
		pid_t *p = &pids[i % 64];
		if (*p > 0)
			kill(*p, SIGKILL);
		*p = fork();
		if (*p == 0) {
			struct sockaddr_in a = at(0);
			for (;;) {
				int s = socket(AF_INET, i % 2 ? SOCK_STREAM : SOCK_DGRAM, 0);
				bind(s, (void *)&a, sizeof a);
				listen(s, 1);
				if (i % 5 == 0)
					accept(s, NULL, NULL);
				if (i % 7 == 0)
					recvfrom(s, arena, 1, 0, (void *)arena, (void *)(arena + 256));
				close(s);
			}
		}
	}
	for (int i = 0; i < 64; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	works();
}

/* emfile runs out of descriptors of its own: nothing gets lost by that. */
static void emfile(void)
{
	struct rlimit few = {64, 64};
	struct sockaddr_in a = at(0);
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), fds[64], used = 0;
	if (bind(l, (void *)&a, sizeof a) || listen(l, 8) || getsockname(l, (void *)&a, &n) || connect(c, (void *)&a, sizeof a))
		die("connection");
	setrlimit(RLIMIT_NOFILE, &few);
	while ((fds[used] = socket(AF_INET, SOCK_STREAM, 0)) >= 0)
		used++;
	tell("socket: %s", name(errno));
	for (int i = 0; i < 1000; i++)
		if (socket(AF_INET6, SOCK_DGRAM, 0) >= 0)
			tell("a socket beyond the limit");
	for (int i = 0; i < 3; i++) {
		int s = accept(l, NULL, NULL);
		tell("accept: %s", name(s < 0 ? errno : 0));
	}
	close(fds[--used]);
	int s = accept(l, NULL, NULL);
	char b = 0;
	if (s < 0 || write(c, "x", 1) != 1 || read(s, &b, 1) != 1)
		die("the connection that was not accepted at first");
	tell("accept: %c", b);
	while (used > 0)
		close(fds[--used]);
	close(s), close(c), close(l);
	works();
}

/* sockets makes as many as it can: the engine's limit ends it. */
static void sockets(int n)
{
	int made = 0, last = 0;
	int *fds = calloc(n, sizeof *fds);
	for (int i = 0; i < n; i++) {
		int s = socket(AF_INET, i % 2 ? SOCK_STREAM : SOCK_DGRAM, 0);
		if (s < 0) {
			last = errno;
			continue;
		}
		if (strcmp(whose(s), "AF_UNIX") != 0)
			tell("a socket of the kernel: %s", whose(s));
		fds[made++] = s;
	}
	tell("made %d, then %s", made, name(last));
	while (made > 0)
		close(fds[--made]);
	tell("closed");
	fgetc(stdin);
	works();
}

/* hoard fills the queues of n connections, or of n datagram sockets, that nobody
 * reads from, until they take no more. */
static void hoard(int tcp, int n)
{
	struct sockaddr_in a = at(0);
	socklen_t len = sizeof a;
	static char text[60000];
	size_t total = 0;
	int *from = calloc(n, sizeof *from), *to = calloc(n, sizeof *to);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(l, (void *)&a, sizeof a) || listen(l, 128) || getsockname(l, (void *)&a, &len))
		die("listener");
	for (int i = 0; i < n; i++) {
		from[i] = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
		if (!tcp) {
			struct sockaddr_in u = at(0);
			to[i] = socket(AF_INET, SOCK_DGRAM, 0);
			if (bind(to[i], (void *)&u, sizeof u) || getsockname(to[i], (void *)&u, &len) || connect(from[i], (void *)&u, sizeof u))
				die("datagrams");
		} else if (connect(from[i], (void *)&a, sizeof a) || (to[i] = accept(l, NULL, NULL)) < 0) {
			die("connection");
		}
		int most = 16 << 20;
		setsockopt(from[i], SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
		setsockopt(to[i], SOL_SOCKET, SO_RCVBUF, &most, sizeof most);
	}
	/* Both ways where there are two, and again: queues drain into others. */
	for (int round = 0; round < (tcp ? 6 : 100); round++)
		for (int i = 0; i < n; i++) {
			for (int k = 0; k < (tcp ? 100 : 1); k++) {
				ssize_t w = send(from[i], text, tcp ? sizeof text : 20000, MSG_DONTWAIT | MSG_NOSIGNAL);
				ssize_t v = tcp ? send(to[i], text, sizeof text, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
				total += (w > 0 ? w : 0) + (v > 0 ? v : 0);
				if (w <= 0 && v <= 0)
					break;
			}
		}
	tell("written %zu MiB", total >> 20);
	fgetc(stdin);
	for (int i = 0; i < n; i++)
		close(from[i]), close(to[i]);
	works();
}

/* flight puts n descriptors into messages that nobody takes. */
static void flight(int n)
{
	char room[CMSG_SPACE(250 * sizeof(int))];
	int file = open("/dev/null", O_RDONLY), sent = 0;
	while (sent < n) {
		int p[2], fds[250];
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, p))
			die("socketpair");
		for (int i = 0; i < 250; i++)
			fds[i] = file;
		for (int i = 0; i < 10 && sent < n; i++, sent += 250) {
			char b = 0;
			struct iovec v = {&b, 1};
			struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
			struct cmsghdr *c = CMSG_FIRSTHDR(&m);
			c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof fds);
			memcpy(CMSG_DATA(c), fds, sizeof fds);
			if (sendmsg(p[0], &m, MSG_DONTWAIT) < 0)
				die("sendmsg");
		}
	}
	tell("under way: %d", sent);
	fgetc(stdin);
}

/* ---- ways around the filter ---- */

static void filter_of_its_own(const char *what, uint32_t action, unsigned flags)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {4, f};
	fflush(stdout);
	if (fork() != 0) {
		wait(NULL);
		return;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p) < 0) {
		tell("%s: filter: %s", what, name(errno));
	} else {
		int s = socket(AF_INET, SOCK_STREAM, 0);
		tell("%s: %s", what, s < 0 ? name(errno) : whose(s));
	}
	_exit(0);
}

/* traced has a tracer turn a harmless call into socket(2), at its entry and when
 * a filter asks the tracer. */
static void traced(void)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		int s = syscall(SYS_getppid, 0, 0, 0);
		tell("traced: %s", s < 0 ? name(errno) : whose(s));
		_exit(0);
	}
	int st;
	waitpid(pid, &st, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (;;) {
		struct user_regs_struct r;
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		if (waitpid(pid, &st, 0) != pid || WIFEXITED(st) || WIFSIGNALED(st))
			break;
		if (!WIFSTOPPED(st) || WSTOPSIG(st) != (SIGTRAP | 0x80))
			continue;
		if (ptrace(PTRACE_GETREGS, pid, 0, &r) == 0 && r.orig_rax == SYS_getppid && (long)r.rax == -ENOSYS) {
			r.orig_rax = SYS_socket, r.rdi = AF_INET, r.rsi = SOCK_STREAM, r.rdx = 0;
			ptrace(PTRACE_SETREGS, pid, 0, &r);
		}
	}
}

/* own_namespaces leaves the sandbox's, before or after its engine has come to
 * know the thread. */
static void own_namespaces(int known)
{
	fflush(stdout);
	if (fork() != 0) {
		wait(NULL);
		return;
	}
	int kept = known ? socket(AF_INET, SOCK_DGRAM, 0) : -1;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		tell("own namespaces: not allowed");
		_exit(0);
	}
	static const int families[] = {AF_INET, AF_INET6, AF_PACKET, AF_ALG, AF_VSOCK};
	for (int i = 0; i < 5; i++)
		for (int type = SOCK_STREAM; type <= SOCK_RAW; type++) {
			int s = socket(families[i], type, 0);
			const char *w = s < 0 ? "refused" : whose(s);
			if (strcmp(w, "refused") != 0 && strcmp(w, "AF_UNIX") != 0)
				tell("own namespaces: family %d, type %d: %s", families[i], type, w);
		}
	struct sockaddr_in a = at(0);
	if (known && (bind(kept, (void *)&a, sizeof a) || strcmp(whose(kept), "AF_UNIX") != 0))
		tell("own namespaces: the socket from before: %s, %s", name(errno), whose(kept));
	tell("own namespaces: tried");
	_exit(0);
}

static void around(void)
{
	filter_of_its_own("allowed by a filter", SECCOMP_RET_ALLOW, 0);
	filter_of_its_own("notified by a filter", SECCOMP_RET_USER_NOTIF, 0);
	filter_of_its_own("notified to itself", SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	filter_of_its_own("notified to a tracer", SECCOMP_RET_TRACE, 0);
	filter_of_its_own("logged by a filter", SECCOMP_RET_LOG, 0);
	traced();
	own_namespaces(0);
	own_namespaces(1);
	/* No descriptor of the engine's or of the runtime's came along. */
	for (int fd = 3; fd < 1024; fd++) {
		char path[64], link[256] = "";
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (readlink(path, link, sizeof link - 1) > 0)
			tell("descriptor %d is %s", fd, link);
	}
	works();
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 0;
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "races") == 0)
		races();
	else if (strcmp(what, "threads") == 0)
		threads(n, atoi(argv[3]));
	else if (strcmp(what, "bomb") == 0)
		bomb(n);
	else if (strcmp(what, "emfile") == 0)
		emfile();
	else if (strcmp(what, "sockets") == 0)
		sockets(n);
	else if (strcmp(what, "hoard-tcp") == 0)
		hoard(1, n);
	else if (strcmp(what, "hoard-udp") == 0)
		hoard(0, n);
	else if (strcmp(what, "flight") == 0)
		flight(n);
	else if (strcmp(what, "around") == 0)
		around();
	else if (strcmp(what, "works") == 0)
		works();
	else
		return 2;
	return 0;
}
