package engine

// The inline path: programs that nobody intercepts have the kernel's sockets,
// and the kernel's packets come out of eth0. A second stack, inner, ends their
// TCP here; everything else crosses as it is (inline_forward.go).

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Bounds of the inline path, of which Config.MaxSockets is another. Beyond them a
// SYN is dropped, as a full queue of listen(2) would; its sender tries again.
const (
	maxSplices = 16384
	maxDialled = 4096 // of which the engine dials
)

// inline is the state of the inline path.
type inline struct {
	stack   *netstack.Stack // towards the sandbox's kernel; nil: there is none
	profile *sockopt.Profile
	all     []*splice
	max     int       // of all
	dialled int       // of all, those of which one end is being dialled
	dirty   []*splice // have something to act upon
	spare   []*splice // memory for the next dirty
	waiting []*splice // hold a reset back
	kernel  kernelEnds
	stats   InlineStatus

	refusals refusals // Config.RefusePlain
}

// openInner makes the stack that faces the sandbox's kernel, whose link is p.
func (e *engine) openInner(p *port) error {
	profile, err := sockopt.ProfileByName(innerProfile)
	if err != nil {
		return err
	}
	e.inline.profile = profile
	e.inline.tune(e.profile.Tunables)
	cfg := netstack.Config{Profile: profile, Tunables: profile.Tunables, Pool: e.stack.Pool()}
	hostlink.Entropy(cfg.Seed[:])
	s := netstack.New(cfg)
	s.TCP().SetFINDelay(finDelay)
	e.keepTies(s, innerTies)
	s.Advance(e.now)
	link, err := e.innerLink(p)
	if err != nil {
		return err
	}
	if p.num, err = s.AddLink(link); err != nil {
		return fmt.Errorf("inner: %w", err)
	}
	p.stack = s
	e.inline.stack, e.inline.max = s, min(maxSplices, e.cfg.MaxSockets)
	e.stack.UDP().SetOffer(e.offeredDatagram)
	if e.cfg.RefusePlain {
		e.refuseInner(s)
		return nil
	}
	s.TCP().SetOffer(e.offeredOut)
	s.SetForwarder(forwarder{s, e.stack, nil, &e.inline.stats.PacketsOut})
	e.stack.TCP().SetOffer(e.offeredIn)
	e.stack.SetForwarder(forwarder{e.stack, s, &e.cross, &e.inline.stats.PacketsIn})
	return nil
}

// innerProfile is the system that the sandbox's kernel meets, with its defaults: as
// good a peer as there is. The profile and the tunables of the sandbox are about
// what the network sees.
const innerProfile = "linux"

// tune sets what is not Linux's default. Between two ends of a virtual cable no
// segment is late: the kernel may use a port again at once. The stack refuses what
// the other side has refused, which is no attempt in vain. Bounds on memory are
// those of the sandbox.
func (in *inline) tune(outer *sockopt.Tunables) {
	t := in.profile.Tunables
	t.TwReuse, t.Blackhole, t.LogInVain = 1, 0, 0
	t.TCPMem, t.MaxOrphans = outer.TCPMem, outer.MaxOrphans
}

// innerLink describes the TAP that the sandbox shows as its interface.
func (e *engine) innerLink(p *port) (netstack.LinkConfig, error) {
	peer, err := e.cfg.peerAddr()
	if err != nil {
		return netstack.LinkConfig{}, err
	}
	cfg := netstack.LinkConfig{
		Name: e.cfg.Ifname, MAC: gatewayMAC(peer), MTU: e.cfg.MTU,
		TxChecksum: true, TSO: true, Sink: p.Link,
		Transparent: true, PeerMAC: peer,
	}
	for _, a := range e.cfg.Addrs {
		cfg.Peers = append(cfg.Peers, a.Addr())
	}
	return cfg, nil
}

// gatewayMAC is the address that the engine answers with for everybody whom the
// sandbox's kernel looks for: locally administered, and not the kernel's own.
func gatewayMAC(peer wire.MAC) wire.MAC {
	m := wire.MAC{0x02, 't', 'c', 'p', 'c', 'n'}
	if m == peer {
		m[5]++
	}
	return m
}

// offeredOut takes a SYN that the sandbox's kernel has sent.
func (e *engine) offeredOut(p *tcp.Pending) bool {
	s := e.newSplice(p, false)
	if s == nil {
		return true
	}
	e.inline.stats.Out++
	x := s.dials(e.stack, p.Domain())
	// The container's marking of its traffic stays (RFC 2474); the lowest bits
	// belong to each connection's own congestion signals.
	o := x.sock.Options()
	o.TOS, o.TClass = p.TOS()&^3, p.TOS()&^3
	x.started(e.connectFar(x, p.Remote(), p.Local()))
	return true
}

