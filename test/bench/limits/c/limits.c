/*
 * What the machine itself takes for the pieces of which every path is made, as
 * bare loops: nothing but the call, again and again, on one processor.
 *
 *   limits MILLISECONDS [BEGINNING]
 *
 * Prints a line for each whose name begins so: name, nanoseconds per operation,
 * bytes per operation, nanoseconds of processor time per operation. It has to run
 * in a network namespace of its own, with a veth pair limit1 and limit2, and makes
 * a TAP there.
 */
#include "limits.h"

double duration;
char *from, *to;
int pair[2], tap, packet;
char frame[SUPER + 256];
size_t frame_len;

static int there[2], back[2], ep;
static const char *chosen;
static clockid_t peer_clock;
static int has_peer;

void die(const char *what)
{
	perror(what);
	exit(1);
}

static double at(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		die("clock_gettime");
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static double spent(void)
{
	return at(CLOCK_PROCESS_CPUTIME_ID) + (has_peer ? at(peer_clock) : 0);
}

void refused(const char *name)
{
	printf("%s refused %s\n", name, strerror(errno));
	fflush(stdout);
}

int wanted(const char *name)
{
	return strncmp(name, chosen, strlen(chosen)) == 0 || strncmp(name, chosen, strlen(name)) == 0;
}

void measure_batch(const char *name, size_t bytes, int batch, void (*once)(size_t))
{
	double begin, end, cpu;
	uint64_t n = 0;
	int turns = batch >= 16 ? 4 : 64 / batch;

	if (strncmp(name, chosen, strlen(chosen)) != 0)
		return;
	for (int i = 0; i < turns; i++)
		once(bytes);
	begin = at(CLOCK_MONOTONIC);
	cpu = spent();
	do {
		for (int i = 0; i < turns; i++)
			once(bytes);
		n += turns * batch;
		end = at(CLOCK_MONOTONIC);
	} while (end < begin + duration);
	printf("%s %.1f %zu %.1f\n", name, (end - begin) * 1e9 / n, bytes, (spent() - cpu) * 1e9 / n);
	fflush(stdout);
}

void measure(const char *name, size_t bytes, void (*once)(size_t))
{
	measure_batch(name, bytes, 1, once);
}

void pin(int place)
{
	cpu_set_t set;
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	CPU_ZERO(&set);
	for (long i = 0; i < n; i++)
		if (place < 0 || i == place % n)
			CPU_SET(i, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		die("sched_setaffinity");
}

pid_t start(int place, void (*run)(void))
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(place);
		run();
		_exit(0);
	}
	if (clock_getcpuclockid(child, &peer_clock) != 0)
		die("clock_getcpuclockid");
	has_peer = 1;
	return child;
}

void stop(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	has_peer = 0;
}

static void nothing(size_t n)
{
	(void)n;
	syscall(SYS_getppid);
}

/* The source changes, so that it is not all in the first cache. */
static void copy(size_t n)
{
	static size_t at;

	at = (at + n) % (64 << 20);
	memcpy(to + at, from + at, n);
}

static void copy_warm(size_t n)
{
	memcpy(to, from, n);
	__asm__ volatile("" ::: "memory");
}

static void through_pair(size_t n)
{
	if (write(pair[0], from, n) != (ssize_t)n || read(pair[1], to, n) != (ssize_t)n)
		die("pair");
}

static void ping(size_t n)
{
	if (write(there[0], from, n) != (ssize_t)n || read(back[0], to, n) != (ssize_t)n)
		die("ping");
}

static void waits(size_t n)
{
	struct epoll_event ev;

	(void)n;
	if (epoll_wait(ep, &ev, 1, 0) < 0)
		die("epoll_wait");
}

/* A TCP segment that nobody waits for: the kernel drops it behind the driver. */
void tap_write(size_t n)
{
	(void)n;
	if (write(tap, frame, frame_len) != (ssize_t)frame_len)
		die("write to the TAP");
}

/* The kernel sends a frame by a packet socket, and it is read from the TAP. */
static void tap_read(size_t n)
{
	if (write(packet, frame, frame_len) != (ssize_t)frame_len)
		die("write to the packet socket");
	if (read(tap, to, n + 256) <= 0)
		die("read from the TAP");
}

