/* What a program that knows the numbers of its engine and its holder, and the
 * paths of their sockets, can do to them. Usage: reach ENGINE HOLDER DIRECTORY */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static void tell(const char *who, const char *what, long r)
{
	printf("%s %s: %s\n", who, what, r >= 0 ? "done" : strerrorname_np(errno));
	fflush(stdout);
}

static long file(int pid, const char *name, int flags)
{
	char path[128];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	return open(path, flags);
}

static long address(const char *dir, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", dir, name);
	return connect(s, (void *)&a, sizeof a);
}

static void try(const char *who, int pid)
{
	char b[8];
	struct iovec here = {b, sizeof b}, there = {(void *)0x400000, sizeof b};
	tell(who, "memory", file(pid, "mem", O_RDWR));
	tell(who, "map", file(pid, "maps", O_RDONLY));
	tell(who, "descriptors", file(pid, "fd/0", O_RDONLY));
	tell(who, "root", file(pid, "root", O_RDONLY | O_DIRECTORY));
	tell(who, "namespace", file(pid, "ns/net", O_RDONLY));
	tell(who, "environment", file(pid, "environ", O_RDONLY));
	tell(who, "read", process_vm_readv(pid, &here, 1, &there, 1, 0));
	tell(who, "write", process_vm_writev(pid, &here, 1, &there, 1, 0));
	tell(who, "trace", ptrace(PTRACE_SEIZE, pid, 0, 0));
	long fd = syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0) {
		tell(who, "descriptor", fd);
	} else {
		for (int i = 0; i < 64; i++)
			if (syscall(SYS_pidfd_getfd, fd, i, 0) >= 0)
				printf("%s gave descriptor %d away\n", who, i);
		errno = EPERM;
		tell(who, "descriptor", -1);
	}
	tell(who, "signal", kill(pid, 0));
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	try("engine", atoi(argv[1]));
	try("holder", atoi(argv[2]));
	tell("control.sock", "connect", address(argv[3], "control.sock"));
	tell("listener.sock", "connect", address(argv[3], "listener.sock"));
	return 0;
}
