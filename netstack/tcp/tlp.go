package tcp

// Tail loss probes: RFC 8985 section 7. When the last segments of a flight, or
// the only acknowledgement of them, are lost, nothing comes back that could show
// it; a probe after two round trips does, long before the retransmission timer.

import "time"

const (
	// tlpSlack is added to two round trips for the peer's scheduling: two ticks
	// of a kernel's clock.
	tlpSlack = 2 * time.Millisecond
	// tlpAckDelay is added when one segment is out, whose acknowledgement the
	// peer may delay: section 7.2, WCDelAckT.
	tlpAckDelay = 200 * time.Millisecond
)

// probeTimer is the time after which a probe is sent, or false when the state
// does not allow one. Beyond RFC 8985 it is also armed in fast recovery, where
// silence means that the retransmission is lost as well.
func (c *conn) probeTimer() (time.Duration, bool) {
	if c.flags&flagSACK == 0 || c.flags&flagProbeOut != 0 || c.srtt == 0 ||
		c.caState == caLoss || c.backoff > 0 || !c.state.rule().synced {
		return 0, false
	}
	d := 2*c.srtt + tlpSlack
	if c.sndNxt-c.sndUna <= uint32(c.mss) {
		d += tlpAckDelay
	}
	return d, true
}

// sendTailProbe sends a new segment if there is one, else the last one again,
// or in recovery the first hole: section 7.3.
func (c *conn) sendTailProbe(now time.Duration) {
	c.l.counters.TailProbes++
	c.flags |= flagProbeOut
	c.flags &^= flagProbeRexmt
	mss := uint32(c.mss)
	wnd := c.sndUna + c.sndWnd - c.sndNxt
	switch unsent := c.unsent(); {
	case c.caState == caRecovery:
		c.markHead() // the retransmission follows
	case unsent > 0 && int32(wnd) >= int32(min(unsent, mss)):
		n := min(unsent, mss)
		c.sendPiece(n, n == unsent && c.flags&flagFinQueued != 0, now)
	default:
		c.flags |= flagProbeRexmt
		n := min(mss, c.sndNxt-c.sndUna)
		c.resend(c.sndNxt-n, n)
	}
	c.probeEnd = c.sndNxt
}

// probeAnswered looks at what an acknowledgement says about an outstanding
// probe: section 7.4. dsack tells that the peer received something twice.
func (c *conn) probeAnswered(dsack bool, now time.Duration) {
	if c.flags&flagProbeOut == 0 {
		return
	}
	if dsack {
		c.flags &^= flagProbeRexmt // nothing was lost but an acknowledgement
	}
	switch {
	case seqLEQ(c.probeEnd, c.sndUna):
		c.flags &^= flagProbeOut
		if c.flags&flagProbeRexmt != 0 && c.caState == caOpen {
			// The probe repaired a loss: section 7.4.2 asks for the usual response.
			c.flags &^= flagProbeRexmt
			c.reduceForLoss(now)
			c.recovered(caRecovery, now)
		}
	case c.caState == caOpen && c.log != nil && c.log.sacked > 0 && c.log.highest(c.sndUna) == c.probeEnd:
		// The probe arrived, what was sent two round trips before it did not: it
		// is lost, however few segments say so.
		c.flags &^= flagProbeOut
		c.enterRecovery(now)
		c.flags |= flagEdgeKnown
		c.markBelow(c.lostEdge(), true)
	}
}
