#include "check.h"

static volatile sig_atomic_t caught;

static void on_signal(int sig) { (void)sig, caught++; }

/* handle sets a handler for SIGUSR1; restart is SA_RESTART or 0. */
static void handle(int restart)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = restart};
	sigaction(SIGUSR1, &a, NULL);
	caught = 0;
}

struct later { pthread_t self, to; int ms, port; };

static void *shoot(void *arg)
{
	struct later *l = arg;
	nap(l->ms);
	pthread_kill(l->to, SIGUSR1);
	return NULL;
}

static void *shoot_and_dial(void *arg)
{
	struct later *l = arg;
	nap(20); /* for the call to begin */
	for (int i = 0; i < 5; i++) {
		pthread_kill(l->to, SIGUSR1);
		/* One at a time: signals that wait together are one. */
		for (int ms = 0; caught <= i && ms < 5000; ms++)
			nap(1);
		nap(5); /* for the call to begin again */
	}
	int c = tcp();
	dial(c, l->port);
	write(c, "done", 4);
	nap(200);
	return NULL;
}

static void accept_interrupted(void)
{
	int l = listener();
	struct later a = {.to = pthread_self(), .ms = 50};
	handle(0);
	pthread_create(&a.self, NULL, shoot, &a);
	SAY(accept(l, NULL, NULL));
	tell("handler ran %d", caught);
	pthread_join(a.self, NULL);
}

static void accept_restarted(void)
{
	int l = listener();
	char b[8];
	struct later a = {.to = pthread_self(), .port = port_of(l)};
	handle(SA_RESTART);
	pthread_create(&a.self, NULL, shoot_and_dial, &a);
	int s = accept(l, NULL, NULL);
	tell("accepted %d, handler ran %d", s >= 0, caught);
	SAY(read(s, b, sizeof b));
	pthread_join(a.self, NULL);
}

static void read_interrupted(void)
{
	int c, s;
	char b[8];
	link2(&c, &s);
	struct later a = {.to = pthread_self(), .ms = 50};
	handle(0);
	pthread_create(&a.self, NULL, shoot, &a);
	SAY(read(c, b, sizeof b));
	pthread_join(a.self, NULL);
}

static void receive_interrupted(void)
{
	int s = bound(udp(), 0);
	char b[8];
	struct sockaddr_in f;
	socklen_t n = sizeof f;
	struct later a = {.to = pthread_self(), .ms = 50};
	handle(0);
	pthread_create(&a.self, NULL, shoot, &a);
	SAY(recvfrom(s, b, sizeof b, 0, (void *)&f, &n));
	pthread_join(a.self, NULL);
	handle(SA_RESTART);
	timeout_of(s, SO_RCVTIMEO, 3000);
	int c = udp();
	struct sockaddr_in to = at(port_of(s));
	sendto(c, "x", 1, 0, (void *)&to, sizeof to);
	SAY(recvfrom(s, b, sizeof b, 0, (void *)&f, &n));
}

static void *storm(void *arg)
{
	struct later *l = arg;
	for (int i = 0; i < l->ms; i++) {
		pthread_kill(l->to, SIGUSR1);
		nap(1);
	}
	return NULL;
}

/* Calls that are interrupted over and over still happen exactly once. */
static void under_fire(void)
{
	int l = listener(), ok = 0, port = port_of(l);
	struct later a = {.to = pthread_self(), .ms = 400};
	handle(SA_RESTART);
	pthread_create(&a.self, NULL, storm, &a);
	for (int i = 0; i < 200; i++) {
		int c = tcp(), s = -1;
		char b[4];
		if (dial(c, port)) {
			say("connect", -1);
			break;
		}
		s = accept(l, NULL, NULL);
		ok += write(c, "x", 1) == 1 && read(s, b, 4) == 1;
		close(c), close(s);
	}
	tell("exchanges %d", ok);
	nonblock(l);
	SAY(accept(l, NULL, NULL));
	pthread_join(a.self, NULL);
}

