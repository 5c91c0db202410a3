package netstack

// Path MTU discovery: RFC 1191, RFC 8201. The cache holds only destinations
// whose path is narrower than the link.

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

const (
	// pmtuTime is how long a smaller MTU is believed (RFC 1191 section 6.3).
	pmtuTime = 10 * time.Minute
	// minPMTU4 is as low as an ICMP message brings IPv4 (Linux's min_pmtu): below
	// it every segment costs more header than payload, and a forged message is
	// the likelier explanation. A narrower path gets packets without DF.
	minPMTU4 = 552
	// maxPMTUs bounds the cache; the oldest goes.
	maxPMTUs = 1024
)

type pmtuEntry struct {
	mtu     int
	noDF    bool
	expires time.Duration
}

type pmtuCache struct {
	byDst map[netip.Addr]pmtuEntry
	order []netip.Addr // keys, oldest first
}

func (c *pmtuCache) init() { c.byDst = make(map[netip.Addr]pmtuEntry) }

// narrow brings w down to what is known about its destination.
func (c *pmtuCache) narrow(w *way, now time.Duration) {
	if len(c.byDst) == 0 {
		return
	}
	e, ok := c.byDst[w.dst]
	switch {
	case !ok || e.mtu >= w.mtu:
	case now >= e.expires:
		c.forget(w.dst)
	default:
		w.mtu, w.noDF = e.mtu, e.noDF
	}
}

func (c *pmtuCache) forget(dst netip.Addr) {
	delete(c.byDst, dst)
	for i, a := range c.order {
		if a == dst {
			c.order = append(c.order[:i], c.order[i+1:]...)
			return
		}
	}
}

// learnPMTU notes that packets to dst may have mtu bytes. The caller has made
// sure that the message answers a packet that was sent.
func (s *Stack) learnPMTU(dst netip.Addr, mtu int) {
	c := &s.pmtu
	e := pmtuEntry{mtu: mtu, expires: s.now + pmtuTime}
	switch {
	case dst.Is4() && mtu < minPMTU4:
		e.mtu, e.noDF = minPMTU4, true
	case dst.Is6() && mtu < wire.IPv6MinMTU:
		return // RFC 8201 section 4, MUST NOT go below
	}
	if old, ok := c.byDst[dst]; ok {
		if old.mtu <= e.mtu && s.now < old.expires {
			return // RFC 1191 section 3: a message never raises the estimate
		}
		c.forget(dst)
	}
	if len(c.order) >= maxPMTUs {
		c.forget(c.order[0])
	}
	c.byDst[dst] = e
	c.order = append(c.order, dst)
	s.gen++
}

// plateaus are common MTUs in bytes, largest first (RFC 1191 section 7.1).
var plateaus = [...]int{65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68}

// nextHopMTU is what a fragmentation-needed message means: the MTU that it
// gives, or of a router that gives none, the plateau below the packet's length
// (RFC 1191 section 5).
func nextHopMTU(given, packet int) int {
	if given >= minMTU && given < packet {
		return given
	}
	for _, p := range plateaus {
		if p < packet {
			return p
		}
	}
	return minMTU
}
