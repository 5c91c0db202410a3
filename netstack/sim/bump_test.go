package sim

import (
	"container/heap"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A bump is the world of the inline path: a host A whose only link leads to a
// transparent one, the two stacks between which everything is spliced or
// forwarded, and a host B on the far side.
//
//	A ──near── inner ╌╌splice╌╌ outer ──far── B
type bump struct {
	t      testing.TB
	now    time.Duration
	rng    Rand
	queue  eventQueue
	serial uint64

	a, inner, outer, b *netstack.Stack
	all                []*netstack.Stack
	near, far          Way
	splices            int // open
	log                func(to string, f []byte)
}

var (
	macHost = wire.MAC{2, 0, 10, 0, 0, 2} // of A, and of outer, which stands for it
	macLink = wire.MAC{2, 0, 10, 0, 0, 3}
	macB    = wire.MAC{2, 0, 10, 0, 0, 1}
)

const (
	addrA  = "10.0.0.2"
	addrA6 = "fd00::2"
	addrB  = "10.0.0.1"
	addrB6 = "fd00::1"
	farB   = "192.0.2.1" // behind the gateway, which B is
	farB6  = "2001:db8::1"
)

func newBump(t testing.TB, seed uint64, near, far Way) *bump {
	w := &bump{t: t, now: 1000 * time.Second, rng: Rand{state: seed}, near: near, far: far}
	stack := func() *netstack.Stack {
		var c netstack.Config
		for i := range c.Seed {
			c.Seed[i] = byte(w.rng.Uint64())
		}
		s := netstack.New(c)
		w.all = append(w.all, s)
		return s
	}
	w.a, w.inner, w.outer, w.b = stack(), stack(), stack(), stack()
	add := func(s *netstack.Stack, c netstack.LinkConfig, gateways ...string) {
		c.Name = "eth0"
		if c.MTU == 0 {
			c.MTU = 1500
		}
		if _, err := s.AddLink(c); err != nil {
			t.Fatal(err)
		}
		for _, g := range gateways {
			a := netip.MustParseAddr(g)
			def := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
			if a.Is6() {
				def = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
			}
			if err := s.AddRoute(netstack.Route{Dst: def, Gateway: a}); err != nil {
				t.Fatal(err)
			}
		}
	}
	pod := []netip.Prefix{netip.MustParsePrefix(addrA + "/24"), netip.MustParsePrefix(addrA6 + "/64")}
	add(w.a, netstack.LinkConfig{MAC: macHost, MTU: near.MTU, Addrs: pod, Sink: &bumpLine{w, &w.near, w.inner, "inner"}}, addrB, addrB6)
	add(w.inner, netstack.LinkConfig{MAC: macLink, MTU: near.MTU, Transparent: true, PeerMAC: macHost,
		Peers: []netip.Addr{netip.MustParseAddr(addrA), netip.MustParseAddr(addrA6)}, Sink: &bumpLine{w, &w.near, w.a, "a"}})
	add(w.outer, netstack.LinkConfig{MAC: macHost, MTU: far.MTU, Addrs: pod, Sink: &bumpLine{w, &w.far, w.b, "b"}}, addrB, addrB6)
	add(w.b, netstack.LinkConfig{MAC: macB, Addrs: []netip.Prefix{
		netip.MustParsePrefix(addrB + "/24"), netip.MustParsePrefix(addrB6 + "/64"),
		netip.MustParsePrefix(farB + "/32"), netip.MustParsePrefix(farB6 + "/128")}, Sink: &bumpLine{w, &w.far, w.outer, "outer"}})
	w.inner.SetForwarder(forwardTo{w.inner, w.outer})
	w.outer.SetForwarder(forwardTo{w.outer, w.inner})
	w.inner.TCP().SetOffer(func(p *tcp.Pending) bool { return w.splice(p, w.inner, w.outer) })
	w.outer.TCP().SetOffer(func(p *tcp.Pending) bool { return w.splice(p, w.outer, w.inner) })
	w.run(3*time.Second, nil) // everything is announced
	return w
}

// bumpLine carries frames to a stack, with what a Way does to them.
type bumpLine struct {
	w   *bump
	way *Way
	to  *netstack.Stack
	who string
}

func (l *bumpLine) Transmit(f *netstack.TxFrame) {
	data := append([]byte(nil), f.Buf[netstack.VnetRoom:]...)
	for _, p := range f.Payload {
		data = append(data, p...)
	}
	if l.w.log != nil {
		l.w.log(l.who, data)
	}
	r := &l.w.rng
	if r.Chance(l.way.Loss) {
		return
	}
	at := l.way.Delay
	if r.Chance(l.way.Reorder) {
		at += time.Duration(r.Intn(int(max(4*l.way.Delay, time.Millisecond))))
	}
	arrive := func() { l.to.Input(1, &netstack.RxFrame{Data: data}) }
	l.w.after(at, arrive)
	if r.Chance(l.way.Duplicate) {
		l.w.after(at+time.Duration(r.Intn(int(time.Millisecond))), arrive)
	}
}

func (w *bump) after(d time.Duration, f func()) {
	w.serial++
	heap.Push(&w.queue, event{w.now + d, w.serial, f})
}

// run lets time pass until done, or for limit.
func (w *bump) run(limit time.Duration, done func() bool) bool {
	end := w.now + limit
	for {
		for _, s := range w.all {
			s.Advance(w.now)
			s.Flush()
		}
		if done != nil && done() {
			return true
		}
		at := end
		if len(w.queue) > 0 {
			at = min(at, w.queue[0].at)
		}
		for _, s := range w.all {
			if d, ok := s.Deadline(); ok {
				at = min(at, d)
			}
		}
		w.now = max(w.now, at)
		if w.now >= end {
			return false
		}
		for len(w.queue) > 0 && w.queue[0].at <= w.now {
			heap.Pop(&w.queue).(event).run()
		}
	}
}

// forwardTo hands on what one stack offers to the other.
type forwardTo struct{ from, to *netstack.Stack }

func (f forwardTo) Packet(p *netstack.ForwardPacket) bool {
	p2 := *p
	p2.Link = 0
	if err := f.to.Forward(&p2); err != nil {
		p.MTU = p2.MTU
		f.from.Reject(p, err.(errno.Errno))
	}
	return true
}

// A half is one side of a spliced connection.
type half struct {
	w     *bump
	s     *tcp.Socket
	other *half
	offer *tcp.Pending // Valid iff this side is still connecting on its behalf
	done  bool
}

// splice answers a SYN on one stack as the other side answers.
func (w *bump) splice(p *tcp.Pending, from, to *netstack.Stack) bool {
	h := &half{w: w, offer: p}
	h.s = to.NewTCP(p.Domain(), h)
	err := h.s.ConnectFrom(p.Remote(), p.Local())
	if err == errno.EADDRNOTAVAIL && to == w.outer || err == errno.EADDRINUSE {
		err = h.s.ConnectFrom(netip.AddrPortFrom(p.Remote().Addr(), 0), p.Local())
	}
	if err != errno.EINPROGRESS {
		p.Unreachable(err.(errno.Errno))
		return true
	}
	p.SetOwner(h)
	w.splices++
	h.other = &half{w: w, other: h}
	h.other.s = from.NewTCP(p.Domain(), h.other)
	return true
}

// Gone: nobody waits for the connection any more.
func (h *half) Gone(*tcp.Pending) {
	h.offer = nil
	h.s.Abort()
	h.end()
}

func (h *half) end() {
	if !h.done {
		h.done = true
		h.w.splices--
	}
}

func (h *half) Deliver(p []byte) int {
	if ahead, ok := h.s.UrgentOffset(); ok && ahead == 0 {
		return h.other.s.WriteUrgent(p)
	}
	n := h.other.s.Write(p)
	if n < len(p) {
		h.other.s.SendSpace() // none: EventWritable will tell of more
	}
	return n
}

func (h *half) Event(ev tcp.Events) {
	if p := h.offer; p != nil {
		h.connecting(p, ev)
		return
	}
	o := h.other
	if ev&tcp.EventError != 0 {
		o.s.Abort()
		h.close()
		return
	}
	if ev&tcp.EventWritable != 0 {
		o.s.Resume()
	}
	if ev&tcp.EventEOF != 0 {
		o.s.CloseWrite()
	}
	if ev&tcp.EventClosed != 0 && !h.done {
		h.close()
	}
}

func (h *half) close() {
	h.s.Close()
	h.done = true
	if h.other.done || h.other.s.State() == tcp.StateClosed {
		h.other.done = true
		h.w.splices--
	}
}

// connecting is the verdict of the other side.
func (h *half) connecting(p *tcp.Pending, ev tcp.Events) {
	switch {
	case ev&tcp.EventConnected != 0:
		h.offer = nil
		if err := p.Accept(h.other.s); err != nil {
			h.s.Abort()
			h.end()
		}
	case ev&tcp.EventError != 0:
		h.offer = nil
		if e := h.s.Err(); e == errno.ECONNREFUSED {
			p.Refuse()
		} else if e == errno.ETIMEDOUT {
			p.Drop()
		} else {
			p.Unreachable(e)
		}
		h.end()
	}
}

// app is a program at one of the ends.
type app struct {
	w                 *bump
	s                 *tcp.Socket
	key, peerKey      uint64
	toSend, sent, got int
	limit             int // bytes that it reads, -1: all
	keep              bool
	urgentAt          int // the byte that is sent urgent, -1: none
	urgent            []int

	connected, eof, closed bool
	err                    errno.Errno
	bad                    error
}

func (a *app) Deliver(p []byte) int {
	n := len(p)
	if a.limit >= 0 {
		n = min(n, a.limit-a.got)
	}
	if ahead, ok := a.s.UrgentOffset(); ok && ahead == 0 && n > 0 {
		a.urgent = append(a.urgent, a.got)
	}
	for i := range n {
		if a.bad == nil && p[i] != at(a.peerKey, a.got+i) {
			a.bad = fmt.Errorf("byte %d is wrong", a.got+i)
		}
	}
	a.got += n
	return n
}

func (a *app) Event(ev tcp.Events) {
	if ev&tcp.EventConnected != 0 {
		a.connected = true
	}
	if ev&tcp.EventError != 0 {
		a.err = a.s.Err()
	}
	if ev&tcp.EventEOF != 0 {
		a.eof = true
	}
	if ev&tcp.EventClosed != 0 {
		a.closed = true
	}
	a.pump()
}

func (a *app) pump() {
	for a.sent < a.toSend {
		n := min(a.s.SendSpace(), a.toSend-a.sent, 32<<10)
		if n <= 0 {
			return
		}
		urgent := a.urgentAt >= a.sent && a.urgentAt < a.sent+n
		if urgent {
			n = a.urgentAt + 1 - a.sent
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = at(a.key, a.sent+i)
		}
		if urgent {
			a.sent += a.s.WriteUrgent(b)
		} else {
			a.sent += a.s.Write(b)
		}
	}
	if !a.keep {
		a.s.CloseWrite()
	}
}

// listen makes apps of what connects to addr of s.
func (w *bump) listen(s *netstack.Stack, addr string, make func() *app) *listening {
	to := netip.MustParseAddrPort(addr)
	domain := sockopt.AFInet
	if to.Addr().Is6() {
		domain = sockopt.AFInet6
	}
	l := &listening{make: make, w: w}
	l.s = s.NewTCP(domain, l)
	if err := l.s.Bind(to, 0, sockopt.Privilege{NetBindService: true}); err != nil {
		w.t.Fatal(err)
	}
	if err := l.s.Listen(64); err != nil {
		w.t.Fatal(err)
	}
	return l
}

type listening struct {
	w    *bump
	s    *tcp.Socket
	make func() *app
	apps []*app
}

func (l *listening) Deliver(p []byte) int { return 0 }
func (l *listening) Event(ev tcp.Events) {
	for {
		c, err := l.s.Accept()
		if err != nil {
			return
		}
		a := l.make()
		a.w, a.s, a.connected = l.w, c, true
		l.apps = append(l.apps, a)
		c.SetOwner(a)
		c.Resume()
		a.pump()
	}
}

func (w *bump) connect(s *netstack.Stack, addr string, a *app) *app {
	to := netip.MustParseAddrPort(addr)
	domain := sockopt.AFInet
	if to.Addr().Is6() {
		domain = sockopt.AFInet6
	}
	a.w, a.s = w, s.NewTCP(domain, a)
	if err := a.s.Connect(to); err != errno.EINPROGRESS {
		w.t.Fatal(err)
	}
	return a
}

// clean lets everything end and reports what is left.
func (w *bump) clean() error {
	w.run(20*time.Minute, nil)
	names := []string{"a", "inner", "outer", "b"}
	for i, s := range w.all {
		if n := s.Pool().InUse(); n != 0 {
			return fmt.Errorf("%s: %d bytes left", names[i], n)
		}
		if n := s.TCP().PendingLen(); n != 0 {
			return fmt.Errorf("%s: %d offers left", names[i], n)
		}
		for c := range s.TCP().Sockets {
			if c.State() != tcp.StateListen {
				return fmt.Errorf("%s: %v %v left in %v", names[i], c.LocalAddr(), c.RemoteAddr(), c.State())
			}
		}
	}
	if w.splices != 0 {
		return fmt.Errorf("%d splices left", w.splices)
	}
	return nil
}
