package netstack

// ARP: RFC 826, RFC 1122 section 2.3.2.1, RFC 5227 (announcing and defending
// an address).

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// defendInterval is how long a host waits before it defends an address again
// (RFC 5227 section 1.1), per address.
const defendInterval = 10 * time.Second

// announced is when an address was announced last; 0 is never.
type announced time.Duration

func (s *Stack) inputARP(l *link, b []byte) {
	var h wire.ARP
	if wire.ParseARP(b, &h) != nil {
		s.counters.ARP.InErrors++
		return
	}
	if l.peer != nil {
		s.inputPeerARP(l, &h)
		return
	}
	if h.SenderMAC.Group() || h.SenderMAC == (wire.MAC{}) || h.SenderMAC == l.mac {
		s.counters.ARP.InErrors++
		return
	}
	if l.has(h.SenderIP) {
		s.arpConflict(l, h.SenderIP)
		return
	}
	// A host is only believed about addresses that can be on this link.
	known := plausibleHost(h.SenderIP) && !slices.Contains(l.bcast, h.SenderIP) && (l.onLink(h.SenderIP) || s.gateway(l, h.SenderIP))
	switch {
	case h.Op == wire.ARPRequest:
		s.counters.ARP.InRequests++
		toUs := l.has(h.TargetIP)
		if known {
			s.heard(l, &claim{addr: h.SenderIP, mac: h.SenderMAC, toUs: toUs})
		}
		if toUs {
			s.sendARP(l, h.SenderMAC, &wire.ARP{
				Op: wire.ARPReply, SenderMAC: l.mac, SenderIP: h.TargetIP, TargetMAC: h.SenderMAC, TargetIP: h.SenderIP,
			})
		}
	case h.Op == wire.ARPReply && known:
		s.counters.ARP.InReplies++
		toUs := h.TargetMAC == l.mac && !s.in.group
		s.heard(l, &claim{addr: h.SenderIP, mac: h.SenderMAC, reply: toUs, override: toUs})
	default:
		s.counters.ARP.InErrors++
	}
}

// plausibleHost reports whether a can be the address of one other host.
func plausibleHost(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !thisNetwork.Contains(a) && !reserved4.Contains(a)
}

// gateway reports whether a is the gateway of a route by l.
func (s *Stack) gateway(l *link, a netip.Addr) bool {
	for i := range s.routes.entries {
		if e := &s.routes.entries[i]; e.link == l && e.gateway == a {
			return true
		}
	}
	return false
}

// arpConflict: somebody else says that it has one of our addresses. The stack
// keeps it and says so, once in defendInterval (RFC 5227 section 2.4(c)).
func (s *Stack) arpConflict(l *link, a netip.Addr) {
	s.counters.ARP.Conflicts++
	for i, p := range l.addrs {
		if p.Addr() != a {
			continue
		}
		last := &l.defended[i]
		if *last == 0 || s.now-time.Duration(*last) >= defendInterval {
			*last = announced(max(s.now, 1))
			s.announceARP(l, a)
		}
	}
}

// announceARP tells the link where a is (RFC 5227 section 2.3).
func (s *Stack) announceARP(l *link, a netip.Addr) {
	s.sendARP(l, wire.Broadcast, &wire.ARP{Op: wire.ARPRequest, SenderMAC: l.mac, SenderIP: a, TargetIP: a})
}

// sendARPRequest asks for n: by broadcast, or the known address alone.
func (s *Stack) sendARPRequest(n *neighbour) {
	src := n.link.source(n.addr, n.addr)
	if !src.IsValid() {
		return
	}
	dst := wire.Broadcast
	if n.state == neighProbe && n.mac != (wire.MAC{}) {
		dst = n.mac // RFC 1122 section 2.3.2.1(2)
	}
	s.sendARP(n.link, dst, &wire.ARP{Op: wire.ARPRequest, SenderMAC: n.link.mac, SenderIP: src, TargetIP: n.addr})
}

func (s *Stack) sendARP(l *link, dst wire.MAC, h *wire.ARP) {
	if h.Op == wire.ARPRequest {
		s.counters.ARP.OutRequests++
	} else {
		s.counters.ARP.OutReplies++
	}
	eth := wire.Ethernet{Dst: dst, Src: l.mac, Type: wire.EtherARP}
	s.ctl.f = TxFrame{Buf: h.AppendTo(eth.AppendTo(s.ctl.room[:VnetRoom]))}
	l.sink.Transmit(&s.ctl.f)
}

// announceAll announces the addresses of links that were added since, so that
// neighbours that knew their earlier owner forget it at once.
func (s *Stack) announceAll() {
	if s.announced == len(s.links) || s.guest {
		return
	}
	for _, l := range s.links[s.announced:] {
		s.mldStart(l)
		for _, p := range l.addrs {
			if p.Addr().Is4() {
				s.announceARP(l, p.Addr())
			} else {
				s.announceND(l, p.Addr())
			}
		}
	}
	s.announced = len(s.links)
}
