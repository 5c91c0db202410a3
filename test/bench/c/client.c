/*
 * The client of the benchmark, a thread with blocking calls for each stream.
 *
 *   client MODE ADDRESS PORT COUNT MILLISECONDS CONGESTION [SIZE [RATE]]
 *
 * ADDRESS is of IPv4 or IPv6; the ports are the server's, see there. What is
 * printed begins with a rate per second and the number that it is made of.
 *
 * up     COUNT streams of writes of SIZE bytes (128 KiB); bytes
 * down   COUNT streams the other way; bytes
 * rr     1-byte requests and responses over COUNT connections; exchanges
 * msg    messages of SIZE bytes both ways over COUNT connections; exchanges
 * crr    COUNT clients, each of which connects, exchanges one byte and closes,
 *        again and again; connections
 * cc     the same without the exchange
 * lat    RATE 1-byte exchanges per second over COUNT connections, on schedule;
 *        exchanges, and in microseconds the latency that 50, 99 and 99.9 % are
 *        within. It counts from when a request was due, so that a server that
 *        stalls does not hide the requests that had to wait
 * urr    datagrams of one byte there and back, COUNT sockets; exchanges
 * ucrr   the same with the server's socket connected, COUNT is 1; exchanges
 * uin    datagrams of SIZE bytes as fast as they go; those that arrived
 * uout   datagrams of SIZE bytes from the server; those that arrived
 * idle   makes COUNT connections, exchanges one byte over each, prints "ready",
 *        does the same again over all of them for each byte of its standard
 *        input, and keeps them until that ends
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 128 << 10, MAXTHREADS = 1024, MAXSIZE = 1 << 20, SAMPLES = 1 << 21, FIRSTPORT = 10000 };

struct worker {
	pthread_t thread;
	int index;
	uint64_t count; /* bytes or exchanges */
	double seconds;
};

static union {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} server;
static socklen_t server_len;
static const char *congestion;
static double duration, rate;
static int port, count, size;
static void (*job)(struct worker *, pthread_barrier_t *);
static pthread_barrier_t barrier;
static float *samples; /* of lat, in microseconds */
static uint64_t sampled;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* open_from connects to the server's PORT + offset, from the port if it is not 0.
 * It returns -1 if that port is in use. */
static int open_from(int from, int type, int offset)
{
	int fd = socket(server.any.sa_family, type, 0), on = 1;
	__typeof__(server) to = server, at = { 0 };

	if (fd < 0)
		die("socket");
	/* Both families have the port at the same place. */
	to.v4.sin_port = htons(port + offset);
	if (type == SOCK_STREAM && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)) < 0)
		die("TCP_CONGESTION");
	if (from != 0) {
		/* Two connections have one port, to different ports of the server. */
		if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
			die("SO_REUSEADDR");
		at.any.sa_family = server.any.sa_family;
		at.v4.sin_port = htons(from);
		if (bind(fd, &at.any, server_len) < 0) {
			close(fd);
			return -1;
		}
	}
	if (connect(fd, &to.any, server_len) < 0) {
		if (from == 0 || errno != EADDRNOTAVAIL)
			die("connect");
		close(fd);
		return -1;
	}
	return fd;
}

static int open_socket(int type, int offset)
{
	return open_from(0, type, offset);
}

static int dial(int offset)
{
	return open_socket(SOCK_STREAM, offset);
}

static void send_all(int fd, const char *buffer, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, buffer, n);

		if (done <= 0)
			die("write");
		buffer += done;
		n -= done;
	}
}

static void read_all(int fd, void *buffer, size_t n)
{
	if (recv(fd, buffer, n, MSG_WAITALL) != (ssize_t)n)
		die("read");
}

static void exchange(int fd)
{
	char c = 'x';

	if (write(fd, &c, 1) != 1)
		die("write");
	if (read(fd, &c, 1) != 1)
		die("read");
}

static char *filled(size_t n)
{
	char *buffer = malloc(n);

	if (buffer == NULL)
		die("malloc");
	return memset(buffer, 'x', n);
}

static void up(struct worker *w, pthread_barrier_t *start)
{
	int fd = dial(0), n = size > 0 ? size : BUFFER;
	char *buffer = filled(n);
	double begin;

	pthread_barrier_wait(start);
	begin = now();
	while (now() < begin + duration)
		send_all(fd, buffer, n);
	/* What counts is what arrived, and the time until it had. */
	if (shutdown(fd, SHUT_WR) < 0)
		die("shutdown");
	read_all(fd, &w->count, sizeof w->count);
	w->seconds = now() - begin;
	close(fd);
	free(buffer);
}

