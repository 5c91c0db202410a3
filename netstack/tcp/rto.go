package tcp

// The retransmission timer: RFC 6298, with Linux's bounds; RFC 1122 section
// 4.2.3.5 and RFC 5482 (when to give up).

import (
	"math/bits"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const (
	// synFallbackRTO is used when a SYN was lost and no sample exists: section 5.7.
	synFallbackRTO = 3 * time.Second
	clockGrain     = time.Millisecond // G of section 2
)

// rttSample takes one measurement: RFC 6298 sections 2.2 and 2.3.
func (c *conn) rttSample(r time.Duration) {
	r = max(r, time.Microsecond)
	c.flags |= flagNewRTT
	switch {
	case c.srtt == 0:
		c.srtt, c.rttvar = r, r/2
	case c.flags&flagLongRTT != 0:
		// RFC 4015 section 3.2 step 8: after a timeout that was none.
		c.flags &^= flagLongRTT
		c.srtt, c.rttvar = max(c.srtt+2*clockGrain, r), max(c.rttvar, r/2)
	default:
		d := max(c.srtt-r, r-c.srtt)
		c.rttvar += (d - c.rttvar) / 4
		c.srtt += (r - c.srtt) / 8
	}
	c.setRTO()
}

// setRTO makes the timeout of what is known of round trips.
func (c *conn) setRTO() {
	// RTOMin is for the variance term, as in Linux, so that a steady round trip
	// of a second does not leave a margin of nothing. The others bound all of it.
	t := c.l.tun
	c.rto = min(max(c.srtt+max(clockGrain, 4*c.rttvar, c.rtoVarMin())+t.RTOSlop, c.rtoFloor()), c.rtoMax())
}

// currentRTO is the timeout with its backoff: section 5.5, or where the tunable
// rto_step says so a timeout that knows nothing of round trips and grows by as much
// each time.
func (c *conn) currentRTO() time.Duration {
	if step := c.l.tun.RTOStep; step > 0 {
		return min(step*time.Duration(1+int(c.backoff)), c.rtoMax())
	}
	return min(c.rto<<min(c.doublings(), 20), c.rtoMax())
}

// armRexmt starts the retransmission timer afresh: section 5.3.
func (c *conn) armRexmt() {
	c.rtoAt = c.now() + c.currentRTO()
	c.armProbe()
}

// armProbe sets the timer for what comes first: the look at what is overdue, the
// tail loss probe, which takes the place of a timeout that would be earlier (RFC
// 8985 section 7.2), the timeout. Section 8: there is one timer for them.
func (c *conn) armProbe() {
	c.flags &^= flagWinProbe | flagProbeTimer | flagReoTimer
	at := c.rtoAt
	if c.log != nil && c.log.reoAt != 0 {
		if c.log.reoAt < at {
			at = c.log.reoAt
			c.flags |= flagReoTimer
		}
	} else if d, ok := c.probeTimer(); ok {
		at = min(at, c.now()+d)
		c.flags |= flagProbeTimer
	}
	c.setTimer(timerRexmt, at)
}

// rexmtTimeout runs when the timer expires: sections 5.4 to 5.7.
func (c *conn) rexmtTimeout(now time.Duration) {
	if c.flags&flagWinProbe != 0 || c.sndUna == c.sndNxt && c.state.rule().synced {
		c.flags &^= flagWinProbe
		c.probeTimeout(now)
		return
	}
	if c.flags&flagReoTimer != 0 {
		c.rackTimer(now)
		c.armProbe()
		return
	}
	if c.flags&flagProbeTimer != 0 {
		c.sendTailProbe(now)
		c.armRexmt()
		return
	}
	if c.failingSince == 0 {
		c.failingSince = now - c.currentRTO()
	}
	if c.givesUp(now) {
		c.fastTimeout(true)
		c.giveUp()
		return
	}
	c.l.counters.Timeouts++
	c.timedOut(now)
	waited := c.currentRTO()
	if c.backoff < 255 {
		c.backoff++
	}
	c.fastTimeout(false)
	if c.doubtsRoute(now, waited) {
		c.reroute() // RFC 1122 section 4.2.3.5, R1
	}
	if !c.state.rule().synced {
		c.flags |= flagSynTimeout
		c.rto = max(c.rto, c.rtoInitial())
		c.flags |= flagSynDue
		c.flags &^= flagSynTimed
		c.l.markDirty(c)
		c.armRexmt()
		return
	}
	if m := c.search(); m != nil {
		m.lost(c, c.sndUna, c.sndNxt)
	}
	c.suspectHole()
	c.enterLoss(now)
	c.linearTimeout()
	c.armRexmt()
	c.l.markDirty(c)
}

// giveUp ends a connection whose peer does not answer.
func (c *conn) giveUp() {
	e := errno.ETIMEDOUT
	if c.rare != nil && c.rare.softErr != 0 {
		e = c.rare.softErr
	}
	if c.state.rule().synced {
		c.sendReset()
	}
	c.fail(e)
}

// givesUp reports whether the present run of timeouts has lasted long enough.
func (c *conn) givesUp(now time.Duration) bool {
	o := &c.s.opts
	switch c.state {
	case StateSynSent:
		return c.expired(now, int32(c.backoff) >= o.SynCnt+c.l.tun.SynLinear)
	case StateSynReceived:
		limit := c.l.tun.SynAckRetries
		if c.flags&flagActive != 0 { // crossed by the peer's, and the program's attempt as before
			limit = o.SynCnt
		}
		return c.expired(now, int32(c.backoff) >= limit)
	}
	// A peer that acknowledges but keeps its window shut is alive: RFC 9293
	// section 3.8.6.1, MUST-37. As on Linux one answer may be lost.
	if c.sndWnd == 0 && !c.s.orphan && !c.outOfPatience(now-c.lastRecv, now-c.lastRecv > 2*c.l.tun.RTOMax) {
		return false
	}
	limit := c.l.tun.Retries2
	if c.s.orphan {
		limit = c.orphanRetries()
	}
	if c.l.tun.RTOStep > 0 || c.l.tun.Patience.Counts {
		return c.expired(now, int32(c.backoff) >= limit)
	}
	return c.expired(now, now-c.failingSince >= c.retryTime(limit))
}

// expired applies TCP_USER_TIMEOUT, which replaces the limit by count, or the
// limit by time of systems that have one.
func (c *conn) expired(now time.Duration, byCount bool) bool {
	if u := c.userTimeout(); u > 0 {
		return now-c.failingSince >= u
	}
	return c.outOfPatience(now-c.failingSince, byCount)
}

func (c *conn) orphanRetries() int32 {
	if n := c.l.tun.OrphanRetries; n != 0 {
		return n
	}
	return 8
}

// retryTime is how long n timeouts take when they start at the least RTO: the
// meaning that Linux gives to tcp_retries2.
func (c *conn) retryTime(n int32) time.Duration {
	least, most := max(c.l.tun.RTOMin, c.l.tun.RTOFloor, clockGrain), c.l.tun.RTOMax
	steps := min(max(int32(bits.Len64(uint64(most/least)))-1, 0), n) // doublings below the ceiling
	return least*(2<<steps-1) + time.Duration(n-steps)*most
}

// reroute asks the IP layer for the way again.
func (c *conn) reroute() {
	p, err := c.s.way(c.path.Src, c.path.Dst)
	if err != nil || p.Src != c.path.Src || !p.Local && c.sq.blank() {
		return // blank bytes mean nothing to anybody else
	}
	p.TTL, p.TOS = c.path.TTL, c.path.TOS
	p.MTU = min(p.MTU, c.path.MTU)
	c.path = p
	c.setMSS()
}
