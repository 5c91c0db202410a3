package hostlink

// TCP sockets of the kernel in a sandbox's network namespace: socket(7), ip(7),
// tcp(7). They show intercepted programs to others in the namespace, and reach
// those for intercepted programs.

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelBacklog is the backlog of a listener that the kernel holds for the
// engine; the engine takes connections off as they come.
const kernelBacklog = 128

// ListenKernel makes a listening TCP socket at the address in the calling
// thread's network namespace. It never waits in accept, and is closed on exec. A
// port that somebody else listens on is unix.EADDRINUSE.
func ListenKernel(at netip.AddrPort) (fd int, err error) {
	fd, err = kernelSocket(at.Addr())
	if err != nil {
		return -1, err
	}
	if err = listenOn(fd, at); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("listen at %v: %w", at, err)
	}
	return fd, nil
}

func listenOn(fd int, at netip.AddrPort) error {
	// Connections that are in TIME_WAIT do not keep the port; listeners do.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, sockaddrOf(at)); err != nil {
		return err
	}
	return unix.Listen(fd, kernelBacklog)
}

// DialKernel starts to connect a TCP socket to the address. The outcome is to be
// waited for as connect(2) has it for EINPROGRESS. The descriptor is closed on
// exec and does not block.
func DialKernel(to netip.AddrPort) (fd int, err error) {
	fd, err = kernelSocket(to.Addr())
	if err != nil {
		return -1, err
	}
	if err = unix.Connect(fd, sockaddrOf(to)); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// kernelSocket makes a TCP socket that acknowledges and sends at once and finds
// out when its peer dies; what it accepts inherits that.
func kernelSocket(a netip.Addr) (int, error) {
	domain := unix.AF_INET
	if a.Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	if domain == unix.AF_INET6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	return fd, nil
}

// AcceptKernel takes a connection off a listener of ListenKernel, with the
// address that it came from. ErrAgain: none waits.
func AcceptKernel(fd int) (conn int, from netip.AddrPort, err error) {
	var sa unix.RawSockaddrInet6 // the larger of the two
	size := uint32(unsafe.Sizeof(sa))
	// Not unix.Accept4, which asks for the protocol by a call that the engine's
	// filter does not know.
	n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0, 0)
	switch e {
	case 0:
		return int(n), addrPortOf(&sa), nil
	case unix.EAGAIN, unix.EINTR, unix.ECONNABORTED:
		return -1, from, ErrAgain
	}
	return -1, from, os.NewSyscallError("accept4", e)
}

func addrPortOf(sa *unix.RawSockaddrInet6) netip.AddrPort {
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	switch sa.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port(&v4.Port))
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), port(&sa.Port))
	}
	return netip.AddrPort{}
}

// ResetKernel closes a TCP socket of the kernel by RST: socket(7), SO_LINGER
// with a time of 0.
func ResetKernel(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}

func sockaddrOf(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
