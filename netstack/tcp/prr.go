package tcp

// Proportional rate reduction: RFC 9937, which replaced RFC 6937. In fast
// recovery the window follows what is delivered, so that the reduction is spread
// over a round trip and neither a burst nor silence comes of it. Algorithms that
// own their window in recovery do without.

// prrStart begins a recovery: RFC 9937 section 6.1.
func (c *conn) prrStart() {
	b := c.log
	// What was delivered out of order before this acknowledgement is never
	// delivered again during recovery.
	fresh := c.l.sample.newlyAcked
	if c.flags&flagSACK == 0 {
		fresh = min(uint32(c.mss), b.dups) // the duplicate that led here
	}
	b.recoverFS = c.sndNxt - c.sndUna + fresh
	b.recoverFS = max(b.recoverFS-min(b.recoverFS, c.sackedBytes()), 1)
	b.prrDelivered, b.prrOut = 0, 0
}

// prrAck is section 6.2: it sets the window for an acknowledgement that delivered something. safe
// tells of progress in order without another loss (SafeACK).
func (c *conn) prrAck(delivered uint32, safe bool) {
	b := c.log
	b.prrDelivered += delivered
	if c.cc.info().ownWindow {
		return
	}
	mss, pipe := uint32(c.mss), c.pipe()
	var n uint32
	if pipe > c.ssthresh {
		due := (uint64(b.prrDelivered)*uint64(c.ssthresh) + uint64(b.recoverFS) - 1) / uint64(b.recoverFS)
		n = uint32(due) - min(uint32(due), b.prrOut)
	} else {
		// Below the target: conservation of packets, and one segment more for
		// each acknowledgement that shows recovery to work.
		n = max(b.prrDelivered-min(b.prrDelivered, b.prrOut), delivered)
		if safe {
			n += mss
		}
		n = min(n, c.ssthresh-pipe)
	}
	if b.prrOut == 0 && n == 0 {
		n = mss // the fast retransmit
	}
	c.cwnd = pipe + n
	c.clampCwnd()
}

// prrSent counts what leaves: section 6.3. Before a recovery the count means
// nothing; prrStart begins it.
func (c *conn) prrSent(n uint32) { c.log.prrOut += n }
