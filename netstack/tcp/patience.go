package tcp

// How long a connection waits for a silent peer: RFC 1122 section 4.2.3.5 (R1 and
// R2). Linux counts retransmissions and probes; illumos measures time, and lets
// programs choose how long: TCP_NOTIFY_THRESHOLD is R1, TCP_ABORT_THRESHOLD R2,
// with siblings for the handshake and for keep-alives. sockopt.Rare has a time
// where a socket's system measures it, 0 where it counts.

import (
	"math"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
)

// The bounds of the retransmission timeout, the socket's own before the
// tunables'.

func (c *conn) rtoInitial() time.Duration { return c.l.rtoInitial(&c.s.opts) }

func (c *conn) rtoFloor() time.Duration {
	if d := c.s.opts.Rare().RTOMin; d != 0 {
		return d
	}
	return c.l.tun.RTOFloor
}

// rtoVarMin is the least of the variance term: TCP_RTO_MIN_US of Linux.
func (c *conn) rtoVarMin() time.Duration {
	if d := c.s.opts.Rare().RTOVarMin; d != 0 {
		return d
	}
	return c.l.tun.RTOMin
}

func (c *conn) rtoMax() time.Duration { return c.l.rtoMax(&c.s.opts) }

func (l *Layer) rtoInitial(o *sockopt.Options) time.Duration {
	if d := o.Rare().RTOInitial; d != 0 {
		return d
	}
	return l.tun.RTOInitial
}

func (l *Layer) rtoMax(o *sockopt.Options) time.Duration {
	if d := o.Rare().RTOMax; d != 0 {
		return d
	}
	return l.tun.RTOMax
}

// patience is how long the present state may go without an answer: 0 when
// retransmissions are counted, negative for ever.
func (c *conn) patience() time.Duration {
	r, closed := c.s.opts.Rare(), c.s.orphan
	d := r.Abort
	if !c.state.rule().synced {
		d = r.ConnAbort
		closed = c.flags&flagActive == 0 // no program waits for it yet
	}
	if d < 0 && closed {
		return c.l.tun.Patience.ClosedAbort
	}
	return d
}

// outOfPatience reports whether a peer that has been silent for d has been so for
// too long; byCount is what counting says.
func (c *conn) outOfPatience(d time.Duration, byCount bool) bool {
	switch p := c.patience(); {
	case p < 0:
		return false
	case p > 0:
		return d >= p
	}
	return byCount
}

// outOfPatience is the same for a connection that no program has yet.
func (h *halfOpen) outOfPatience(now time.Duration) bool {
	switch p := h.options().Rare().ConnAbort; {
	case p < 0:
		return now-h.openedAt >= h.l.tun.Patience.ClosedAbort
	case p > 0:
		return now-h.openedAt >= p
	}
	return int32(h.tries) >= h.l.tun.SynAckRetries
}

// doubtsRoute reports whether this timeout, after which wait has passed since the
// one before, is the one at which the way to the peer is asked for again.
func (c *conn) doubtsRoute(now, wait time.Duration) bool {
	r := c.s.opts.Rare()
	at := r.Notify
	if !c.state.rule().synced {
		at = r.ConnNotify
	}
	if at == 0 {
		return int32(c.backoff) == c.l.tun.Retries1 && c.state.rule().synced
	}
	silent := now - c.failingSince
	return silent >= at && silent-wait < at
}

// keepWait is the time from the n-th keep-alive probe to the next, or to the end
// of patience if that comes first.
func (c *conn) keepWait(n uint8, now time.Duration) time.Duration {
	wait := c.s.opts.KeepIntvl
	if wait == 0 {
		wait = min(c.rto<<min(n-1, 20), c.rtoMax())
	}
	if end, ok := c.keepEnd(); ok {
		wait = min(wait, max(end-now, clockGrain))
	}
	return wait
}

// keepEnd is when a peer that does not answer keep-alives is given up, where that
// is a matter of time.
func (c *conn) keepEnd() (at time.Duration, ok bool) {
	o := &c.s.opts
	if o.KeepCnt != 0 || o.Rare().KeepAbort <= 0 {
		return 0, false
	}
	return c.lastRecv + o.KeepIdle + o.Rare().KeepAbort, true
}

// keepDead reports whether n keep-alive probes without an answer are enough.
func (c *conn) keepDead(n uint8, now time.Duration) bool {
	switch k := c.s.opts.KeepCnt; {
	case k > math.MaxUint8: // more than n can say
		o := &c.s.opts // divided, as the product may be more than a duration holds
		return n > 0 && (now-c.lastRecv-o.KeepIdle)/max(o.KeepIntvl, 1) >= time.Duration(k)
	case k != 0:
		return int32(n) >= k
	}
	end, ok := c.keepEnd()
	return n > 0 && ok && now >= end
}

// boundRTO applies new bounds to the timeout as it is.
func (c *conn) boundRTO() { c.rto = min(max(c.rto, c.rtoFloor()), c.rtoMax()) }

// startWindow makes TCP_INIT_CWND count for a connection that has sent nothing
// yet.
func (c *conn) startWindow() {
	if c.state == StateEstablished && c.sndNxt == c.iss+1 && c.sndUna == c.sndNxt {
		c.cwnd = max(min(c.sndWnd, c.initialCwnd()), uint32(c.mss)) // less would never send anything
	}
}

// corked reports whether what waits does so for TCP_CORK alone and without an
// end: it is less than a segment, and the window has room for one.
func (c *conn) corked() bool {
	return c.l.tun.Patience.Cork < 0 && c.s.opts.Cork && c.flags&(flagForcePush|flagFinQueued) == 0 &&
		c.unsent() < uint32(c.mss) && c.sndWnd >= uint32(c.mss)
}

// corkWait is how long a cork holds a partial segment.
func (c *conn) corkWait() time.Duration {
	if d := c.l.tun.Patience.Cork; d > 0 {
		return d
	}
	return corkTime
}
