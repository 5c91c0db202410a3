package tcp

// Pacing: segments leave at the rate that the congestion algorithm or the
// function block asks for, not in bursts. Every transmission moves the earliest
// departure time of the next one (draft-ietf-ccwg-bbr section 5.6.2). What
// leaves at once is bounded by a quantum, so that super-segments stay large at
// high rates and a slow path is not hit by one.

import "time"

const (
	// paceCredit is how late a timer may be without the rate suffering for it.
	paceCredit = time.Millisecond
	// paceQuantum is how much of the rate may leave at once.
	paceQuantum = time.Millisecond
	// maxQuantum is what one transmission carries at most.
	maxQuantum = 1 << 16
)

// paceRate is the rate in bytes per second, 0 when nothing is paced.
func (c *conn) paceRate() uint64 {
	rate := c.pacing
	if rate == 0 && c.block.paced {
		rate = c.windowRate()
	}
	// SO_MAX_PACING_RATE: a limit has what is not paced paced as well. As on
	// Linux, 0 limits nothing.
	if limit := c.s.opts.MaxPacing(); limit+1 > 1 {
		if rate == 0 {
			rate = c.windowRate()
		}
		if rate == 0 || rate > limit {
			rate = limit
		}
	}
	return rate
}

// rateChanged takes a new limit into use: what waits for its turn by the old one
// does not go on waiting.
func (c *conn) rateChanged() {
	c.departAt = min(c.departAt, c.now())
	c.l.markDirty(c)
}

// paceBurst is how many bytes may leave at once at a rate.
func (c *conn) paceBurst(rate uint64) uint32 {
	if c.quantum != 0 {
		return max(c.quantum, uint32(c.mss))
	}
	n := uint32(min(rate/uint64(time.Second/paceQuantum), maxQuantum))
	// Large pieces cost less, and where the round trip is short they queue nowhere
	// for long: tcp_tso_rtt_log.
	if log := c.l.tun.TSORTTLog; log != 0 {
		if shift := uint64(c.minRTT/time.Microsecond) >> min(log, 63); shift < 32 {
			n = min(n+uint32(c.path.GSOMax)>>shift, maxQuantum)
		}
	}
	n = max(n, uint32(c.l.tun.MinTSOSegs)*uint32(c.mss))
	if c.block.burst != 0 {
		n = min(n, c.block.burst*uint32(c.mss))
	}
	return n
}

// mayDepart reports whether the next transmission may leave now. If not, the
// timer is set for when it may.
func (c *conn) mayDepart(now time.Duration) bool {
	if c.departAt <= now || c.paceRate() == 0 {
		return true
	}
	if c.timers[timerPace] != c.departAt {
		c.setTimer(timerPace, c.departAt)
	}
	return false
}

// departed accounts for n bytes that leave now.
func (c *conn) departed(n uint32, now time.Duration) {
	rate := c.paceRate()
	if rate == 0 {
		return
	}
	from := c.departAt
	if now-from > paceCredit {
		from = now // the path was idle: no right to a burst comes of that
	}
	c.departAt = from + time.Duration(float64(n)*float64(time.Second)/float64(rate))
}

// paceTimeout runs when the next transmission may leave.
func (c *conn) paceTimeout(time.Duration) { c.l.markDirty(c) }
