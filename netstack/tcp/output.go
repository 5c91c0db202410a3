package tcp

// Sending: RFC 9293 sections 3.8.6.2.1 (silly window avoidance, Nagle), 3.7.4;
// congestion window of RFC 5681. Data leaves in super-segments as large as the
// path takes.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// corkTime is how long TCP_CORK holds back a partial segment (tcp(7)).
const corkTime = 200 * time.Millisecond

// flush sends what the connection owes.
func (c *conn) flush() {
	switch c.state {
	case StateClosed:
		return
	case StateSynSent, StateSynReceived:
		if c.flags&(flagFastOpen|flagActive) == flagFastOpen {
			c.fastFlush()
		} else {
			c.flushHandshake()
		}
		return
	}
	if c.flags&flagAckNow != 0 && (c.reportsSACK() || c.ahead() || c.ackFirst()) {
		c.sendAck() // some options want the room to themselves, and duplicates count only so
	}
	c.output()
	if c.flags&flagAckNow != 0 {
		c.sendAck()
	}
}

// output sends retransmissions, then new data, as far as the windows allow, and
// leaves the right timer running.
func (c *conn) output() {
	now := c.now()
	c.restartAfterIdle(now)
	if c.log != nil && c.log.frto == frtoNew {
		c.frtoSend(now)
	}
	if c.log == nil || c.log.frto != frtoJudge { // then the next acknowledgement decides
		c.retransmit()
		c.sendNew(now)
		c.sendUnsure(now)
	}
	c.noteAppLimited()
	c.wakeWriter()
	c.clocked(now)
	c.superviseOutput(now)
}

// retransmit sends lost segments while the pipe has room.
func (c *conn) retransmit() {
	mss := uint32(c.mss)
	for c.log != nil {
		left, right, ok := c.log.firstLost()
		if !ok || !c.mayDepart(c.now()) {
			return
		}
		// The first one goes whatever the pipe: RFC 6582 section 3.2 step 2, RFC
		// 6675 section 5 step 4.3.
		room := c.cwnd - min(c.pipe(), c.cwnd)
		if room < mss {
			if left != c.sndUna {
				return
			}
			room = mss
		}
		n := min(right-left, room/mss*mss, c.burst())
		if seqLT(c.sndUna+max(c.sndWnd, mss), left+n) {
			n = min(n, mss) // the peer took back window: go gently
			if seqLT(c.sndUna+max(c.sndWnd, mss), left+n) {
				return
			}
		}
		c.log.highRxt = seqMax(c.log.highRxt, left+n)
		c.resend(left, n)
	}
}

// burst is the largest payload for one Transmit.
func (c *conn) burst() uint32 {
	mss := uint32(c.mss)
	if c.path.GSOMax < 2*int(mss) || c.flags&flagUrgSnd != 0 || c.oneByOne() || c.auth != nil {
		return mss
	}
	n := uint32(c.path.GSOMax)
	if rate := c.paceRate(); rate != 0 {
		n = min(n, max(c.paceBurst(rate), mss))
	}
	return n / mss * mss
}

// resend transmits [seq, seq+n) again; the last number may be the FIN's.
func (c *conn) resend(seq, n uint32) {
	fin, end := false, seq+n
	if seqLT(c.sq.end, end) {
		fin, n = true, c.sq.end-seq
	}
	segs := (n + uint32(c.mss) - 1) / uint32(c.mss)
	now := c.now()
	c.logResent(seq, end, now)
	c.eifelMark(seq, now)
	c.prrSent(n)
	c.departed(n, now)
	if seq == c.sndUna && c.caState == caRecovery {
		c.armRexmt() // RFC 6582 section 4: the timer is that of the retransmission
	}
	c.l.counters.RetransSegs += uint64(max(segs, 1))
	r := c.cold()
	r.retrans += max(segs, 1)
	r.bytesRetrans += uint64(n)
	c.retransmitted(n)
	c.transmit(seq, n, fin)
}

// sendNew sends what was never sent.
func (c *conn) sendNew(now time.Duration) {
	c.flags &^= flagCwndLimited
	if c.rare != nil && c.rare.mtu != nil {
		c.sendMTUProbe(now)
	}
	for sent := uint32(0); ; {
		if sent >= uint32(c.l.tun.LimitOutput) {
			c.l.markDirty(c) // again after the others
			break
		}
		n, fin := c.sendable()
		if n == 0 && !fin || n > 0 && !c.mayDepart(now) {
			break
		}
		c.sendPiece(n, fin, now)
		sent += n
	}
	// A slow start that uses more than half of its window is in use.
	if c.cwnd < c.ssthresh && c.sndNxt-c.sndUna > c.cwnd/2 {
		c.flags |= flagCwndLimited
	}
}

// sendPiece sends the next n bytes that were never sent, and the FIN if fin.
func (c *conn) sendPiece(n uint32, fin bool, now time.Duration) {
	seq := c.sndNxt
	c.sndNxt += n
	if fin {
		c.sndNxt++
		c.flags |= flagFinSent
	}
	if n%uint32(c.mss) != 0 {
		c.flags |= flagSmallOut
		c.sndSml = c.sndNxt
	}
	c.logSent(seq, (n+uint32(c.mss)-1)/uint32(c.mss), now)
	c.prrSent(n)
	c.departed(n, now)
	if c.unacked > 0 {
		c.answers() // the acknowledgement rides on one
	}
	c.markNew(n)
	c.transmit(seq, n, fin)
	c.unmark()
	c.lastSend = now
}

// unsent is how many bytes were never sent.
func (c *conn) unsent() uint32 {
	if c.flags&flagFinSent != 0 {
		return 0
	}
	return c.sq.end - c.sndNxt
}

