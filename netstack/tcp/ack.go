package tcp

// Acknowledgements that arrive: RFC 9293 section 3.10.7.4, fifth step.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// ackInput processes the acknowledgement of an acceptable segment in a
// synchronized state. It returns false when the segment must be dropped.
func (c *conn) ackInput(h *wire.TCP, payload int, now time.Duration) bool {
	ack := h.Ack
	switch {
	case seqLT(c.sndNxt, ack):
		// Acknowledges something not yet sent: an ACK in answer, rate limited.
		c.challenge()
		return false
	case seqLT(ack, c.sndUna-c.maxSndWnd):
		c.challenge() // RFC 5961 section 5.2: too old to be the peer's
		return false
	}
	c.tsUpdate(h, now) // not before: a stranger's timestamp would shut the peer out
	if c.rare != nil {
		c.rare.keepProbes = 0
	}
	c.beginSample(h)
	sacked, dsack := c.sackInput(h, now)
	c.readMarks(h, sacked)
	was := c.caState
	if dsack {
		c.dsackSeen(h.SACK[0].Right-h.SACK[0].Left, now)
	}
	if seqLT(ack, c.sndUna) {
		// An old acknowledgement: only its SACK blocks are news.
		c.lossDetection(ackNews{sacked: sacked, dsack: dsack}, now)
		c.acknowledged(0, c.endSample(now), was, now)
		return true
	}
	acked := ack - c.sndUna
	opened := c.windowUpdate(h)
	// RFC 5681 section 2: (a) to (e).
	dup := acked == 0 && payload == 0 && !opened && h.Flags&(wire.TCPSyn|wire.TCPFin) == 0 &&
		(c.flags&flagSACK == 0 || sacked > 0)
	if acked > 0 {
		needless := c.eifelAck(h)
		c.advanceUna(ack, h, now)
		if needless {
			c.l.counters.EifelUndos++
			if c.caState == caRecovery {
				c.flags |= flagReordering
				c.cold().reordered++
			}
			c.spurious(acked, now)
		}
	}
	news := ackNews{acked, sacked, dup, dsack}
	c.lossDetection(news, now)
	c.probeAnswered(h, news, now)
	c.marksAcked(h)
	c.acknowledged(acked, c.endSample(now), was, now)
	c.heedMarks(now)
	if acked+sacked != 0 || opened || dup {
		c.l.markDirty(c)
	}
	return true
}

// windowUpdate is the SND.WL1 test; it reports whether SND.WND changed. A segment
// that acknowledges more than any before is newer than they are, also when it
// repeats older text: leaving its window aside would move the right edge by what
// it acknowledges. There is no SND.WL2: it is never above SND.UNA, and what
// acknowledges less than that does not come here.
func (c *conn) windowUpdate(h *wire.TCP) bool {
	if !seqLT(c.sndUna, h.Ack) && seqLT(h.Seq, c.sndWl1) {
		return false
	}
	wnd := uint32(h.Window) << c.sndScale
	changed := wnd != c.sndWnd
	if c.sndWnd == 0 && wnd != 0 && c.flags&flagWinProbe != 0 {
		// The window opened: probing ends.
		c.flags &^= flagWinProbe
		c.timers[timerRexmt] = 0
		c.backoff, c.failingSince = 0, 0
	}
	c.sndWnd, c.sndWl1 = wnd, h.Seq
	c.maxSndWnd = max(c.maxSndWnd, wnd)
	return changed
}

// advanceUna takes what ack newly acknowledges off the queue.
func (c *conn) advanceUna(ack uint32, h *wire.TCP, now time.Duration) {
	c.bytesAcked += uint64(ack - c.sndUna)
	c.sndUna = ack
	if m := c.search(); m != nil {
		m.acked(c)
	}
	c.backoff, c.failingSince = 0, 0
	c.sq.trim(c.l.pool, seqMin(ack, c.sq.end))
	c.logAcked(now)
	c.measure(ack, h, now)
	if c.rare != nil {
		c.rare.softErr = 0
		c.answered(now)
	}
	if c.flags&flagUrgSnd != 0 && seqLEQ(c.rare.sndUp, ack) {
		c.flags &^= flagUrgSnd
	}
	if c.flags&flagSmallOut != 0 && seqLEQ(c.sndSml, ack) {
		c.flags &^= flagSmallOut
	}
	// RFC 6298 sections 5.2 and 5.3.
	if c.sndUna == c.sndNxt {
		c.timers[timerRexmt] = 0
	} else {
		c.armRexmt()
	}
	c.wakeWriter()
}

// measure takes a round-trip sample, once in a round trip as RFC 6298 section 2
// assumes: of the first segment that ack newly acknowledges, or from the echoed
// timestamp when segments were retransmitted (RFC 7323 section 4; RFC 6298
// section 3 forbids the former then).
func (c *conn) measure(ack uint32, h *wire.TCP, now time.Duration) {
	if !seqLT(c.rttSeq, ack) {
		return
	}
	s := &c.l.sample
	switch {
	case s.firstAcked != 0 && !s.rexmtAcked:
		c.rttSample(now - s.firstAcked)
	case !c.measureEcho(h, now):
		return
	}
	c.rttSeq = c.sndNxt
}

// measureSYN takes the sample of the handshake.
func (c *conn) measureSYN(h *wire.TCP, now time.Duration) {
	if c.flags&flagSynTimed == 0 {
		c.measureEcho(h, now)
		return
	}
	c.flags &^= flagSynTimed
	c.rttSample(now - c.lastSend)
	c.leastRTT(max(now-c.lastSend, 1), now)
}

func (c *conn) measureEcho(h *wire.TCP, now time.Duration) bool {
	if c.flags&flagTS == 0 || h.TSEcr == 0 {
		return false
	}
	ms := c.tsNow(now) - h.TSEcr
	if ms>>20 != 0 {
		return false // of the future, or more than a quarter of an hour ago
	}
	c.rttSample(time.Duration(ms) * time.Millisecond)
	return true
}

// finAckedInput moves the state once our FIN is acknowledged. It returns false
// when the connection is gone.
func (c *conn) finAckedInput() bool {
	next := c.state.rule().onFinAcked
	switch {
	case next == 0 || !c.finAcked():
	case next == StateClosed: // LAST-ACK
		c.destroy()
	case next == StateTimeWait: // CLOSING
		c.enterTimeWait()
	default:
		c.state = next
		if c.s.orphan {
			c.armFinWait2()
		}
	}
	return c.state != StateClosed
}