static void timeouts(void)
{
	int l = listener(), c, s;
	char b[8];
	timeout_of(l, SO_RCVTIMEO, 100);
	double t0 = clock_now();
	SAY(accept(l, NULL, NULL));
	double d = clock_now() - t0;
	tell("waited %d", d > 0.09 && d < 0.5);
	link2(&c, &s);
	timeout_of(c, SO_RCVTIMEO, 100);
	t0 = clock_now();
	SAY(read(c, b, sizeof b));
	d = clock_now() - t0;
	tell("waited %d", d > 0.09 && d < 0.5);
	struct timeval got;
	socklen_t n = sizeof got;
	getsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &got, &n);
	tell("%ld s %ld us", (long)got.tv_sec, (long)got.tv_usec);
}

static volatile sig_atomic_t over;

static void *keep_shooting(void *arg)
{
	struct later *l = arg;
	while (!over) {
		pthread_kill(l->to, SIGUSR1);
		for (volatile int i = 0; i < 5000; i++)
			;
		sched_yield();
	}
	return NULL;
}

/* take_all accepts the n connections that wait, out of descriptors now and then, and
 * returns how many of them said a number that nobody had said. */
static int take_all(int l, int n)
{
	struct rlimit files, none = {0};
	int good = 0, taken = 0;
	char said[64] = {0}, b;
	getrlimit(RLIMIT_NOFILE, &files);
	none.rlim_max = files.rlim_max;
	for (int tries = 0; taken < n; tries++) {
		if (tries % 5 == 0)
			setrlimit(RLIMIT_NOFILE, &none);
		int s = accept(l, NULL, NULL);
		if (tries % 5 == 0)
			setrlimit(RLIMIT_NOFILE, &files);
		if (s < 0 && (errno == EINTR || errno == EMFILE))
			continue;
		taken++;
		if (s < 0)
			continue;
		while (read(s, &b, 1) < 0 && errno == EINTR)
			;
		good += b >= 0 && b < n && !said[(int)b]++;
		close(s);
	}
	return good;
}

/* Connections wait together, and who accepts them is hit by signals all the time:
 * each is accepted, once. */
static void crowd(void)
{
	enum { CROWD = 32 };
	int l = listener(), c[CROWD], good = 0;
	struct later a = {.to = pthread_self()};
	sigset_t usr1;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	handle(0);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	listen(l, CROWD);
	over = 0;
	pthread_create(&a.self, NULL, keep_shooting, &a);
	for (int round = 0; round < 20; round++) {
		for (char i = 0; i < CROWD; i++) {
			dial(c[(int)i] = tcp(), port_of(l));
			write(c[(int)i], &i, 1);
		}
		pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
		good += take_all(l, CROWD);
		pthread_sigmask(SIG_BLOCK, &usr1, NULL);
		for (int i = 0; i < CROWD; i++)
			close(c[i]);
	}
	over = 1;
	pthread_join(a.self, NULL);
	tell("accepted %d, handler ran: %d", good, caught > 0);
}

/* While further connections wait: what a program has closed is closed for its next
 * call. */
static void closed_at_once(void)
{
	enum { CROWD = 16 };
	int c[CROWD], seen = 0;
	for (int round = 0; round < 50; round++) {
		int l = listener();
		for (int i = 0; i < CROWD; i++)
			dial(c[i] = tcp(), port_of(l));
		for (int i = 0; i < CROWD; i++) {
			struct tcp_info info = {0};
			socklen_t n = sizeof info;
			close(accept(l, NULL, NULL));
			getsockopt(c[i], IPPROTO_TCP, TCP_INFO, &info, &n);
			seen += info.tcpi_state == TCP_CLOSE_WAIT;
		}
		for (int i = 0; i < CROWD; i++)
			close(c[i]);
		close(l);
	}
	tell("seen %d", seen);
}

static const struct scenario scenarios[] = {
	{"accept_interrupted", accept_interrupted}, {"accept_restarted", accept_restarted},
	{"read_interrupted", read_interrupted}, {"receive_interrupted", receive_interrupted},
	{"under_fire", under_fire}, {"timeouts", timeouts}, {"crowd", crowd},
	{"closed_at_once", closed_at_once}, {0},
};

int main(int argc, char **argv) { return run_all(scenarios, argc, argv); }
