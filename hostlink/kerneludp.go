package hostlink

// UDP sockets of the kernel in a sandbox's network namespace: udp(7), ip(7),
// ipv6(7). Intercepted and plain programs of a sandbox reach each other by them.

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BindKernel makes a UDP socket at the address in the calling thread's network
// namespace; port 0 lets the kernel choose. It reports ICMP errors with the
// destination that they are about (IP_RECVERR), never waits, and is closed on
// exec. Where somebody has the port it fails with unix.EADDRINUSE, whatever that
// socket would share. With share, one that comes later may share it
// (SO_REUSEADDR).
func BindKernel(at netip.AddrPort, share bool) (fd int, err error) {
	domain, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_RECVERR
	if at.Addr().Is6() {
		domain, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	fd, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return -1, err
	}
	if err = unix.SetsockoptInt(fd, level, option, 1); err == nil && domain == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddrOf(at))
	}
	if err == nil && share {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// A Datagrams moves datagrams through sockets of BindKernel, one at a time and
// without allocating: what the kernel reads and writes lives in it.
type Datagrams struct {
	msg     unix.Msghdr
	iov     unix.Iovec
	name    unix.RawSockaddrInet6 // the larger of the two
	control [256]byte
	quote   [1]byte // of a datagram that an error is about, which nobody needs
}

// call makes one sendmsg or recvmsg.
func (d *Datagrams) call(nr uintptr, fd int, b []byte, nameLen, controlLen, flags int) (int, unix.Errno) {
	d.iov.Base = unsafe.SliceData(b)
	d.iov.SetLen(len(b))
	d.msg = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&d.name)), Namelen: uint32(nameLen), Iov: &d.iov, Iovlen: 1}
	if controlLen > 0 {
		d.msg.Control = &d.control[0]
		d.msg.SetControllen(controlLen)
	}
	n, _, e := unix.RawSyscall(nr, uintptr(fd), uintptr(unsafe.Pointer(&d.msg)), uintptr(flags|unix.MSG_DONTWAIT))
	d.iov.Base = nil
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// Send sends b. An error that is pending on the socket, which may be about an
// earlier datagram, comes in place of sending.
func (d *Datagrams) Send(fd int, b []byte, to netip.AddrPort) unix.Errno {
	n := putSockaddr(&d.name, to)
	_, e := d.call(unix.SYS_SENDMSG, fd, b, n, 0, unix.MSG_NOSIGNAL)
	return e
}

// Recv takes one datagram, with where it came from. EAGAIN: there is none.
// Others are errors of earlier datagrams, see Error.
func (d *Datagrams) Recv(fd int, b []byte) (n int, from netip.AddrPort, e unix.Errno) {
	n, e = d.call(unix.SYS_RECVMSG, fd, b, int(unsafe.Sizeof(d.name)), 0, 0)
	if e != 0 {
		return 0, from, e
	}
	return n, addrPortOf(&d.name), 0
}

// sockExtendedErr is the head of struct sock_extended_err (linux/errqueue.h).
type sockExtendedErr struct {
	errno  uint32
	origin uint8
	_      [11]byte
}

// Error takes one ICMP error off the socket's queue: where the datagram went
// that it is about, and the error. EAGAIN: there is none.
func (d *Datagrams) Error(fd int) (to netip.AddrPort, why, e unix.Errno) {
	_, e = d.call(unix.SYS_RECVMSG, fd, d.quote[:], int(unsafe.Sizeof(d.name)), len(d.control), unix.MSG_ERRQUEUE)
	if e != 0 {
		return to, 0, e
	}
	if d.msg.Controllen > 0 && d.msg.Namelen > 0 {
		why = extendedError(d.control[:d.msg.Controllen])
		to = addrPortOf(&d.name)
	}
	return to, why, 0
}

// extendedError finds the errno in ancillary data, 0 when there is none.
func extendedError(control []byte) unix.Errno {
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		if h.Len < unix.SizeofCmsghdr || h.Len > uint64(len(control)) {
			return 0
		}
		if isRecvErr(h) && h.Len >= unix.SizeofCmsghdr+uint64(unsafe.Sizeof(sockExtendedErr{})) {
			return unix.Errno((*sockExtendedErr)(unsafe.Pointer(&control[unix.SizeofCmsghdr])).errno)
		}
		control = control[min(len(control), unix.CmsgSpace(int(h.Len)-unix.SizeofCmsghdr)):]
	}
	return 0
}

func isRecvErr(h *unix.Cmsghdr) bool {
	return h.Level == unix.IPPROTO_IP && h.Type == unix.IP_RECVERR || h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_RECVERR
}

// putSockaddr writes a to sa and returns its length.
func putSockaddr(sa *unix.RawSockaddrInet6, a netip.AddrPort) int {
	*sa = unix.RawSockaddrInet6{}
	p := (*[2]byte)(unsafe.Pointer(&sa.Port))
	p[0], p[1] = byte(a.Port()>>8), byte(a.Port())
	if a.Addr().Is4() {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		v4.Family, v4.Addr = unix.AF_INET, a.Addr().As4()
		return int(unsafe.Sizeof(*v4))
	}
	sa.Family, sa.Addr = unix.AF_INET6, a.Addr().As16()
	return int(unsafe.Sizeof(*sa))
}
