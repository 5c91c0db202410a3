package tcp

// When to acknowledge: RFC 9293 section 3.8.6.3, RFC 5681 section 4.2.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

const (
	// quickAcks is how many acknowledgements at the start are not delayed, so
	// that the peer's slow start is not.
	quickAcks = 16
	// quickDelay lets even a quick acknowledgement of a small segment, likely a
	// request, ride on the answer.
	quickDelay = time.Millisecond
)

// ackNow has an acknowledgement sent in the next Flush.
func (c *conn) ackNow() {
	c.flags |= flagAckNow
	c.l.markDirty(c)
}

// textAcked decides how to acknowledge n bytes of text that arrived in order in
// segs segments.
func (c *conn) textAcked(n uint32, segs int, now time.Duration) {
	c.unacked += n
	full := uint32(c.rcvMSS)
	switch {
	case segs > 1 || c.unacked >= 2*full || c.s.opts.AckAll || !c.l.tun.DelayedAck:
		c.ackNow() // RFC 5681 section 4.2: at least every second full segment
	case c.s.opts.RcvBufLocked && c.unacked >= c.rcvLimit()/4:
		c.ackNow() // two segments may be more than the buffers of both sides hold
	case c.s.opts.QuickAck && c.flags&flagPingPong == 0 && n >= full && c.quickAck > 0:
		c.quickAck--
		c.ackNow()
	case c.timers[timerDelack] == 0:
		wait := c.l.tun.DelAckTime
		if d := c.s.opts.Rare().DelAckMax; d != 0 {
			wait = min(wait, d)
		}
		if c.s.opts.QuickAck && c.flags&flagPingPong == 0 && c.quickAck > 0 {
			c.quickAck--
			wait = quickDelay
		}
		c.setTimer(timerDelack, now+wait)
	}
}

// answers notes that text goes to a peer whose own is not acknowledged yet: after
// tcp_pingpong_thresh times the exchange is taken for an interactive one.
func (c *conn) answers() {
	if c.flags&flagPingPong != 0 {
		return
	}
	if c.pingPong++; int32(c.pingPong) >= c.l.tun.PingPong {
		c.flags |= flagPingPong
	}
}

// SetFINDelay has the acknowledgement of a peer's FIN wait up to d for an answer to
// ride on: many programs close when the peer has. Linux waits likewise (tcp_fin
// makes such a connection interactive). 0, as at first: at once; RFC 9293 section
// 3.8.6.3 bounds d by half a second. It does not wait when there is no answer to
// expect, or text that the FIN came with may have to be acknowledged.
func (l *Layer) SetFINDelay(d time.Duration) { l.finDelay = d }

// ackFIN decides how to acknowledge the peer's FIN.
func (c *conn) ackFIN() {
	now := c.now()
	switch at := c.timers[timerDelack]; {
	case c.l.finDelay == 0 || !c.l.tun.DelayedAck || c.s.opts.AckAll,
		c.s.orphan, // nobody is left to close
		c.flags&(flagAckNow|flagFinQueued) != 0, c.rq.len() > 0:
		c.ackNow()
	case at == 0 || at > now+c.l.finDelay:
		c.setTimer(timerDelack, now+c.l.finDelay)
	}
}

func (c *conn) delackTimeout(time.Duration) {
	c.l.counters.DelayedACKs++
	c.ackNow()
}

// ackSent notes that an acknowledgement of everything has gone out.
func (c *conn) ackSent() {
	c.flags &^= flagAckNow
	c.unacked = 0
	c.timers[timerDelack] = 0
	if c.ooo != nil {
		c.ooo.delay.held = 0
	}
}

// sendAck sends a pure acknowledgement.
func (c *conn) sendAck() {
	h := c.header(c.sndNxt, wire.TCPAck)
	c.stamp(h)
	if c.flags&flagUTODue != 0 {
		c.flags &^= flagUTODue
		c.advertiseUTO(h)
	}
	c.stampSACK(h)
	c.stampThird(h)
	c.stampCounts(h, 0)
	c.l.counters.PureACKs++
	c.l.counters.OutSegs++
	c.send(h, nil, 0)
}