static void down(struct worker *w, pthread_barrier_t *start)
{
	char *buffer = filled(BUFFER);
	int fd = dial(1);
	double begin;
	ssize_t n;

	pthread_barrier_wait(start);
	begin = now();
	while (now() < begin + duration) {
		n = read(fd, buffer, BUFFER);
		if (n <= 0)
			die("read");
		w->count += n;
	}
	w->seconds = now() - begin;
	close(fd);
	free(buffer);
}

static void rr(struct worker *w, pthread_barrier_t *start)
{
	int fd = dial(2);
	double begin;

	exchange(fd);
	pthread_barrier_wait(start);
	begin = now();
	for (; now() < begin + duration; w->count++)
		exchange(fd);
	w->seconds = now() - begin;
	close(fd);
}

static void msg(struct worker *w, pthread_barrier_t *start)
{
	char *buffer = filled(size);
	int fd = dial(3), on = 1;
	uint32_t order = size;
	double begin;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
		die("TCP_NODELAY");
	send_all(fd, (char *)&order, sizeof order);
	pthread_barrier_wait(start);
	begin = now();
	for (; now() < begin + duration; w->count++) {
		send_all(fd, buffer, size);
		read_all(fd, buffer, size);
	}
	w->seconds = now() - begin;
	close(fd);
	free(buffer);
}

static void connects(struct worker *w, pthread_barrier_t *start, int talk)
{
	double begin;

	pthread_barrier_wait(start);
	begin = now();
	for (; now() < begin + duration; w->count++) {
		int fd = dial(2);

		if (talk)
			exchange(fd);
		close(fd);
	}
	w->seconds = now() - begin;
}

static void crr(struct worker *w, pthread_barrier_t *start)
{
	connects(w, start, 1);
}

static void cc(struct worker *w, pthread_barrier_t *start)
{
	connects(w, start, 0);
}

static void lat(struct worker *w, pthread_barrier_t *start)
{
	double begin, interval = count / rate;
	int fd = dial(2);

	prctl(PR_SET_TIMERSLACK, 1UL);
	exchange(fd);
	pthread_barrier_wait(start);
	begin = now() + interval * w->index / count;
	for (;; w->count++) {
		double due = begin + w->count * interval;
		struct timespec t = { .tv_sec = due, .tv_nsec = (due - (time_t)due) * 1e9 };
		uint64_t i;

		if (due >= begin + duration)
			break;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		exchange(fd);
		i = __atomic_fetch_add(&sampled, 1, __ATOMIC_RELAXED);
		if (i < SAMPLES)
			samples[i] = (now() - due) * 1e6;
	}
	w->seconds = now() - begin;
	close(fd);
}

/* A datagram that is lost costs a tenth of a second, not the measurement. */
static void impatient(int fd)
{
	struct timeval t = { .tv_usec = 100000 };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) < 0)
		die("SO_RCVTIMEO");
}

static void datagrams(struct worker *w, pthread_barrier_t *start, int offset)
{
	int fd = open_socket(SOCK_DGRAM, offset);
	double begin;
	char c = 'x';

	impatient(fd);
	pthread_barrier_wait(start);
	begin = now();
	while (now() < begin + duration) {
		if (write(fd, &c, 1) != 1)
			die("write");
		if (read(fd, &c, 1) == 1)
			w->count++;
	}
	w->seconds = now() - begin;
	c = 'q';
	if (offset == 5 && write(fd, &c, 1) != 1)
		die("write");
	close(fd);
}

static void urr(struct worker *w, pthread_barrier_t *start)
{
	datagrams(w, start, 4);
}

static void ucrr(struct worker *w, pthread_barrier_t *start)
{
	datagrams(w, start, 5);
}

static uint64_t arrived(void)
{
	int fd = dial(6);
	uint64_t n;

	read_all(fd, &n, sizeof n);
	close(fd);
	return n;
}

static void uin(struct worker *w, pthread_barrier_t *start)
{
	struct timespec pause = { .tv_nsec = 200000000 };
	int fd = open_socket(SOCK_DGRAM, 6);
	char *buffer = filled(size);
	uint64_t before = arrived();
	double begin;

	pthread_barrier_wait(start);
	begin = now();
	while (now() < begin + duration)
		if (write(fd, buffer, size) < 0 && errno != ENOBUFS && errno != EAGAIN)
			die("write");
	w->seconds = now() - begin;
	nanosleep(&pause, NULL); /* what is on its way */
	w->count = arrived() - before;
	close(fd);
	free(buffer);
}

