package udp

// Sending: RFC 768, RFC 8085 section 3.2 (path MTU), ip(7) (IP_MTU_DISCOVER).

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Largest payloads in bytes: what IP's length fields hold, less the headers
// that they count.
const (
	MaxPayload4 = wire.IPv4MaxPacket - wire.IPv4MinHeader - wire.UDPLen
	MaxPayload6 = wire.IPv4MaxPacket - wire.UDPLen
)

// discovery is what a value of IP_MTU_DISCOVER or IPV6_MTU_DISCOVER asks for.
type discovery struct {
	df    bool // packets that fit carry DF
	whole bool // packets that do not fit are EMSGSIZE
	link  bool // they fit when the link takes them, whatever the path does
}

var discoveries = [...]discovery{
	sockopt.PMTUDiscDont:      {},
	sockopt.PMTUDiscWant:      {df: true},
	sockopt.PMTUDiscDo:        {df: true, whole: true},
	sockopt.PMTUDiscProbe:     {df: true, whole: true, link: true},
	sockopt.PMTUDiscInterface: {whole: true, link: true},
	sockopt.PMTUDiscOmit:      {link: true},
}

// SendTo sends p to a, or with an invalid a to the peer, in datagrams as large as
// UDP_SEGMENT says. Errors: a pending ICMP error, EDESTADDRREQ, EINVAL (port 0),
// EMSGSIZE, EAFNOSUPPORT, EACCES (broadcast without SO_BROADCAST), ENETUNREACH, …
func (s *Socket) SendTo(p []byte, a netip.AddrPort) error {
	return s.SendSegments(p, a, int(s.opts.Rare().UDPSegment))
}

func (s *Socket) send(p []byte, a netip.AddrPort, size int) error {
	if s.closed {
		return errno.EPIPE
	}
	if len(p) > MaxPayload6 {
		return s.TooLarge(a)
	}
	to, err := s.destination(a)
	switch {
	case err != nil:
		return err
	case !to.IsValid():
		return errno.EDESTADDRREQ
	case to.Port() == 0:
		return errno.EINVAL
	case to.Addr().Is4() && len(p) > MaxPayload4:
		return errno.EMSGSIZE
	}
	if e := s.TakeError(); e != 0 {
		return e
	}
	if err := s.familyAllowed(to.Addr()); err != nil {
		return err
	}
	if err := s.wayTo(to.Addr()); err != nil {
		return err
	}
	if to.Addr().Is4() && len(p) > MaxPayload4-s.path.Options.Len() {
		s.localError(to, errno.EMSGSIZE, s.path.MTU-s.path.Options.Len())
		return errno.EMSGSIZE
	}
	if err := s.autobind(); err != nil {
		return err
	}
	if size == 0 {
		return s.transmit(p, to)
	}
	if err := s.mayCut(len(p), size); err != nil {
		return err
	}
	for {
		n := min(len(p), size)
		if err := s.transmit(p[:n], to); err != nil {
			return err
		}
		if p = p[n:]; len(p) == 0 {
			return nil
		}
	}
}

// transmit sends one datagram on s.path.
func (s *Socket) transmit(p []byte, to netip.AddrPort) error {
	l := s.l
	l.header = wire.UDP{SrcPort: s.claim.Port, DstPort: to.Port(), Length: uint16(wire.UDPLen + len(p))}
	l.sending = s.sending(len(p))
	if err := l.net.Transmit(&s.path, &l.header, p, &l.sending); err != nil {
		if err == errno.EMSGSIZE {
			s.localError(to, errno.EMSGSIZE, l.sending.MTU-s.path.Options.Len())
		}
		return err
	}
	l.counters.OutDatagrams++
	return nil
}

// destination is where a datagram to a goes; an invalid a is the peer.
func (s *Socket) destination(a netip.AddrPort) (netip.AddrPort, error) {
	if !a.IsValid() {
		return s.remote, nil
	}
	addr, no := s.peer(a.Addr())
	if no != 0 {
		return netip.AddrPort{}, no
	}
	return netip.AddrPortFrom(addr, a.Port()), nil
}

// TooLarge is SendTo of more bytes than any datagram holds: EMSGSIZE, or what is
// wrong with the destination. Over IPv6 it is queued as an error with the path's
// MTU, as Linux does.
func (s *Socket) TooLarge(a netip.AddrPort) error {
	to, err := s.destination(a)
	if err != nil {
		return err
	}
	if to.Addr().Is6() && s.wayTo(to.Addr()) == nil {
		s.localError(to, errno.EMSGSIZE, s.sending(MaxPayload6).MTU)
	}
	return errno.EMSGSIZE
}

// wayTo makes s.path lead to addr.
func (s *Socket) wayTo(addr netip.Addr) error {
	from, link := s.asked(addr), s.link(addr)
	if s.pathTo == addr && s.pathLink == link && s.pathFrom == from && s.l.net.Fresh(&s.path) {
		return nil
	}
	p, err := s.route(addr)
	if err != nil {
		s.pathTo = netip.Addr{}
		return err
	}
	if !from.IsValid() && s.remote.IsValid() && s.local.IsValid() && s.local.Is4() == p.Src.Is4() && s.l.net.IsLocal(s.local) {
		p.Src = s.local // a connected socket keeps its source
	}
	s.path, s.pathTo, s.pathLink, s.pathFrom = p, addr, link, from
	return nil
}

// sending is how a datagram of n payload bytes travels on s.path.
func (s *Socket) sending(n int) Sending {
	o := &s.opts
	v4 := s.path.Dst.Is4()
	header, mode, ttl, group, std, tos := wire.IPv6Len, o.MTUDiscover6, o.HopLimit, o.MulticastHops, s.l.tun.HopLimit, o.TClass
	if v4 {
		header, mode, ttl, group, std, tos = wire.IPv4MinHeader+s.path.Options.Len(), o.MTUDiscover, o.TTL, o.MulticastTTL, s.l.tun.DefaultTTL, o.TOS
	}
	d := discoveries[min(int(mode), len(discoveries)-1)]
	x := Sending{TOS: tos, TTL: std, Fragment: !d.whole, MTU: s.path.MTU}
	switch {
	case s.path.Multicast:
		x.TTL = group
	case ttl >= 0:
		x.TTL = uint8(ttl)
	}
	if d.link {
		x.MTU = s.path.LinkMTU
	}
	if r := o.Rare(); !v4 {
		x.Fragment = x.Fragment && !r.DontFrag6
		if r.FragSize6 != 0 {
			x.MTU = min(x.MTU, int(r.FragSize6))
		}
	}
	fits := header+wire.UDPLen+n <= x.MTU
	x.DF = d.df && (fits || d.whole) && !(s.path.NoDF && !d.whole)
	return x
}
