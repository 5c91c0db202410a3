package hostlink

// Messages with descriptors between two processes that know each other: unix(7),
// SOCK_SEQPACKET and SCM_RIGHTS.

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxPacketFDs bounds the descriptors of one message.
const MaxPacketFDs = 8

// NewPacketPair makes a connected pair of sockets that keep message boundaries,
// both close-on-exec and blocking.
func NewPacketPair() (a, b int, err unix.Errno) { return NewPair(PairPacket, false) }

// SendPacket sends one message and copies of descriptors along with it. dontWait
// makes it fail with EAGAIN where the other end is slow.
func SendPacket(fd int, b []byte, fds []int, dontWait bool) unix.Errno {
	var iov unix.Iovec
	if len(b) > 0 {
		iov.Base = &b[0]
		iov.SetLen(len(b))
	}
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1}
	if len(fds) > 0 {
		if len(fds) > MaxPacketFDs {
			return unix.EINVAL
		}
		rights := unix.UnixRights(fds...)
		msg.Control = &rights[0]
		msg.SetControllen(len(rights))
	}
	flags := unix.MSG_NOSIGNAL
	if dontWait {
		flags |= unix.MSG_DONTWAIT
	}
	for {
		_, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags))
		if e != unix.EINTR {
			return e
		}
	}
}

// RecvPacket takes one message, waiting for it unless dontWait is set. fds are
// new close-on-exec descriptors that the caller owns. EPIPE is the end of the
// conversation; EMSGSIZE a message, with its descriptors, that was longer than b
// or carried more of them than MaxPacketFDs, and is dropped.
func RecvPacket(fd int, b []byte, dontWait bool) (n int, fds []int, err unix.Errno) {
	var iov unix.Iovec
	iov.Base = unsafe.SliceData(b)
	iov.SetLen(len(b))
	control := make([]byte, unix.CmsgSpace(MaxPacketFDs*4))
	flags := unix.MSG_CMSG_CLOEXEC
	if dontWait {
		flags |= unix.MSG_DONTWAIT
	}
	var msg unix.Msghdr
	for {
		msg = unix.Msghdr{Iov: &iov, Iovlen: 1, Control: &control[0]}
		msg.SetControllen(len(control))
		r, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, nil, e
		}
		n = int(r)
		break
	}
	fds = rights(control[:msg.Controllen])
	switch {
	case msg.Flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = unix.EMSGSIZE
	case n == 0: // no message of ours is empty
		err = unix.EPIPE
	}
	if err != 0 {
		for _, fd := range fds {
			CloseFD(fd)
		}
		return 0, nil, err
	}
	return n, fds, 0
}

// rights takes the descriptors out of ancillary data.
func rights(control []byte) []int {
	msgs, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	var all []int
	for i := range msgs {
		if fds, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			all = append(all, fds...)
		}
	}
	return all
}
