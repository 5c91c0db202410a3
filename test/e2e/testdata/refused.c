/*
 * Tries the ways to the kernel's network that a sandbox must not have and
 * prints one line for each: what was tried, and the name of the error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void
report(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
	fflush(stdout);
}

static const struct {
	const char *name;
	int domain, type, protocol;
} sockets[] = {
	{"AF_PACKET SOCK_RAW", 17, SOCK_RAW, 0x0300},
	{"AF_PACKET SOCK_DGRAM", 17, SOCK_DGRAM, 0x0300},
	{"AF_VSOCK", 40, SOCK_STREAM, 0},
	{"AF_ALG", 38, SOCK_SEQPACKET, 0},
	{"AF_XDP", 44, SOCK_RAW, 0},
	{"AF_KEY", 15, SOCK_RAW, 2},
	{"AF_INET SOCK_RAW ICMP", AF_INET, SOCK_RAW, 1},
	{"AF_INET SOCK_RAW TCP", AF_INET, SOCK_RAW, 6},
	{"AF_INET SOCK_RAW RAW", AF_INET, SOCK_RAW, 255},
	{"AF_INET6 SOCK_RAW ICMPV6", AF_INET6, SOCK_RAW, 58},
	{"AF_INET SOCK_DGRAM ICMP", AF_INET, SOCK_DGRAM, 1},
	{"AF_INET6 SOCK_DGRAM ICMPV6", AF_INET6, SOCK_DGRAM, 58},
	{"AF_INET SOCK_PACKET", AF_INET, 10, 0x0300},
	{"AF_INET MPTCP", AF_INET, SOCK_STREAM, 262},
	{"AF_INET SCTP", AF_INET, SOCK_STREAM, 132},
	{"AF_INET UDPLITE", AF_INET, SOCK_DGRAM, 136},
	{"NETLINK_USERSOCK", AF_NETLINK, SOCK_RAW, 2},
	{"NETLINK_SOCK_DIAG", AF_NETLINK, SOCK_RAW, 4},
	{"NETLINK_XFRM", AF_NETLINK, SOCK_RAW, 6},
	{"NETLINK_AUDIT", AF_NETLINK, SOCK_RAW, 9},
	{"NETLINK_NETFILTER", AF_NETLINK, SOCK_RAW, 12},
	{"NETLINK_KOBJECT_UEVENT", AF_NETLINK, SOCK_RAW, 15},
	{"NETLINK_GENERIC", AF_NETLINK, SOCK_DGRAM, 16},
	{"NETLINK_CRYPTO", AF_NETLINK, SOCK_RAW, 21},
	{"NETLINK_ROUTE", AF_NETLINK, SOCK_RAW, 0},
	{"AF_UNIX", AF_UNIX, SOCK_STREAM, 0},
	/* Bits above the 32 of the family must not hide it from the filter. */
	{"AF_PACKET SOCK_RAW with flags", 17, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0x0300},
};

/* i386 makes the call by the 32-bit entry of a 64-bit kernel. */
static long
i386(long nr, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80"
	    : "=a"(result)
	    : "a"(nr), "b"(a), "c"(b), "d"(c)
	    : "memory", "r8", "r9", "r10", "r11");
	if (result < 0) {
		errno = -(int)result;
		return (-1);
	}
	return (result);
}

/* in_child tells a death by signal from an error. */
static void
in_child(const char *what, long (*call)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		report(what, call());
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("%s: SIG%s\n", what, sigabbrev_np(WTERMSIG(status)));
}

static long i386_getpid(void) { return i386(20, 0, 0, 0); }
static long i386_socket(void) { return i386(359, AF_INET, SOCK_STREAM, 0); }
static long i386_socketcall(void) { return i386(102, 1, 0, 0); }

#define	X32	0x40000000L
static long x32_getpid(void) { return syscall(X32 | SYS_getpid); }
static long x32_socket(void) { return syscall(X32 | SYS_socket, AF_INET, SOCK_STREAM, 0); }
static long io_uring(void) { char params[120] = {0}; return syscall(SYS_io_uring_setup, 8, params); }
/* The registers are 64 bits wide, the kernel looks at 32 of them. */
static long wide(void) { return syscall(SYS_socket, 0x100000000L | 17, SOCK_RAW, 0x0300); }

int
main(void)
{
	int pair[2];

	for (size_t i = 0; i < sizeof (sockets) / sizeof (sockets[0]); i++) {
		int fd = socket(sockets[i].domain, sockets[i].type, sockets[i].protocol);
		report(sockets[i].name, fd);
		if (fd >= 0)
			close(fd);
	}
	report("socketpair AF_INET", socketpair(AF_INET, SOCK_STREAM, 0, pair));
	report("socketpair AF_UNIX", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	in_child("AF_PACKET in a wide register", wide);
	in_child("io_uring_setup", io_uring);
	in_child("x32 getpid", x32_getpid);
	in_child("x32 socket", x32_socket);
	in_child("i386 getpid", i386_getpid);
	in_child("i386 socket", i386_socket);
	in_child("i386 socketcall", i386_socketcall);
	return (0);
}
