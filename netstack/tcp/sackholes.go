package tcp

// How many holes peers may report, as FreeBSD's net.inet.tcp.sack.maxholes and
// sack.globalmaxholes have it. The log of transmissions is bounded without them;
// where neither is set nothing is counted.

import "math"

func (l *Layer) limitsHoles() bool {
	return l.tun.SACKHoles != math.MaxInt32 || l.tun.SACKGlobalHoles != math.MaxInt32
}

// mayNote reports whether the block [left, right) may be entered. One that
// would open a hole too many is ignored; what it told of is retransmitted
// needlessly, no more.
func (c *conn) mayNote(left, right uint32) bool {
	l := c.l
	if !l.limitsHoles() || c.log.touches(left, right) {
		return true
	}
	return c.log.holes < int(l.tun.SACKHoles) && l.holes < int(l.tun.SACKGlobalHoles)
}

// touches reports whether something of [left, right), or beside it, is known to
// have arrived: then the block opens no hole.
func (b *sendLog) touches(left, right uint32) bool {
	i := b.seek(left)
	if i > 0 && b.at(i-1).flags&recSacked != 0 && b.at(i-1).end == left {
		return true
	}
	for ; i < b.records() && seqLEQ(b.at(i).start, right); i++ {
		if b.at(i).flags&recSacked != 0 {
			return true
		}
	}
	return false
}

// countHoles notes how many holes there are now.
func (c *conn) countHoles() {
	if c.log == nil || !c.l.limitsHoles() {
		return
	}
	n := c.holes()
	c.l.holes += n - c.log.holes
	c.log.holes = n
}

// holes counts the runs of what is not acknowledged below something that
// arrived.
func (c *conn) holes() int {
	if c.log == nil || c.log.sacked == 0 {
		return 0
	}
	n, open := 0, false
	for i := range c.log.records() {
		switch sacked := c.log.at(i).flags&recSacked != 0; {
		case sacked && open:
			n, open = n+1, false
		case !sacked:
			open = true
		}
	}
	return n
}
