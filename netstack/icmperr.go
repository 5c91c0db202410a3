package netstack

// ICMP errors on their way to the socket whose packet they are about: RFC 1122
// sections 3.2.2 and 4.2.3.9, RFC 4443, RFC 5927 (forged errors). The errno of
// each is what Linux gives a socket.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// meaning is what an ICMP code says to a socket.
type meaning struct {
	errno errno.Errno
	hard  bool // the destination refuses, not merely the path
}

// unreach4 are the codes of destination unreachable (RFC 792, RFC 1122 section
// 3.2.2.1, RFC 1812 section 5.2.7.1).
var unreach4 = [...]meaning{
	0:  {errno.ENETUNREACH, false},
	1:  {errno.EHOSTUNREACH, false},
	2:  {errno.ENOPROTOOPT, true},
	3:  {errno.ECONNREFUSED, true},
	4:  {errno.EMSGSIZE, false},
	5:  {errno.EOPNOTSUPP, false},
	6:  {errno.ENETUNREACH, true},
	7:  {errno.EHOSTDOWN, true},
	8:  {errno.ENONET, true},
	9:  {errno.ENETUNREACH, true},
	10: {errno.EHOSTUNREACH, true},
	11: {errno.ENETUNREACH, false},
	12: {errno.EHOSTUNREACH, false},
	13: {errno.EHOSTUNREACH, true},
	14: {errno.EHOSTUNREACH, true},
	15: {errno.EHOSTUNREACH, true},
}

// unreach6 are the codes of destination unreachable (RFC 4443 section 3.1).
var unreach6 = [...]meaning{
	0: {errno.ENETUNREACH, false},
	1: {errno.EACCES, true},
	2: {errno.EHOSTUNREACH, false},
	3: {errno.EHOSTUNREACH, false},
	4: {errno.ECONNREFUSED, true},
	5: {errno.EACCES, true},
	6: {errno.EACCES, true},
}

var (
	timeExceeded = meaning{errno.EHOSTUNREACH, false}
	paramProblem = meaning{errno.EPROTO, true}
	unknownError = meaning{errno.EPROTO, false}       // RFC 4443 section 2.4(a): it is passed on
	silent       = meaning{errno.EHOSTUNREACH, false} // our own verdict on a neighbour
)

func (s *Stack) inputError4(h *wire.ICMP, quote []byte) {
	s.in.icmp = *h
	var q wire.Quoted
	if wire.ParseQuoted4(quote, &q) != nil {
		s.counters.ICMP4.InErrors++
		return
	}
	m, mtu := paramProblem, 0
	switch {
	case h.Type == wire.ICMP4TimeExceeded:
		m = timeExceeded
	case h.Type == wire.ICMP4Unreachable && int(h.Code) < len(unreach4):
		m = unreach4[h.Code]
		if h.Code == wire.ICMP4CodeFragNeeded {
			mtu = nextHopMTU(int(h.Rest&0xffff), q.Length)
		}
	case h.Type == wire.ICMP4Unreachable:
		s.counters.ICMP4.InErrors++
		return
	}
	if !s.transportError(&q, m, mtu, &s.counters.ICMP4) {
		s.offer()
	}
}

func (s *Stack) inputError6(h *wire.ICMP, quote []byte) {
	s.in.icmp = *h
	var q wire.Quoted
	if wire.ParseQuoted6(quote, &q) != nil {
		s.counters.ICMP6.InErrors++
		return
	}
	m, mtu := paramProblem, 0 // also what an unknown code of unreachable means
	switch {
	case h.Type == wire.ICMP6Unreachable && int(h.Code) < len(unreach6):
		m = unreach6[h.Code]
	case h.Type == wire.ICMP6TooBig && h.Rest >= wire.IPv6MinMTU && h.Rest < maxMTU:
		// RFC 8201 section 4: a smaller MTU than 1280 is discarded.
		m, mtu = meaning{errno.EMSGSIZE, false}, int(h.Rest)
	case h.Type == wire.ICMP6TimeExceeded:
		m = timeExceeded
	case h.Type == wire.ICMP6TooBig:
		s.counters.ICMP6.InErrors++
		return
	case h.Type != wire.ICMP6ParamProblem && h.Type != wire.ICMP6Unreachable:
		m = unknownError
	}
	if !s.transportError(&q, m, mtu, &s.counters.ICMP6) {
		s.offer()
	}
}

