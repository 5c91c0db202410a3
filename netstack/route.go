package netstack

// Routes and source addresses: RFC 1812 section 5.2.4.3 (longest prefix),
// RFC 6724 section 5 (source address selection), RFC 1122 section 3.3.

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// maxRoutes bounds the table.
const maxRoutes = 4096

// A Route says where packets to a destination go.
type Route struct {
	Dst     netip.Prefix // /0 is the default route
	Gateway netip.Addr   // next hop; invalid: the destinations are on the link
	Link    int          // 0: the link on whose prefix the gateway is
	MTU     int          // largest IP packet in bytes; 0: that of the link
}

type routeEntry struct {
	dst     netip.Prefix
	gateway netip.Addr
	link    *link
	mtu     int
}

// routeTable is sorted by prefix length, longest first; equal ones in the order
// of insertion, the first wins.
type routeTable struct{ entries []routeEntry }

func (t *routeTable) insert(e routeEntry) {
	i := 0
	for i < len(t.entries) && t.entries[i].dst.Bits() >= e.dst.Bits() {
		i++
	}
	t.entries = slices.Insert(t.entries, i, e)
}

// lookup returns the route to dst, among those of link num if it is not 0.
func (t *routeTable) lookup(dst netip.Addr, num int) *routeEntry {
	for i := range t.entries {
		e := &t.entries[i]
		if (num == 0 || e.link.num == num) && e.dst.Contains(dst) {
			return e
		}
	}
	return nil
}

// AddRoute adds a route. Of two routes to the same prefix the earlier one is
// used. The error names the field and what is accepted.
func (s *Stack) AddRoute(r Route) error {
	l := s.link(r.Link)
	if r.Link == 0 && r.Gateway.IsValid() {
		for _, c := range s.links {
			if c.onLink(r.Gateway) {
				l = c
				break
			}
		}
	}
	switch {
	case len(s.routes.entries) >= maxRoutes:
		return fmt.Errorf("route %v: a stack has at most %d routes", r.Dst, maxRoutes)
	case !r.Dst.IsValid() || r.Dst.Addr().Is4In6() || r.Dst.Addr().IsMulticast():
		return fmt.Errorf("route: destination %v; accepted: a unicast prefix", r.Dst)
	case l == nil:
		return fmt.Errorf("route %v: link %d with gateway %v; accepted: a link of the stack, or 0 with a gateway on the prefix of one", r.Dst, r.Link, r.Gateway)
	case r.Gateway.IsValid() && (r.Gateway.Is4() != r.Dst.Addr().Is4() || r.Gateway.Is4In6() || r.Gateway.IsUnspecified() || r.Gateway.IsMulticast() || s.IsLocal(r.Gateway)):
		return fmt.Errorf("route %v: gateway %v; accepted: another host's unicast address of the same family", r.Dst, r.Gateway)
	case r.MTU != 0 && (r.MTU < minMTU || r.Dst.Addr().Is6() && r.MTU < wire.IPv6MinMTU):
		return fmt.Errorf("route %v: MTU %d; accepted: 0, or at least %d (IPv6: %d)", r.Dst, r.MTU, minMTU, wire.IPv6MinMTU)
	}
	e := routeEntry{dst: r.Dst.Masked(), gateway: r.Gateway.WithZone(""), link: l, mtu: l.mtu}
	if r.MTU != 0 {
		e.mtu = min(r.MTU, l.mtu)
	}
	s.routes.insert(e)
	s.changed()
	return nil
}

// wayKind tells how a destination is reached.
type wayKind uint8

const (
	wayUnicast wayKind = iota
	wayLocal           // the stack itself
	wayBroadcast
	wayMulticast
)

// way is the outcome of routing.
type way struct {
	src, dst, hop netip.Addr // hop is the next hop, dst itself when on-link
	link          *link      // nil iff kind is wayLocal
	kind          wayKind
	mtu           int  // what the path is known to carry, in bytes
	linkMTU       int  // what the first link carries
	noDF          bool // the path carries less than hosts go down to; see pmtu.go
}

var (
	loopback4   = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6   = netip.IPv6Loopback()
	broadcast4  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	reserved4   = netip.MustParsePrefix("240.0.0.0/4")
)

// route finds the way from src, invalid for any, to dst by way of link num, 0
// for any. Neither address is IPv4-mapped.
func (s *Stack) route(src, dst netip.Addr, num int) (way, errno.Errno) {
	dst, num = s.scopeLink(dst, num)
	src = src.WithZone("")
	if !dst.IsValid() || dst.Is4In6() || src.IsValid() && src.Is4() != dst.Is4() {
		return way{}, errno.EINVAL
	}
	looped := num == LoopbackLink
	if looped {
		num = 0 // the destination says it all
	}
	if num != 0 && s.link(num) == nil {
		return way{}, errno.ENODEV
	}
	if dst.IsUnspecified() {
		dst = ownLoopback(dst)
		if src.IsValid() {
			dst = src
		}
	}
	var srcLink *link
	if src.IsValid() && !src.IsLoopback() {
		if srcLink = s.owner(src); srcLink == nil && !s.mayLend(src) {
			return way{}, errno.EADDRNOTAVAIL
		}
	}
	if s.IsLocal(dst) {
		return s.localWay(src, dst), 0
	}
	if looped {
		return way{}, errno.ENETUNREACH // the loopback leads nowhere else
	}
	if src.IsValid() && src.IsLoopback() {
		return way{}, errno.EINVAL // as Linux answers: a loopback source cannot leave
	}
	w := way{src: src, dst: dst, hop: dst}
	if no := s.outWay(&w, num, srcLink); no != 0 {
		return way{}, no
	}
	if src.IsValid() && srcLink == nil && w.link.peer == nil {
		return way{}, errno.EADDRNOTAVAIL
	}
	if !w.src.IsValid() {
		if w.src = w.link.source(dst, w.hop); !w.src.IsValid() {
			return way{}, errno.EADDRNOTAVAIL
		}
	}
	w.linkMTU = w.link.mtu
	if w.kind == wayUnicast {
		s.pmtu.narrow(&w, s.now)
	}
	return w, 0
}

