package netstack

// ICMP errors about packets of somebody else: RFC 1812 section 4.3, RFC 4443
// section 3. They come from the packet's destination, because a bump on the wire
// has no address.

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// refusal is how ICMP and ICMPv6 say an errno.
type refusal struct{ type4, code4, type6, code6 uint8 }

var refusals = map[errno.Errno]refusal{
	errno.EMSGSIZE:     {wire.ICMP4Unreachable, wire.ICMP4CodeFragNeeded, wire.ICMP6TooBig, 0},
	errno.ENETUNREACH:  {wire.ICMP4Unreachable, wire.ICMP4CodeNet, wire.ICMP6Unreachable, wire.ICMP6CodeNoRoute},
	errno.EHOSTUNREACH: {wire.ICMP4Unreachable, wire.ICMP4CodeHost, wire.ICMP6Unreachable, wire.ICMP6CodeAddr},
	errno.EACCES:       {wire.ICMP4Unreachable, wire.ICMP4CodeProhibited, wire.ICMP6Unreachable, wire.ICMP6CodeProhibited},
	errno.ECONNREFUSED: {wire.ICMP4Unreachable, wire.ICMP4CodePort, wire.ICMP6Unreachable, wire.ICMP6CodePort},
}

// Reject tells the sender of a packet that this stack offered why it goes no
// further, by an ICMP error from the packet's destination: EMSGSIZE
// (fragmentation needed or packet too big, p.MTU), ENETUNREACH, EHOSTUNREACH,
// EACCES (administratively prohibited), ECONNREFUSED (port unreachable); others
// count as EHOSTUNREACH. Nothing is sent about ICMP errors and group packets, and
// no more than the rate for ICMP errors allows. p.Link may be 0, as Forward of
// another stack wants it: the error leaves by the way to the sender.
func (s *Stack) Reject(p *ForwardPacket, why errno.Errno) {
	var h outgoing
	if h.read(p) != 0 {
		return
	}
	l := s.link(p.Link)
	if l == nil {
		if l = s.linkTo(h.src, h.dst); l == nil {
			return
		}
	}
	s.counters.Forward.Rejects++
	body, proto := h.unfrag, p.Data[6]
	if h.dst.Is4() {
		proto = p.Data[9]
	} else {
		var off int
		proto, off = wire.SkipExt(proto, p.Data[wire.IPv6Len:])
		body = min(wire.IPv6Len+off, len(p.Data))
	}
	was := s.in
	s.in = inbound{link: l, srcMAC: was.srcMAC, src: h.src, dst: h.dst, group: p.Group, header: p.Data[:body], body: p.Data[body:]}
	s.in.isError = errorMessage(proto, s.in.body)
	s.refuse(why, p.MTU)
	s.in = was
}

// linkTo is the link by which packets from src to dst leave; nil: none.
func (s *Stack) linkTo(dst, src netip.Addr) *link {
	if s.transparent != nil {
		return s.transparent
	}
	w, _ := s.route(src, dst, 0)
	return w.link
}

// refuse answers the packet s.in.
func (s *Stack) refuse(why errno.Errno, mtu int) {
	r, ok := refusals[why]
	if !ok {
		r = refusals[errno.EHOSTUNREACH]
	}
	if why != errno.EMSGSIZE {
		mtu = 0
	}
	if s.in.dst.Is4() {
		s.sendError4(r.type4, r.code4, uint32(mtu)&0xffff)
	} else {
		s.sendError6(r.type6, r.code6, uint32(mtu))
	}
}

// Unreachable is part of tcp.Network. The SYN is quoted as far as it is known:
// its addresses, ports, number and options.
func (n *tcpNetwork) Unreachable(syn *tcp.Rx, e errno.Errno) {
	s := (*Stack)(n)
	b := s.forward.whole[:0]
	size := syn.Header.HeaderLen()
	if syn.Src.Is4() {
		h := wire.IPv4{TOS: syn.TOS, TTL: syn.TTL, Protocol: wire.ProtoTCP, DF: true, TotalLen: wire.IPv4MinHeader + size, Src: syn.Src, Dst: syn.Dst}
		b = h.AppendTo(b)
	} else {
		h := wire.IPv6{TrafficClass: syn.TOS, HopLimit: syn.TTL, NextHeader: wire.ProtoTCP, PayloadLen: size, Src: syn.Src, Dst: syn.Dst}
		b = h.AppendTo(b)
	}
	l4 := len(b)
	b = syn.Header.AppendTo(b)
	s.forward.whole = b
	was := s.in
	s.in = inbound{link: s.link(syn.Link), srcMAC: was.srcMAC, src: syn.Src, dst: syn.Dst, header: b[:l4], body: b[l4:]}
	s.refuse(e, 0)
	s.in = was
}

// offerUnreachable tells the sender of packet, which q describes and Forward
// took, that its neighbour on l does not answer: through the forwarder, by an
// ICMP error from where the packet was to go, as the sender's own host would
// have told it.
func (s *Stack) offerUnreachable(l *link, q *wire.Quoted, packet []byte) {
	if s.forwarder == nil || errorMessage(q.Proto, q.Transport) {
		return
	}
	r := refusals[errno.EHOSTUNREACH]
	b := s.forward.whole[:0]
	if q.Src.Is4() {
		quote := packet[:min(len(packet), maxError4-wire.IPv4MinHeader-wire.ICMPLen)]
		h := wire.IPv4{TTL: s.defaultTTL(true), Protocol: wire.ProtoICMP4, TotalLen: wire.IPv4MinHeader + wire.ICMPLen + len(quote), Src: q.Dst, Dst: q.Src}
		b = h.AppendTo(b)
		b = appendICMP(b, wire.ICMP{Type: r.type4, Code: r.code4}, quote, 0)
	} else {
		quote := packet[:min(len(packet), maxError6-wire.IPv6Len-wire.ICMPLen)]
		n := wire.ICMPLen + len(quote)
		h := wire.IPv6{HopLimit: s.defaultTTL(false), NextHeader: wire.ProtoICMP6, PayloadLen: n, Src: q.Dst, Dst: q.Src}
		b = h.AppendTo(b)
		b = appendICMP(b, wire.ICMP{Type: r.type6, Code: r.code6}, quote, wire.PseudoSum(q.Dst, q.Src, wire.ProtoICMP6, n))
	}
	s.forward.whole = b
	s.forward.p = ForwardPacket{Data: b, Link: l.num}
	s.offerPacket(&s.forward.p)
}

// appendICMP appends a message with its checksum.
func appendICMP(b []byte, h wire.ICMP, body []byte, pseudo uint16) []byte {
	start := len(b)
	b = append(h.AppendTo(b), body...)
	binary.BigEndian.PutUint16(b[start+icmpCsumOffset:], wire.Checksum(b[start:], pseudo))
	return b
}
