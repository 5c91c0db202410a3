package tcp

// Recovery from loss: RFC 5681 sections 3.1 and 3.2, RFC 6582 (NewReno), RFC
// 6675 (with SACK). Detection, which is RFC 8985 in rack.go, RFC 6675 and 6582
// in classic.go, only takes records of the log for lost; what follows is the
// same for all. The pipe of RFC 6675 is the one account of what is in the
// network: without SACK every duplicate acknowledgement stands for one segment
// that left it, which is RFC 6582's inflated window seen from the other side.

import (
	"math"
	"time"
)

type caState uint8

// Congestion states, by the numbers of Linux's struct tcp_info.
const (
	caOpen     caState = 0
	caRecovery caState = 3 // fast recovery
	caLoss     caState = 4 // after a timeout
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

// pipe estimates the bytes in the network: RFC 6675 section 4, SetPipe.
func (c *conn) pipe() uint32 {
	out := c.sndNxt - c.sndUna
	gone := c.sackedBytes()
	if c.log != nil {
		gone += c.log.lost
	}
	return out - min(gone, out)
}

// markLost takes the i-th record for lost.
func (c *conn) markLost(i int) {
	b := c.log
	r := b.at(i)
	c.lostBytes += uint64(r.len())
	if m := c.search(); m != nil {
		m.lost(c, r.start, r.end)
	}
	if r.flags&recRexmt != 0 && c.caState == caRecovery {
		c.l.counters.LostRetransmits++
	}
	b.setLost(i)
	if c.cc.info().wantsLost {
		c.tellLost(r)
	}
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

// markHead takes the segment at SND.UNA for lost, unless the peer has it.
func (c *conn) markHead() {
	c.log.cut(c.sndUna, seqMin(c.sndUna+uint32(c.mss), c.sndNxt), math.MaxInt)
	if c.log.at(0).inNetwork() {
		c.markLost(0)
		c.l.markDirty(c)
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

// An ackNews is what an acceptable acknowledgement brought: bytes that are new in
// order and out of order, whether it is a duplicate as RFC 5681 section 2 defines
// it, and whether it reports something that arrived twice.
type ackNews struct {
	acked, sacked uint32
	dup, dsack    bool
}

// lossDetection is run for every acceptable acknowledgement.
func (c *conn) lossDetection(a ackNews, now time.Duration) {
	before, lost, dups := c.caState, c.lostBytes, c.sackedBytes()
	switch {
	case a.acked > 0:
		c.onProgress(a.acked, now)
	case a.dup && c.log != nil:
		c.onDuplicate()
	}
	c.frtoAck(a, now)
	c.updateReorderWindow(a.dsack, before)
	if c.log == nil {
		return
	}
	c.detectLoss(now)
	if c.caState == caRecovery {
		// DeliveredData of RFC 9937: what is new in order or out of order; without
		// SACK a duplicate stands for a segment, until what it stood for is
		// acknowledged.
		delivered := c.l.sample.newlyAcked
		if c.flags&flagSACK == 0 {
			sum := a.acked + c.log.dups
			delivered = sum - min(sum, dups)
		}
		c.prrAck(delivered, a.acked > 0 && (before != caRecovery || c.lostBytes == lost))
	}
}

// detectLoss finds what is lost, in the way of the function block, and enters
// recovery if anything is.
func (c *conn) detectLoss(now time.Duration) {
	probe := c.probing()
	switch {
	case c.byTime():
		c.rackDetect(now)
	default:
		c.classicDetect()
	}
	switch {
	case c.caState != caOpen || c.log.lost == 0:
	case c.onlyProbeLost(probe):
		c.l.markDirty(c) // it is sent again, and that is all
	default:
		c.enterRecovery(now)
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
		c.leaveRecovery(now)
		return
	}
	c.flags &^= flagProbeOut
}

// leaveRecovery is RFC 6582 section 3.2 step 3, full acknowledgement: the window
// is what the reduction left, as it was never inflated.
func (c *conn) leaveRecovery(now time.Duration) {
	from := c.caState
	c.caState = caOpen
	if c.log != nil {
		c.log.dups = 0
		c.log.frto = frtoOff
	}
	c.recovered(from, now)
}

func (c *conn) onDuplicate() {
	if c.dupAcks < math.MaxUint16 {
		c.dupAcks++
	}
	if c.flags&flagSACK == 0 {
		// At least one outstanding segment, the hole, did not arrive.
		out := c.sndNxt - c.sndUna
		c.log.dups = min(c.log.dups+uint32(c.mss), out-min(out, uint32(c.mss)))
	}
}

// enterRecovery is RFC 6582 section 3.2 step 2 and RFC 6675 section 5 step 4.
func (c *conn) enterRecovery(now time.Duration) {
	c.l.counters.FastRetrans++
	c.beginUndo()
	c.prrStart()
	c.reduceForLoss(now)
	c.recover = c.sndNxt
	c.caState = caRecovery
	c.log.highRxt, c.log.rescued = c.sndUna, false
	c.flags &^= flagProbeOut
	c.l.markDirty(c)
}

// enterLoss is the congestion side of a retransmission timeout: RFC 5681
// section 3.1, RFC 6675 section 5.1, RFC 8985 section 6.3.
func (c *conn) enterLoss(now time.Duration) {
	if c.backoff <= 1 {
		c.beginUndo()
	}
	c.overestimated()
	c.frtoStart()
	c.collapseCwnd(now)
	c.recover = c.sndNxt
	c.caState = caLoss
	c.dupAcks = 0
	c.flags &^= flagProbeOut
	b := c.log
	if b == nil {
		return
	}
	b.dups = 0
	// RFC 2018 section 8: a peer that holds the byte at SND.UNA would have
	// acknowledged it; it has reneged.
	if c.backoff > 2 || b.at(0).flags&recSacked != 0 {
		b.forgetSacked()
	}
	if c.byTime() {
		c.rackTimeout(now)
	} else {
		c.markBelow(c.sndNxt, true)
	}
}