func ownLoopback(family netip.Addr) netip.Addr {
	if family.Is4() {
		return loopback4
	}
	return loopback6
}

func (s *Stack) localWay(src, dst netip.Addr) way {
	if !src.IsValid() {
		src = dst
		if dst.IsLoopback() {
			src = ownLoopback(dst)
		}
	}
	w := way{src: src, dst: dst, hop: dst, kind: wayLocal, mtu: loopbackMTU6, linkMTU: loopbackMTU6}
	if dst.Is4() {
		w.mtu, w.linkMTU = loopbackMTU4, loopbackMTU4
	}
	return w
}

// outWay finds link, next hop and MTU of a destination elsewhere.
func (s *Stack) outWay(w *way, num int, srcLink *link) errno.Errno {
	dst := w.dst
	scoped := dst.IsLinkLocalMulticast() || dst.Is6() && (dst.IsLinkLocalUnicast() || dst.IsInterfaceLocalMulticast())
	switch {
	case dst == broadcast4:
		w.kind = wayBroadcast
	case dst.IsMulticast():
		w.kind = wayMulticast
	}
	if num == 0 && srcLink != nil && (scoped || w.kind != wayUnicast) {
		num = srcLink.num
	}
	if dst.Is6() && scoped && num == 0 && dst.IsLinkLocalUnicast() {
		return errno.EINVAL // RFC 4007 section 6: ambiguous without a zone
	}
	if e := s.routes.lookup(dst, num); e != nil && (w.kind == wayUnicast || e.dst.Bits() > 0) {
		w.link, w.mtu = e.link, e.mtu
		if e.gateway.IsValid() {
			w.hop = e.gateway
		}
	} else if w.kind != wayUnicast {
		w.link = s.groupLink(dst, num)
		if w.link != nil {
			w.mtu = w.link.mtu
		}
	}
	if w.link == nil {
		return errno.ENETUNREACH
	}
	if w.kind != wayUnicast {
		w.hop = dst
	} else if dst.Is4() && slices.Contains(w.link.bcast, dst) {
		w.kind, w.hop = wayBroadcast, dst
	}
	return 0
}

// groupLink chooses the link for a broadcast or multicast without a route of
// its own: the given one, that of the default route, or the first with an
// address of the family.
func (s *Stack) groupLink(dst netip.Addr, num int) *link {
	if num != 0 {
		return s.link(num)
	}
	if e := s.routes.lookup(dst, 0); e != nil {
		return e.link
	}
	for _, l := range s.links {
		for _, p := range l.addrs {
			if p.Addr().Is4() == dst.Is4() {
				return l
			}
		}
	}
	return nil
}

// scope is the size of the zone in which an address means one host (RFC 6724
// section 3.1 and 3.2), smaller for nearer.
func scope(a netip.Addr) int {
	switch {
	case a.IsLoopback() || a.IsInterfaceLocalMulticast():
		return 1
	case a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast():
		return 2
	case a.Is6() && a.IsMulticast():
		b := a.As16()
		return int(b[1] & 15)
	}
	return 14
}

// source chooses among the link's addresses (RFC 6724 section 5, rules 2 and 8;
// the stack has no deprecated or temporary addresses): a scope that reaches the
// destination, then the longest prefix in common with it. The first address
// wins a tie. For IPv4 the prefix on which the next hop lies comes first.
func (l *link) source(dst, hop netip.Addr) netip.Addr {
	var best netip.Addr
	bestScore := -1
	for _, p := range l.addrs {
		a := p.Addr()
		if a.Is4() != dst.Is4() {
			continue
		}
		score := 0
		switch near := scope(a) - scope(dst); {
		case a.Is4():
			if p.Contains(hop) {
				score = 1 + p.Bits()
			}
		case near >= 0:
			score = 1000 - 10*near + commonPrefix(a, dst)
		}
		if score > bestScore {
			best, bestScore = a, score
		}
	}
	return best
}

// commonPrefix is the number of leading bits that a and b share, at most 64 for
// IPv6: the interface identifier does not count (RFC 6724 section 2.2).
func commonPrefix(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	for i := range 8 {
		if d := x[i] ^ y[i]; d != 0 {
			n := i * 8
			for d&0x80 == 0 {
				n++
				d <<= 1
			}
			return n
		}
	}
	return 64
}
