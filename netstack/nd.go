package netstack

// Neighbour discovery: RFC 4861 section 7.2. Router advertisements and
// redirects are ignored by policy: the configuration is static, and nobody on
// the link may change it.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// ndHopLimit proves that a message comes from the link itself (RFC 4861
// section 3.1).
const ndHopLimit = 255

// inputND takes a neighbour discovery message whose ICMPv6 checksum is good.
func (s *Stack) inputND(h *wire.ICMP, body []byte) {
	in := &s.in
	if in.link == nil {
		return
	}
	// RFC 4861 sections 7.1.1 and 7.1.2, MUST.
	if in.ttl != ndHopLimit || h.Code != 0 {
		s.counters.ND.InErrors++
		return
	}
	var m wire.ND
	switch h.Type {
	case wire.ICMP6NeighborSolicit, wire.ICMP6NeighborAdvert:
		if wire.ParseND(h.Type, body, &m) != nil || m.HasLL && m.LL.Group() {
			s.counters.ND.InErrors++
			return
		}
	default:
		s.counters.ND.Ignored++
		return
	}
	if in.link.peer != nil {
		s.inputPeerND(in, h, &m)
		return
	}
	if h.Type == wire.ICMP6NeighborSolicit {
		s.inputSolicit(in, &m)
	} else {
		s.inputAdvert(in, h, &m)
	}
}

func (s *Stack) inputSolicit(in *inbound, m *wire.ND) {
	s.counters.ND.InSolicits++
	if !in.link.has(m.Target) {
		return
	}
	if in.src.IsUnspecified() {
		// Duplicate address detection of somebody who wants our address: tell
		// everyone that it is taken (RFC 4862 section 5.4.3, RFC 4861 section 7.2.4).
		if m.HasLL || in.dst != wire.SolicitedNode(m.Target) {
			s.counters.ND.InErrors++ // RFC 4861 section 7.1.1, MUST
			return
		}
		s.counters.ND.Conflicts++
		s.sendAdvert(in.link, wire.AllNodes, m.Target, 0)
		return
	}
	if m.HasLL && s.ndKnows(in.link, in.src) {
		s.heard(in.link, &claim{addr: in.src, mac: m.LL, toUs: true})
	}
	s.sendAdvert(in.link, in.src, m.Target, wire.NDSolicited)
}

// ndKnows reports whether a can be a neighbour's address on l.
func (s *Stack) ndKnows(l *link, a netip.Addr) bool {
	return plausibleHost(a) && (l.onLink(a) || s.gateway(l, a)) && !l.has(a)
}

func (s *Stack) inputAdvert(in *inbound, h *wire.ICMP, m *wire.ND) {
	s.counters.ND.InAdverts++
	solicited := h.Rest&wire.NDSolicited != 0
	if solicited && in.group {
		s.counters.ND.InErrors++ // RFC 4861 section 7.1.2, MUST
		return
	}
	if in.link.has(m.Target) {
		s.counters.ND.Conflicts++
		return
	}
	if !s.ndKnows(in.link, m.Target) {
		return
	}
	mac := m.LL
	if !m.HasLL {
		// RFC 4861 section 7.2.5: without the option only a known address can
		// be confirmed.
		n := s.neigh.byKey[neighKey{in.link.num, m.Target}]
		if n == nil || n.state == neighIncomplete || n.state == neighNone {
			return
		}
		mac = n.mac
	}
	s.heard(in.link, &claim{addr: m.Target, mac: mac, reply: solicited, override: h.Rest&wire.NDOverride != 0})
}

// sendSolicitation asks for n: its solicited-node group, or it alone when an
// address is known (RFC 4861 section 7.3.3).
func (s *Stack) sendSolicitation(n *neighbour) {
	src := n.link.source(n.addr, n.addr)
	if !src.IsValid() {
		return
	}
	s.counters.ND.OutSolicits++
	group := wire.SolicitedNode(n.addr)
	dst, mac := group, wire.MulticastMAC(group)
	if n.state == neighProbe && n.mac != (wire.MAC{}) {
		dst, mac = n.addr, n.mac
	}
	m := wire.ND{Target: n.addr, HasLL: true, LL: n.link.mac}
	s.sendND(n.link, mac, src, dst, wire.ICMP6NeighborSolicit, 0, &m)
}

// sendAdvert answers dst, or tells all nodes, where target is.
func (s *Stack) sendAdvert(l *link, dst, target netip.Addr, flags uint32) {
	s.counters.ND.OutAdverts++
	m := wire.ND{Target: target, HasLL: true, LL: l.mac}
	if dst.IsMulticast() {
		s.sendND(l, wire.MulticastMAC(dst), target, dst, wire.ICMP6NeighborAdvert, flags|wire.NDOverride, &m)
		return
	}
	// The answer goes to where the question came from; its source is only
	// remembered when it proves to be a neighbour.
	mac := s.in.srcMAC
	if n := s.neigh.byKey[neighKey{l.num, dst}]; n != nil && n.mac != (wire.MAC{}) {
		mac = n.mac
	}
	s.sendND(l, mac, target, dst, wire.ICMP6NeighborAdvert, flags|wire.NDOverride, &m)
}

func (s *Stack) sendND(l *link, mac wire.MAC, src, dst netip.Addr, typ uint8, flags uint32, m *wire.ND) {
	spec := ipSpec{src: src, dst: dst, proto: wire.ProtoICMP6, ttl: ndHopLimit, length: wire.ICMPLen + 16 + 8}
	f := s.ctl.begin(&spec)
	l4 := len(f.Buf)
	f.Buf = m.AppendTo(f.Buf, typ, flags)
	f.partial(&spec, l4, icmpCsumOffset)
	f.finish()
	s.counters.IPv6.OutRequests++
	s.counters.ICMP6.OutMsgs++
	s.emit(l, mac, f)
}

// announceND tells the link where a is (RFC 4861 section 7.2.6).
func (s *Stack) announceND(l *link, a netip.Addr) {
	s.sendAdvert(l, wire.AllNodes, a, 0)
}