// sendable decides how many bytes of new data to send in one piece, and whether
// the FIN goes along.
func (c *conn) sendable() (n uint32, fin bool) {
	if c.flags&flagFinSent != 0 {
		return 0, false
	}
	unsent := c.unsent()
	final := c.flags&flagFinQueued != 0
	if unsent == 0 && !final {
		return 0, false
	}
	wnd := c.sndUna + c.sndWnd - c.sndNxt // usable window
	if seqLT(c.sndUna+c.sndWnd, c.sndNxt) {
		wnd = 0
	}
	if unsent == 0 {
		return 0, wnd > 0 || c.sndWnd == 0 && c.sndUna == c.sndNxt || c.sndNxt == c.sndUna+c.sndWnd
	}
	pipe := c.pipe()
	room := c.limitedTransmit(c.cwnd - min(pipe, c.cwnd))
	mss := uint32(c.mss)
	n = min(unsent, wnd, room, c.burst())
	if n < unsent && room <= min(unsent, wnd) {
		c.flags |= flagCwndLimited
	}
	if n == 0 {
		return 0, false
	}
	if n < unsent && n < min(c.burst(), c.windowPart(), c.worthwhile()) && pipe >= 2*mss && c.mayWait() {
		return 0, false // acknowledgements are on their way: wait for a larger piece
	}
	if n == unsent {
		fin = final
		if tail := n % mss; tail != 0 && !c.mayPush(final) {
			n, fin = n-tail, false
		}
		return n, fin
	}
	// RFC 9293 section 3.8.6.2.1 rule (3): a part of a segment is worth sending
	// when it is a good part of the largest window seen.
	if n >= mss {
		return n - n%mss, false
	}
	if wnd < mss && wnd <= room && (n >= c.maxSndWnd/2 || c.flags&flagForcePush != 0) {
		return n, false
	}
	return 0, false
}

// windowPart is how much of the window is worth sending at once:
// tcp_tso_win_divisor.
func (c *conn) windowPart() uint32 {
	if n := c.l.tun.TSOWinDivisor; n != 0 {
		return c.cwnd / uint32(n)
	}
	return 3 * uint32(c.mss)
}

// worthwhile is how large a piece may become by waiting: what the window sends in
// a millisecond. Beyond, waiting makes bursts that queue before a slow line, and
// saves little.
func (c *conn) worthwhile() uint32 {
	rate := c.windowRate()
	if rate == 0 {
		return c.burst()
	}
	return max(uint32(min(rate/1000, maxQuantum)), 2*uint32(c.mss))
}

// mayWait reports whether a piece may be held back to grow: not while loss is in
// the air, when every segment helps to find out.
func (c *conn) mayWait() bool {
	return c.flags&flagForcePush == 0 && c.caState == caOpen && c.sackedBytes() == 0
}

// mayPush reports whether a partial segment at the end of the queue goes out:
// Nagle's algorithm (RFC 9293 section 3.7.4) in Minshall's form, which only
// waits for an earlier small segment.
func (c *conn) mayPush(final bool) bool {
	o := &c.s.opts
	switch {
	case final || c.flags&flagForcePush != 0:
		return true
	case o.Cork:
		return false
	}
	return o.NoDelay || c.flags&flagSmallOut == 0 || c.brimful()
}

// brimful reports whether waiting for more is in vain, as a buffer of the
// program's size has hardly room for it. Linux pushes then, too.
func (c *conn) brimful() bool {
	if !c.s.opts.SndBufLocked {
		return false
	}
	limit := c.sendLimit()
	return c.sq.len() >= limit-limit/4
}

// superviseOutput leaves exactly one of retransmission and probe timer running,
// if either is needed.
func (c *conn) superviseOutput(now time.Duration) {
	switch {
	case c.sndUna != c.sndNxt:
		switch {
		case c.timers[timerRexmt] == 0 || c.flags&flagWinProbe != 0:
			c.armRexmt()
		case c.lastSend == now && c.caState == caOpen:
			c.armProbe() // RFC 8985 section 7.2: after new data
		}
	case c.corked():
		c.timers[timerRexmt] = 0
	case c.unsent() > 0:
		if c.timers[timerRexmt] == 0 {
			wait := c.currentRTO()
			if c.sndWnd != 0 && c.s.opts.Cork && c.l.tun.Patience.Cork >= 0 {
				wait = c.corkWait()
			}
			c.flags |= flagWinProbe
			c.setTimer(timerRexmt, now+wait)
		}
	default:
		c.timers[timerRexmt] = 0
	}
	if c.unsent() == 0 {
		c.flags &^= flagForcePush
	}
}

// transmit hands [seq, seq+n) and perhaps the FIN to the IP layer.
func (c *conn) transmit(seq, n uint32, fin bool) {
	flags := wire.TCPAck
	if n > 0 && seq+n == c.sq.end {
		flags |= wire.TCPPsh
	}
	if fin {
		flags |= wire.TCPFin
	}
	h := c.header(seq, flags)
	c.stampUrgent(h)
	c.stamp(h)
	if c.path.TOS&ecnMask != notECT {
		c.stampCounts(h, n)
	}
	l := c.l
	gso := 0
	if n > uint32(c.mss) && c.flags&flagOneSegment == 0 {
		gso = int(c.mss)
	}
	payload := l.iov[:0]
	if n > 0 {
		payload = c.sq.slices(payload, seq, int(n))
		l.iov = payload
	}
	l.counters.OutSegs++
	c.sent(n, gso)
	c.send(h, payload, gso)
}
