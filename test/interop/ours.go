package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Addresses: those of host 0 end in 1, those of host 1 in 2, those of host 2, which
// is at host 0's end, in 3.
var prefixes = [3][]netip.Prefix{
	{netip.MustParsePrefix("10.86.0.1/24"), netip.MustParsePrefix("fd86::1/64")},
	{netip.MustParsePrefix("10.86.0.2/24"), netip.MustParsePrefix("fd86::2/64")},
	{netip.MustParsePrefix("10.86.0.3/24"), netip.MustParsePrefix("fd86::3/64")},
}

// peerOf is who a host connects to.
func peerOf(num int) int {
	if num == 1 {
		return 0
	}
	return 1
}

func macOf(i int) wire.MAC { return wire.MAC{2, 0, 10, 86, 0, byte(i + 1)} }

func addrOf(i int, ip6 bool) netip.Addr {
	if ip6 {
		return prefixes[i][1].Addr()
	}
	return prefixes[i][0].Addr()
}

const mtu = 1500

// stackHost is our TCP/IP, driven by the lab's loop.
type stackHost struct {
	num     int // which of them
	stack   *netstack.Stack
	profile *sockopt.Profile
	link    int
	wire    func([]byte)
	scratch []byte
	socks   []*stackSock
	turns   int
	broken  error // what Audit found
}

// newStackHost makes host num with tunables by their names.
func newStackHost(num int, set map[string]string, seed uint64) (*stackHost, error) {
	profile, err := sockopt.ProfileByName("linux")
	if err != nil {
		return nil, err
	}
	tun, err := sockopt.NewTunables(profile, set)
	if err != nil {
		return nil, err
	}
	cfg := netstack.Config{Profile: profile, Tunables: tun}
	binary.BigEndian.PutUint64(cfg.Seed[:], seed)
	return &stackHost{num: num, stack: netstack.New(cfg), profile: profile}, nil
}

func (h *stackHost) join(l *lab, wire func([]byte)) (err error) {
	h.wire = wire
	h.stack.Advance(l.now)
	h.link, err = h.stack.AddLink(netstack.LinkConfig{Name: "eth0", MAC: macOf(h.num), MTU: mtu, Addrs: prefixes[h.num], Sink: h})
	return err
}

// leave has the stack forget everything and checks that it did.
func (h *stackHost) leave() error {
	for _, s := range h.socks {
		s.s.Abort()
	}
	h.stack.Flush()
	h.socks = nil
	if n := h.stack.Pool().InUse(); n != 0 {
		return fmt.Errorf("%d bytes of payload memory are held without a connection", n)
	}
	return h.broken
}

// Transmit implements netstack.Sink.
func (h *stackHost) Transmit(f *netstack.TxFrame) {
	h.scratch = append(h.scratch[:0], f.Buf[netstack.VnetRoom:]...)
	for _, p := range f.Payload {
		h.scratch = append(h.scratch, p...)
	}
	h.wire(h.scratch)
}

func (h *stackHost) receive(frame []byte) { h.stack.Input(h.link, &netstack.RxFrame{Data: frame}) }

func (h *stackHost) turn(now time.Duration) {
	h.stack.Advance(now)
	h.stack.Flush()
	if h.turns++; h.turns%64 == 0 && h.broken == nil {
		h.broken = h.stack.TCP().Audit()
	}
}

func (h *stackHost) deadline() (time.Duration, bool) { return h.stack.Deadline() }

// set sets an option by its name.
func (h *stackHost) set(s *tcp.Socket, name string, val []byte) error {
	for _, r := range h.profile.Rows() {
		if r.Name == name {
			_, err := h.profile.Set(s, r.Level, r.Number, val, sockopt.Privilege{NetAdmin: true})
			return err
		}
	}
	return errno.ENOPROTOOPT
}

