package tcp

// Loss detection and recovery: RFC 5681 section 3.2, RFC 6582 (NewReno), RFC
// 6675 (with SACK), RFC 3042 (limited transmit). Both kinds run on one account
// of what is in the network, the pipe of RFC 6675: without SACK every duplicate
// acknowledgement stands for one segment that left it, which is RFC 6582's
// inflated window seen from the other side.

import (
	"math"
	"time"
)

type caState uint8

// Congestion states, by the numbers of Linux's struct tcp_info.
const (
	caOpen     caState = 0
	caRecovery caState = 3 // fast recovery
	caLoss     caState = 4 // after a timeout: everything outstanding is taken for lost
)

// sackedBytes is what left the network without being acknowledged in order.
func (c *conn) sackedBytes() uint32 {
	switch {
	case c.log == nil:
		return 0
	case c.flags&flagSACK != 0:
		return c.log.sacked
	}
	return c.log.dups
}

// lostEdge is the sequence number under which what is not acknowledged counts
// as lost in fast recovery.
func (c *conn) lostEdge() uint32 {
	// RFC 6582 section 3.2 step 3: the segment at SND.UNA is lost, at the start
	// and after every partial acknowledgement.
	edge := seqMin(c.sndUna+uint32(c.mss), c.sndNxt)
	if c.log.sacked > 0 {
		edge = seqMax(edge, c.log.lostEdge(c.sndUna, uint32(c.mss)))
		if c.flags&flagEdgeKnown != 0 {
			edge = seqMax(edge, seqMin(c.probeEnd, c.log.highest(c.sndUna)))
		}
	}
	return edge
}

// lostEdge is the sequence number under which every hole is lost: IsLost of
// RFC 6675 section 4. Without any it is una.
func (b *sendLog) lostEdge(una, mss uint32) uint32 {
	var bytes, ranges uint32
	for i := b.records() - 1; i >= 0 && bytes < b.sacked; i-- {
		r := b.at(i)
		if r.flags&recSacked == 0 {
			continue
		}
		bytes += r.len()
		ranges++
		if ranges >= dupThresh || bytes > (dupThresh-1)*mss {
			return r.start
		}
	}
	return una
}

// markLost takes the i-th record for lost.
func (c *conn) markLost(i int) {
	b := c.log
	c.lostBytes += uint64(b.at(i).len())
	b.setLost(i)
	if c.cc.info().wantsLost {
		c.tellLost(b.at(i))
	}
}

// tellLost hands what is known of a lost transmission to the algorithm: the
// sample of draft-ietf-ccwg-bbr section 5.5.10.2, BBRHandleLostPacket.
func (c *conn) tellLost(r *txRecord) {
	s := c.signal(c.now())
	s.una, s.nxt = r.start, r.end
	s.rate = rateSample{
		priorDelivered: r.delivered, delivered: c.delivered - r.delivered, lost: c.lostBytes - r.lost,
		priorInFlight: r.inFlight, appLimited: r.flags&recApp != 0,
		newlyLost: r.len(), inFlight: c.pipe(),
	}
	c.cc.lost(&c.ccWindow, s)
	c.clampCwnd()
}

// markBelow takes for lost what lies below edge and is in the network, also
// what was sent again already if all.
func (c *conn) markBelow(edge uint32, all bool) {
	b := c.log
	if b == nil {
		return
	}
	_, j := b.cut(c.sndUna, edge, math.MaxInt)
	for i := range j {
		if r := b.at(i); r.inNetwork() && (all || r.flags&recRexmt == 0) {
			c.markLost(i)
		}
	}
}

// pipe estimates the bytes in the network: RFC 6675 section 4, SetPipe.
func (c *conn) pipe() uint32 {
	out := c.sndNxt - c.sndUna
	gone := c.sackedBytes()
	if c.log != nil {
		gone += c.log.lost
	}
	return out - min(gone, out)
}

// lossDetection is run for every acceptable acknowledgement: acked bytes are
// new in order, sacked bytes new out of order, dup is a duplicate as RFC 5681
// section 2 defines it.
func (c *conn) lossDetection(acked, sacked uint32, dup bool, now time.Duration) {
	switch {
	case acked > 0:
		c.onProgress(acked, now)
	case dup && c.sndUna != c.sndNxt:
		c.onDuplicate()
	}
	if c.caState == caOpen {
		if c.lossSeen() {
			c.enterRecovery(now)
		}
		return
	}
	if sacked > 0 {
		c.lostRetransmit()
	}
	if c.caState == caRecovery {
		c.markBelow(c.lostEdge(), false)
	}
}