// offeredIn takes a SYN that none of the intercepted sockets listens for, from
// the network or from one of them to the sandbox itself.
func (e *engine) offeredIn(p *tcp.Pending) bool {
	if p.Link() == netstack.LoopbackLink {
		return e.offeredLoopback(p)
	}
	s := e.newSplice(p, true)
	if s == nil {
		return true
	}
	e.inline.stats.In++
	x := s.dials(e.inline.stack, p.Domain())
	x.started(x.sock.ConnectFrom(p.Remote(), p.Local()))
	return true
}

// newSplice makes room for a connection that p asks for, or drops p.
func (e *engine) newSplice(p *tcp.Pending, inward bool) *splice {
	in := &e.inline
	if in.full() {
		in.stats.Dropped++
		p.Drop()
		return nil
	}
	s := &splice{eng: e, pending: p, inward: inward}
	p.SetOwner(s)
	in.add(s)
	return s
}

// dials makes the end that the engine opens.
func (s *splice) dials(stack *netstack.Stack, domain int) *stackEnd {
	x := &stackEnd{splice: s}
	s.dialled = x
	x.open(stack, domain)
	return x
}

// started takes what the start of a connect has returned. The stack that offers
// the SYN is at work, so a failure waits for settle.
func (x *stackEnd) started(err error) {
	if !errors.Is(err, errno.EINPROGRESS) {
		x.failed, x.why = true, asErrno(err)
		x.splice.mark()
	}
}

// connectFar connects a socket of the sandbox's own stack, from the port that
// the kernel chose if that is free.
func (e *engine) connectFar(x *stackEnd, from, to netip.AddrPort) error {
	to = zoned(to, e.cfg.Ifname)
	domain, _, _ := x.sock.Kind()
	e.defaults.Outgoing(x.sock.Options(), domain, to)
	err := x.sock.ConnectFrom(from, to)
	if err == errno.EADDRINUSE || err == errno.EADDRNOTAVAIL {
		err = x.sock.ConnectFrom(netip.AddrPortFrom(from.Addr(), 0), to)
	}
	return err
}

// zoned names the link of a link-local address.
func zoned(a netip.AddrPort, link string) netip.AddrPort {
	if a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() {
		return netip.AddrPortFrom(a.Addr().WithZone(link), a.Port())
	}
	return a
}

// full reports whether no connection more is taken.
func (in *inline) full() bool { return len(in.all) >= in.max || in.dialled >= maxDialled }

// add enters a splice of which one end is to be dialled.
func (in *inline) add(s *splice) {
	s.dialling = true
	s.slot = len(in.all)
	in.all = append(in.all, s)
	in.dialled++
}

func (in *inline) remove(s *splice) {
	last := len(in.all) - 1
	in.all[s.slot] = in.all[last]
	in.all[s.slot].slot = s.slot
	in.all[last] = nil
	in.all = in.all[:last]
	in.reached(s)
}

// reached notes that dialling has ended.
func (in *inline) reached(s *splice) {
	if s.dialling {
		s.dialling = false
		in.dialled--
	}
}

// refuse answers a SYN with what became of its connection.
func (in *inline) refuse(p *tcp.Pending, why errno.Errno) {
	in.stats.Refused++
	switch why {
	case errno.ECONNREFUSED, errno.ECONNRESET:
		p.Refuse()
	case errno.ETIMEDOUT:
		p.Drop() // its sender has waited as long
	default:
		p.Unreachable(why)
	}
}

// status is nil without an inline path.
func (in *inline) status(mirrors, crossings int, closed bool) *InlineStatus {
	if in.stack == nil {
		return nil
	}
	st := in.stats
	st.Connections = len(in.all)
	st.Mirrors, st.Crossings = mirrors, crossings
	st.Closed = closed
	return &st
}

// settle works off what has happened to splices.
func (in *inline) settle() {
	list := in.dirty
	in.dirty, in.spare = in.spare[:0], nil
	for i, s := range list {
		list[i] = nil
		if !s.over {
			s.settle()
		}
	}
	in.spare = list[:0]
}

// turn looks at the resets that are held back: once per turn of the loop.
func (in *inline) turn() {
	kept := in.waiting[:0]
	for _, s := range in.waiting {
		if !s.over {
			s.proceed()
		}
		if !s.over {
			kept = append(kept, s)
		}
	}
	clear(in.waiting[len(kept):])
	in.waiting = kept
}

// deadline is when the loop has to go round at the latest.
func (in *inline) deadline() (at time.Duration, ok bool) {
	if in.stack != nil {
		at, ok = in.stack.Deadline()
	}
	for _, s := range in.waiting {
		if !ok || s.until < at {
			at, ok = s.until, true
		}
	}
	return at, ok
}
