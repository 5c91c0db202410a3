package tcp

// Segments that arrive for a connection: RFC 9293 section 3.10.7, in its order.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func (c *conn) input(rx *Rx) {
	now := c.now()
	c.arrived(rx)
	if c.state == StateSynSent {
		c.synSentInput(rx, now)
		return
	}
	h := &rx.Header
	switch c.pawsCheck(h, now) {
	case tsIgnore:
		return
	case tsOld:
		c.unacceptable(rx)
		return
	}
	// First: check the sequence number.
	if !c.acceptable(rx) {
		c.unacceptable(rx)
		return
	}
	// Second: check the RST bit.
	if h.Flags&wire.TCPRst != 0 {
		c.resetInput(h)
		return
	}
	// Fourth: check the SYN bit. RFC 5961 section 4.2: whatever its sequence
	// number, it is answered by a challenge, unless the tunable insecure_syn asks
	// for the rule of RFC 793: one in the window is an error.
	if h.Flags&wire.TCPSyn != 0 {
		if c.state == StateSynReceived {
			c.crossedSynInput(h)
			return
		}
		c.answerAgain(rx)
		if c.l.tun.InsecureSYN {
			c.sendReset()
			c.reset()
			return
		}
		c.challenge()
		return
	}
	// Fifth: check the ACK bit.
	if h.Flags&wire.TCPAck == 0 {
		return
	}
	c.lastRecv = now
	if h.UTO != 0 {
		c.heedUTO(h.UTO)
	}
	if c.state == StateSynReceived && !c.synReceivedAck(h, len(rx.Payload), now) {
		return
	}
	if !c.ackInput(h, len(rx.Payload), now) || !c.finAckedInput() {
		return
	}
	c.countMarks(rx)
	// Sixth: check the URG bit.
	if h.Flags&wire.TCPUrg != 0 && c.state.rule().mayRecv {
		c.urgentInput(h)
	}
	c.textInput(rx, now)
}

// acceptable is the test of section 3.10.7.4, first step, against the window
// that was advertised. As Linux does, a segment is also accepted that begins
// exactly at the edge of the window, so that a FIN or an acknowledgement gets
// through when it is shut.
func (c *conn) acceptable(rx *Rx) bool {
	seq, n := rx.Header.Seq, segLen(rx)
	wnd := c.rcvAdv - c.rcvNxt
	if rx.Header.Flags&wire.TCPRst != 0 {
		return seqIn(seq, c.rcvNxt, max(wnd, 1))
	}
	return seqLEQ(c.rcvNxt, seq+n) && seqLEQ(seq, c.rcvAdv) && (n == 0 || seq+n != c.rcvNxt)
}

// unacceptable answers a segment outside the window: an acknowledgement, unless
// it is a RST.
func (c *conn) unacceptable(rx *Rx) {
	h := &rx.Header
	switch {
	case h.Flags&wire.TCPRst != 0:
	case h.Flags&wire.TCPSyn != 0 && c.state == StateSynReceived:
		c.crossedSynInput(h)
	case h.Flags&wire.TCPSyn != 0:
		c.answerAgain(rx)
		c.challenge()
	case len(rx.Payload) > 0 || h.Flags&wire.TCPFin != 0 || c.mayAnswer(c.answerGap(h)):
		// Text or FIN that was received before: the acknowledgement was lost. An
		// old segment may still acknowledge and carry SACK blocks, which the next
		// one repeats.
		if n := uint32(len(rx.Payload)); seqLEQ(h.Seq+n, c.rcvNxt) && c.rcvNxt-h.Seq <= c.rcvLimit() {
			c.noteTwice(h.Seq, h.Seq+n)
			c.arrivedTwice()
		}
		c.ackNow()
	}
}

// textInput is the seventh and eighth step: text and FIN.
func (c *conn) textInput(rx *Rx, now time.Duration) {
	h := &rx.Header
	p, seq, fin := rx.Payload, h.Seq, h.Flags&wire.TCPFin != 0
	if len(p) == 0 && !fin {
		return
	}
	if !c.state.rule().mayRecv {
		// The peer's FIN was here already: this is a retransmission of it.
		if c.state.rule().peerDone {
			c.ackNow()
		}
		return
	}
	if c.s.orphan && len(p) > 0 && seqLT(c.rcvNxt, seq+uint32(len(p))) {
		// RFC 9293 section 3.6.1: nobody is left to read it.
		c.l.counters.EstabResets++
		c.abort()
		return
	}
	p, seq, fin = c.fitWindow(p, seq, fin)
	if len(p) == 0 && !fin {
		return
	}
	c.textMarks(rx)
	if len(p) > 0 {
		c.tally.lastText = clockMillis(now)
	}
	if seq != c.rcvNxt {
		if len(p) > 0 {
			c.cold().ahead += uint32(segments(rx))
		}
		c.keepAhead(p, seq, fin)
		c.aheadAcked(now)
		return
	}
	c.observeMSS(len(p), rx.GSOSize)
	if len(p) > 0 {
		if !c.direct() && c.flags&flagReadShut == 0 && c.l.exhausted() {
			if c.l.prune(); c.l.exhausted() {
				c.l.counters.MemoryDrops++
				c.ackNow()
				return
			}
		}
		c.take(p)
		if c.state == StateClosed {
			return
		}
		segs := 1
		if rx.GSOSize > 0 {
			segs = (len(p) + rx.GSOSize - 1) / rx.GSOSize
		}
		c.textAcked(uint32(len(p)), segs, now)
		if c.ooo != nil && len(c.ooo.pieces) > 0 {
			c.ackNow() // RFC 5681 section 4.2: a gap is filled, or part of it
			if !c.fillGap() {
				return
			}
		}
		c.tuneRcvBuf(now)
	}
	if fin || c.finIsNext() {
		c.finInput()
	}
}