func (h *stackHost) socket(o sockopts, p program) (*stackSock, error) {
	domain := sockopt.AFInet
	if o.ip6 {
		domain = sockopt.AFInet6
	}
	s := &stackSock{h: h, p: p}
	s.s = h.stack.NewTCP(domain, s)
	h.socks = append(h.socks, s)
	if o.congestion != "" {
		if err := h.set(s.s, "TCP_CONGESTION", []byte(o.congestion)); err != nil {
			return nil, fmt.Errorf("TCP_CONGESTION %s: %w", o.congestion, err)
		}
	}
	if o.md5 != "" {
		peer := addrOf(peerOf(h.num), o.ip6)
		if err := s.s.SetMD5Key(netip.PrefixFrom(peer, peer.BitLen()), []byte(o.md5)); err != nil {
			return nil, fmt.Errorf("MD5 key: %w", err)
		}
	}
	for _, b := range []struct {
		name  string
		bytes int
	}{{"SO_SNDBUF", o.sndbuf}, {"SO_RCVBUF", o.rcvbuf}} {
		if b.bytes == 0 {
			continue
		}
		if err := h.set(s.s, b.name, binary.NativeEndian.AppendUint32(nil, uint32(b.bytes))); err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return s, nil
}

func (h *stackHost) listen(port uint16, o sockopts, accepted func(socket) program) error {
	s, err := h.socket(o, nil)
	if err != nil {
		return err
	}
	s.accepted = accepted
	if o.fastOpen {
		s.s.Options().SetRare(func(r *sockopt.Rare) { r.FastOpen = 8 })
	}
	if err := s.s.Bind(netip.AddrPortFrom(addrOf(h.num, o.ip6), port), 0, sockopt.Privilege{NetBindService: true}); err != nil {
		return err
	}
	return s.s.Listen(8)
}

func (h *stackHost) connect(port uint16, o sockopts, p program) (socket, error) {
	s, err := h.socket(o, p)
	if err != nil {
		return nil, err
	}
	if o.fastOpen {
		s.s.Options().SetRare(func(r *sockopt.Rare) { r.FastOpenConnect = true })
	}
	if err := s.s.Connect(netip.AddrPortFrom(addrOf(peerOf(h.num), o.ip6), port)); err != nil && !errors.Is(err, errno.EINPROGRESS) {
		return nil, err
	}
	return s, nil
}

// stackSock is a socket of ours.
type stackSock struct {
	h        *stackHost
	s        *tcp.Socket
	p        program // nil: a listener
	accepted func(socket) program
	held     bool
	over     bool
}

// Deliver implements tcp.Owner.
func (s *stackSock) Deliver(b []byte) int {
	if s.held {
		return 0
	}
	urgent := -1
	if ahead, ok := s.s.UrgentOffset(); ok && ahead < len(b) {
		urgent = ahead
	}
	s.p.took(b, urgent)
	return len(b)
}

// Event implements tcp.Owner.
func (s *stackSock) Event(ev tcp.Events) {
	if s.p == nil {
		s.accept()
		return
	}
	if s.over {
		return
	}
	if ev&tcp.EventConnected != 0 {
		s.p.connected()
	}
	if ev&tcp.EventEOF != 0 {
		s.p.ended()
	}
	if ev&tcp.EventError != 0 {
		s.over = true
		s.p.failed(s.s.Err())
		return
	}
	if !s.over {
		s.p.writable()
	}
}

func (s *stackSock) accept() {
	for {
		c, err := s.s.Accept()
		if err != nil {
			return
		}
		a := &stackSock{h: s.h, s: c}
		s.h.socks = append(s.h.socks, a)
		a.p = s.accepted(a)
		c.SetOwner(a)
		c.Resume()
		a.p.writable()
	}
}

func (s *stackSock) write(p []byte) int       { return s.s.Write(p) }
func (s *stackSock) writeUrgent(p []byte) int { return s.s.WriteUrgent(p) }
func (s *stackSock) closeWrite()              { s.s.CloseWrite() }
func (s *stackSock) close()                   { s.over = true; s.s.Close() }
func (s *stackSock) abort()                   { s.over = true; s.s.Abort() }

func (s *stackSock) hold(on bool) {
	if s.held = on; !on && !s.over {
		s.s.Resume()
	}
}

func (s *stackSock) vitals() vitals {
	var i sockopt.TCPInfo
	s.s.Info(&i)
	return vitalsOf(&i)
}
