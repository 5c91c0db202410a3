package udp

// Receiving: RFC 1122 section 4.1.3.5, and the preference of Linux among
// sockets that share a port.

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// manySockets is from when on a port's connected sockets are looked up instead
// of compared.
const manySockets = 8

// loopback is the link of what the stack sends to itself.
const loopback = -1

// Input delivers a datagram. It reports whether a socket was there for it.
func (l *Layer) Input(rx *Rx) bool {
	list := l.byPort[rx.Header.DstPort]
	if rx.Group {
		return l.inputGroup(list, rx)
	}
	s := l.lookup(list, rx)
	if s == nil {
		if rx.Link == loopback && l.offer != nil && l.offer(rx) {
			return true
		}
		l.counters.NoPorts++
		return false
	}
	l.deliver(s, rx)
	return true
}

// inputGroup delivers to every socket that takes it. The list may change under
// the owners' hands, so it is not held on to.
func (l *Layer) inputGroup(list []*Socket, rx *Rx) bool {
	taken := false
	for i := 0; i < len(list); i++ {
		s := list[i]
		if s.score(rx) == 0 || rx.Dst.IsMulticast() && !s.multicastAll() {
			continue
		}
		taken = true
		l.deliver(s, rx)
		list = l.byPort[rx.Header.DstPort]
	}
	return taken
}

// multicastAll reports whether the socket takes groups that it did not join.
func (s *Socket) multicastAll() bool {
	if s.domain == sockopt.AFInet6 {
		return s.opts.MulticastAll6
	}
	return s.opts.MulticastAll4
}

func (l *Layer) deliver(s *Socket, rx *Rx) {
	if s.owner == nil || rx.Dst.Is4() && rx.TTL < s.opts.MinTTL || rx.Dst.Is6() && rx.TTL < s.opts.MinHopCount {
		return
	}
	from := scoped(rx.Src, rx.Link)
	if !s.owner.Deliver(netip.AddrPortFrom(s.shown(from), rx.Header.SrcPort), s.shown(rx.Dst), s.marksOf(rx), rx.Payload) {
		s.drops++
		l.counters.RcvbufErrors++
		return
	}
	l.counters.InDatagrams++
}

// marksOf is what the socket is told of a datagram's IP header.
func (s *Socket) marksOf(rx *Rx) Marks {
	m := Marks{TTL: rx.TTL, TOS: rx.TOS}
	if len(rx.Options) == 0 || s.opts.Rare().Receive&(sockopt.AncOptions|sockopt.AncEcho) == 0 {
		return m
	}
	self, net := rx.Dst, s.l.net
	if rx.Group {
		p, err := net.Route(netip.Addr{}, rx.Src, max(rx.Link, 0))
		if err != nil {
			return m
		}
		self = p.Src
	}
	m.Options = string(wire.ReceivedOptions(rx.Options, self, uint32(net.Now()/time.Millisecond), net.IsLocal))
	return m
}

// scoped gives a link-local address its link as the zone: programs need
// sin6_scope_id to answer.
func scoped(a netip.Addr, link int) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(zones[min(max(link, 0), len(zones)-1)])
	}
	return a
}

// zones are link numbers as zones, made once: none is made per datagram.
var zones = func() (z [65]string) {
	for i := 1; i < len(z); i++ {
		if i >= 10 {
			z[i] = string(rune('0' + i/10))
		}
		z[i] += string(rune('0' + i%10))
	}
	return z
}()

// lookup chooses the socket that fits best; of several that share by
// SO_REUSEPORT or SO_REUSEPORT_LB, one by the flow's hash; else the latest.
func (l *Layer) lookup(list []*Socket, rx *Rx) *Socket {
	if len(list) > manySockets {
		k := pair{netip.AddrPortFrom(rx.Dst, rx.Header.DstPort), netip.AddrPortFrom(rx.Src, rx.Header.SrcPort)}
		if s := l.pairs[k]; s != nil && s.score(rx) != 0 {
			return s
		}
	}
	var best *Socket
	top, sharing := 0, uint32(0)
	for _, s := range list {
		switch n := s.score(rx); {
		case n == 0 || n < top:
			continue
		case n > top:
			top, sharing = n, 0
		}
		best = s
		if s.shares() {
			sharing++
		}
	}
	if sharing < 2 || best.remote.IsValid() {
		return best
	}
	return l.share(list, rx, top, sharing)
}

// shares reports whether the socket has its port together with others.
func (s *Socket) shares() bool { return s.opts.ReusePort || s.opts.Rare().ReusePortLB }

// share picks one of n equally good sockets with SO_REUSEPORT.
func (l *Layer) share(list []*Socket, rx *Rx, top int, n uint32) *Socket {
	k := uint32(uint64(l.flowHash(rx)) * uint64(n) >> 32)
	for _, s := range list {
		if s.shares() && s.score(rx) == top {
			if k == 0 {
				return s
			}
			k--
		}
	}
	return nil
}

// score says how well a datagram fits a socket on its port; 0 is not at all. A
// peer counts more than a local address, that more than a link, that more than
// the family.
func (s *Socket) score(rx *Rx) int {
	v4 := rx.Dst.Is4()
	n := 1
	switch {
	case s.domain == sockopt.AFInet:
		if !v4 {
			return 0
		}
		n = 2
	case v4 && (s.opts.V6Only || s.local.IsValid() && !s.local.Is4()), !v4 && s.only4:
		return 0
	}
	if s.remote.IsValid() {
		if s.remote.Port() != rx.Header.SrcPort || s.remote.Addr().WithZone("") != rx.Src {
			return 0
		}
		n += 16
	}
	if s.local.IsValid() {
		if s.local != rx.Dst {
			return 0
		}
		n += 8
	}
	if s.opts.BindToIf != 0 {
		if rx.Link != 0 && int(s.opts.BindToIf) != rx.Link {
			return 0
		}
		n += 4
	}
	return n
}
