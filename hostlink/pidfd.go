package hostlink

// Threads and their descriptors: pidfd_open(2), pidfd_getfd(2).

import (
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pidfdThread is PIDFD_THREAD (Linux 6.9): the descriptor stands for one thread,
// which may have a descriptor table of its own.
const pidfdThread = unix.O_EXCL

// openThreadFlags is pidfdThread; a variable for tests, which make it one that no
// kernel knows.
var openThreadFlags uintptr = pidfdThread

// OpenThread returns a pidfd for thread tid. Before Linux 6.9 it stands for the
// thread's process, and whole is true unless the thread is its first. ESRCH: there
// is no such thread.
func OpenThread(tid int) (fd int, whole bool, err unix.Errno) {
	r, _, e := unix.RawSyscall(unix.SYS_PIDFD_OPEN, uintptr(tid), openThreadFlags, 0)
	if e != unix.EINVAL {
		return int(r), false, e
	}
	tgid := tgidOf(tid)
	if tgid <= 0 {
		return -1, false, unix.ESRCH
	}
	r, _, e = unix.RawSyscall(unix.SYS_PIDFD_OPEN, uintptr(tgid), 0, 0)
	return int(r), tgid != tid, e
}

// GetFD returns a new close-on-exec descriptor for the open file behind
// descriptor fd of the thread. EBADF: it has none; ESRCH: it has ended.
func GetFD(pidfd, fd int) (int, unix.Errno) {
	got, _, e := unix.RawSyscall(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0)
	return int(got), e
}

// CloseFD closes a descriptor that never waits in close.
func CloseFD(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// tgidOf returns the process of thread tid, 0 when it has ended.
func tgidOf(tid int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return 0
	}
	return parseStatus(text).TGID
}

// nsOwner returns the inode of the user namespace that owns a namespace:
// capabilities count there (user_namespaces(7)). 0: it cannot be told.
func nsOwner(ns int) uint64 {
	owner, err := unix.IoctlRetInt(ns, unix.NS_GET_USERNS)
	if err != nil {
		return 0
	}
	defer CloseFD(owner)
	var st unix.Stat_t
	if unix.Fstat(owner, &st) != nil {
		return 0
	}
	return st.Ino
}

// SocketInode returns the inode of a socket, false when fd is none.
func SocketInode(fd int) (uint64, bool) {
	var st unix.Stat_t
	_, _, e := unix.RawSyscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(&st)), 0)
	if e != 0 || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return 0, false
	}
	return st.Ino, true
}
