#include "check.h"

#include <sys/syscall.h>

/* Random calls with random arguments on sockets in random states, by several
 * threads at once. Nothing about their results matters; that the sandbox still
 * works afterwards does. */
static const long calls[] = {
	SYS_socket, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_connect, SYS_getsockname, SYS_getpeername,
	SYS_getsockopt, SYS_setsockopt, SYS_shutdown, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_recvfrom,
	SYS_recvmsg, SYS_recvmmsg, SYS_ioctl, SYS_close, SYS_dup, SYS_read, SYS_write, SYS_fcntl,
};

static char memory[4096];

static unsigned long pick(unsigned *seed, int arg)
{
	static const unsigned long odd[] = {0, 1, 2, 16, 28, 64, 4096, 0x7fffffff, 0xffffffff, -1UL, 8, 1UL << 40};
	switch (rand_r(seed) % 5) {
	case 0: return odd[rand_r(seed) % (sizeof odd / sizeof *odd)];
	case 1: return (unsigned long)memory + rand_r(seed) % sizeof memory;
	case 2: return (unsigned long)memory;
	case 3: return rand_r(seed) % 64;
	}
	return arg == 0 ? 3 + rand_r(seed) % 40 : rand_r(seed) % 20;
}

static void scribble(unsigned *seed)
{
	struct sockaddr_in a = at(1 + rand_r(seed) % 2 * 7000);
	struct iovec v = {memory + rand_r(seed) % 2048, rand_r(seed) % 3000};
	struct msghdr m = {.msg_name = memory + 64, .msg_namelen = rand_r(seed) % 40, .msg_iov = (void *)(memory + 256),
			   .msg_iovlen = rand_r(seed) % 3, .msg_control = memory + 512, .msg_controllen = rand_r(seed) % 80};
	for (int i = 0; i < 8; i++)
		memory[rand_r(seed) % sizeof memory] = rand_r(seed);
	memcpy(memory + rand_r(seed) % 2 * 64, &a, sizeof a);
	memcpy(memory + 256, &v, sizeof v);
	memcpy(memory + 1024, &m, sizeof m);
	if (rand_r(seed) % 2)
		memcpy(memory, &m, sizeof m);
}

static void *roll(void *arg)
{
	unsigned seed = (unsigned long)arg;
	for (int i = 0; i < 20000; i++) {
		unsigned long x[6];
		long nr = calls[rand_r(&seed) % (sizeof calls / sizeof *calls)];
		for (int k = 0; k < 6; k++)
			x[k] = pick(&seed, k);
		if (rand_r(&seed) % 8 == 0 || nr == SYS_socket)
			x[0] = rand_r(&seed) % 2 ? AF_INET : AF_INET6, x[1] = (1 + rand_r(&seed) % 2) | SOCK_NONBLOCK, x[2] = 0,
			nr = SYS_socket;
		if (x[0] < 3)
			x[0] += 3; /* not standard output */
		if (nr == SYS_socket && x[0] == 5)
			x[0] = AF_INET;
		if (nr == SYS_fcntl)
			x[1] = F_SETFL, x[2] = O_NONBLOCK;
		/* Calls that wait do so for a while only. */
		if (nr == SYS_accept || nr == SYS_connect || nr == SYS_read || nr == SYS_write || (nr >= SYS_sendto && nr <= SYS_recvmsg) ||
		    nr == SYS_recvmmsg || nr == SYS_sendmmsg || nr == SYS_accept4)
			syscall(SYS_fcntl, x[0], F_SETFL, O_NONBLOCK);
		if (i % 16 == 0)
			scribble(&seed);
		syscall(nr, x[0], x[1], x[2], x[3], x[4], x[5]);
	}
	return NULL;
}

static void rolled(void)
{
	for (unsigned long round = 0; round < 4; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t t[3];
			alarm(10);
			for (unsigned long i = 0; i < 3; i++)
				pthread_create(&t[i], NULL, roll, (void *)(round * 100 + i + 1));
			for (int i = 0; i < 3; i++)
				pthread_join(t[i], NULL);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	int c, s;
	char b[4];
	link2(&c, &s);
	tell("works: %d", write(c, "x", 1) == 1 && read(s, b, 4) == 1);
}

static const struct scenario scenarios[] = {{"rolled", rolled}, {0}};

int main(int argc, char **argv) { return run_all(scenarios, argc, argv); }
