package netstack

// A stack for connections of another stack: see netstack/tcp/lend.go. It has the
// same links, addresses and routes and speaks for itself nowhere: no ARP, no ND,
// no ICMP, no fragment. What is not plain text for a connection that it serves
// does not enter it.

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// NewGuest returns a stack without links that serves connections of s, as one of
// n stacks with s among them that share the bounds on memory. It has a pool of its
// own. Retune and what the profile shows include it: the caller sees to it that
// nobody else enters it then. The caller adds the links of s in the same order, but for their sinks, and
// the routes. ask is called for a connection that has to go home.
func (s *Stack) NewGuest(seed [32]byte, n int, ask func(*tcp.Socket)) *Stack {
	links, gauges := s.profile.Links, s.profile.Gauges
	g := New(Config{Seed: seed, Profile: s.profile, Tunables: s.tun})
	s.profile.Links, s.profile.Gauges = links, gauges // the profile shows s
	g.guest = true
	g.tcp.SetGuest(ask, n)
	s.guests = append(s.guests, g)
	return g
}

// SetLender makes s a stack that lends, as one of n. stranded is called when a
// neighbour that connections were lent with is not where it was: they are to be
// fetched, soon.
func (s *Stack) SetLender(to tcp.Lender, n int, stranded func()) {
	s.tcp.SetLender(to, n)
	s.stranded = stranded
}

// moved is called when n is not at the address any more that others have copied.
func (s *Stack) moved(n *neighbour) {
	if n.lent {
		n.lent = false
		s.stranded()
	}
}

// Lend has g, made by NewGuest, serve the socket's connection. It reports whether
// it does: not where the next hop is not known at the moment, and not when
// Lendable says no.
func (s *Stack) Lend(t *tcp.Socket, g *Stack) bool {
	if !t.Lendable() {
		return false
	}
	p := t.Path()
	nb := s.neighbourOf(&p.Handle, p.Src, p.Dst, p.Link)
	if nb == nil || nb.link == nil || nb.link.peer != nil || nb.mac == (wire.MAC{}) || !g.learn(nb) {
		return false
	}
	nb.lent = true
	g.now = max(g.now, s.now) // or what was noted would lie in the future
	t.MoveTo(g.tcp)
	return true
}

// Fetch ends Lend.
func (s *Stack) Fetch(t *tcp.Socket, g *Stack) {
	s.now = max(s.now, g.now)
	t.MoveTo(s.tcp)
}

// learn copies the neighbour of another stack. It fails when the table is full of
// others'.
func (s *Stack) learn(from *neighbour) bool {
	l := s.link(from.link.num)
	if l == nil {
		return false
	}
	if s.tcp.Guests() == 0 {
		s.neigh.init() // nobody's path leads through the old ones
		s.neigh.list = nil
	}
	n := s.neigh.byKey[neighKey{l.num, from.addr}]
	if n == nil {
		if len(s.neigh.list) >= maxNeighbours {
			return false
		}
		n = s.newNeighbour(l, from.addr)
	}
	n.mac, n.state = from.mac, neighPermanent
	return true
}

// Fields of the frames that Serves looks at, in bytes from the Ethernet header.
const (
	etherType  = 12
	ip4At      = wire.EthernetLen
	ip4Frag    = ip4At + 6
	ip4Proto   = ip4At + 9
	ip4Src     = ip4At + 12
	ip4Dst     = ip4At + 16
	ip4TCP     = ip4At + 20
	ip6Next    = ip4At + 6
	ip6Src     = ip4At + 8
	ip6Dst     = ip4At + 24
	ip6TCP     = ip4At + 40
	tcpMinimum = 20
)

// Serves reports whether the frame is a segment for a connection that g serves,
// which changes no state. Every other is for the stack that lends. It is judged by
// Input whether what Serves takes is well-formed.
func (s *Stack) Serves(num int, f *RxFrame) bool {
	l, b := s.link(num), f.Data
	if l == nil || len(b) < ip4TCP+tcpMinimum || wire.MAC(b[:6]) != l.mac {
		return false
	}
	var src, dst [16]byte
	at := ip4TCP
	switch binary.BigEndian.Uint16(b[etherType:]) {
	case wire.EtherIPv4:
		// No options, no fragment.
		if b[ip4At] != 0x45 || b[ip4Proto] != wire.ProtoTCP || binary.BigEndian.Uint16(b[ip4Frag:])&0x3fff != 0 {
			return false
		}
		src[10], src[11], dst[10], dst[11] = 0xff, 0xff, 0xff, 0xff
		copy(src[12:], b[ip4Src:ip4Dst])
		copy(dst[12:], b[ip4Dst:ip4TCP])
	case wire.EtherIPv6:
		if at = ip6TCP; len(b) < at+tcpMinimum || b[ip4At]>>4 != 6 || b[ip6Next] != wire.ProtoTCP {
			return false
		}
		copy(src[:], b[ip6Src:ip6Dst])
		copy(dst[:], b[ip6Dst:ip6TCP])
	default:
		return false
	}
	h := b[at:]
	if !tcp.Plain(wire.TCPFlags(binary.BigEndian.Uint16(h[12:]) & 0x1ff)) {
		return false
	}
	return s.tcp.Serves(dst, src, binary.BigEndian.Uint16(h[2:]), binary.BigEndian.Uint16(h))
}