static void uout(struct worker *w, pthread_barrier_t *start)
{
	uint32_t order[2] = { duration * 1000, size };
	int fd = open_socket(SOCK_DGRAM, 7), room = 4 << 20;
	char *buffer = filled(size);
	double begin, end;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	impatient(fd);
	pthread_barrier_wait(start);
	if (write(fd, order, sizeof order) != sizeof order)
		die("write");
	begin = end = now();
	while (read(fd, buffer, size) > 0) {
		end = now();
		w->count++;
	}
	w->seconds = end > begin ? end - begin : duration;
	close(fd);
	free(buffer);
}

/* The kernel looks for a free port one by one, which with half of them taken is
 * most of the time: so each connection brings its own. */
static void idle(void)
{
	int *fds = calloc(count, sizeof *fds);
	char c;

	if (fds == NULL)
		die("calloc");
	for (int i = 0; i < count; i++) {
		int offset = i % 2 == 0 ? 2 : 8, from = FIRSTPORT + i / 2;

		fds[i] = from < 65536 ? open_from(from, SOCK_STREAM, offset) : -1;
		if (fds[i] < 0)
			fds[i] = dial(offset);
	}
	do {
		for (int i = 0; i < count; i++)
			exchange(fds[i]);
		puts("ready");
		fflush(stdout);
	} while (read(0, &c, 1) > 0);
	free(fds);
}

static void *run(void *arg)
{
	job(arg, &barrier);
	return NULL;
}

static const struct {
	const char *name;
	void (*job)(struct worker *, pthread_barrier_t *);
} modes[] = {
	{ "up", up },   { "down", down }, { "rr", rr },     { "msg", msg }, { "crr", crr },   { "cc", cc },
	{ "lat", lat }, { "urr", urr },   { "ucrr", ucrr }, { "uin", uin }, { "uout", uout }, { "idle", NULL },
};

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static struct worker workers[MAXTHREADS];
	pthread_attr_t attributes;
	struct rlimit files;
	uint64_t all = 0;
	double sum = 0;
	int mode = -1;

	for (unsigned i = 0; argc >= 7 && argc <= 9 && i < sizeof modes / sizeof modes[0]; i++)
		if (strcmp(argv[1], modes[i].name) == 0)
			mode = i;
	if (mode >= 0 && inet_pton(AF_INET, argv[2], &server.v4.sin_addr) == 1) {
		server.v4.sin_family = AF_INET;
		server_len = sizeof server.v4;
	} else if (mode >= 0 && inet_pton(AF_INET6, argv[2], &server.v6.sin6_addr) == 1) {
		server.v6.sin6_family = AF_INET6;
		server_len = sizeof server.v6;
	} else {
		fprintf(stderr, "usage: client MODE ADDRESS PORT COUNT MILLISECONDS CONGESTION [SIZE [RATE]]\n");
		return 2;
	}
	port = atoi(argv[3]);
	count = atoi(argv[4]);
	duration = atoi(argv[5]) / 1000.0;
	congestion = argv[6];
	size = argc > 7 ? atoi(argv[7]) : 0;
	rate = argc > 8 ? atof(argv[8]) : 0;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	job = modes[mode].job;
	if (job == NULL) {
		idle();
		return 0;
	}
	if (count < 1 || count > MAXTHREADS || size < 0 || size > MAXSIZE) {
		fprintf(stderr, "COUNT %d: accepted are 1 to %d; SIZE %d: 0 to %d\n", count, MAXTHREADS, size, MAXSIZE);
		return 2;
	}
	if ((job == msg || job == uin || job == uout) && size == 0) {
		fprintf(stderr, "SIZE 0: %s needs one\n", argv[1]);
		return 2;
	}
	if (job == lat && (rate <= 0 || (samples = malloc(SAMPLES * sizeof *samples)) == NULL)) {
		fprintf(stderr, "RATE %g: lat needs one\n", rate);
		return 2;
	}
	pthread_barrier_init(&barrier, NULL, count);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	for (int i = 0; i < count; i++) {
		workers[i].index = i;
		if ((errno = pthread_create(&workers[i].thread, &attributes, run, &workers[i])) != 0)
			die("pthread_create");
	}
	for (int i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		sum += workers[i].count / workers[i].seconds;
		all += workers[i].count;
	}
	printf("%.1f %llu", sum, (unsigned long long)all);
	if (job == lat) {
		uint64_t n = sampled < SAMPLES ? sampled : SAMPLES;

		if (n == 0) {
			fprintf(stderr, "no exchange\n");
			return 1;
		}
		qsort(samples, n, sizeof *samples, by_value);
		printf(" %.1f %.1f %.1f", samples[n / 2], samples[(uint64_t)(n * 0.99)], samples[(uint64_t)(n * 0.999)]);
	}
	printf("\n");
	return 0;
}