// fitWindow cuts off what was received before and what lies beyond the window.
func (c *conn) fitWindow(p []byte, seq uint32, fin bool) ([]byte, uint32, bool) {
	if seqLT(seq, c.rcvNxt) {
		old := min(c.rcvNxt-seq, uint32(len(p)))
		c.noteTwice(seq, seq+old)
		p, seq = p[old:], seq+old
		c.ackNow() // the peer repeats itself
	}
	if over := seq + uint32(len(p)) - c.rcvAdv; int32(over) > 0 {
		p = p[:uint32(len(p))-min(over, uint32(len(p)))]
		c.ackNow()
		fin = false
	}
	return p, seq, fin
}

// observeMSS keeps an estimate of the peer's segment size.
func (c *conn) observeMSS(n, gso int) {
	if gso > 0 {
		n = gso
	}
	c.rcvMSS = max(c.rcvMSS, uint16(min(n, int(c.advMSS))))
}

// finInput is the eighth step: the peer's FIN, at RCV.NXT.
func (c *conn) finInput() {
	c.rcvNxt++
	c.rcvAdv = seqMax(c.rcvAdv, c.rcvNxt) // a FIN may lie behind the window
	c.flags |= flagFinRcvd
	c.dropReassembly()
	c.ackFIN()
	next := c.state.rule().onFIN
	c.tellEOF()
	if next == StateTimeWait {
		c.enterTimeWait()
		return
	}
	c.leaveOpen()
	c.state = next
}

// synReceivedAck completes a simultaneous open: section 3.10.7.4, fifth step.
func (c *conn) synReceivedAck(h *wire.TCP, payload int, now time.Duration) bool {
	fast := c.flags&(flagFastOpen|flagActive) == flagFastOpen
	if h.Ack != c.iss+1 && !(fast && seqLT(c.iss, h.Ack) && seqLEQ(h.Ack, c.sndNxt)) {
		c.refuseAck(h)
		return false
	}
	c.sndWnd = uint32(h.Window) << c.sndScale
	c.sndWl1, c.maxSndWnd = h.Seq, c.sndWnd
	c.measureSYN(h, now)
	if !fast {
		c.sndUna = h.Ack // else it counts what came behind our SYN, see openFast
	}
	c.thirdStep(h, payload)
	c.established()
	return true
}

// synSentInput is section 3.10.7.3.
func (c *conn) synSentInput(rx *Rx, now time.Duration) {
	h := &rx.Header
	ack := h.Flags&wire.TCPAck != 0
	if ack && (seqLEQ(h.Ack, c.iss) || seqLT(c.fastSent(), h.Ack) || c.sndNxt == c.iss) {
		c.refuseAck(h)
		return
	}
	if h.Flags&wire.TCPRst != 0 {
		if ack {
			c.fail(errno.ECONNREFUSED)
		}
		return
	}
	if h.Flags&wire.TCPSyn == 0 {
		return
	}
	c.lastRecv = now
	c.peerSYN(h, now)
	if !ack {
		// Simultaneous open: section 3.5, figure 8.
		c.state = StateSynReceived
		c.flags |= flagSynDue // again, with an acknowledgement
		c.backoff = 0
		c.flags &^= flagSynTimed
		c.ecnCrossed(rx)
		c.l.markDirty(c)
		return
	}
	c.ecnAnswered(rx)
	c.measureSYN(h, now)
	c.sndUna = h.Ack
	c.fastSynAck(h)
	c.sndWl1 = h.Seq
	c.sndWnd = uint32(h.Window) // never scaled in a SYN: RFC 7323 section 2.2
	c.maxSndWnd = c.sndWnd
	c.established()
	c.ackNow()
	if h.Flags&wire.TCPUrg != 0 {
		c.urgentInput(h)
	}
	// Text and FIN that come with the SYN.
	if len(rx.Payload) > 0 || h.Flags&wire.TCPFin != 0 {
		h.Seq++
		h.Flags &^= wire.TCPSyn
		c.textInput(rx, now)
	}
}
