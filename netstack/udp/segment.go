package udp

// Several datagrams in one call: UDP_SEGMENT of linux/udp.h.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// MaxSegments is how many datagrams one call makes at most.
const MaxSegments = 128

// SendSegments sends p to a as SendTo does, in datagrams of size bytes, of which
// the last may be shorter; size 0: in one, whatever UDP_SEGMENT says. Errors are
// SendTo's, EMSGSIZE (a datagram that would be cut on its way out) and EINVAL
// (more than MaxSegments).
func (s *Socket) SendSegments(p []byte, a netip.AddrPort, size int) error {
	err := s.send(p, a, size)
	if err != nil {
		s.l.counters.SndErrors++
	}
	return err
}

// mayCut reports what is wrong with sending n bytes in parts of size bytes on
// s.path.
func (s *Socket) mayCut(n, size int) error {
	part := min(n, size)
	header := wire.IPv6Len
	if s.path.Dst.Is4() {
		header = wire.IPv4MinHeader + s.path.Options.Len()
	}
	switch {
	case header+wire.UDPLen+part > s.sending(part).MTU:
		return errno.EMSGSIZE
	case n > size*MaxSegments:
		return errno.EINVAL
	}
	return nil
}
