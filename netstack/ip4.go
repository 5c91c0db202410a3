package netstack

// IPv4 input: RFC 791, RFC 1122 section 3.2.1, RFC 1812 section 5.3.7 (martian
// addresses), RFC 7126 (options).

import (
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

func (s *Stack) input4(b []byte) {
	in, c := &s.in, &s.counters.IPv4
	c.InReceives++
	var h wire.IPv4
	body, err := wire.ParseIPv4(b, &h)
	if err != nil {
		c.InHdrErrors++
		if err == wire.ErrChecksum {
			c.InCsumErrors++
		}
		return
	}
	if h.SourceRoute && !s.takesSourceRoute(&h) {
		c.InHdrErrors++ // RFC 7126 section 4.3: drop
		return
	}
	in.src, in.dst, in.ttl, in.tos = h.Src, h.Dst, h.TTL, h.TOS
	in.packet = b[:h.TotalLen]
	if in.link != nil && !s.accept4(in) {
		return
	}
	in.header = b[:h.HeaderLen()]
	if h.SourceRoute {
		in.options = h.Options
	}
	if h.Fragment() {
		s.fragment4(&h, body)
		return
	}
	s.deliver4(h.Protocol, body)
}

// accept4 decides whether a packet from a link is for this stack, and from
// somebody.
func (s *Stack) accept4(in *inbound) bool {
	if in.link.peer != nil {
		return s.acceptPeer4(in)
	}
	c := &s.counters.IPv4
	// RFC 1122 section 3.2.1.3: these are never a source; RFC 1812 section
	// 5.3.7 calls them martians. Our own address from outside is spoofed.
	if !plausibleHost(in.src) || slices.Contains(in.link.bcast, in.src) || s.owner(in.src) != nil {
		c.InMartians++
		return false
	}
	switch {
	case s.owner(in.dst) != nil:
		if in.group {
			// RFC 1122 section 3.3.6: a link broadcast of a unicast packet.
			c.InAddrErrors++
			return false
		}
	case in.dst == broadcast4, in.dst == wire.AllHosts4, slices.Contains(in.link.bcast, in.dst):
		in.group = true
	case in.dst.IsLoopback() || in.dst.IsUnspecified():
		c.InMartians++
		return false
	case s.forwarder != nil && in.dst.IsMulticast():
		in.group, in.foreign = true, true
	default:
		c.InAddrErrors++
		return false
	}
	return true
}

// takesSourceRoute reports whether a packet with a source route goes further:
// whole segments of TCP from the outside, which know how to answer, when the
// tunable accept_source_route says so. That the route ends here is for TCP to
// see.
func (s *Stack) takesSourceRoute(h *wire.IPv4) bool {
	l := s.in.link
	return s.tun.AcceptSourceRoute && l != nil && l.peer == nil && h.Protocol == wire.ProtoTCP && !h.Fragment()
}

func (s *Stack) deliver4(proto uint8, body []byte) {
	if !s.dispatch(proto, body, &s.counters.IPv4) {
		s.counters.IPv4.InUnknownProtos++
		s.sendError4(wire.ICMP4Unreachable, wire.ICMP4CodeProtocol, 0)
	}
}

// fragment4 adds a fragment to its datagram and delivers that once it is whole.
func (s *Stack) fragment4(h *wire.IPv4, body []byte) {
	c := &s.counters.IPv4
	c.ReasmReqds++
	if h.MF && len(body)%8 != 0 || len(body) == 0 {
		c.ReasmFails++
		return
	}
	d := s.reassemble(&fragment{
		key:    reasmKey{s.in.num(), h.Src, h.Dst, uint32(h.ID), h.Protocol},
		offset: int(h.FragOff), more: h.MF, data: body, proto: h.Protocol,
	})
	if d == nil {
		return
	}
	s.takeWhole(d)
	s.deliver4(h.Protocol, d.bytes())
	s.reasm.release(s, d)
}

// takeWhole makes the reassembled datagram d the packet that is taken in.
func (s *Stack) takeWhole(d *datagram) {
	s.in.trusted, s.in.gso = false, 0
	s.in.frag, s.in.needsCsum = d, false
	s.in.header = d.header[:d.headerLen]
	s.in.tos = s.in.tos&^3 | d.ecn()
}

// ipCounters are the counters of the version that a belongs to.
func (s *Stack) ipCounters(a netip.Addr) *IPCounters {
	if a.Is4() {
		return &s.counters.IPv4
	}
	return &s.counters.IPv6
}
