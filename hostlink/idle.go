package hostlink

// How much processor time nobody wants: proc_uptime(5).

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// OpenIdle opens what IdleTime reads, which an engine that is locked down cannot.
func OpenIdle() (fd int, err error) {
	fd, err = unix.Open("/proc/uptime", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return fd, os.NewSyscallError("open /proc/uptime", err)
}

// IdleTime is the time that the machine's processors have been idle, all of them
// added up, to a hundredth of a second; false when it cannot be read.
func IdleTime(fd int) (time.Duration, bool) {
	var b [64]byte
	n, err := unix.Pread(fd, b[:], 0)
	if err != nil || n <= 0 {
		return 0, false
	}
	f := bytes.Fields(b[:n])
	if len(f) != 2 {
		return 0, false
	}
	s, err := strconv.ParseFloat(string(f[1]), 64)
	return time.Duration(s * float64(time.Second)), err == nil
}
