package tcp

// Taking back a reduction that no loss had caused, but reordering or a delay:
// the response of RFC 4015 to what timestamps (eifel.go), F-RTO (frto.go) or
// D-SACKs (RFC 3708) have detected.

import "time"

// beginUndo remembers the window before a reduction: RFC 4015 section 3.2 step 0.
func (c *conn) beginUndo() {
	c.priorCwnd, c.priorSsthresh, c.undoBytes = c.cwnd, c.ssthresh, 0
	c.priorFlight = c.sndNxt - c.sndUna
	c.flags |= flagMayUndo
	if c.log != nil {
		c.log.eifel = eifelOff
	}
}

// retransmitted counts what the peer will report if it had it already.
func (c *conn) retransmitted(n uint32) {
	if c.caState != caOpen {
		c.undoBytes += n
	}
}

// dsackSeen takes the report of n bytes that arrived twice. Once everything
// retransmitted since the reduction was needless, so was the reduction.
func (c *conn) dsackSeen(n uint32, now time.Duration) {
	c.cold().dsackDups += (n + uint32(c.mss) - 1) / uint32(c.mss)
	if c.flags&flagMayUndo == 0 || c.undoBytes == 0 {
		return
	}
	c.undoBytes -= min(n, c.undoBytes)
	if c.undoBytes == 0 {
		// The retransmissions have arrived, so an initial window is no burst.
		c.spurious(c.initialCwnd(), now)
	}
}

// spurious is the response to a recovery that was needless: RFC 4015 section
// 3.2. acked is what the acknowledgement that showed it acknowledges.
func (c *conn) spurious(acked uint32, now time.Duration) {
	if c.l.sample.marked {
		// Congestion all the same: step 3.
		c.flags &^= flagMayUndo
		return
	}
	from := c.caState
	c.l.counters.Undos++
	c.flags &^= flagMayUndo | flagProbeOut
	c.undoReduction(now)
	if !c.cc.info().ownWindow {
		// Step 7: as much as before, but no burst; the threshold lets slow start
		// find back to it.
		iw := c.initialCwnd()
		c.cwnd = min(c.cwnd, c.sndNxt-c.sndUna+min(acked, iw))
		c.ssthresh = max(c.ssthresh, c.priorFlight)
		c.clampCwnd()
	}
	if from == caOpen {
		return
	}
	// Step 5: go on with new data.
	c.caState, c.recover, c.dupAcks = caOpen, c.sndUna, 0
	if b := c.log; b != nil {
		b.frto, b.dups = frtoOff, 0
		b.unlose()
	}
	c.recovered(from, now)
	c.l.markDirty(c)
}
