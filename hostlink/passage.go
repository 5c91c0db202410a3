package hostlink

// Pipes between two pairs: splice(2), pipe(7). Bytes that go from one AF_UNIX
// stream to another through a pipe are not copied: the kernel passes on the pages
// that the sender has filled. Linux does so from 6.5 on (MSG_SPLICE_PAGES); before,
// a receiver that sits in a page fault could stop whoever sends to it
// (unix_stream_sendpage waits for the receiver's lock).

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// CanPassPages reports whether the kernel is one of which that holds. It is found
// out when the process starts: later a filter may be in the way.
func CanPassPages() bool { return passesPages }

var passesPages = kernelIs(6, 5)

// kernelIs reports whether the kernel is at least of that version.
func kernelIs(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	v, at := [2]int{}, 0
	for _, c := range u.Release {
		switch {
		case c >= '0' && c <= '9':
			v[at] = min(v[at]*10+int(c-'0'), 1<<16)
			continue
		case c == '.' && at == 0:
			at++
			continue
		}
		break
	}
	return v[0] > major || v[0] == major && v[1] >= minor
}

// NewPipe makes a pipe, close-on-exec and non-blocking, with room for size bytes in
// full pages, or what the kernel gives.
func NewPipe(size int) (r, w int, err unix.Errno) {
	var fds [2]int32
	_, _, err = unix.RawSyscall(unix.SYS_PIPE2, uintptr(unsafe.Pointer(&fds)), unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != 0 {
		return -1, -1, err
	}
	_, _, _ = unix.RawSyscall(unix.SYS_FCNTL, uintptr(fds[1]), unix.F_SETPIPE_SZ, uintptr(size))
	return int(fds[0]), int(fds[1]), 0
}

// Splice moves up to n bytes from one file to another without waiting, one of which
// is a pipe. The other one, if it is what is written to, is in non-blocking mode. 0
// bytes without an error are the end of file; EAGAIN: nothing there, or no room.
func Splice(from, to, n int) (int, unix.Errno) {
	done, _, e := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	if e != 0 {
		return 0, e
	}
	return int(done), 0
}
