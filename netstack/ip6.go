package netstack

// IPv6 input: RFC 8200, RFC 4291 section 2 (addresses), RFC 6946 (atomic
// fragments), RFC 7112 (header chains in fragments).

import (
	"slices"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

func (s *Stack) input6(b []byte) {
	in, c := &s.in, &s.counters.IPv6
	c.InReceives++
	var h wire.IPv6
	chain, err := wire.ParseIPv6(b, &h)
	if err != nil {
		c.InHdrErrors++
		return
	}
	in.src, in.dst, in.ttl, in.tos = h.Src, h.Dst, h.HopLimit, h.TrafficClass
	in.packet = b[:wire.IPv6Len+len(chain)]
	if in.link != nil && !s.accept6(in) {
		return
	}
	in.header, in.body = b[:wire.IPv6Len], chain
	switch h.NextHeader {
	case wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP6:
		s.dispatch(h.NextHeader, chain, c)
		return
	}
	var e wire.Ext6
	wire.WalkExt(h.NextHeader, chain, &e)
	if !s.verdict6(h.NextHeader, &e) {
		return
	}
	if e.HasFrag {
		if e.Frag.Offset != 0 || e.Frag.More {
			s.fragment6(b, &e, chain[e.Offset:])
			return
		}
		// RFC 6946 section 4: a fragment that is the whole packet is that packet.
		if e.Resume(chain); !s.verdict6(h.NextHeader, &e) {
			return
		}
	}
	s.deliver6(b[:wire.IPv6Len+e.Offset], &e, chain[e.Offset:])
}

// accept6 decides whether a packet from a link is for this stack, and from
// somebody.
func (s *Stack) accept6(in *inbound) bool {
	if in.link.peer != nil {
		return s.acceptPeer6(in)
	}
	c := &s.counters.IPv6
	// RFC 4291 sections 2.5.2, 2.5.3 and 2.7: never from a loopback or group
	// address; ::ffff:0:0/96 does not travel (RFC 4038 section 4.2).
	if in.src.IsMulticast() || in.src.IsLoopback() || in.src.Is4In6() || s.owner(in.src) != nil {
		c.InMartians++
		return false
	}
	if in.dst.IsMulticast() {
		in.foreign = !slices.Contains(in.link.groups, in.dst)
		if in.foreign && s.forwarder == nil {
			c.InAddrErrors++
			return false
		}
		in.group = true
		return true
	}
	owner := s.owner(in.dst)
	switch {
	case owner == nil,
		in.dst.IsLinkLocalUnicast() && owner != in.link && !in.link.has(in.dst), // RFC 4007 section 6
		in.group: // a link multicast of a unicast packet
		c.InAddrErrors++
		return false
	}
	return true
}

// verdict6 acts on what the extension headers of s.in.body, the first of which
// is of type first, ask for; false: discarded.
func (s *Stack) verdict6(first uint8, e *wire.Ext6) bool {
	if e.Verdict == wire.ExtOK {
		return true
	}
	s.counters.IPv6.InHdrErrors++
	proto, at := wire.SkipExt(first, s.in.body)
	s.in.isError = errorMessage(proto, s.in.body[min(at, len(s.in.body)):])
	if e.Verdict == wire.ExtParam || e.Verdict == wire.ExtParamNotGroup && !s.in.group {
		s.sendError6(wire.ICMP6ParamProblem, e.Code, uint32(e.Pointer))
	}
	return false
}

// deliver6 hands the segment behind the extension headers to its layer. header
// is everything in front of it.
func (s *Stack) deliver6(header []byte, e *wire.Ext6, segment []byte) {
	c := &s.counters.IPv6
	s.in.header, s.in.body = header, segment
	if e.Proto == wire.ProtoNoNext {
		return // RFC 8200 section 4.7
	}
	if !s.dispatch(e.Proto, segment, c) {
		c.InUnknownProtos++
		s.sendError6(wire.ICMP6ParamProblem, wire.ICMP6CodeBadNextHeader, uint32(e.NextField))
	}
}

// fragment6 adds a fragment to its packet and delivers that once it is whole.
// data is what follows the fragment header.
func (s *Stack) fragment6(b []byte, e *wire.Ext6, data []byte) {
	c := &s.counters.IPv6
	c.ReasmReqds++
	off := int(e.Frag.Offset)
	switch {
	case e.Frag.More && len(data)%8 != 0:
		// RFC 8200 section 4.5: pointing at the payload length field.
		c.ReasmFails++
		s.sendError6(wire.ICMP6ParamProblem, wire.ICMP6CodeBadHeader, 4)
		return
	case off+len(data) > wire.IPv4MaxPacket:
		// Likewise, pointing at the fragment offset field.
		c.ReasmFails++
		s.sendError6(wire.ICMP6ParamProblem, wire.ICMP6CodeBadHeader, uint32(wire.IPv6Len+e.FragOffset+2))
		return
	case len(data) == 0 || off == 0 && !wholeChain(e, data):
		c.ReasmFails++
		return
	}
	s.in.header = b[:wire.IPv6Len+e.FragOffset+wire.FragmentLen]
	d := s.reassemble(&fragment{
		key:    reasmKey{s.in.num(), s.in.src, s.in.dst, e.Frag.ID, wire.ProtoFragment},
		offset: off, more: e.Frag.More, data: data, proto: e.Frag.NextHeader,
	})
	if d == nil {
		return
	}
	s.takeWhole(d)
	whole := wire.Ext6{Proto: d.proto, NextField: e.NextField}
	s.in.body = d.bytes()
	whole.Resume(d.bytes())
	if s.verdict6(d.proto, &whole) && !whole.HasFrag {
		s.deliver6(s.in.header, &whole, d.bytes()[whole.Offset:])
	}
	s.reasm.release(s, d)
}

// wholeChain reports whether a first fragment holds every header up to the
// upper layer's (RFC 7112 section 5), and no second fragment header.
func wholeChain(e *wire.Ext6, data []byte) bool {
	x := wire.Ext6{Proto: e.Frag.NextHeader}
	if x.Proto == wire.ProtoHopByHop {
		return false
	}
	x.Resume(data)
	return x.Verdict != wire.ExtShort && !x.HasFrag && (x.Proto == wire.ProtoNoNext || x.Offset < len(data))
}
