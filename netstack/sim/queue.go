package sim

// The queue in front of a line. A line serves its packets one after another, so
// a packet's turn is known when it comes: nothing needs to be kept but the
// instant at which the line is idle again.

import (
	"math"
	"time"
)

// enqueue gives the instant at which the packet has been put on the line; ok is
// false when the queue drops it.
func (l *Line) enqueue(now time.Duration, size int, tos *uint8) (at time.Duration, ok bool) {
	if l.Rate == 0 {
		return now, true
	}
	start := max(l.free, now)
	wait := start - now
	waiting := int(int64(wait) * int64(l.Rate) / (8 * int64(time.Second))) // bytes
	if l.Queue > 0 && waiting+size > l.Queue && waiting > 0 {
		return 0, false
	}
	if l.Mark > 0 && waiting >= l.Mark && !l.congested(tos) {
		return 0, false
	}
	if l.CoDel > 0 && l.codel.drops(wait, start, l.CoDel) && !l.congested(tos) {
		return 0, false
	}
	l.Stats.Waited = max(l.Stats.Waited, wait)
	l.free = start + l.time(size)
	return l.free, true
}

// congested tells the sender: by CE, and true, if the packet may carry it (RFC
// 3168 section 5).
func (l *Line) congested(tos *uint8) bool {
	if *tos&3 == 0 {
		return false
	}
	l.Stats.Marked++
	*tos |= 3
	return true
}

// codel is the control law of RFC 8289 section 5.
type codel struct {
	above    time.Duration // when the time in the queue will have been too long for an interval; 0: it is not
	next     time.Duration // when to drop the next packet
	count    int
	dropping bool
}

// drops decides about a packet that waits for the given time and leaves the
// queue at now.
func (c *codel) drops(wait, now, target time.Duration) bool {
	interval := 20 * target
	if wait < target {
		c.above, c.dropping = 0, false
		return false
	}
	if c.above == 0 {
		c.above = now + interval
	}
	switch {
	case c.dropping && now >= c.next:
		c.count++
		c.next += c.after(interval)
		return true
	case !c.dropping && now >= c.above:
		c.dropping = true
		if c.count > 2 && now-c.next < 16*interval {
			c.count -= 2 // the same congestion still
		} else {
			c.count = 1
		}
		c.next = now + c.after(interval)
		return true
	}
	return false
}

func (c *codel) after(interval time.Duration) time.Duration {
	return time.Duration(float64(interval) / math.Sqrt(float64(c.count)))
}
