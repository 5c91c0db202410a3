package hostlink

// AF_UNIX pairs, the bodies of a sandbox's sockets: unix(7), recv(2), send(2).

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pair types.
const (
	PairStream = unix.SOCK_STREAM    // a byte stream, for TCP
	PairPacket = unix.SOCK_SEQPACKET // datagrams with an end of file, for UDP
)

// NewPair makes a connected pair of AF_UNIX sockets in the calling thread's
// network namespace, both close-on-exec, and both non-blocking when asked for.
// The calls below never wait whatever the mode.
func NewPair(typ int, nonblock bool) (e, p int, err unix.Errno) {
	if nonblock {
		typ |= unix.SOCK_NONBLOCK
	}
	var fds [2]int32
	_, _, err = unix.RawSyscall6(unix.SYS_SOCKETPAIR, unix.AF_UNIX, uintptr(typ)|unix.SOCK_CLOEXEC, 0, uintptr(unsafe.Pointer(&fds)), 0, 0)
	return int(fds[0]), int(fds[1]), err
}

// PollNow returns which of events hold for the file behind fd, and POLLERR and
// POLLHUP, without waiting: poll(2).
func PollNow(fd int, events int16) (int16, unix.Errno) {
	p := unix.PollFd{Fd: int32(fd), Events: events}
	var now unix.Timespec
	_, _, e := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return p.Revents, e
}

// SocketCookie returns the identity of the socket behind fd, which no other
// socket of this boot has; false when fd is no socket.
func SocketCookie(fd int) (uint64, bool) {
	var b [8]byte
	n, e := GetSockOpt(fd, unix.SOL_SOCKET, unix.SO_COOKIE, b[:])
	if e != 0 || n != len(b) {
		return 0, false
	}
	return binary.NativeEndian.Uint64(b[:]), true
}

// Send writes to a socket of a pair without waiting and without SIGPIPE.
// EAGAIN: no room; EPIPE: the other end does not read any more. extra is 0 or
// unix.MSG_OOB.
func Send(fd int, b []byte, extra int) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		uintptr(unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|extra), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// Recv reads from a socket of a pair without waiting. Zero bytes without an
// error are the end of file (or an empty datagram); EAGAIN: nothing there;
// ECONNRESET: the other end closed with bytes unread. extra may hold
// unix.MSG_OOB, MSG_PEEK and MSG_TRUNC.
func Recv(fd int, b []byte, extra int) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		uintptr(unix.MSG_DONTWAIT|extra), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// ShutdownFD is shutdown(2); how is unix.SHUT_RD, SHUT_WR or SHUT_RDWR.
func ShutdownFD(fd, how int) unix.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), uintptr(how), 0)
	return e
}

// NonBlocking reports whether the open file behind fd is in non-blocking mode.
func NonBlocking(fd int) bool {
	fl, _, e := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFL, 0)
	return e == 0 && fl&unix.O_NONBLOCK != 0
}

// SetNonBlocking puts the open file behind fd, an end of a pair, into non-blocking
// mode or takes it out.
func SetNonBlocking(fd int, on bool) {
	flags := uintptr(unix.O_RDWR)
	if on {
		flags |= unix.O_NONBLOCK
	}
	_, _, _ = unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, flags)
}

// QueuedIn returns the bytes in fd's receive queue: of a SOCK_SEQPACKET socket,
// the sum over all its datagrams.
func QueuedIn(fd int) int { return queued(fd, unix.SIOCINQ) }

// QueuedOut returns the memory that the kernel charges for what was sent on fd
// and is not read yet, 0 exactly when everything is read.
func QueuedOut(fd int) int { return queued(fd, unix.SIOCOUTQ) }

// AtMark reports whether the next byte of a stream is its urgent byte.
func AtMark(fd int) bool { return queued(fd, unix.SIOCATMARK) != 0 }

func queued(fd int, req uintptr) int {
	var n int32
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(unsafe.Pointer(&n)))
	if e != 0 {
		return 0
	}
	return int(n)
}

// GetSockOpt is getsockopt(2) and returns the length of the value.
func GetSockOpt(fd, level, name int, val []byte) (int, unix.Errno) {
	n := uint32(len(val))
	_, _, e := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(val))), uintptr(unsafe.Pointer(&n)), 0)
	return int(n), e
}

// SetSockOpt is setsockopt(2).
func SetSockOpt(fd, level, name int, val []byte) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(val))), uintptr(len(val)), 0)
	return e
}

// SetSendBuffer sets SO_SNDBUF: bytes is what the kernel doubles, within its
// minimum and net.core.wmem_max. A raise wakes who waits to write.
func SetSendBuffer(fd, bytes int) unix.Errno {
	var v [4]byte
	binary.NativeEndian.PutUint32(v[:], uint32(bytes))
	return SetSockOpt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, v[:])
}
