package engine

import (
	"github.com/tcpcni/tcpcni/netstack"
)

// A forwarder passes packets from one stack to the other: UDP that no
// intercepted socket takes, ICMP that is not the stack's own, other protocols.
// It implements netstack.Forwarder. The hop limit stays as it is: engine and
// kernel are one host, so the first hop of a traceroute is the host's.
type forwarder struct {
	from, to *netstack.Stack
	cross    *crossings // whose addresses packets do not go to; nil: none
	count    *uint64
}

// Packet implements netstack.Forwarder. Who sent a packet that cannot go on
// learns why, as from a router.
func (f forwarder) Packet(p *netstack.ForwardPacket) bool {
	if f.cross != nil && f.cross.crosses(p) {
		return false
	}
	p.Link = 0
	if err := f.to.Forward(p); err != nil {
		f.from.Reject(p, asErrno(err))
		return true
	}
	*f.count++
	return true
}
