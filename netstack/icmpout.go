package netstack

// ICMP and ICMPv6, out: RFC 1122 section 3.2.2, RFC 1812 section 4.3, RFC 4443
// section 2.4.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Rates (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4(f)), per second and at
// once. What is looped is not limited.
const (
	errorRate, errorBurst = 1000, 50
	echoRate, echoBurst   = 5000, 500
)

// How large an error message may become, in bytes of IP packet (RFC 1812
// section 4.3.2.3; RFC 4443 section 2.4(c)).
const (
	maxError4 = 576
	maxError6 = wire.IPv6MinMTU
)

// icmpOut is a message to send.
type icmpOut struct {
	src, dst netip.Addr
	tos      uint8
	h        wire.ICMP
}

// portUnreachable answers the datagram s.in.
func (s *Stack) portUnreachable() {
	if s.in.dst.Is4() {
		s.sendError4(wire.ICMP4Unreachable, wire.ICMP4CodePort, 0)
	} else {
		s.sendError6(wire.ICMP6Unreachable, wire.ICMP6CodePort, 0)
	}
}

// sendError4 answers the packet s.in by an ICMP error, unless it must not be
// answered (RFC 1122 section 3.2.2, MUST NOT): what went to a group, and ICMP
// that is not a question. That the source is one host was checked on input, and
// fragments but the first never come here.
func (s *Stack) sendError4(typ, code uint8, rest uint32) {
	in := &s.in
	if in.group || len(in.header) < wire.IPv4MinHeader {
		return
	}
	if in.isError || !s.allowError(in) {
		return
	}
	room := maxError4 - wire.IPv4MinHeader - wire.ICMPLen - len(in.header)
	out := icmpOut{src: in.dst, dst: in.src, h: wire.ICMP{Type: typ, Code: code, Rest: rest}}
	s.sendICMP(&out, in.header, in.body[:min(room, len(in.body))])
}

// sendError6 is the same for ICMPv6 (RFC 4443 section 2.4(e), MUST NOT). To a
// group only an unknown option that asks for it is answered.
func (s *Stack) sendError6(typ, code uint8, rest uint32) {
	in := &s.in
	src := in.dst
	if in.group {
		if typ != wire.ICMP6ParamProblem || code != wire.ICMP6CodeBadOption {
			return
		}
		if src = in.link.source(in.src, in.src); !src.IsValid() {
			return
		}
	}
	if in.src.IsUnspecified() || in.src.IsMulticast() || len(in.header) < wire.IPv6Len {
		return
	}
	if in.isError || !s.allowError(in) {
		return
	}
	header := in.header[:min(len(in.header), maxError6/2)]
	room := maxError6 - wire.IPv6Len - wire.ICMPLen - len(header)
	s.sendICMP(&icmpOut{src: src, dst: in.src, h: wire.ICMP{Type: typ, Code: code, Rest: rest}}, header, in.body[:min(room, len(in.body))])
}

// errorMessage reports whether a segment is an ICMP error, or may be one for
// all that can be seen. Of ICMPv4 only a question counts as none.
func errorMessage(proto uint8, segment []byte) bool {
	switch proto {
	case wire.ProtoICMP4:
		return len(segment) == 0 || segment[0] != wire.ICMP4Echo
	case wire.ProtoICMP6:
		return len(segment) == 0 || segment[0] < wire.ICMP6Echo
	}
	return false
}

func (s *Stack) allowError(in *inbound) bool {
	if in.link == nil || s.errors.allow(s) {
		return true
	}
	s.icmpCounters(in.src.Is4()).OutLimited++
	return false
}

// sendICMP sends o with a body of two parts.
func (s *Stack) sendICMP(o *icmpOut, first, second []byte) {
	num := 0
	if s.in.link != nil && scope(o.dst) < 14 {
		num = s.in.link.num // a link-local peer is where it came from
	}
	w, no := s.route(o.src, o.dst, num)
	if no != 0 || w.kind != wayUnicast && w.kind != wayLocal {
		s.ipCounters(o.dst).OutNoRoutes++
		return
	}
	nb := s.neighbourFor(&w)
	v4 := o.dst.Is4()
	spec := ipSpec{src: w.src, dst: w.dst, proto: wire.ProtoICMP6, tos: o.tos, ttl: s.defaultTTL(v4), length: wire.ICMPLen + len(first) + len(second)}
	if v4 {
		spec.proto = wire.ProtoICMP4
		spec.id = uint16(s.ids.next(w.src, w.dst, wire.ProtoICMP4))
	}
	f := s.tx.begin(&spec)
	l4 := len(f.Buf)
	f.Buf = o.h.AppendTo(f.Buf)
	s.tx.two = [2][]byte{first, second}
	f.Payload = s.tx.two[:]
	if v4 {
		f.CsumStart, f.CsumOffset = uint16(l4-VnetRoom), icmpCsumOffset // no pseudo header
	} else {
		f.partial(&spec, l4, icmpCsumOffset)
	}
	f.finish()
	s.icmpCounters(v4).OutMsgs++
	s.ipCounters(o.dst).OutRequests++
	s.sendSized(nb, f, &spec, l4, w.mtu)
}
