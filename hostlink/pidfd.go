package hostlink

// Threads and their descriptors: pidfd_open(2), pidfd_getfd(2).

import (
	"bytes"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pidfdThread is PIDFD_THREAD (Linux 6.9): the descriptor stands for one thread,
// which may have a descriptor table of its own.
const pidfdThread = unix.O_EXCL

// OpenThread returns a pidfd for thread tid. Before Linux 6.9 it stands for the
// thread's process. ESRCH: there is no such thread.
func OpenThread(tid int) (int, unix.Errno) {
	fd, _, e := unix.RawSyscall(unix.SYS_PIDFD_OPEN, uintptr(tid), pidfdThread, 0)
	if e != unix.EINVAL {
		return int(fd), e
	}
	st, ok := ReadThreadStatus(tid)
	if !ok {
		return -1, unix.ESRCH
	}
	fd, _, e = unix.RawSyscall(unix.SYS_PIDFD_OPEN, uintptr(st.TGID), 0, 0)
	return int(fd), e
}

// GetFD returns a new close-on-exec descriptor for the open file behind
// descriptor fd of the thread. EBADF: it has none; ESRCH: it has ended.
func GetFD(pidfd, fd int) (int, unix.Errno) {
	got, _, e := unix.RawSyscall(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0)
	return int(got), e
}

// CloseFD closes a descriptor that never waits in close.
func CloseFD(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// ThreadStatus is the part of /proc/TID/status that socket calls depend on.
type ThreadStatus struct {
	TGID int
	UID  uint32 // effective
	Caps uint64 // effective, in UserNS
	// UserNS is the inode of the user namespace, 0 when it cannot be told.
	UserNS uint64
}

// ReadThreadStatus reads it; false: the thread has ended, or /proc is not there.
func ReadThreadStatus(tid int) (ThreadStatus, bool) {
	var st ThreadStatus
	text, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return st, false
	}
	for line := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		f := bytes.Fields(value)
		switch {
		case string(key) == "Tgid" && len(f) == 1:
			st.TGID, _ = strconv.Atoi(string(f[0]))
		case string(key) == "Uid" && len(f) == 4:
			u, _ := strconv.ParseUint(string(f[1]), 10, 32)
			st.UID = uint32(u)
		case string(key) == "CapEff" && len(f) == 1:
			st.Caps, _ = strconv.ParseUint(string(f[0]), 16, 64)
		}
	}
	var ns unix.Stat_t
	if unix.Stat("/proc/"+strconv.Itoa(tid)+"/ns/user", &ns) == nil {
		st.UserNS = ns.Ino
	}
	return st, st.TGID > 0
}

// NetNSOwner returns the inode of the user namespace that owns the calling
// thread's network namespace: capabilities count there (user_namespaces(7)).
// 0: it cannot be told.
func NetNSOwner() uint64 {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer CloseFD(fd)
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
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

// FindSocket looks for a process among pids that has the socket with the given
// inode open, and returns a descriptor for it. It looks at no more than limit
// descriptors.
func FindSocket(pids []int, inode uint64, limit int) (int, bool) {
	want := "socket:[" + strconv.FormatUint(inode, 10) + "]"
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid) + "/fd"
		d, err := os.Open(dir)
		if err != nil {
			continue
		}
		names, _ := d.Readdirnames(limit)
		_ = d.Close()
		limit -= len(names)
		for _, name := range names {
			link, err := os.Readlink(dir + "/" + name)
			if err != nil || link != want {
				continue
			}
			if fd, ok := takeSocket(pid, name, inode); ok {
				return fd, true
			}
		}
		if limit <= 0 {
			break
		}
	}
	return -1, false
}

func takeSocket(pid int, name string, inode uint64) (int, bool) {
	n, err := strconv.Atoi(name)
	if err != nil {
		return -1, false
	}
	p, _, e := unix.RawSyscall(unix.SYS_PIDFD_OPEN, uintptr(pid), 0, 0)
	if e != 0 {
		return -1, false
	}
	defer CloseFD(int(p))
	fd, e := GetFD(int(p), n)
	if e != 0 {
		return -1, false
	}
	if got, ok := SocketInode(fd); !ok || got != inode {
		CloseFD(fd)
		return -1, false
	}
	return fd, true
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

// ClosesOnExec reports whether descriptor fd of thread tid is close-on-exec.
func ClosesOnExec(tid, fd int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(text) {
		if v, ok := bytes.CutPrefix(line, []byte("flags:")); ok {
			flags, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 8, 64)
			return err == nil && flags&unix.O_CLOEXEC != 0
		}
	}
	return false
}
