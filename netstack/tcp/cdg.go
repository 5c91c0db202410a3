package tcp

// CDG backs off when the round trip grows, with a probability that grows with
// the gradient, and takes losses while the queue is not full for the line's:
// D. Hayes, G. Armitage, "Revisiting TCP Congestion Control Using Delay
// Gradients", IFIP Networking 2011. Names and defaults of parameters are those of
// FreeBSD's cc_cdg(4).

import "math"

// cdgHistory bounds smoothing_factor.
const cdgHistory = 16

// cdgSeveral is after how many acknowledgements of a single segment a peer counts
// as one that delays none.
const cdgSeveral = 5

// cdgQueue is what the gradients tell about the bottleneck's queue.
type cdgQueue uint8

const (
	cdgUnknown cdgQueue = iota
	cdgFull             // the least round trip grows, the greatest cannot any more
	cdgNotFull
)

type cdg struct {
	newReno // growth; its beta is beta_loss

	trips            trips
	last             span              // of the round before
	minDiff, maxDiff [cdgHistory]int32 // gradients of late, in microseconds
	place            uint8             // in both, of the next
	shadow           uint32            // the window that Reno would have, in bytes
	lots             lots
	queue            cdgQueue
	ineffective      uint16 // reductions for delay in a row without effect, with those left out as somebody else fills the queue
	held             bool   // backed off in the round before: its effect is not to be seen yet
	several          uint8  // acknowledgements of more than a segment, of late
	quietRounds      uint8  // since the last congestion, for alphaInc
	alpha            uint8  // segments per round; bounded, as each acknowledgement counts them out

	betaDelay   uint8
	scale       uint8
	smoothing   uint8
	consecCong  uint8
	holdBackoff uint8
	alphaInc    uint8
}

var cdgInfo = ccInfo{
	name: "cdg",
	make: func() congestion {
		return &cdg{
			newReno: newReno{beta: 50, betaECN: 50}, alpha: 1,
			betaDelay: 70, scale: 2, smoothing: 8, consecCong: 5, holdBackoff: 5,
		}
	},
	params: []ccParam{
		{
			CongestionParam: CongestionParam{Name: "beta_delay", Unit: "percent", Min: 1, Max: 100, Default: 70,
				Doc: "of the window that growing delay leaves"},
			field: func(a congestion) any { return &a.(*cdg).betaDelay },
		},
		{
			CongestionParam: CongestionParam{Name: "beta_loss", Unit: "percent", Min: 1, Max: 100, Default: 50,
				Doc: "of the window that a loss leaves"},
			field: func(a congestion) any { return &a.(*cdg).newReno.beta },
		},
		{
			CongestionParam: CongestionParam{Name: "exp_backoff_scale", Unit: "milliseconds", Min: 1, Max: 255, Default: 2,
				Doc: "gradient at which backing off has a probability of 0.63"},
			field: func(a congestion) any { return &a.(*cdg).scale },
		},
		{
			CongestionParam: CongestionParam{Name: "smoothing_factor", Unit: "rounds", Min: 0, Max: cdgHistory, Default: 8,
				Doc: "of the moving average of gradients; 0 is none"},
			field: func(a congestion) any { return &a.(*cdg).smoothing },
		},
		{
			CongestionParam: CongestionParam{Name: "loss_compete_consec_cong", Unit: "times", Min: 0, Max: 255, Default: 5,
				Doc: "ineffective reductions in a row that tell of loss-based traffic; 0 is never"},
			field: func(a congestion) any { return &a.(*cdg).consecCong },
		},
		{
			CongestionParam: CongestionParam{Name: "loss_compete_hold_backoff", Unit: "times", Min: 0, Max: 255, Default: 5,
				Doc: "reductions that are left out then"},
			field: func(a congestion) any { return &a.(*cdg).holdBackoff },
		},
		{
			CongestionParam: CongestionParam{Name: "alpha_inc", Unit: "rounds", Min: 0, Max: 255, Default: 0,
				Doc: "after which growth per round becomes one segment more; 0 is never"},
			field: func(a congestion) any { return &a.(*cdg).alphaInc },
		},
	},
}

func (*cdg) info() *ccInfo { return &cdgInfo }

func (d *cdg) start(_ *ccWindow, s *ccSignal) { d.lots = lots(s.seed) }

func (d *cdg) ack(w *ccWindow, s *ccSignal) {
	if s.recovering {
		d.trips.restart(s)
		return
	}
	if !d.waited(s) {
		d.trips.sample(s.rate.rtt)
	}
	if d.trips.next(s) && d.endRound(w, s) {
		return
	}
	if !s.grows() {
		return
	}
	before := w.cwnd
	if left := w.climb(s); left > 0 {
		for range d.alpha {
			d.avoid(w, s, left)
		}
	}
	if d.shadow > 0 {
		d.shadow = min(d.shadow+w.cwnd-before, maxCwnd)
	}
}

