package tcp

import (
	"math"
	"time"
)

// Constants of RFC 9438 section 4.1 and 4.3: windows in segments, time in
// seconds.
const (
	cubicC    = 0.4
	cubicBeta = 0.7
	// cubicAlpha makes the Reno-friendly estimate as aggressive as Reno
	// (section 4.3).
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta)
)

// cubic is RFC 9438, with HyStart++ as its slow start (section 4.10).
type cubic struct {
	ccBase
	cubicCurve
	hystart hyStart

	undone    *cubicCurve   // section 4.9: as it was before the last reduction; nil: none yet
	restedAt  time.Duration // the window has not been in use since; 0: it is
	carried   float32       // growth below one byte
	afterLoss bool          // a timeout came before the next congestion avoidance: section 4.8
}

// cubicCurve is the curve that the window follows: section 4.1.2.
type cubicCurve struct {
	wMax  float64       // window before the last reduction
	k     float64       // seconds to grow back to it
	wEst  float64       // what Reno would have by now
	prior float64       // cwnd_prior: where wEst turns to Reno's slope
	epoch time.Duration // start of the present congestion avoidance; 0: none
}

var cubicInfo = ccInfo{
	name: "cubic",
	make: func() congestion { return new(cubic) },
}

func (*cubic) info() *ccInfo { return &cubicInfo }

func (q *cubic) ack(w *ccWindow, s *ccSignal) {
	q.hystart.sample(w, s)
	if !s.grows() {
		if q.restedAt == 0 && !s.recovering {
			q.restedAt = s.now
		}
		return
	}
	if q.restedAt != 0 {
		// Section 5.8: time in which the window was not in use is no time on the
		// curve.
		q.shift(s.now - q.restedAt)
		q.restedAt = 0
	}
	if left := q.hystart.climb(w, s); left > 0 {
		q.avoid(w, s, left)
	}
}

func (q *cubic) shift(d time.Duration) {
	if q.epoch != 0 {
		q.epoch += d
	}
}

// avoid is congestion avoidance: sections 4.2 to 4.5.
func (q *cubic) avoid(w *ccWindow, s *ccSignal, acked uint32) {
	mss := float64(s.mss)
	cwnd := float64(w.cwnd) / mss
	if q.epoch == 0 {
		q.begin(cwnd, s.now)
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
	t := s.now - q.epoch
	target := min(max(q.at(t+s.srtt), cwnd), 1.5*cwnd)
	growth := (target - cwnd) / cwnd * segs
	if q.at(t) < q.wEst {
		growth = max(growth, q.wEst-cwnd)
	}
	growth = growth*mss + float64(q.carried)
	whole := math.Floor(min(growth, float64(acked)))
	q.carried = float32(min(growth-whole, mss))
	w.cwnd += uint32(whole)
}

// at is W_cubic: section 4.2, figure 1.
func (q *cubicCurve) at(t time.Duration) float64 {
	d := t.Seconds() - q.k
	return cubicC*d*d*d + q.wMax
}

// begin starts congestion avoidance: section 4.2, figure 2.
func (q *cubic) begin(cwnd float64, now time.Duration) {
	q.epoch = max(now, 1)
	q.wEst = cwnd
	q.carried = 0
	if q.afterLoss || q.wMax <= cwnd {
		// After a timeout, section 4.8; after a slow start that met no loss, section
		// 4.10.
		q.wMax, q.k, q.afterLoss = cwnd, 0, false
		return
	}
	q.k = math.Cbrt((q.wMax - cwnd) / cubicC)
}

// reduce is sections 4.6 and 4.7. It takes the window where the RFC has
// flight_size: the window does not grow while it is not in use, which section 4.6
// demands for that.
func (q *cubic) reduce(w *ccWindow, s *ccSignal) {
	if q.undone == nil {
		q.undone = new(cubicCurve)
	}
	*q.undone = q.cubicCurve
	cwnd := float64(w.cwnd) / float64(s.mss)
	q.epoch = 0
	q.prior = cwnd
	if cwnd < q.wMax {
		q.wMax = cwnd * (1 + cubicBeta) / 2 // fast convergence
	} else {
		q.wMax = cwnd
	}
	w.backOff(s, w.cwnd, cubicBeta)
}

func (q *cubic) loss(w *ccWindow, s *ccSignal) { q.reduce(w, s) }

func (q *cubic) ce(w *ccWindow, s *ccSignal) { q.reduce(w, s) }

// timeout is section 4.8.
func (q *cubic) timeout(w *ccWindow, s *ccSignal) {
	if !s.again {
		q.reduce(w, s)
	}
	q.epoch, q.afterLoss = 0, true
	w.collapse(s)
}

// undo is section 4.9: the curve goes on as if nothing had happened.
func (q *cubic) undo(w *ccWindow, s *ccSignal) {
	if q.undone != nil {
		q.cubicCurve, q.afterLoss = *q.undone, false
	}
	q.ccBase.undo(w, s)
}

// restart moves the epoch: section 5.8.
func (q *cubic) restart(_ *ccWindow, s *ccSignal) {
	if q.restedAt == 0 {
		q.shift(s.idle)
	}
}
