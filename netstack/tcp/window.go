package tcp

// Windows and what every segment carries about them: RFC 9293 sections 3.8.6
// (management), 3.8.6.1 (probing), 3.8.6.2.2 (receiver's silly window
// avoidance); RFC 7323 section 2 (scale).

import (
	"math/bits"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// rcvLimit is how many bytes the receive buffer may hold. A size that the
// program chose is doubled in the option, as Linux does for its overhead.
func (c *conn) rcvLimit() uint32 {
	n := uint32(c.rcvBuf)
	if c.s.opts.RcvBufLocked {
		n = uint32(c.s.opts.RcvBuf) / 2
	}
	if w := c.s.opts.WinClamp; w > 0 {
		n = min(n, uint32(w))
	}
	return max(n, 1)
}

// rcvSpaceLeft is the room in the receive buffer.
func (c *conn) rcvSpaceLeft() uint32 {
	limit := c.rcvLimit()
	return limit - min(limit, uint32(c.rq.len()))
}

// worthOffering is the room in the receive buffer, or nothing while a larger
// buffer has less than a sixteenth free: a peer that fills such crumbs sends
// small segments for ever. Linux does the same.
func (c *conn) worthOffering() uint32 {
	space := c.rcvSpaceLeft()
	if space < c.rcvLimit()/16 || c.rq.len() > 0 && c.l.exhausted() {
		return 0
	}
	if c.rq.len() > 0 && c.l.pressed() {
		// What was promised is owed; beyond that a reader that is behind gets
		// little more, as on Linux.
		return min(space, pressedSegments*uint32(c.rcvMSS))
	}
	return space
}

// pressedSegments is how many segments a connection with unread text offers
// when memory is short.
const pressedSegments = 4

// leastStep is the least that the window's right edge moves by: RFC 9293
// section 3.8.6.2.2.
func (c *conn) leastStep() uint32 { return max(min(c.rcvLimit()/2, uint32(c.rcvMSS)), 1) }

// wantScale is the shift that lets the largest buffer be advertised: RFC 7323
// section 2.3.
func (c *conn) wantScale() uint8 { return scaleFor(c.l, &c.s.opts) }

func scaleFor(l *Layer, o *sockopt.Options) uint8 {
	if !l.tun.WindowScaling {
		return 0
	}
	most := max(l.tun.TCPRmem.Max, l.tun.CoreRmemMax)
	if o.RcvBufLocked {
		most = max(o.RcvBuf, 65535)
	}
	return uint8(min(max(bits.Len32(uint32(most))-16, 0), wire.MaxWScale))
}

// advertise moves the right edge of the window as far as silly window avoidance
// allows and returns the window field.
func (c *conn) advertise() uint16 {
	limit := c.rcvLimit()
	// What the field cannot say is not offered.
	right := c.rcvNxt + min(c.worthOffering(), c.l.widest(c.rcvScale)<<c.rcvScale)
	if seqLEQ(c.rcvAdv+c.leastStep(), right) || c.l.tun.ShrinkWindow && seqLT(right, c.rcvAdv) {
		c.rcvAdv = right
	}
	wnd := c.rcvAdv - c.rcvNxt
	// Rounding up keeps the right edge where it was promised (section 3.8.6,
	// SHLD-14: do not shrink), unless a peer lives on what rounding gives it.
	unit := uint32(1)<<c.rcvScale - 1
	if uint32(c.rq.len()) <= 2*limit && !c.l.tun.ShrinkWindow {
		wnd += unit
	}
	field := min(wnd>>c.rcvScale, c.l.widest(c.rcvScale))
	if edge := c.rcvNxt + field<<c.rcvScale; seqLT(c.rcvAdv, edge) || c.l.tun.ShrinkWindow {
		c.rcvAdv = edge
	}
	c.rcvWup = c.rcvNxt
	return uint16(field)
}

// widest is the largest window field that is sent with a scale: a peer that takes
// the field for a signed number, as some old ones do, knows no scale
// (tcp_workaround_signed_windows).
func (l *Layer) widest(scale uint8) uint32 {
	if scale == 0 && l.tun.SignedWindows {
		return 32767
	}
	return 65535
}

// firstBuf is what the receive buffer of a connection begins with, in bytes,
// unless the program chose: tcp_app_win leaves a part out.
func (l *Layer) firstBuf() int32 {
	n := l.tun.TCPRmem.Default
	if w := l.tun.AppWin; w != 0 {
		n -= n >> w
	}
	return n
}

// stamp fills in what every segment of a synchronized connection carries, and
// notes that an acknowledgement has gone out.
func (c *conn) stamp(h *wire.TCP) {
	if h.Window = c.advertise(); h.Window == 0 {
		c.cold().zeroWindows++
	}
	c.stampTime(h)
	c.stampECN(h)
	c.ackSent()
}

// offerWindow tells the peer of room that the owner has made, once it is worth
// a segment: when the window at least doubles.
func (c *conn) offerWindow() {
	if !c.state.rule().mayRecv {
		return
	}
	now := c.rcvAdv - c.rcvNxt
	if c.timers[timerDelack] != 0 && now >= c.rcvLimit()/4 {
		return // an acknowledgement is due, and the peer is not at the window's end
	}
	if space := c.worthOffering(); space >= 2*now && space-now >= c.leastStep() {
		c.ackNow()
	}
}

// tuneRcvBuf grows the buffer when a whole one was consumed within a few round
// trips, which means that the window may be what holds the sender back.
func (c *conn) tuneRcvBuf(now time.Duration) {
	rtt := c.srtt
	if rtt == 0 {
		rtt = c.timeWindow(now)
	}
	got := c.rcvNxt - uint32(c.rq.len()) - c.rcvSpaceSeq
	if got < uint32(c.rcvBuf)/2 {
		return
	}
	took := now - c.rcvSpaceAt
	c.rcvSpaceAt, c.rcvSpaceSeq = now, c.rcvNxt-uint32(c.rq.len())
	most := c.l.tun.TCPRmem.Max
	if took > max(2*rtt, tunePatience) || c.s.opts.RcvBufLocked || !c.l.tun.ModerateRcvbuf || c.l.pressed() {
		return
	}
	c.rcvBuf = max(c.rcvBuf, min(2*c.rcvBuf, most))
}

// timeWindow is the round trip as a receiver sees it that has nothing timed of
// its own: what goes beyond the window that was offered when the clock started
// answers a segment sent after that. It may be less than is measured here, so
// the least counts.
func (c *conn) timeWindow(now time.Duration) time.Duration {
	r := c.cold()
	if r.wndAt == 0 || seqLT(r.wndEnd, c.rcvNxt) {
		took := now - r.wndAt
		if r.wndAt != 0 && took < slowWindow && (r.wndTook == 0 || took < r.wndTook) {
			r.wndTook = took
		}
		r.wndAt, r.wndEnd = now, c.rcvAdv
	}
	return r.wndTook
}

// slowWindow is no round trip: the sender had nothing to send.
const slowWindow = 2 * time.Second

// tunePatience is the least time that half a buffer may take to count as fast:
// round trips on a busy machine are longer than the handshake's.
const tunePatience = 10 * time.Millisecond

// probeTimeout runs when data waits and nothing is in flight: RFC 9293 section
// 3.8.6.1.
func (c *conn) probeTimeout(now time.Duration) {
	if c.unsent() == 0 {
		return
	}
	if c.sndWnd != 0 {
		// Held back by cork or silly window avoidance: the override timeout of
		// section 3.8.6.2.1 rule (4).
		c.flags |= flagForcePush
		c.l.markDirty(c)
		return
	}
	r := c.cold()
	if c.failingSince == 0 {
		c.failingSince = now
	}
	dead, silent := int32(r.keepProbes) >= c.l.tun.Retries2, time.Duration(0)
	if r.keepProbes > 0 {
		silent = now - c.lastRecv
	}
	if c.s.orphan {
		// RFC 6429 section 4: a peer that answers but never reads may hold a
		// program's connection, not one that only takes memory.
		dead = int32(r.keepProbes) >= c.orphanRetries() || c.currentRTO() >= c.rtoMax()
		silent = now - c.failingSince
	}
	if u := c.userTimeout(); u > 0 {
		dead = now-c.failingSince >= u
	} else {
		dead = c.outOfPatience(silent, dead)
	}
	if dead {
		c.giveUp()
		return
	}
	r.keepProbes++
	c.backoff = min(c.backoff, 254) + 1
	c.sendProbe()
	c.flags |= flagWinProbe
	c.setTimer(timerRexmt, now+c.currentRTO())
}

// sendProbe sends a segment that the peer must answer: one before its window
// (RFC 9293 section 3.10.7.4, first step), as keep-alive does too.
func (c *conn) sendProbe() {
	h := c.header(c.sndUna-1, wire.TCPAck)
	c.stamp(h)
	c.l.counters.OutSegs++
	c.send(h, nil, 0)
}
