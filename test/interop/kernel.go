package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack"
)

// kernelHost is the kernel's TCP/IP in a network namespace of its own, behind a
// TAP. It can be in one lab after another.
type kernelHost struct {
	num   int
	hold  *os.File // the namespace, which goes with this process whatever ends it
	ns    string   // its path
	tap   *hostlink.TAP
	lab   *lab
	tag   uint64
	wire  func([]byte)
	buf   []byte
	out   netstack.TxFrame
	socks map[*kernelSock]bool
}

// newKernelHost makes host num with its namespace in dir.
func newKernelHost(num int, dir string) (h *kernelHost, err error) {
	h = &kernelHost{num: num, socks: make(map[*kernelSock]bool)}
	h.buf = make([]byte, hostlink.FrameRoom)
	h.out.Buf = make([]byte, netstack.VnetRoom, netstack.VnetRoom+2048)
	if err := h.namespace(filepath.Join(dir, fmt.Sprintf("kernel%d", num))); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = h.remove()
		}
	}()
	mac := macOf(num)
	h.tap, err = hostlink.OpenTAP(hostlink.TAPConfig{Name: "eth0", NetNS: h.ns, MTU: mtu, MAC: mac[:], Up: true})
	if err != nil {
		return nil, err
	}
	// The kernel cuts its super-segments before the cable, whose line is asked
	// about packets.
	if err := unix.IoctlSetInt(h.tap.FD(), unix.TUNSETOFFLOAD, 0); err != nil {
		return nil, os.NewSyscallError("TUNSETOFFLOAD", err)
	}
	return h, hostlink.InNetNS(h.ns, h.configure)
}

// namespace makes the namespace by way of a file that does not stay.
func (h *kernelHost) namespace(file string) (err error) {
	if err := hostlink.NewNetNS(file); err != nil {
		return err
	}
	h.hold, err = os.Open(file)
	if err := errors.Join(err, hostlink.DeleteNetNS(file)); err != nil {
		return err
	}
	h.ns = fmt.Sprintf("/proc/self/fd/%d", h.hold.Fd())
	return nil
}

func (h *kernelHost) configure() error {
	for _, name := range []string{"lo", "eth0"} {
		dev, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(dev); err != nil {
			return err
		}
		if name == "lo" {
			continue
		}
		for _, p := range prefixes[h.num] {
			a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
			if p.Addr().Is6() {
				a.Flags = unix.IFA_F_NODAD
			}
			if err := netlink.AddrAdd(dev, a); err != nil {
				return fmt.Errorf("address %v: %w", p, err)
			}
		}
	}
	// What one conversation found out about the path is not the next one's.
	return setSysctls(map[string]string{"tcp_no_metrics_save": "1"})
}

