package tcp

// HyStart++, a slow start that ends before it overruns the path: RFC 9406. A
// round trip that has become longer starts Conservative Slow Start (CSS), which
// ends in congestion avoidance, or in slow start again if it was a mistake.

import "time"

// Constants of RFC 9406 section 4.3.
const (
	hyMinThresh = 4000  // MIN_RTT_THRESH, in microseconds
	hyMaxThresh = 16000 // MAX_RTT_THRESH, in microseconds
	hyDivisor   = 8     // MIN_RTT_DIVISOR
	hySamples   = 8     // N_RTT_SAMPLE
	hyCSSGrowth = 4     // CSS_GROWTH_DIVISOR
	hyCSSRounds = 5     // CSS_ROUNDS
)

// hyStart is the state of section 4.2. It serves the first slow start only, as
// section 4.3 recommends: until there is a slow start threshold.
type hyStart struct {
	// In microseconds, as every connection has one of these.
	lastMin, thisMin uint32 // least round trip of the round before, of this; 0: none
	baseline         uint32 // what CSS started with
	round            rounds
	samples          uint8
	css              bool
	cssRounds        uint8
	carried          uint8 // acknowledged in CSS, below hyCSSGrowth bytes
}

// sample takes the round trip of an acknowledgement.
func (h *hyStart) sample(w *ccWindow, s *ccSignal) {
	if w.ssthresh != maxCwnd || s.recovering {
		return
	}
	if h.round.next(s) && h.newRound() {
		w.ssthresh = w.cwnd
		return
	}
	if s.rate.rtt <= 0 {
		return
	}
	rtt := uint32(min((s.rate.rtt+time.Microsecond-1)/time.Microsecond, 1<<31))
	if h.thisMin == 0 {
		h.thisMin = rtt
	}
	h.thisMin = min(h.thisMin, rtt)
	h.samples = min(h.samples+1, hySamples)
	switch {
	case h.samples < hySamples || h.lastMin == 0:
	case !h.css && h.thisMin >= h.lastMin+min(max(h.lastMin/hyDivisor, hyMinThresh), hyMaxThresh):
		h.css, h.cssRounds, h.baseline = true, 0, h.thisMin
	case h.css && h.thisMin < h.baseline:
		h.css = false // the delay was none of the queue's
	}
}

// newRound starts a round and reports whether slow start is over. The round in
// which CSS began counts.
func (h *hyStart) newRound() bool {
	h.lastMin, h.thisMin, h.samples = h.thisMin, 0, 0
	if !h.css {
		return false
	}
	h.cssRounds++
	return h.cssRounds >= hyCSSRounds
}

// climb is ccWindow.climb, slower in CSS.
func (h *hyStart) climb(w *ccWindow, s *ccSignal) (left uint32) {
	if !h.css || w.ssthresh != maxCwnd {
		return w.climb(s)
	}
	n := w.growth(s) + uint32(h.carried)
	w.cwnd = min(w.cwnd+n/hyCSSGrowth, maxCwnd)
	h.carried = uint8(n % hyCSSGrowth)
	return 0
}
