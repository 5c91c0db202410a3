package udp

// ICMP errors: RFC 1122 section 4.1.3.3, RFC 5927; which of them a socket hears
// of is as ip(7) and udp(7) say.

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// ICMP delivers an error about a datagram that was sent from local to remote.
// quoted is its UDP header. It reports whether a socket could have sent that, so
// that the path MTU is only learnt from an answer.
func (l *Layer) ICMP(local, remote netip.Addr, quoted []byte, e ICMPError) bool {
	if len(quoted) < wire.UDPLen {
		return false
	}
	// The datagram that the peer would answer with finds the socket.
	rx := Rx{Src: remote, Dst: local, Header: wire.UDP{
		SrcPort: binary.BigEndian.Uint16(quoted[2:]), DstPort: binary.BigEndian.Uint16(quoted),
	}}
	s := l.lookup(l.byPort[rx.Header.DstPort], &rx)
	if s == nil {
		l.counters.IgnoredErrors++
		return false
	}
	s.icmp(local, netip.AddrPortFrom(remote, rx.Header.SrcPort), quoted[wire.UDPLen:], e)
	return true
}

// icmp is an error about a datagram that went from local to to and held text, as
// far as it was quoted.
func (s *Socket) icmp(local netip.Addr, to netip.AddrPort, text []byte, e ICMPError) {
	every, mode := s.opts.RecvErr, s.opts.MTUDiscover
	if to.Addr().Is6() {
		every, mode = s.opts.RecvErr6, s.opts.MTUDiscover6
	}
	no := e.Errno
	if e.MTU != 0 {
		// A socket that lets its datagrams be cut does not care.
		no, e.Hard = errno.EMSGSIZE, mode != sockopt.PMTUDiscDont
	}
	if no == 0 || !every && !(e.Hard && s.remote.IsValid()) {
		s.l.counters.IgnoredErrors++
		return
	}
	if every {
		s.enqueue(QueuedError{Errno: no, ICMP: true, Type: e.Type, Code: e.Code, Info: e.Info, To: to, At: local, Offender: e.From, Marks: e.Marks}, text)
	}
	s.err = no
	if s.owner != nil {
		s.owner.Error(no)
	}
}