// setSysctls writes below net.ipv4 of the current namespace.
func setSysctls(set map[string]string) error {
	for name, value := range set {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// set writes sysctls of the host's namespace.
func (h *kernelHost) set(values map[string]string) error {
	return hostlink.InNetNS(h.ns, func() error { return setSysctls(values) })
}

// remove takes the namespace away.
func (h *kernelHost) remove() error {
	var errs []error
	if h.tap != nil {
		errs = append(errs, h.tap.Close())
	}
	return errors.Join(append(errs, h.hold.Close())...)
}

func (h *kernelHost) join(l *lab, wire func([]byte)) (err error) {
	h.lab, h.wire = l, wire
	h.tag, err = l.add(h.tap.FD(), hostlink.In, func(uint32) { h.read() })
	return err
}

func (h *kernelHost) leave() error {
	for s := range h.socks {
		s.abort()
	}
	h.lab.remove(h.tap.FD(), h.tag)
	return nil
}

// frameBatch bounds what is read before sockets and time get their turn.
const frameBatch = 256

func (h *kernelHost) read() {
	for range frameBatch {
		f, err := h.tap.ReadFrame(h.buf)
		if err != nil {
			return
		}
		h.wire(f.Data)
	}
}

func (h *kernelHost) receive(frame []byte) {
	h.out.Buf = append(h.out.Buf[:netstack.VnetRoom], frame...)
	h.tap.Transmit(&h.out)
}

func (h *kernelHost) turn(time.Duration) {}

func (h *kernelHost) deadline() (time.Duration, bool) { return 0, false }

// socket makes a kernel socket in the host's namespace.
func (h *kernelHost) socket(o sockopts) (fd int, err error) {
	domain := unix.AF_INET
	if o.ip6 {
		domain = unix.AF_INET6
	}
	err = hostlink.InNetNS(h.ns, func() (err error) {
		fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return os.NewSyscallError("socket", err)
	})
	if err != nil {
		return -1, err
	}
	if err := h.options(fd, o); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (h *kernelHost) options(fd int, o sockopts) error {
	inline := 1
	if o.outOfLine {
		inline = 0
	}
	for _, set := range []struct {
		name                 string
		level, number, value int
		on                   bool
	}{
		{"SO_OOBINLINE", unix.SOL_SOCKET, unix.SO_OOBINLINE, inline, true},
		{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1, true},
		{"SO_SNDBUFFORCE", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, o.sndbuf, o.sndbuf > 0},
		{"SO_RCVBUFFORCE", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, o.rcvbuf, o.rcvbuf > 0},
	} {
		if set.on {
			if err := unix.SetsockoptInt(fd, set.level, set.number, set.value); err != nil {
				return os.NewSyscallError(set.name, err)
			}
		}
	}
	if o.md5 != "" {
		if err := setMD5(fd, addrOf(peerOf(h.num), o.ip6), o.md5); err != nil {
			return os.NewSyscallError("TCP_MD5SIG", err)
		}
	}
	if o.congestion != "" {
		if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, o.congestion); err != nil {
			return fmt.Errorf("TCP_CONGESTION %s: %w", o.congestion, err)
		}
	}
	return nil
}

// setMD5 has segments to and from peer signed (RFC 2385).
func setMD5(fd int, peer netip.Addr, key string) error {
	var sig unix.TCPMD5Sig
	sig.Keylen = uint16(copy(sig.Key[:], key))
	// struct sockaddr_in or sockaddr_in6, without a port.
	sig.Addr.Family = unix.AF_INET
	at := (*[unix.SizeofSockaddrAny]byte)(unsafe.Pointer(&sig.Addr))
	if peer.Is4() {
		copy(at[4:], peer.AsSlice())
	} else {
		sig.Addr.Family = unix.AF_INET6
		copy(at[8:], peer.AsSlice())
	}
	return unix.SetsockoptTCPMD5Sig(fd, unix.IPPROTO_TCP, unix.TCP_MD5SIG, &sig)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

func (h *kernelHost) listen(port uint16, o sockopts, accepted func(socket) program) error {
	fd, err := h.socket(o)
	if err != nil {
		return err
	}
	s := &kernelSock{h: h, fd: fd, listener: true, outOfLine: o.outOfLine}
	h.socks[s] = true
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(addrOf(h.num, o.ip6), port))); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if o.fastOpen {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 8); err != nil {
			return os.NewSyscallError("TCP_FASTOPEN", err)
		}
	}
	if err := unix.Listen(fd, 8); err != nil {
		return os.NewSyscallError("listen", err)
	}
	s.tag, err = h.lab.add(fd, hostlink.In, func(uint32) {
		for {
			c, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			a := &kernelSock{h: h, fd: c, up: true, outOfLine: o.outOfLine}
			h.socks[a] = true
			a.p = accepted(a)
			if err := a.watch(); err != nil {
				a.p.failed(err)
			}
		}
	})
	return err
}

func (h *kernelHost) connect(port uint16, o sockopts, p program) (socket, error) {
	fd, err := h.socket(o)
	if err != nil {
		return nil, err
	}
	s := &kernelSock{h: h, fd: fd, p: p, outOfLine: o.outOfLine}
	h.socks[s] = true
	if o.fastOpen {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1); err != nil {
			return nil, os.NewSyscallError("TCP_FASTOPEN_CONNECT", err)
		}
	}
	err = unix.Connect(fd, sockaddr(netip.AddrPortFrom(addrOf(peerOf(h.num), o.ip6), port)))
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, os.NewSyscallError("connect", err)
	}
	return s, s.watch()
}
