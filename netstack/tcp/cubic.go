package tcp

import (
	"math"
	"time"
)

// Constants of RFC 9438 section 4.1: windows in segments, time in seconds.
const (
	cubicC    = 0.4
	cubicBeta = 0.7
	// cubicAlpha makes the Reno-friendly estimate as aggressive as Reno
	// (section 4.3).
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta)
)

// cubic is RFC 9438.
type cubic struct {
	wMax    float64       // window before the last reduction
	k       float64       // seconds to grow back to it
	wEst    float64       // what Reno would have by now
	prior   float64       // window at the last reduction, where wEst turns to Reno's slope
	epoch   time.Duration // start of the present congestion avoidance; 0: none
	carried float64       // growth below one byte
}

func (*cubic) name() string { return "cubic" }

func (q *cubic) grow(w ccWindow, acked uint32, now, srtt time.Duration) uint32 {
	if w.slowStart() {
		w.cwnd, acked = slowStart(w, acked)
		if acked == 0 {
			return w.cwnd
		}
	}
	mss := float64(w.mss)
	cwnd := float64(w.cwnd) / mss
	if q.epoch == 0 {
		q.start(cwnd, now)
	}
	segs := float64(acked) / mss
	// Section 4.3: the Reno-friendly region.
	alpha := cubicAlpha
	if q.wEst >= q.prior {
		alpha = 1
	}
	q.wEst += alpha * segs / cwnd
	// Sections 4.2, 4.4 and 4.5: aim at the curve one round trip ahead, at most
	// half as much again as now.
	t := (now - q.epoch + srtt).Seconds() - q.k
	target := min(max(cubicC*t*t*t+q.wMax, cwnd), 1.5*cwnd)
	growth := (target - cwnd) / cwnd * segs
	if est := q.wEst - cwnd; cubicC*t*t*t+q.wMax < q.wEst && est > growth {
		growth = est
	}
	q.carried += growth * mss
	whole := math.Floor(min(q.carried, float64(acked)))
	q.carried = min(q.carried-whole, mss)
	return w.cwnd + uint32(whole)
}

// start begins congestion avoidance: section 4.2.
func (q *cubic) start(cwnd float64, now time.Duration) {
	q.epoch = max(now, 1)
	q.wEst = cwnd
	q.carried = 0
	if q.wMax <= cwnd {
		// Section 4.8: after a slow start that met no loss.
		q.wMax, q.k = cwnd, 0
		return
	}
	q.k = math.Cbrt((q.wMax - cwnd) / cubicC)
}

// reduce is sections 4.6 and 4.7.
func (q *cubic) reduce(w ccWindow, _ time.Duration) uint32 {
	cwnd := float64(w.cwnd) / float64(w.mss)
	q.epoch = 0
	q.prior = cwnd
	if cwnd < q.wMax {
		q.wMax = cwnd * (1 + cubicBeta) / 2 // fast convergence
	} else {
		q.wMax = cwnd
	}
	return max(uint32(float64(w.cwnd)*cubicBeta), 2*w.mss)
}

func (q *cubic) timeout() { q.epoch = 0 }

// idle moves the epoch: section 5.8, time without data is no time on the curve.
func (q *cubic) idle(d time.Duration) {
	if q.epoch != 0 {
		q.epoch += d
	}
}
