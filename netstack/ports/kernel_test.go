package ports

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestKernelAgreesWithTheOracle binds real sockets on the loopback of a network
// namespace of its own: every pair of the small space, TCP (with the first and
// then the second listening) and UDP. No packet is sent.
func TestKernelAgreesWithTheOracle(t *testing.T) {
	inNamespace(t, func() {
		all := users()
		for _, first := range all {
			for _, second := range all {
				checkKernel(t, first, second, false)
				checkKernel(t, first, second, true)
				checkKernelUDP(t, first, second)
			}
		}
	})
}

// inNamespace runs f on a thread with a network namespace of its own.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread and its namespace end with the goroutine
		if err := enterNamespace(); err != nil {
			done <- err
			return
		}
		f()
	}()
	switch err := <-done; {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("a network namespace is needed: %v", err)
	case err != nil:
		t.Skipf("a network namespace needs root: %v", err)
	}
}

// TestKernelAgreesWithThePolicy asks it about the addresses that are not a
// host's: profile linux answers a TCP socket the same.
func TestKernelAgreesWithThePolicy(t *testing.T) {
	profile, err := sockopt.ProfileByName("linux")
	if err != nil {
		t.Fatal(err)
	}
	p := &profile.Bind
	inNamespace(t, func() {
		for _, c := range []struct {
			what, addr string
			only       bool
			want       errno.Errno
		}{
			{"broadcast", "255.255.255.255", false, p.LimitedBroadcast},
			{"broadcast of lo", "127.255.255.255", false, p.LinkBroadcast},
			{"multicast", "224.0.0.251", false, p.Multicast4},
			{"IPv6 multicast", "ff0e::1", false, p.Multicast6},
			{"mapped", "::ffff:127.0.0.1", false, 0},
			{"mapped, IPV6_V6ONLY", "::ffff:127.0.0.1", true, p.MappedV6Only},
			{"nobody's", "192.0.2.1", false, errno.EADDRNOTAVAIL},
		} {
			addr := netip.MustParseAddr(c.addr)
			var sa syscall.Sockaddr = &syscall.SockaddrInet6{Port: testPort, Addr: addr.As16()}
			domain := syscall.AF_INET6
			if addr.Is4() {
				sa, domain = &syscall.SockaddrInet4{Port: testPort, Addr: addr.As4()}, syscall.AF_INET
			}
			fd, err := syscall.Socket(domain, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
			if err == nil && c.only {
				err = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1)
			}
			if err != nil {
				t.Error(err)
				return
			}
			got := errno.Errno(0)
			if e, ok := syscall.Bind(fd, sa).(syscall.Errno); ok {
				got = errno.Errno(e)
			}
			if got != c.want {
				t.Errorf("%s: the kernel says %v, the profile %v", c.what, got, c.want)
			}
			syscall.Close(fd)
		}
	})
}

const testPort = 4001

func checkKernel(t *testing.T, first, second user, listens bool) {
	for _, u := range []user{first, second} {
		if e := endpoints[u.at]; e.v6 && e.addr.IsMulticast() {
			return // EINVAL, see TestKernelAgreesWithThePolicy
		}
	}
	a := open(t, first, syscall.SOCK_STREAM)
	b := open(t, second, syscall.SOCK_STREAM)
	defer syscall.Close(a)
	defer syscall.Close(b)
	if err := bind(a, first); err != nil {
		t.Errorf("%v alone: %v", first, err)
		return
	}
	if listens {
		if err := syscall.Listen(a, 1); err != nil {
			t.Errorf("%v listens alone: %v", first, err)
			return
		}
	}
	want := mayShare(first, second, listens)
	err := bind(b, second)
	if err != nil && err != syscall.EADDRINUSE || (err == nil) != want {
		t.Errorf("kernel: %v (listening: %v), then %v: %v, the oracle says %v", first, listens, second, err, want)
	}
	if err == nil && want {
		if err := syscall.Listen(b, 1); err != nil {
			t.Errorf("kernel: %v (listening: %v), then %v listens: %v", first, listens, second, err)
		}
	}
}

func checkKernelUDP(t *testing.T, first, second user) {
	a := open(t, first, syscall.SOCK_DGRAM)
	b := open(t, second, syscall.SOCK_DGRAM)
	defer syscall.Close(a)
	defer syscall.Close(b)
	if err := bind(a, first); err != nil {
		t.Errorf("udp: %v alone: %v", first, err)
		return
	}
	err := bind(b, second)
	if want := mayShare(first, second, false); err != nil && err != syscall.EADDRINUSE || (err == nil) != want {
		t.Errorf("kernel: udp: %v, then %v: %v, the oracle says %v", first, second, err, want)
	}
}

// open makes a socket that belongs to the user: the file system's user id of the
// thread at that moment.
func open(t *testing.T, u user, typ int) int {
	syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(u.uid), 0, 0)
	e := endpoints[u.at]
	domain := syscall.AF_INET
	if e.v6 {
		domain = syscall.AF_INET6
	}
	fd, err := syscall.Socket(domain, typ|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		runtime.Goexit()
	}
	set := func(level, name int, on bool) {
		if on {
			err = errors.Join(err, syscall.SetsockoptInt(fd, level, name, 1))
		}
	}
	set(syscall.SOL_SOCKET, syscall.SO_REUSEADDR, u.reuseAddr)
	set(syscall.SOL_SOCKET, 15, u.reusePort)
	set(syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, e.v6only)
	const ipv6Freebind = 78
	set(syscall.IPPROTO_IPV6, ipv6Freebind, e.name == "[::2]") // lo has one address of the family
	if err != nil {
		t.Error(err)
		runtime.Goexit()
	}
	return fd
}

func bind(fd int, u user) error {
	e := endpoints[u.at]
	if e.v6 {
		return syscall.Bind(fd, &syscall.SockaddrInet6{Port: testPort, Addr: e.addr.As16()})
	}
	return syscall.Bind(fd, &syscall.SockaddrInet4{Port: testPort, Addr: e.addr.As4()})
}

// enterNamespace moves the thread to a new network namespace with loopback up.
func enterNamespace() error {
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	request := struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{name: [syscall.IFNAMSIZ]byte{'l', 'o'}, flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); e != 0 {
		return e
	}
	return nil
}
