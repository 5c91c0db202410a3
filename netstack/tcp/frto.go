package tcp

// Timeouts that were none: RFC 5682, with SACK (section 3.1) and without (2.1).
// After a timeout the first segment goes again; if what the next two
// acknowledgements report was sent before the timeout and not again, the
// acknowledgements were late, and nothing else needs to be retransmitted.

import "time"

// Steps of section 2.1 and 3.1.
const (
	frtoOff   uint8 = iota
	frtoFirst       // 2: the acknowledgement of the retransmission is awaited
	frtoNew         // 2b: two segments of new data go out
	frtoJudge       // 3: the next acknowledgement decides
)

// frtoStart is step 1, before the state changes. A timeout in recovery, where
// acknowledgements of retransmissions are on their way, is not looked at.
func (c *conn) frtoStart() {
	if b := c.log; b != nil {
		b.frto = frtoOff
		if c.caState == caOpen && c.l.tun.FRTO != 0 {
			b.frto = frtoFirst
		}
	}
}

// frtoAck is steps 2 and 3 for an acknowledgement.
func (c *conn) frtoAck(a ackNews, now time.Duration) {
	b := c.log
	if b == nil {
		return
	}
	mss := uint32(c.mss)
	switch b.frto {
	case frtoFirst:
		switch {
		case a.acked > 0 && (c.flags&flagSACK != 0 || !c.headMissing()):
			b.frto = frtoNew
			c.l.markDirty(c)
		case a.acked > 0, a.dup && c.flags&flagSACK == 0:
			b.frto = frtoOff // 2a
			c.cwnd = min(c.cwnd, 2*mss)
		}
	case frtoJudge:
		if a.acked == 0 && !a.dup && a.sacked == 0 {
			return // neither new nor a duplicate
		}
		b.frto = frtoOff
		if s := &c.l.sample; s.original && !s.beyond {
			c.l.counters.SpuriousRTOs++
			c.flags |= flagLongRTT
			// The needless retransmission says nothing of what was sent before it.
			b.rackAt, b.rackEnd, b.reoAt = 0, 0, 0
			c.spurious(a.acked, now) // 3b
			return
		}
		c.cwnd = min(c.cwnd, 3*mss) // 3a
		c.l.markDirty(c)
	}
}

// headMissing reports whether an acknowledgement left out a part of the segment
// that the timeout resent: without SACK that is a loss, section 2.1 step 2a.
func (c *conn) headMissing() bool { return c.log.at(0).flags&recRexmt != 0 }

// frtoSend is step 2b: up to two segments that were never sent. With none to send
// recovery goes on as usual.
func (c *conn) frtoSend(now time.Duration) {
	c.log.frto = frtoOff
	for range 2 {
		wnd := c.sndUna + c.sndWnd - c.sndNxt
		n := min(c.unsent(), uint32(c.mss))
		if n == 0 || int32(wnd) < int32(n) {
			return
		}
		c.sendPiece(n, n == c.unsent() && c.flags&flagFinQueued != 0, now)
		c.log.frto = frtoJudge
	}
}
