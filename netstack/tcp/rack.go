package tcp

// Detection of losses by time: RFC 8985 section 6. What was sent well before
// something that has arrived is lost, whatever lies between them by sequence
// number, and a retransmission is found lost like any other transmission. The
// state of a flight is in its log; what is learnt about the path stays with the
// connection.

import "time"

const (
	// reoPersist is how many recoveries without a D-SACK a wider reordering window
	// lasts: section 6.2 step 4.
	reoPersist = 16
	maxReoMult = 255
)

// Bits of tcp_recovery, as Linux has them.
const (
	recoveryRACK   = 1
	recoveryStatic = 2 // step 4 without D-SACKs
	recoveryNoDup  = 4 // step 4 without the rule of three segments
)

// byTime reports whether losses of the connection are found by time.
func (c *conn) byTime() bool {
	return c.flags&flagSACK != 0 && c.block.rack && c.l.tun.Recovery&recoveryRACK != 0
}

// sentAfter is RACK_sent_after: section 6.2 step 2.
func sentAfter(at1 time.Duration, end1 uint32, at2 time.Duration, end2 uint32) bool {
	return at1 > at2 || at1 == at2 && seqLT(end2, end1)
}

// rackDelivered is section 6.2 steps 1 to 3 for a record that has arrived.
func (c *conn) rackDelivered(r *txRecord, now time.Duration) {
	b, s := c.log, &c.l.sample
	rtt := now - r.sentAt
	if r.flags&recRexmt != 0 {
		// Step 2: it may have been the original that arrived.
		if s.hasEcho && seqLT(s.echo, c.tsNow(r.sentAt)) || rtt < c.minRTT {
			return
		}
	} else if seqLT(r.end, s.fackBefore) {
		c.flags |= flagReordering // step 3
		c.reorderedFrom(r.start, s.fackBefore)
	}
	b.fack = seqMax(b.fack, r.end)
	if sentAfter(r.sentAt, r.end, b.rackAt, b.rackEnd) {
		b.rackAt, b.rackEnd, b.rackRTT = r.sentAt, r.end, rtt
	}
}

// updateReorderWindow adapts RACK.reo_wnd_mult to needless retransmissions: step
// 4. was is the state before the acknowledgement.
func (c *conn) updateReorderWindow(dsack bool, was caState) {
	b := c.log // without one the round is over
	if b != nil && seqLEQ(b.dsackRound, c.sndUna) {
		b.inRound = false
	}
	switch {
	case dsack && c.l.tun.Recovery&recoveryStatic == 0 && (b == nil || !b.inRound):
		if b != nil {
			b.inRound, b.dsackRound = true, c.sndNxt
		}
		if c.reoMult < maxReoMult {
			c.reoMult++
		}
		c.reoPersist = reoPersist
	case was != caOpen && c.caState == caOpen && c.reoPersist > 0:
		if c.reoPersist--; c.reoPersist == 0 {
			c.reoMult = 0
		}
	}
}

// reorderWindow is RACK.reo_wnd: step 4. As long as nothing was ever reordered,
// three segments above a hole are proof enough.
func (c *conn) reorderWindow() time.Duration {
	if c.flags&flagReordering == 0 && c.l.tun.Recovery&recoveryNoDup == 0 &&
		(c.caState != caOpen || uint32(c.log.sackedSegs) >= c.dupThresh()) {
		return 0
	}
	return min(time.Duration(1+int(c.reoMult))*c.minRTT/4, c.srtt)
}

// rackDetect takes for lost what was sent before the latest delivered
// transmission and is overdue, and has the timer look again at what is not yet:
// step 5.
func (c *conn) rackDetect(now time.Duration) {
	b := c.log
	wait := b.rackRTT + c.reorderWindow()
	var again time.Duration
	for e := b.oldest; e != noRecord; {
		r := &b.recs[e]
		next := r.newer
		if r.sentAt > b.rackAt {
			break
		}
		if sentAfter(b.rackAt, b.rackEnd, r.sentAt, r.end) {
			if r.sentAt+wait > now {
				again = b.rackAt + wait // when even the last of them is overdue
				break
			}
			c.markLost(b.seek(r.start))
		}
		e = next
	}
	if b.reoAt != again {
		b.reoAt = again
		c.armProbe()
	}
}

// rackTimer runs when the reordering window of something has passed.
func (c *conn) rackTimer(now time.Duration) {
	c.log.reoAt = 0
	lost := c.lostBytes
	c.l.sample = sampling{lostBefore: lost} // nothing was delivered
	c.detectLoss(now)
	if c.lostBytes != lost {
		if c.caState == caRecovery {
			c.prrAck(0, false)
		}
		c.l.markDirty(c)
	}
}

// rackTimeout takes for lost, on a retransmission timeout, the first segment and
// what is overdue, but not what was sent lately: section 6.3.
func (c *conn) rackTimeout(now time.Duration) {
	b := c.log
	b.reoAt = 0
	c.markHead()
	wait := b.rackRTT + c.reorderWindow()
	for b.oldest != noRecord && b.recs[b.oldest].sentAt+wait <= now {
		c.markLost(b.seek(b.recs[b.oldest].start))
	}
}
