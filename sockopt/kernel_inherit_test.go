package sockopt

import (
	"bytes"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// What an accepted socket has of its listener's options, against the kernel:
// connections over the loopback of a network namespace of its own.
func TestKernelAgreesOnInheritance(t *testing.T) {
	p := kernelProfile(t)
	done := make(chan error, 1)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread and its namespace end with the goroutine
		if err := enterNamespace(); err != nil {
			done <- err
			return
		}
		for i := range p.rows {
			inheritRow(t, p, &p.rows[i], AFInet)
			inheritRow(t, p, &p.rows[i], AFInet6)
		}
	}()
	switch err := <-done; {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("a network namespace is needed: %v", err)
	case err != nil:
		t.Skipf("a network namespace needs root: %v", err)
	}
}

func inheritRow(t *testing.T, p *Profile, row *Row, domain int) {
	notCompared := map[string]bool{
		"TCP_MAXSEG":              true, // a connection shows its own
		"TCP_WINDOW_CLAMP":        true, // a kernel connection without one shows the largest window
		"SO_BINDTODEVICE":         true, // the kernel gives the child the link that the SYN came by
		"SO_BINDTOIFINDEX":        true,
		"IP_BIND_ADDRESS_NO_PORT": true, // nothing listens without a port
		"TCP_QUICKACK":            true, // a connection changes it by itself
		"IPV6_MTU":                true, // it reads the path's
		"IPV6_V6ONLY":             true, // the kernel shows 1 for a child of a listener on one IPv6 address
		"TCP_RTO_MAX_MS":          true, // the kernel counts in ticks
		"SO_INCOMING_CPU":         true, // the kernel gives the child the processor that took the SYN
		"SO_BUF_LOCK":             true, // the kernel tunes what is not locked
	}
	if row.Refuse != 0 || row.On == UDPOnly || row.Access != ReadWrite || differences[row.Name] != "" || notCompared[row.Name] || row.Codec == Struct {
		return
	}
	for _, val := range [][]byte{intBytes(1), intBytes(0), intBytes(5), intBytes(60000), append(intBytes(1), intBytes(7)...), append(intBytes(9), make([]byte, 12)...), []byte("reno")} {
		listener, child := acceptWith(t, row, domain, val)
		if child < 0 {
			continue
		}
		s := newFake(p, domain, SockStream)
		if _, err := p.Set(s, row.Level, row.Number, val, ownPrivilege()); err != nil {
			t.Errorf("%s: set %x: %v", row.Name, val, err)
		}
		c := newFake(p, domain, SockStream)
		p.Inherit(&c.opts, &s.opts)
		c.isActive = true
		got, err := p.Get(c, row.Level, row.Number, 64)
		want, e := kernelGet(child, row.Level, row.Number, 64)
		if errno.Of(err) != e || !bytes.Equal(got, want) {
			t.Errorf("%s: the child of a listener with %x: %x %v, the kernel says %x %v", row.Name, val, got, err, want, symbol(e))
		}
		syscall.Close(listener)
		syscall.Close(child)
	}
}

// acceptWith accepts one connection on a listener that took the value; child is
// negative when it did not take it.
func acceptWith(t *testing.T, row *Row, domain int, val []byte) (listener, child int) {
	fail := func(err error) {
		if err != nil {
			t.Errorf("%s: %v", row.Name, err)
			runtime.Goexit()
		}
	}
	open := func() int {
		fd, err := syscall.Socket(domain, SockStream|syscall.SOCK_CLOEXEC, 0)
		fail(err)
		return fd
	}
	listener = open()
	if kernelSet(listener, row.Level, row.Number, val) != 0 {
		syscall.Close(listener)
		return -1, -1
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	var addr syscall.Sockaddr = &syscall.SockaddrInet4{Addr: loopback.As4()}
	if domain == AFInet6 {
		addr = &syscall.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}
	}
	fail(syscall.Bind(listener, addr))
	fail(syscall.Listen(listener, 1))
	addr, err := syscall.Getsockname(listener)
	fail(err)
	client := open()
	defer syscall.Close(client)
	fail(syscall.Connect(client, addr))
	if row.ID == DeferAccept {
		_, err := syscall.Write(client, []byte{1})
		fail(err)
	}
	child, _, err = syscall.Accept(listener)
	fail(err)
	return listener, child
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
