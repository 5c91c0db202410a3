package tcp

// Keep-alive: RFC 9293 section 3.8.4.

import "time"

// armKeepAlive starts the idle timer if the option is on (MUST-25: off unless
// asked for).
func (c *conn) armKeepAlive() {
	if c.s.opts.KeepAlive && c.state.rule().synced {
		c.setTimer(timerKeep, c.now()+c.s.opts.KeepIdle)
	} else {
		c.timers[timerKeep] = 0
	}
}

// keepTimeout probes a peer that was silent for KeepIdle, and gives it up after
// KeepCnt probes without an answer, or UserTimeout if that is set.
func (c *conn) keepTimeout(now time.Duration) {
	o := &c.s.opts
	if !o.KeepAlive {
		return
	}
	// With data under way its retransmission finds out (MUST-24 asks for idle).
	if c.sndUna != c.sndNxt || c.unsent() > 0 {
		c.setTimer(timerKeep, now+o.KeepIdle)
		return
	}
	if idle := now - c.lastRecv; idle < o.KeepIdle {
		c.setTimer(timerKeep, c.lastRecv+o.KeepIdle)
		return
	}
	r := c.cold()
	dead := int32(r.keepProbes) >= o.KeepCnt
	if u := c.userTimeout(); u > 0 {
		dead = r.keepProbes > 0 && now-c.lastRecv >= u
	}
	if dead {
		c.giveUp()
		return
	}
	r.keepProbes = min(r.keepProbes, 254) + 1
	c.sendProbe()
	c.setTimer(timerKeep, now+o.KeepIntvl)
}