func (c *conn) onProgress(acked uint32, now time.Duration) {
	c.dupAcks = 0
	// The first segment acknowledged was the hole; the rest had been counted by
	// duplicate acknowledgements.
	if c.log != nil {
		c.log.dups -= min(c.log.dups, acked-min(acked, uint32(c.mss)))
	}
	if c.caState == caOpen {
		return
	}
	if seqLEQ(c.recover, c.sndUna) {
		// RFC 6582 section 3.2 step 3, full acknowledgement: the window is what
		// the reduction left, as it was never inflated.
		from := c.caState
		c.caState = caOpen
		if c.log != nil {
			c.log.dups = 0
		}
		c.flags &^= flagEdgeKnown
		c.recovered(from, now)
		return
	}
	c.rexmtMark = c.sndNxt
	c.flags &^= flagProbeOut
}

func (c *conn) onDuplicate() {
	if c.dupAcks < 255 {
		c.dupAcks++
	}
	if c.flags&flagSACK == 0 {
		// At least one outstanding segment, the hole, did not arrive.
		out := c.sndNxt - c.sndUna
		c.log.dups = min(c.log.dups+uint32(c.mss), out-min(out, uint32(c.mss)))
	}
}

// lossSeen decides on fast retransmit.
func (c *conn) lossSeen() bool {
	if c.log == nil {
		return false
	}
	if c.log.sacked > 0 {
		// RFC 6675 section 5 step 1 and 2.
		return seqLEQ(c.recover, c.sndUna) &&
			(c.dupAcks >= dupThresh || c.log.lostEdge(c.sndUna, uint32(c.mss)) != c.sndUna)
	}
	// RFC 6582 section 3.2 step 2: not for duplicates of what a timeout resent.
	return c.dupAcks >= dupThresh && seqLT(c.recover, c.sndUna)
}

// enterRecovery is RFC 6582 section 3.2 step 2 and RFC 6675 section 5 step 4.
func (c *conn) enterRecovery(now time.Duration) {
	c.l.counters.FastRetrans++
	c.beginUndo()
	c.reduceForLoss(now)
	c.recover, c.rexmtMark = c.sndNxt, c.sndNxt
	c.caState = caRecovery
	c.flags &^= flagProbeOut | flagEdgeKnown
	c.markBelow(c.lostEdge(), true)
	c.l.markDirty(c)
}

// enterLoss is the congestion side of a retransmission timeout: RFC 5681
// section 3.1, RFC 6675 section 5.1.
func (c *conn) enterLoss(now time.Duration) {
	if c.backoff <= 1 {
		c.beginUndo()
	}
	c.collapseCwnd(now)
	c.recover, c.rexmtMark = c.sndNxt, c.sndNxt
	c.caState = caLoss
	c.dupAcks = 0
	c.flags &^= flagProbeOut | flagEdgeKnown
	b := c.log
	if b == nil {
		return
	}
	b.dups = 0
	// RFC 2018 section 8: a peer that holds the byte at SND.UNA would have
	// acknowledged it; it has reneged.
	if b.sacked > 0 && (c.backoff > 2 || b.at(0).flags&recSacked != 0) {
		b.forgetSacked()
	}
	c.markBelow(c.sndNxt, true)
}

// lostRetransmit notices that the first hole's retransmission was lost too:
// data that was sent well after it has arrived. Otherwise only a timeout would
// tell (RFC 6675 section 6 leaves this open).
func (c *conn) lostRetransmit() {
	b := c.log
	if b == nil || b.records() == 0 || b.at(0).flags&(recRexmt|recLost) != recRexmt {
		return
	}
	if seqLT(c.rexmtMark+(dupThresh-1)*uint32(c.mss), b.highest(c.sndUna)) {
		c.l.counters.LostRetransmits++
		c.rexmtMark = c.sndNxt
		c.markHead()
	}
}

// markHead takes the segment at SND.UNA for lost, unless the peer has it.
func (c *conn) markHead() {
	c.log.cut(c.sndUna, seqMin(c.sndUna+uint32(c.mss), c.sndNxt), math.MaxInt)
	if c.log.at(0).inNetwork() {
		c.markLost(0)
		c.l.markDirty(c)
	}
}
