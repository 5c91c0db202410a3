package netstack

// ICMP and ICMPv6, in: RFC 792, RFC 1122 section 3.2.2, RFC 4443.

import (
	"github.com/tcpcni/tcpcni/netstack/wire"
)

func (s *Stack) inputICMP4(b []byte) {
	c := &s.counters.ICMP4
	c.InMsgs++
	var h wire.ICMP
	body, err := wire.ParseICMP4(b, &h)
	if err != nil && !s.trustedShort(err, b, &h, &body) {
		c.InErrors++
		return
	}
	switch h.Type {
	case wire.ICMP4Echo:
		c.InEchos++
		// RFC 1122 section 3.2.2.6: an echo to a group may go unanswered, and
		// answering it makes an amplifier.
		if !s.in.group {
			s.echo(wire.ICMP4EchoReply, &h, body)
		} else {
			s.offer()
		}
	case wire.ICMP4Unreachable, wire.ICMP4TimeExceeded, wire.ICMP4ParamProblem:
		c.InErrorMsgs++
		s.inputError4(&h, body)
	default:
		c.InOthers++
		s.offer()
	}
}

func (s *Stack) inputICMP6(b []byte) {
	c := &s.counters.ICMP6
	c.InMsgs++
	var h wire.ICMP
	body, err := wire.ParseICMP6(s.in.src, s.in.dst, b, &h)
	if err != nil && !s.trustedShort(err, b, &h, &body) {
		c.InErrors++
		return
	}
	switch {
	case h.Type >= wire.ICMP6RouterSolicit && h.Type <= wire.ICMP6Redirect:
		s.inputND(&h, body)
	case s.in.src.IsUnspecified():
		c.InErrors++ // only duplicate address detection has no source
	case h.Type == wire.ICMP6MLDQuery:
		s.inputMLDQuery(&h, body)
		s.offer()
	case h.Type == wire.ICMP6Echo:
		c.InEchos++
		s.echo(wire.ICMP6EchoReply, &h, body)
	case h.Is6Error():
		c.InErrorMsgs++
		s.inputError6(&h, body)
	default:
		c.InOthers++
		s.offer()
	}
}

// trustedShort accepts a message whose checksum the link has yet to finish.
func (s *Stack) trustedShort(err error, b []byte, h *wire.ICMP, body *[]byte) bool {
	if err != wire.ErrChecksum || !s.in.trusted {
		return false
	}
	*body = wire.ICMPUnverified(b, h)
	return true
}

// echo answers an echo request with its own data (RFC 1122 section 3.2.2.6,
// RFC 4443 section 4.2, MUST).
func (s *Stack) echo(typ uint8, h *wire.ICMP, body []byte) {
	in := &s.in
	if in.link != nil && !s.echoes.allow(s) {
		s.icmpCounters(in.dst.Is4()).OutLimited++
		return
	}
	src := in.dst
	if in.group {
		src = in.link.source(in.src, in.src)
	}
	reply := wire.ICMP{Type: typ, Rest: h.Rest}
	s.sendICMP(&icmpOut{src: src, dst: in.src, tos: in.tos &^ 3, h: reply}, body, nil)
}

func (s *Stack) icmpCounters(v4 bool) *ICMPCounters {
	if v4 {
		return &s.counters.ICMP4
	}
	return &s.counters.ICMP6
}
