/*
 * The client of the benchmark, a thread with blocking calls for each stream.
 *
 *   client MODE ADDRESS PORT COUNT MILLISECONDS CONGESTION
 *
 * up    COUNT streams to the server's PORT; prints bytes per second
 * down  COUNT streams from PORT+1; prints bytes per second
 * rr    1-byte requests and responses over COUNT connections to PORT+2; prints
 *       exchanges per second
 * crr   COUNT clients, each of which connects to PORT+2, exchanges one byte
 *       and closes, again and again; prints connections per second
 * idle  makes COUNT connections to PORT+2, exchanges one byte over each,
 *       prints "ready" and keeps them until its standard input ends
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 128 << 10, MAXTHREADS = 1024 };

struct worker {
	pthread_t thread;
	uint64_t count; /* bytes or exchanges */
	double seconds;
};

static struct sockaddr_in server;
static const char *congestion;
static double duration;
static void (*job)(struct worker *, pthread_barrier_t *);
static pthread_barrier_t barrier;

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

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)) < 0)
		die("TCP_CONGESTION");
	if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
		die("connect");
	return fd;
}

static void exchange(int fd)
{
	char c = 'x';

	if (write(fd, &c, 1) != 1)
		die("write");
	if (read(fd, &c, 1) != 1)
		die("read");
}

static void up(struct worker *w, pthread_barrier_t *start)
{
	char *buffer = malloc(BUFFER);
	int fd = dial();
	double begin;

	memset(buffer, 'x', BUFFER);
	pthread_barrier_wait(start);
	begin = now();
	while (now() < begin + duration)
		if (write(fd, buffer, BUFFER) < 0)
			die("write");
	/* What counts is what arrived, and the time until it had. */
	if (shutdown(fd, SHUT_WR) < 0)
		die("shutdown");
	if (recv(fd, &w->count, sizeof w->count, MSG_WAITALL) != sizeof w->count)
		die("read the server's count");
	w->seconds = now() - begin;
	close(fd);
	free(buffer);
}

static void down(struct worker *w, pthread_barrier_t *start)
{
	char *buffer = malloc(BUFFER);
	int fd = dial();
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
	int fd = dial();
	double begin;

	pthread_barrier_wait(start);
	begin = now();
	for (; now() < begin + duration; w->count++)
		exchange(fd);
	w->seconds = now() - begin;
	close(fd);
}

static void crr(struct worker *w, pthread_barrier_t *start)
{
	double begin;

	pthread_barrier_wait(start);
	begin = now();
	for (; now() < begin + duration; w->count++) {
		int fd = dial();

		exchange(fd);
		close(fd);
	}
	w->seconds = now() - begin;
}

static void idle(int count)
{
	char c;

	for (int i = 0; i < count; i++)
		exchange(dial());
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
}

static void *run(void *arg)
{
	job(arg, &barrier);
	return NULL;
}

static const struct {
	const char *name;
	int port; /* added to PORT */
	void (*job)(struct worker *, pthread_barrier_t *);
} modes[] = {
	{ "up", 0, up },
	{ "down", 1, down },
	{ "rr", 2, rr },
	{ "crr", 2, crr },
	{ "idle", 2, NULL },
};

int main(int argc, char **argv)
{
	static struct worker workers[MAXTHREADS];
	struct rlimit files;
	double rate = 0;
	int mode = -1, count;

	for (unsigned i = 0; argc == 7 && i < sizeof modes / sizeof modes[0]; i++)
		if (strcmp(argv[1], modes[i].name) == 0)
			mode = i;
	if (mode < 0 || inet_pton(AF_INET, argv[2], &server.sin_addr) != 1) {
		fprintf(stderr, "usage: client up|down|rr|crr|idle ADDRESS PORT COUNT MILLISECONDS CONGESTION\n");
		return 2;
	}
	server.sin_family = AF_INET;
	server.sin_port = htons(atoi(argv[3]) + modes[mode].port);
	count = atoi(argv[4]);
	duration = atoi(argv[5]) / 1000.0;
	congestion = argv[6];
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	job = modes[mode].job;
	if (job == NULL) {
		idle(count);
		return 0;
	}
	if (count < 1 || count > MAXTHREADS) {
		fprintf(stderr, "COUNT %d: accepted are 1 to %d\n", count, MAXTHREADS);
		return 2;
	}
	pthread_barrier_init(&barrier, NULL, count);
	for (int i = 0; i < count; i++)
		if ((errno = pthread_create(&workers[i].thread, NULL, run, &workers[i])) != 0)
			die("pthread_create");
	for (int i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		rate += workers[i].count / workers[i].seconds;
	}
	printf("%.1f\n", rate);
	return 0;
}
