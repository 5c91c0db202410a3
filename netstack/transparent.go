package netstack

// Transparent links: one host behind them, whose packets to anywhere end here.
// The link stands for everybody else, as a proxy does: RFC 1027 (proxy ARP),
// RFC 4389 section 4 (proxy ND). What the host may say is only about itself:
// RFC 2827 (ingress filtering), RFC 7039 section 3 (binding an address to a
// host).

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// maxPeers bounds the addresses of a peer.
const maxPeers = 64

// peer is the host behind a transparent link.
type peer struct {
	mac   wire.MAC
	addrs []netip.Addr
	neigh neighbour // where all packets to it go; never asked for
}

func (p *peer) has(a netip.Addr) bool { return slices.Contains(p.addrs, a) }

func (s *Stack) checkPeer(cfg *LinkConfig) error {
	if !cfg.Transparent {
		if len(cfg.Peers) > 0 || cfg.PeerMAC != (wire.MAC{}) {
			return fmt.Errorf("link %q: Peers or PeerMAC on a link that is not Transparent", cfg.Name)
		}
		return nil
	}
	switch {
	case s.transparent != nil:
		return fmt.Errorf("link %q: Transparent; accepted: one such link in a stack, and %q is it", cfg.Name, s.transparent.name)
	case len(cfg.Addrs) > 0:
		return fmt.Errorf("link %q: %d Addrs; accepted: none on a transparent link", cfg.Name, len(cfg.Addrs))
	case cfg.PeerMAC.Group() || cfg.PeerMAC == wire.MAC{} || cfg.PeerMAC == cfg.MAC:
		return fmt.Errorf("link %q: PeerMAC %v; accepted: a unicast address other than MAC", cfg.Name, cfg.PeerMAC)
	case len(cfg.Peers) == 0 || len(cfg.Peers) > maxPeers:
		return fmt.Errorf("link %q: %d Peers; accepted: 1..%d", cfg.Name, len(cfg.Peers), maxPeers)
	}
	for _, a := range cfg.Peers {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" || !plausibleHost(a) {
			return fmt.Errorf("link %q: peer %v; accepted: a unicast address", cfg.Name, a)
		}
		if a.Is6() && cfg.MTU < wire.IPv6MinMTU {
			return fmt.Errorf("link %q: MTU %d with peer %v; IPv6 needs %d", cfg.Name, cfg.MTU, a, wire.IPv6MinMTU)
		}
	}
	return nil
}

// addPeer makes l transparent.
func (s *Stack) addPeer(l *link, cfg LinkConfig) {
	p := &peer{mac: cfg.PeerMAC}
	for _, a := range cfg.Peers {
		if !p.has(a) {
			p.addrs = append(p.addrs, a)
		}
	}
	if own := wire.LinkLocal(p.mac); l.mtu >= wire.IPv6MinMTU && !p.has(own) {
		p.addrs = append(p.addrs, own)
	}
	p.neigh = neighbour{link: l, addr: p.addrs[0], mac: p.mac, state: neighPermanent}
	l.peer, s.transparent = p, l
}

// mayLend reports whether the stack may send from a, an address that it does not
// have, to the peer.
func (s *Stack) mayLend(a netip.Addr) bool {
	return s.transparent != nil && plausibleHost(a) && !s.transparent.peer.has(a)
}

// hearsAll reports whether frames to the group address m are taken on l for the
// sake of somebody else: the peer's, to whatever group, and those of IP groups
// for the forwarder.
func (s *Stack) hearsAll(l *link, m wire.MAC) bool {
	return l.peer != nil || s.forwarder != nil && (m[0] == 0x33 && m[1] == 0x33 || m[0] == 1 && m[1] == 0 && m[2] == 0x5e)
}

// acceptPeer4 decides whether a packet of the peer is from itself, and to
// somebody else.
func (s *Stack) acceptPeer4(in *inbound) bool {
	p := in.link.peer
	if !p.has(in.src) {
		s.counters.Transparent.SpoofedSources++
		return false
	}
	switch {
	case in.dst.IsMulticast(), in.dst == broadcast4:
		in.group = true
	case !plausibleHost(in.dst), p.has(in.dst):
		s.counters.IPv4.InAddrErrors++
		return false
	}
	return true
}

// acceptPeer6 is the same for IPv6. Duplicate address detection has no source
// (RFC 4862 section 5.4.2); that it is nothing else is for fromPeer to see.
func (s *Stack) acceptPeer6(in *inbound) bool {
	p := in.link.peer
	if !p.has(in.src) && !(in.src.IsUnspecified() && in.dst.IsMulticast()) {
		s.counters.Transparent.SpoofedSources++
		return false
	}
	switch {
	case in.dst.IsInterfaceLocalMulticast():
		s.counters.IPv6.InAddrErrors++
		return false
	case in.dst.IsMulticast():
		in.group = true
	case !plausibleHost(in.dst), in.dst.Is4In6(), p.has(in.dst):
		s.counters.IPv6.InAddrErrors++
		return false
	}
	return true
}

