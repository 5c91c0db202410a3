package hostlink

// Seccomp user notification: seccomp_unotify(2), linux/seccomp.h.

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Notification is one system call that waits for an answer. It has the layout
// of struct seccomp_notif.
type Notification struct {
	ID    uint64
	TID   uint32 // of the calling thread, in the receiver's PID namespace; 0 when it is not visible there
	Flags uint32
	Nr    int32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

type notifResp struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

type notifAddFD struct {
	id         uint64
	flags      uint32
	srcfd      uint32
	newfd      uint32
	newfdFlags uint32
}

// A Notifier is the listener of one filter. Its calls never wait; each may
// answer ENOENT when the calling thread has meanwhile been interrupted or
// killed, which is normal.
type Notifier struct{ fd int }

// NewNotifier takes ownership of a listener and asks for synchronous wake-ups:
// the kernel then switches straight between caller and engine. Kernels before
// 6.6 lack that and are slower, not wrong.
func NewNotifier(fd int) *Notifier {
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	return &Notifier{fd: fd}
}

// IsNotifier reports whether fd is a seccomp listener.
func IsNotifier(fd int) bool {
	// An identifier that cannot exist: a listener says ENOENT, anything else
	// does not know the request.
	id := ^uint64(0)
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_ID_VALID, uintptr(unsafe.Pointer(&id)))
	return e == unix.ENOENT
}

// FD is readable while a call waits to be received and reports a hang-up when
// no process is left under the filter.
func (n *Notifier) FD() int { return n.fd }

// Close releases the listener; calls under way and to come fail with ENOSYS.
func (n *Notifier) Close() error { return unix.Close(n.fd) }

// Ready reports whether Recv may be called. Recv on a listener that is not
// ready would wait.
func (n *Notifier) Ready() bool {
	p := unix.PollFd{Fd: int32(n.fd), Events: unix.POLLIN}
	var now unix.Timespec
	r, _, e := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return e == 0 && r == 1 && p.Revents&unix.POLLIN != 0
}

// Recv takes the next call. It may be used only while the listener is ready:
// the kernel then has a call for it or, when that was cancelled in between,
// says ENOENT at once.
func (n *Notifier) Recv(c *Notification) unix.Errno {
	*c = Notification{} // the kernel insists
	return n.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(c))
}

// Reply ends call id with a value, or with an error when e is not 0.
func (n *Notifier) Reply(id uint64, val int64, e unix.Errno) unix.Errno {
	r := notifResp{id: id, val: val, errno: -int32(e)}
	return n.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
}

// Continue lets the kernel execute call id as if there were no filter. By then
// the program may have changed what the arguments point to and what the
// descriptor means, so it must not be an answer that isolation relies on.
func (n *Notifier) Continue(id uint64) unix.Errno {
	r := notifResp{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	return n.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
}

// ReplyFD ends call id with a new descriptor of the caller for the file behind
// fd, in one step: either the caller has it and the call has returned it, or
// neither. It returns the number of the descriptor. EMFILE is the caller's limit.
//
// The kernel waits until the caller's thread has taken the descriptor. A signal that
// interrupts the wait withdraws the descriptor but not the reply (kernel/seccomp.c,
// seccomp_notify_addfd): the call would return 0. The Go runtime sends itself such
// signals all the time, so the calling thread is one after HoldSignals. The wait is
// as short as a switch of threads: a caller that is stopped or killed ends it. So
// the scheduler is not told, see Poller.
func (n *Notifier) ReplyFD(id uint64, fd int, cloexec bool) (int, unix.Errno) {
	r := notifAddFD{id: id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, srcfd: uint32(fd)}
	if cloexec {
		r.newfdFlags = unix.O_CLOEXEC
	}
	got, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(n.fd), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&r)))
	return int(got), e
}

// HoldSignals keeps signals from the calling thread, to which the goroutine is
// locked, until release is called: all but those that are its own faults, which the
// Go runtime has to see. Signals to the process find another thread. A goroutine on
// such a thread is preempted at calls of functions only.
func HoldSignals() (release func()) {
	mask := ^uint64(0)
	for _, own := range []unix.Signal{unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS, unix.SIGABRT} {
		mask &^= 1 << (own - 1)
	}
	before := maskSignals(unix.SIG_BLOCK, mask)
	return func() { maskSignals(unix.SIG_SETMASK, before) }
}

// maskSignals changes the calling thread's signal mask and returns the old one.
func maskSignals(how int, mask uint64) (before uint64) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(&mask)), uintptr(unsafe.Pointer(&before)), unsafe.Sizeof(mask), 0, 0)
	return before
}

// Valid reports whether call id still waits, so that its thread is still the
// one that TID named when it came.
func (n *Notifier) Valid(id uint64) bool {
	return n.ioctl(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) == 0
}

func (n *Notifier) ioctl(req uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(n.fd), req, uintptr(arg))
	return e
}

// giveFD gives the caller of id a close-on-exec descriptor for the file behind fd,
// and returns its number; the call goes on waiting.
func (n *Notifier) giveFD(id uint64, fd int) (int, unix.Errno) {
	r := notifAddFD{id: id, srcfd: uint32(fd), newfdFlags: unix.O_CLOEXEC}
	got, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(n.fd), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&r)))
	return int(got), e
}

// ReplaceFD puts the file behind fd in the place of the caller's descriptor
// number n, as dup2(2) does, while call id waits.
func (n *Notifier) ReplaceFD(id uint64, number, fd int, cloexec bool) unix.Errno {
	r := notifAddFD{id: id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, srcfd: uint32(fd), newfd: uint32(number)}
	if cloexec {
		r.newfdFlags = unix.O_CLOEXEC
	}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(n.fd), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&r)))
	return e
}
