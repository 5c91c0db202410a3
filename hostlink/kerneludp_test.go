package hostlink

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// boundAt is where the kernel has put a socket.
func boundAt(t *testing.T, fd int) netip.AddrPort {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	t.Fatalf("%T", sa)
	return netip.AddrPort{}
}

func bindKernel(t *testing.T, at string, share bool) (int, netip.AddrPort) {
	t.Helper()
	fd, err := BindKernel(netip.MustParseAddrPort(at), share)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd, boundAt(t, fd)
}

// Datagrams of every size cross with their senders, and the refusal of a port
// says which datagram it is about.
func TestKernelDatagrams(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1:0", "[::1]:0"} {
		d := new(Datagrams)
		a, atA := bindKernel(t, loopback, false)
		b, atB := bindKernel(t, loopback, false)
		for _, size := range []int{0, 1, 1500, 65507} {
			text := bytes.Repeat([]byte{byte(size)}, size)
			if e := d.Send(a, text, atB); e != 0 {
				t.Fatal(e)
			}
			buf := make([]byte, 65536)
			n, from, e := d.Recv(b, buf)
			if e != 0 || from != atA || !bytes.Equal(buf[:n], text) {
				t.Errorf("%d bytes from %v, %v; want %d from %v", n, from, e, size, atA)
			}
		}
		if _, _, e := d.Recv(b, make([]byte, 1)); e != unix.EAGAIN {
			t.Errorf("nothing there: %v", e)
		}
		if _, _, e := d.Error(a); e != unix.EAGAIN {
			t.Errorf("no error: %v", e)
		}
		_ = unix.Close(b)
		if e := d.Send(a, []byte("x"), atB); e != 0 {
			t.Fatal(e)
		}
		if to, why, e := d.Error(a); e != 0 || why != unix.ECONNREFUSED || to != atB {
			t.Errorf("the error is %v, %v about %v; want ECONNREFUSED about %v", why, e, to, atB)
		}
	}
}

// Who has a port keeps it, also if it would share; who comes later shares it
// when it was said so.
func TestBindKernelShares(t *testing.T) {
	first, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(first) }()
	_ = unix.SetsockoptInt(first, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(first, &unix.SockaddrInet4{}); err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), boundAt(t, first).Port())
	if fd, err := BindKernel(at, true); !errors.Is(err, unix.EADDRINUSE) {
		_ = unix.Close(fd)
		t.Errorf("a port that somebody has: %v", err)
	}
	for share, want := range map[bool]error{true: nil, false: unix.EADDRINUSE} {
		_, at := bindKernel(t, "127.0.0.1:0", share)
		later, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.SetsockoptInt(later, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if err := unix.Bind(later, &unix.SockaddrInet4{Port: int(at.Port())}); err != want {
			t.Errorf("share %v: %v", share, err)
		}
		_ = unix.Close(later)
	}
}

// Ancillary data that is cut or lies about its length is no error.
func TestExtendedErrorMalformed(t *testing.T) {
	good := make([]byte, unix.CmsgSpace(16))
	good[0], good[8], good[12], good[16] = byte(unix.CmsgLen(16)), unix.IPPROTO_IP, unix.IP_RECVERR, byte(unix.ECONNREFUSED)
	if e := extendedError(good); e != unix.ECONNREFUSED {
		t.Errorf("%v", e)
	}
	for n := range len(good) {
		if e := extendedError(good[:n]); e != 0 {
			t.Errorf("%d bytes: %v", n, e)
		}
	}
	for _, length := range []byte{0, 1, 15, 200} {
		bad := append([]byte(nil), good...)
		bad[0] = length
		if e := extendedError(bad); e != 0 {
			t.Errorf("length %d: %v", length, e)
		}
	}
}