void make_frame(size_t payload)
{
	struct virtio_net_hdr *v = (struct virtio_net_hdr *)frame;
	unsigned char *e = (unsigned char *)frame + sizeof *v, *ip = e + ETHER, *tcp = ip + 20;

	memset(frame, 0, sizeof frame);
	v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	v->csum_start = ETHER + 20;
	v->csum_offset = 16;
	if (payload > 1448) {
		v->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		v->gso_size = 1448;
		v->hdr_len = HEADERS;
	}
	memset(e, 2, 12);
	e[12] = 8;
	ip[0] = 0x45;
	ip[2] = (40 + payload) >> 8;
	ip[3] = 40 + payload;
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	tcp[12] = 0x50;
	tcp[13] = 0x10;
	frame_len = sizeof *v + HEADERS + payload;
}

static void make_tap(void)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int control = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
	struct sockaddr_ll at = { .sll_family = AF_PACKET };

	tap = open("/dev/net/tun", O_RDWR);
	if (tap < 0 || control < 0)
		die("/dev/net/tun");
	strcpy(r.ifr_name, "limit0");
	if (ioctl(tap, TUNSETIFF, &r) < 0)
		die("TUNSETIFF");
	if (ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
		die("TUNSETOFFLOAD");
	r.ifr_flags = IFF_UP | IFF_NOARP;
	if (ioctl(control, SIOCSIFFLAGS, &r) < 0 || ioctl(control, SIOCGIFINDEX, &r) < 0)
		die("the TAP");
	packet = socket(AF_PACKET, SOCK_RAW, 0);
	at.sll_ifindex = r.ifr_ifindex;
	if (packet < 0 || bind(packet, (struct sockaddr *)&at, sizeof at) < 0)
		die("packet socket");
	if (setsockopt(packet, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) < 0)
		die("PACKET_VNET_HDR");
	close(control);
	/* What the kernel sends of itself when the interface comes up. */
	fcntl(tap, F_SETFL, O_NONBLOCK);
	usleep(50000);
	while (read(tap, to, SUPER) > 0)
		;
	fcntl(tap, F_SETFL, 0);
}

/* slabs returns the kernel's memory in slabs, in bytes (proc_meminfo(5)). */
static long slabs(void)
{
	char line[128];
	long kib = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Slab: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024;
}

static void pair_memory(void)
{
	struct rlimit files;
	long before, most = 20000;
	int n, fds[2];

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (most > (long)files.rlim_max / 2 - 64)
		most = (long)files.rlim_max / 2 - 64; /* some are left to look at the memory */
	before = slabs();
	for (n = 0; n < most && socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0; n++)
		;
	if (n > 0)
		printf("pair-memory 0 %ld 0\n", (slabs() - before) / n);
	fflush(stdout);
}

/* echo is the other process of ping. */
static void echo(void)
{
	char c;

	while (read(there[1], &c, 1) == 1 && write(back[1], &c, 1) == 1)
		;
}

int main(int argc, char **argv)
{
	int room = 4 << 20;
	pid_t child;

	if (argc < 2 || argc > 3 || atoi(argv[1]) < 1) {
		fprintf(stderr, "usage: limits MILLISECONDS [BEGINNING]\n");
		return 2;
	}
	duration = atoi(argv[1]) / 1000.0;
	chosen = argc == 3 ? argv[2] : "";
	from = malloc((64 << 20) + (1 << 20));
	to = malloc((64 << 20) + (1 << 20));
	if (from == NULL || to == NULL)
		die("malloc");
	memset(from, 1, (64 << 20) + (1 << 20));
	memset(to, 1, (64 << 20) + (1 << 20));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, there) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, back) < 0)
		die("socketpair");
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
	ep = epoll_create1(0);

	/* First: what the others leave to be freed would count. Its descriptors go with its process. */
	child = fork();
	if (child == 0) {
		if (wanted("pair-memory"))
			pair_memory();
		_exit(0);
	}
	waitpid(child, NULL, 0);
	measure("system-call", 0, nothing);
	measure("epoll-empty", 0, waits);
	measure("memcpy-cached", SUPER, copy_warm);
	measure("memcpy-memory", SUPER, copy);
	measure("pair", 1, through_pair);
	measure("pair", 1448, through_pair);
	measure("pair", SUPER, through_pair);

	child = start(-1, echo);
	measure("pair-two-processes-there-and-back", 1, ping);
	stop(child);

	make_tap();
	for (int i = 0; i < 3; i++) {
		static const size_t sizes[] = { 1, 1448, SUPER - 64 - 1448 };

		make_frame(sizes[i]);
		measure("tap-write", sizes[i], tap_write);
		measure("packet-write-tap-read", sizes[i], tap_read);
	}
	pair_loops();
	wake_loops();
	notify_loops();
	packet_loops();
	uring_loops(); /* last: its thread in the kernel goes on looking for a while */
	return 0;
}
