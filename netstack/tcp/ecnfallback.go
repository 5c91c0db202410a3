package tcp

// Paths that do not let ECN through: RFC 3168 section 6.1.1.1, RFC 9768 section
// 3.1.4.1. A SYN that asks for ECN and is not answered is sent without in the
// end; the destination is remembered for a while, so that not every connection
// pays for it, and forgotten, so that a path that was mended is found out.

import (
	"net/netip"
	"time"
)

const (
	// ecnBrokenTime is how long SYNs to a destination do not ask.
	ecnBrokenTime = 10 * time.Minute
	// maxECNBroken is how many destinations are remembered.
	maxECNBroken = 64
	// ecnBrokenTimes is how often it has to happen: once is more likely a loss.
	ecnBrokenTimes = 2
)

// gaveUpECN reports whether a SYN goes without ECN because those before it, of
// which tries were retransmissions, were not answered.
func (l *Layer) gaveUpECN(tries uint8) bool {
	return l.tun.ECNFallback && int32(tries) > l.tun.ECNMaxRetries
}

// gaveUpECNAnswer is gaveUpECN for a SYN-ACK, where the system does so. RFC 3168
// leaves it open: a SYN-ACK without ECN tells the peer that there is none, and one
// that was sent before may have told the contrary. So marks that arrive are
// echoed, and nothing is sent that can be marked.
func (l *Layer) gaveUpECNAnswer(tries uint8) bool {
	return l.profile.ECNFallbackAnswers && l.gaveUpECN(tries)
}

// goWithoutECN notes that a SYN goes without what those before it asked for.
func (c *conn) goWithoutECN() {
	if !c.ecn.without {
		c.ecn.without = true
		c.l.counters.ECNFallbacks++
	}
}

// An ecnPath is a destination that answered no SYN but one without ECN.
type ecnPath struct {
	addr  netip.Addr
	at    time.Duration // the last time
	times uint8
}

// ecnPaths are the latest of them; a slice, as order must not depend on a map's.
type ecnPaths []ecnPath

func (t ecnPaths) find(a netip.Addr) *ecnPath {
	for i := range t {
		if t[i].addr == a {
			return &t[i]
		}
	}
	return nil
}

// holds reports whether SYNs to a are not to ask.
func (t ecnPaths) holds(a netip.Addr, now time.Duration) bool {
	p := t.find(a)
	return p != nil && p.times >= ecnBrokenTimes && now-p.at < ecnBrokenTime
}

// note enters a, in the place of the oldest if need be.
func (t *ecnPaths) note(a netip.Addr, now time.Duration) {
	p := t.find(a)
	switch {
	case p != nil && now-p.at < ecnBrokenTime:
		p.times = min(p.times, ecnBrokenTimes) + 1
		p.at = now
		return
	case p != nil:
	case len(*t) < maxECNBroken:
		*t = append(*t, ecnPath{})
		p = &(*t)[len(*t)-1]
	default:
		p = &(*t)[0]
		for i := range *t {
			if (*t)[i].at < p.at {
				p = &(*t)[i]
			}
		}
	}
	*p = ecnPath{a, now, 1}
}
