package hostlink

// Small things that processes tell of each other: pidfd_open(2),
// memfd_create(2), poll(2).

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// SealedFile returns a close-on-exec descriptor of a nameless file in memory that
// holds data, from its beginning, and that nobody can change.
func SealedFile(name string, data []byte) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	err = fill(fd, data)
	if err != nil {
		CloseFD(fd)
		return -1, fmt.Errorf("file in memory: %w", err)
	}
	return fd, nil
}

func fill(fd int, data []byte) error {
	for at := 0; at < len(data); {
		n, err := unix.Pwrite(fd, data[at:], int64(at))
		if err != nil {
			return err
		}
		at += n
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	return err
}

// OpenChild returns a pidfd of process pid. EINVAL: it is no child of parent.
func OpenChild(pid, parent int) (int, unix.Errno) {
	if pid <= 0 {
		return -1, unix.EINVAL
	}
	r, _, e := unix.RawSyscall(unix.SYS_PIDFD_OPEN, uintptr(pid), 0, 0)
	if e != 0 {
		return -1, e
	}
	v := view{pidfd: int(r), dir: -1}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil || parseStatus(text).PPID != parent || v.alive() != 0 {
		v.close()
		return -1, unix.EINVAL
	}
	return v.pidfd, 0
}

// HungUp reports whether fd shows a hang-up now: a seccomp listener whose last
// program has ended does. An error of a listener is none: it says that a signal
// came while the kernel waited to look (seccomp_notify_poll).
func HungUp(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	for {
		n, err := unix.Poll(p, 0)
		if err == unix.EINTR {
			continue
		}
		return err == nil && n == 1 && p[0].Revents&(unix.POLLHUP|unix.POLLNVAL) != 0
	}
}
