/* For LD_PRELOAD: sendfile(2) begins a while later, as on a machine that has other
 * things to do, so that what was written before it stands alone if it may. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/sendfile.h>
#include <unistd.h>

ssize_t sendfile64(int out, int in, off64_t *at, size_t count)
{
	ssize_t (*real)(int, int, off64_t *, size_t) = dlsym(RTLD_NEXT, "sendfile64");

	usleep(50000);
	return real(out, in, at, count);
}

ssize_t sendfile(int out, int in, off_t *at, size_t count)
{
	return sendfile64(out, in, at, count);
}