// waited reports whether the round trip of an acknowledgement has the peer's
// delayed acknowledgement timer in it, which would be taken for a queue: one of a
// single segment by a peer that acknowledges several as a rule. One below the
// least of the round has not.
func (d *cdg) waited(s *ccSignal) bool {
	if s.rate.newlyAcked > s.mss {
		d.several = min(d.several, cdgSeveral-1) + 1
		return false
	}
	if d.several == 0 {
		return false
	}
	d.several--
	return s.rate.rtt >= d.trips.this.least
}

// endRound takes the gradients of the round and reports whether it reduced the
// window: section 3 of the paper.
func (d *cdg) endRound(w *ccWindow, s *ccSignal) bool {
	before, now := d.last, d.trips.this
	if now.least == 0 {
		return false
	}
	d.last = now
	d.trips.clear()
	if before.least == 0 {
		return false
	}
	gmin, gmax := d.gradients(before, now)
	if w.slowStart() {
		// Slow start sends bursts, of which the greatest round trip tells; and it
		// doubles before an average moves. What counts is whether a queue stays.
		gmin, gmax = float64((now.least-before.least).Microseconds())/1000, 0
	}
	if gmin > 0 && gmax <= 0 {
		d.queue = cdgFull
	} else if gmin > 0 || gmax < 0 {
		d.queue = cdgNotFull
	}
	if gmin < 0 || gmax < 0 {
		d.ineffective = 0 // the last reduction was seen
	}
	d.grow()
	if d.held {
		d.held = false
		return false
	}
	// One lot for each round: the greatest round trip counts while the least does
	// not grow.
	g := gmin
	if g <= 0 {
		g = gmax
	}
	return d.draw(g) && d.delayed(w, s)
}

// gradients enters those of the round and returns the smoothed ones in
// milliseconds: equation 5.
func (d *cdg) gradients(before, now span) (gmin, gmax float64) {
	d.minDiff[d.place] = int32(min((now.least - before.least).Microseconds(), math.MaxInt32))
	d.maxDiff[d.place] = int32(min((now.most - before.most).Microseconds(), math.MaxInt32))
	n := min(max(d.smoothing, 1), cdgHistory)
	for i := range n {
		k := (d.place + cdgHistory - i) % cdgHistory
		gmin += float64(d.minDiff[k])
		gmax += float64(d.maxDiff[k])
	}
	d.place = (d.place + 1) % cdgHistory
	return gmin / float64(n) / 1000, gmax / float64(n) / 1000
}

// grow counts rounds for alpha_inc.
func (d *cdg) grow() {
	if d.alphaInc == 0 {
		return
	}
	if d.quietRounds++; d.quietRounds >= d.alphaInc {
		d.quietRounds = 0
		d.alpha = min(d.alpha, math.MaxUint8-1) + 1
	}
}

// draw is equation 3: the probability of backing off is 1 - exp(-g/G).
func (d *cdg) draw(g float64) bool {
	return d.lots.share() < 1-math.Exp(-g/float64(d.scale))
}

// delayed is the reduction for growing delay: equation 4, section 3.3 for those
// that have no effect.
func (d *cdg) delayed(w *ccWindow, s *ccSignal) bool {
	d.ineffective++
	if left := int(d.ineffective) - int(d.consecCong); d.consecCong > 0 && d.holdBackoff > 0 && left > 0 {
		if left >= int(d.holdBackoff) {
			d.ineffective = 0
		}
		return false
	}
	d.shadow = max(d.shadow, w.cwnd)
	d.calm()
	d.held = true
	w.backOff(s, w.cwnd, float64(d.betaDelay)/100)
	return true
}

// calm starts growth afresh after congestion.
func (d *cdg) calm() { d.newReno.acked, d.alpha, d.quietRounds = 0, 1, 0 }

// tolerates reports whether a loss is none of congestion's: section 3.4. The
// gradients must tell of a queue that is not full. As they are smoothed over
// rounds and say nothing of a queue that stays as it is, the round trip must be in
// the lower half of what it has been, too; otherwise two such connections would
// lose without end.
func (d *cdg) tolerates() bool {
	recent, ever := max(d.trips.this.most, d.last.most), d.trips.ever
	return d.queue == cdgNotFull && recent > 0 && recent-ever.least < (ever.most-ever.least)/2
}

// loss is section 3.4. When there is congestion, the shadow window, which delay
// did not reduce, is what is halved, so that loss-based traffic does not starve
// the connection.
func (d *cdg) loss(w *ccWindow, s *ccSignal) {
	if d.tolerates() {
		w.ssthresh = max(w.cwnd, 2*s.mss)
		return
	}
	d.congested(w, s)
}

func (d *cdg) congested(w *ccWindow, s *ccSignal) {
	// Never more than before: RFC 5681 section 3.1.
	left := min(max(w.cwnd, d.shadow), uint32(float64(w.cwnd)/float64(d.newReno.beta)*100))
	d.calm()
	d.shadow, d.held = 0, true
	w.backOff(s, left, float64(d.newReno.beta)/100)
}

func (d *cdg) ce(w *ccWindow, s *ccSignal) { d.congested(w, s) }

func (d *cdg) timeout(w *ccWindow, s *ccSignal) {
	if !s.again {
		d.congested(w, s)
	}
	d.trips.clear()
	d.last = span{}
	w.collapse(s)
}
