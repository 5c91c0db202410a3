package tcp

import "time"

// newReno is the window arithmetic of RFC 5681; RFC 6582's recovery is in
// recovery.go.
type newReno struct {
	acked uint32 // bytes acknowledged towards the next segment of growth
}

func (*newReno) name() string { return "reno" }

func (r *newReno) grow(w ccWindow, acked uint32, _, _ time.Duration) uint32 {
	if w.slowStart() {
		w.cwnd, acked = slowStart(w, acked)
	}
	// RFC 5681 section 3.1: one segment per window acknowledged.
	r.acked += acked
	for r.acked >= w.cwnd && w.cwnd < maxCwnd {
		r.acked -= w.cwnd
		w.cwnd += w.mss
	}
	return w.cwnd
}

// reduce is equation 4 of RFC 5681.
func (r *newReno) reduce(w ccWindow, _ time.Duration) uint32 {
	r.acked = 0
	return max(min(w.flight, w.cwnd)/2, 2*w.mss)
}

func (r *newReno) timeout() { r.acked = 0 }

func (*newReno) idle(time.Duration) {}
