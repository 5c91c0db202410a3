package tcp

// Fewer acknowledgements of text behind a gap. RFC 5681 section 4.2 wants one for
// each segment, which with SACK tells the peer little after the first three: more
// than those the peer needs only as often as keeps its window moving. Linux holds
// them back for a part of the round trip (tcp_comp_sack_delay_ns).

import "time"

const (
	// ungrouped is how many acknowledgements of one gap are sent at once: what RFC
	// 6675 takes a loss from.
	ungrouped = 3
	// sackPart is the part of the round trip that one may be late by.
	sackPart = 20
)

// A sackDelay is the part of a reassembly that is about it.
type sackDelay struct {
	gap  uint32 // RCV.NXT when once was counted
	once uint8  // acknowledgements of the gap that were not held back, up to ungrouped
	held uint8  // segments since the last acknowledgement
}

// aheadAcked decides how to acknowledge text that has arrived behind a gap.
func (c *conn) aheadAcked(now time.Duration) {
	t, r := c.l.tun, c.ooo
	if r == nil || c.flags&(flagSACK|flagNoBlocks|flagDSACK|flagAckNow) != flagSACK || c.unacked > 0 {
		c.ackNow()
		return
	}
	d := &r.delay
	if d.gap != c.rcvNxt {
		*d = sackDelay{gap: c.rcvNxt, held: d.held}
	}
	if d.once < ungrouped {
		d.once++
		c.ackNow()
		return
	}
	wait := min(t.CompSackDelay, c.roundTrip()/sackPart)
	if wait == 0 || int32(d.held) >= t.CompSackMost {
		c.ackNow()
		return
	}
	if d.held++; d.held > 1 && c.timers[timerDelack] != 0 {
		return // it is on its way
	}
	at := now + wait
	if s := t.CompSackSlack; s > 0 {
		at = (at + s - 1) / s * s
	}
	c.setTimer(timerDelack, at)
}

// roundTrip is the least that is known of it, 0 when nothing is.
func (c *conn) roundTrip() time.Duration {
	rtt := c.srtt
	if c.rare != nil && c.rare.wndTook != 0 && (rtt == 0 || c.rare.wndTook < rtt) {
		rtt = c.rare.wndTook
	}
	return rtt
}
