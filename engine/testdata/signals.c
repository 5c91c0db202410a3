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

static const struct scenario scenarios[] = {
	{"accept_interrupted", accept_interrupted}, {"accept_restarted", accept_restarted},
	{"read_interrupted", read_interrupted}, {"receive_interrupted", receive_interrupted},
	{"under_fire", under_fire}, {"timeouts", timeouts}, {0},
};

int main(int argc, char **argv) { return run_all(scenarios, argc, argv); }
