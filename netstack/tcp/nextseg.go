package tcp

// What a recovery by counting sends when no segment is lost and no new data may
// go: RFC 6675 section 4, NextSeg rules (3) and (4). The rules (1) and (2) are
// what output does for every block.

import "time"

// sendUnsure sends again what may be lost without being deemed so, as far as the
// window has room that nothing else uses. The pipe counts a segment once,
// however often it was sent, so what goes here is counted by itself.
func (c *conn) sendUnsure(now time.Duration) {
	b := c.log
	if b == nil || c.caState != caRecovery || c.flags&flagSACK == 0 || c.byTime() || b.lost != 0 {
		return
	}
	if c.unsent() > 0 && seqLT(c.sndNxt, c.sndUna+c.sndWnd) {
		return // rule (2): new data is next, when it may go
	}
	mss := uint32(c.mss)
	for room := c.cwnd - min(c.pipe(), c.cwnd); room >= mss && c.mayDepart(now); room -= mss {
		left, right, ok := b.unsure()
		if ok {
			right = seqMin(right, left+mss)
			b.highRxt = right
		} else if left, right, ok = b.rescue(mss); !ok {
			return
		}
		if seqLT(c.sndUna+max(c.sndWnd, mss), right) {
			return // the peer took back window
		}
		c.resend(left, right-left)
	}
}

// unsure is rule (3): the first bytes above what was retransmitted and below
// what the peer has.
func (b *sendLog) unsure() (left, right uint32, ok bool) {
	top := b.records() - 1
	for top >= 0 && b.at(top).flags&recSacked == 0 {
		top--
	}
	for i := b.seek(b.highRxt); i < top; i++ {
		if r := b.at(i); r.inNetwork() {
			return seqMax(r.start, b.highRxt), r.end, true
		}
	}
	return 0, 0, false
}

// rescue is rule (4): once in a recovery, the last segment that the peer does
// not have, if it was not just sent again. If it was lost nothing above it can
// tell.
func (b *sendLog) rescue(mss uint32) (left, right uint32, ok bool) {
	if b.rescued {
		return 0, 0, false
	}
	for i := b.records() - 1; i >= 0; i-- {
		if r := b.at(i); r.inNetwork() {
			b.rescued = seqLEQ(b.highRxt, r.start)
			return seqMax(r.start, r.end-mss), r.end, b.rescued
		}
	}
	return 0, 0, false
}