// transportError hands m to the layer whose packet is quoted. The layers check
// that a socket sent it (RFC 5927 section 4.1); the address is checked here. It
// reports whether that settles it: false, and the packet may be one that was
// forwarded.
func (s *Stack) transportError(q *wire.Quoted, m meaning, mtu int, c *ICMPCounters) bool {
	fromPeer := s.in.link != nil && s.in.link.peer != nil
	if !fromPeer && !s.IsLocal(q.Src) || !validRemote(q.Dst) || s.in.link != nil && s.IsLocal(q.Dst) {
		c.InErrors++
		return true
	}
	switch q.Proto {
	case wire.ProtoTCP:
		e := tcp.ICMPError{Errno: m.errno, Hard: m.hard, MTU: mtu}
		if mtu != 0 {
			e.Errno, e.MTU = 0, max(mtu, leastPMTU(q.Dst))
		} else {
			u := s.udpError(q, m, 0)
			e.Type, e.Code, e.Info, e.From, e.TTL, e.TOS = u.Type, u.Code, u.Info, u.From, u.Marks.TTL, u.Marks.TOS
		}
		if s.tcp.ICMP(q.Src, q.Dst, q.Transport, e) && mtu != 0 {
			s.learnPMTU(q.Dst, mtu)
		}
	case wire.ProtoUDP:
		if fromPeer || !s.udp.ICMP(q.Src, q.Dst, q.Transport, s.udpError(q, m, mtu)) {
			return false
		}
		if mtu != 0 {
			s.learnPMTU(q.Dst, mtu)
		}
	default:
		return false
	}
	return true
}

// udpError is the message that is being looked at as a UDP socket takes it, and
// what TCP keeps of it.
func (s *Stack) udpError(q *wire.Quoted, m meaning, mtu int) udp.ICMPError {
	in := &s.in
	e := udp.ICMPError{
		Errno: m.errno, Hard: m.hard, MTU: mtu,
		Type: in.icmp.Type, Code: in.icmp.Code, From: in.src, Marks: udp.Marks{TTL: in.ttl, TOS: in.tos},
	}
	switch {
	case q.Src.Is6():
		e.Info = in.icmp.Rest
	case mtu != 0:
		e.Info = uint32(mtu)
	case in.icmp.Type == wire.ICMP4ParamProblem:
		e.Info = in.icmp.Rest >> 24
	}
	return e
}

func validRemote(a netip.Addr) bool { return !a.IsUnspecified() && !a.Is4In6() }

// leastPMTU is as low as a message brings the path to dst.
func leastPMTU(dst netip.Addr) int {
	if dst.Is4() {
		return minPMTU4
	}
	return wire.IPv6MinMTU
}

// localError tells the sender of packet, which starts with the IP header and
// never left by l, that its neighbour hop does not answer.
func (s *Stack) localError(l *link, hop netip.Addr, packet []byte) {
	var q wire.Quoted
	parse, c := wire.ParseQuoted4, &s.counters.ICMP4
	if packet[0]>>4 == 6 {
		parse, c = wire.ParseQuoted6, &s.counters.ICMP6
	}
	if parse(packet, &q) != nil {
		return
	}
	// As if we had sent ourselves what a router says then.
	s.in = inbound{src: q.Src, icmp: wire.ICMP{Type: wire.ICMP4Unreachable, Code: wire.ICMP4CodeHost}}
	if q.Src.Is6() {
		s.in.icmp = wire.ICMP{Type: wire.ICMP6Unreachable, Code: wire.ICMP6CodeAddr}
	}
	s.in.ttl = s.defaultTTL(q.Src.Is4())
	m := silent
	if down := s.profile.NoNeighbour; down != 0 && q.Dst == hop {
		m.errno = down
	}
	if !s.transportError(&q, m, 0, c) {
		s.offerUnreachable(l, &q, packet)
	}
}
