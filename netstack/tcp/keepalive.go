package tcp

// Keep-alive: RFC 9293 section 3.8.4.

import "time"

// armKeepAlive starts the idle timer if the option is on (MUST-25: off unless
// asked for, by the program or for all of them).
func (c *conn) armKeepAlive() {
	switch {
	case !c.state.rule().synced: // the timer limits the handshake
	case c.keepsAlive():
		c.setTimer(timerKeep, c.now()+c.s.opts.KeepIdle)
	default:
		c.timers[timerKeep] = 0
	}
}

func (c *conn) keepsAlive() bool { return c.s.opts.KeepAlive || c.l.tun.KeepAll }

// keepTimeout probes a peer that was silent for KeepIdle, and gives it up after
// KeepCnt probes without an answer, or UserTimeout if that is set.
func (c *conn) keepTimeout(now time.Duration) {
	o := &c.s.opts
	if !c.state.rule().synced {
		c.giveUp() // the handshake has taken too long
		return
	}
	if !c.keepsAlive() {
		return
	}
	// With data under way its retransmission finds out (MUST-24 asks for idle).
	if c.sndUna != c.sndNxt || c.unsent() > 0 && !c.corked() {
		c.setTimer(timerKeep, now+o.KeepIdle)
		return
	}
	if idle := now - c.lastRecv; idle < o.KeepIdle {
		c.setTimer(timerKeep, c.lastRecv+o.KeepIdle)
		return
	}
	r := c.cold()
	dead := c.keepDead(r.keepProbes, now)
	if u := c.userTimeout(); u > 0 {
		dead = r.keepProbes > 0 && now-c.lastRecv >= u
	}
	if dead {
		c.giveUp()
		return
	}
	r.keepProbes = min(r.keepProbes, 254) + 1
	c.sendProbe()
	c.setTimer(timerKeep, now+c.keepWait(r.keepProbes, now))
}
