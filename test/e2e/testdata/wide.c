/*
 * Makes Internet sockets by registers with garbage in their upper halves, which
 * the kernel ignores, and prints for each what is behind the descriptor: a
 * socket of AF_UNIX, which is the engine's, or another, which is the kernel's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *
behind(int fd)
{
	static char line[512];
	unsigned long inode;
	struct stat st;
	FILE *f;

	if (fstat(fd, &st) != 0 || (f = fopen("/proc/self/net/unix", "r")) == NULL)
		return (strerror(errno));
	while (fgets(line, sizeof (line), f) != NULL) {
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %lu", &inode) == 1 && inode == st.st_ino) {
			fclose(f);
			return ("AF_UNIX");
		}
	}
	fclose(f);
	return ("a socket of the kernel");
}

int
main(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_STREAM | SOCK_CLOEXEC };
	static const long garbage[] = { 0, 1L << 32, 1L << 63, 0x7fffffffL << 32 };

	for (int f = 0; f < 2; f++)
		for (int t = 0; t < 3; t++)
			for (int g = 0; g < 4; g++) {
				long fd = syscall(SYS_socket, families[f] | garbage[g],
				    types[t] | garbage[3 - g], garbage[g]);
				printf("%d %#x %#lx: %s\n", families[f], types[t], garbage[g],
				    fd < 0 ? strerror(errno) : behind(fd));
				if (fd >= 0)
					close(fd);
			}
	return (0);
}
