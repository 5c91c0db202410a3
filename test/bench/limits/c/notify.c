/* Calls that another process answers: seccomp_unotify(2). */
#include "limits.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1
#endif

static int tell[2], listener, empty;
static int closes; /* the call returns a descriptor */

/* caller asks for getppid(2), which is notified, for ever. */
static void caller(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof code / sizeof *code, code };
	int fd;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (fd < 0)
		die("seccomp");
	if (write(tell[1], &fd, sizeof fd) != sizeof fd)
		die("write");
	for (;;) {
		long got = syscall(SYS_getppid);
		if (closes)
			close(got);
	}
}

static __u64 take(void)
{
	struct seccomp_notif req;

	memset(&req, 0, sizeof req);
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
		die("SECCOMP_IOCTL_NOTIF_RECV");
	return req.id;
}

static void answer(__u64 id, long val)
{
	struct seccomp_notif_resp resp = { .id = id, .val = val };

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0)
		die("SECCOMP_IOCTL_NOTIF_SEND");
}

static int give(__u64 id, int flags)
{
	struct seccomp_notif_addfd add = { .id = id, .flags = flags, .srcfd = empty };
	int fd = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

	if (fd < 0)
		die("SECCOMP_IOCTL_NOTIF_ADDFD");
	return fd;
}

static void notified(size_t n)
{
	(void)n;
	answer(take(), 1 << 20);
}

static void given_at_once(size_t n)
{
	(void)n;
	give(take(), SECCOMP_ADDFD_FLAG_SEND);
}

static void given_then_answered(size_t n)
{
	__u64 id = take();

	(void)n;
	answer(id, give(id, 0));
}

static void notify_loop(const char *name, int place, int sync, void (*once)(size_t))
{
	int fd, handle;
	pid_t child;

	if (!wanted(name))
		return;
	closes = once != notified;
	pin(place < 0 ? -1 : 0);
	child = start(place, caller);
	if (read(tell[0], &fd, sizeof fd) != sizeof fd)
		die("read");
	handle = syscall(SYS_pidfd_open, child, 0);
	listener = syscall(SYS_pidfd_getfd, handle, fd, 0);
	if (listener < 0)
		die("pidfd_getfd");
	if (sync && ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0)
		refused(name); /* not there before Linux 6.6 */
	else
		measure(name, 0, once);
	stop(child);
	close(listener);
	close(handle);
	pin(-1);
}

void notify_loops(void)
{
	if (!wanted("notify-"))
		return;
	empty = open("/dev/null", O_RDONLY);
	if (pipe(tell) < 0 || empty < 0)
		die("pipe");
	notify_loop("notify-free", -1, 0, notified);
	notify_loop("notify-free-sync", -1, 1, notified);
	notify_loop("notify-same", 0, 0, notified);
	notify_loop("notify-same-sync", 0, 1, notified);
	notify_loop("notify-other", 1, 0, notified);
	notify_loop("notify-other-sync", 1, 1, notified);
	notify_loop("notify-addfd-send", 0, 1, given_at_once);
	notify_loop("notify-addfd-then-send", 0, 1, given_then_answered);
}
