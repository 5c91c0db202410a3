package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack"
)

// links names the stack's links as programs know them: by the index that the
// interface of the same name has in the sandbox, which if_nametoindex(3) and
// IP_PKTINFO give them, and the stack's loopback as the sandbox's lo. It implements sockopt.Links and sockopt.Indexes.
type links struct {
	*netstack.Stack
	e *engine
}

const loopbackName = "lo"

func (l links) LinkByName(name string) (link int, ok bool) {
	if name == loopbackName {
		return netstack.LoopbackLink, true
	}
	return l.Stack.LinkByName(name)
}

func (l links) LinkName(link int) (name string, ok bool) {
	if link == netstack.LoopbackLink {
		return loopbackName, true
	}
	return l.Stack.LinkName(link)
}

func (l links) LinkByIndex(index int) (link int, ok bool) {
	switch index {
	case 0: // no interface: what has not been found yet has it
		return 0, false
	case l.IndexOf(netstack.LoopbackLink):
		return netstack.LoopbackLink, true
	case l.IndexOf(0):
		return l.Stack.LinkByName(l.e.cfg.Ifname)
	}
	return 0, false
}

// IndexOf is the same for every link but the loopback, as a sandbox has one.
func (l links) IndexOf(link int) int {
	a := netip.Addr{}
	if link == netstack.LoopbackLink {
		a = netip.IPv6Loopback()
	}
	return l.e.ifindexOf(a)
}
