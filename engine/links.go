package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack"
)

// links names the stack's links as programs know them: by the index that the
// interface of the same name has in the sandbox, which if_nametoindex(3) and
// IP_PKTINFO give them. It implements sockopt.Links and sockopt.Indexes.
type links struct {
	*netstack.Stack
	e *engine
}

func (l links) LinkByIndex(index int) (link int, ok bool) {
	if index != l.index() {
		return 0, false
	}
	return l.LinkByName(l.e.cfg.Ifname)
}

// IndexOf is the same for every link, as a sandbox has one.
func (l links) IndexOf(int) int { return l.index() }

func (l links) index() int { return l.e.ifindexOf(netip.Addr{}) }