// igmpQuery is a membership query (RFC 3376 section 4).
const (
	protoIGMP = 2
	igmpQuery = 0x11
)

// fromPeer takes the segment b of a packet of the peer that is not TCP: most of
// it is offered. It reports what dispatch does.
func (s *Stack) fromPeer(proto uint8, b []byte) bool {
	in := &s.in
	v4 := in.dst.Is4()
	switch {
	case v4 && proto == wire.ProtoICMP4, !v4 && proto == wire.ProtoICMP6:
		if !s.peerICMP(v4, b) {
			return true
		}
	case in.src.IsUnspecified():
		s.counters.Transparent.SpoofedSources++
		return true
	case v4 && proto == protoIGMP && len(b) > 0 && b[0] == igmpQuery:
		s.counters.Transparent.RouterMessages++
		return true
	}
	switch {
	case s.offer():
	case proto == wire.ProtoUDP:
		s.portUnreachable()
	case proto != wire.ProtoICMP4 && proto != wire.ProtoICMP6:
		return false
	}
	return true
}

// peerICMP looks at an ICMP message of the peer; true: it is to be offered.
func (s *Stack) peerICMP(v4 bool, b []byte) bool {
	in := &s.in
	if len(b) < wire.ICMPLen {
		s.icmpCounters(v4).InErrors++
		return false
	}
	typ := b[0]
	switch {
	case v4 && (typ == wire.ICMP4Redirect || typ == wire.ICMP4RouterAdvert),
		!v4 && (typ == wire.ICMP6RouterAdvert || typ == wire.ICMP6Redirect || typ == wire.ICMP6MLDQuery || wire.ICMP6Administers(typ)):
		s.counters.Transparent.RouterMessages++
		return false
	case !v4 && typ >= wire.ICMP6RouterSolicit && typ <= wire.ICMP6Redirect:
		s.inputICMP6(b)
		return false
	case v4 && typ == wire.ICMP4RouterSolicit:
		return false
	case in.src.IsUnspecified():
		s.counters.Transparent.SpoofedSources++
		return false
	case v4 && (typ == wire.ICMP4Unreachable || typ == wire.ICMP4TimeExceeded || typ == wire.ICMP4ParamProblem):
		s.inputICMP4(b) // which offers what is not about TCP
		return false
	case !v4 && typ < wire.ICMP6Echo:
		s.inputICMP6(b)
		return false
	}
	return true
}

// inputPeerARP answers the peer's questions about anybody but itself. What it
// says about its own addresses is known already, and duplicates of them are not
// for this link to see (RFC 5227).
func (s *Stack) inputPeerARP(l *link, h *wire.ARP) {
	p := l.peer
	probe := h.Op == wire.ARPRequest && h.SenderIP.IsUnspecified()
	if h.SenderMAC != p.mac || !probe && !p.has(h.SenderIP) {
		s.counters.Transparent.FalseClaims++
		return
	}
	switch {
	case h.Op == wire.ARPReply:
		s.counters.ARP.InReplies++
		return
	case h.Op != wire.ARPRequest:
		s.counters.ARP.InErrors++
		return
	}
	s.counters.ARP.InRequests++
	if p.has(h.TargetIP) || !plausibleHost(h.TargetIP) {
		return
	}
	s.sendARP(l, p.mac, &wire.ARP{
		Op: wire.ARPReply, SenderMAC: l.mac, SenderIP: h.TargetIP, TargetMAC: p.mac, TargetIP: h.SenderIP,
	})
}

// inputPeerND is inputPeerARP for neighbour discovery.
func (s *Stack) inputPeerND(in *inbound, h *wire.ICMP, m *wire.ND) {
	p := in.link.peer
	if m.HasLL && m.LL != p.mac {
		s.counters.Transparent.FalseClaims++
		return
	}
	if h.Type == wire.ICMP6NeighborAdvert {
		s.counters.ND.InAdverts++
		if !p.has(m.Target) || in.src.IsUnspecified() {
			s.counters.Transparent.FalseClaims++
		}
		return
	}
	s.counters.ND.InSolicits++
	if p.has(m.Target) || !plausibleHost(m.Target) || m.Target.Is4In6() {
		return
	}
	if !in.src.IsUnspecified() {
		s.sendAdvert(in.link, in.src, m.Target, wire.NDSolicited)
		return
	}
	if m.HasLL || in.dst != wire.SolicitedNode(m.Target) {
		s.counters.ND.InErrors++ // RFC 4861 section 7.1.1, MUST
		return
	}
	s.sendAdvert(in.link, wire.AllNodes, m.Target, 0) // somebody has it
}
