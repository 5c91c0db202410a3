package tcp

// Congestion control as RFC 5681 frames it: algorithms say how the window grows
// and what a loss leaves of it; loss detection and the rest of the connection
// do not know which one runs.

import (
	"slices"
	"time"
)

// initialCwnd is the initial window in segments (RFC 6928).
const initialCwnd = 10

// ccWindow is what an algorithm may look at; all in bytes.
type ccWindow struct {
	cwnd, ssthresh, mss uint32
	flight              uint32 // outstanding before the event
}

func (w *ccWindow) slowStart() bool { return w.cwnd < w.ssthresh }

// A congestion is one algorithm with the state of one connection.
type congestion interface {
	name() string
	// grow returns the window after acked bytes were acknowledged while it was
	// in full use. srtt is 0 before the first measurement.
	grow(w ccWindow, acked uint32, now, srtt time.Duration) (cwnd uint32)
	// reduce returns the slow start threshold after a loss.
	reduce(w ccWindow, now time.Duration) (ssthresh uint32)
	// timeout tells of a retransmission timeout, after reduce.
	timeout()
	// idle tells that nothing was sent for a while.
	idle(d time.Duration)
}

var congestions = map[string]func() congestion{
	"reno":  func() congestion { return new(newReno) },
	"cubic": func() congestion { return new(cubic) },
}

// CongestionNames lists what TCP_CONGESTION may name.
func CongestionNames() []string {
	var names []string
	for n := range congestions {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func newCongestion(name string) congestion {
	if f := congestions[name]; f != nil {
		return f()
	}
	return congestions["cubic"]()
}

// slowStart is RFC 5681 section 3.1 with byte counting (RFC 3465) and no limit
// per acknowledgement, as receivers that merge segments acknowledge many at
// once. It returns the window and the bytes left for congestion avoidance.
func slowStart(w ccWindow, acked uint32) (cwnd, left uint32) {
	n := min(acked, w.ssthresh-w.cwnd)
	return w.cwnd + n, acked - n
}

// maxCwnd bounds the window, in bytes: beyond the largest window that can be
// offered it has no meaning.
const maxCwnd = 1 << 30

func (c *conn) window() ccWindow {
	return ccWindow{c.cwnd, c.ssthresh, uint32(c.mss), c.sndNxt - c.sndUna}
}

// startCongestion sets the initial window: RFC 6928 section 2; one segment
// after a lost SYN (RFC 5681 section 3.1).
func (c *conn) startCongestion() {
	c.cwnd = initialCwnd * uint32(c.mss)
	if c.flags&flagSynTimeout != 0 {
		c.cwnd = uint32(c.mss)
	}
	c.ssthresh = maxCwnd
}

// growCwnd is called for every acknowledgement of new data outside of recovery.
func (c *conn) growCwnd(acked uint32, now time.Duration) {
	// RFC 5681 section 3.1 and RFC 7661 section 4: a window that is not used
	// tells nothing about the path and does not grow.
	if c.flags&flagCwndLimited == 0 {
		return
	}
	c.cwnd = min(c.cc.grow(c.window(), acked, now, c.srtt), maxCwnd)
}

// restartAfterIdle shrinks the window when nothing was sent for longer than
// the timeout: RFC 5681 section 4.1, halved per timeout as RFC 2861 has it.
func (c *conn) restartAfterIdle(now time.Duration) {
	idle := now - c.lastSend
	if c.lastSend == 0 || c.sndUna != c.sndNxt || idle <= c.rto {
		return
	}
	c.cc.idle(idle)
	if !c.l.tun.SlowStartAfterIdle {
		return
	}
	restart := min(c.cwnd, initialCwnd*uint32(c.mss))
	c.ssthresh = max(c.ssthresh, c.cwnd/4*3)
	for ; idle > c.rto && c.cwnd > restart; idle -= c.rto {
		c.cwnd /= 2
	}
	c.cwnd = max(c.cwnd, restart)
}
