package tcp

// Vegas holds a few segments in the bottleneck's queue: L. Brakmo, L. Peterson,
// "TCP Vegas: End to End Congestion Avoidance on a Global Internet", IEEE JSAC
// 13(8), 1995. Once a round trip it compares the rate that the window should give
// with the rate that it gives; the difference, times the least round trip, is the
// backlog.

type vegas struct {
	newReno       // losses, and rounds with too few samples
	trips   trips // ever.least is BaseRTT
	alpha   uint8 // segments: with less the window grows
	beta    uint8 // with more it shrinks
	gamma   uint8 // with more slow start ends
	resting bool  // slow start grows in every other round
}

// vegasSamples is how many round trips a round has to show: fewer may all come
// from delayed acknowledgements.
const vegasSamples = 3

var vegasInfo = ccInfo{
	name: "vegas",
	make: func() congestion {
		return &vegas{newReno: newReno{beta: 50, betaECN: 50}, alpha: 2, beta: 4, gamma: 1}
	},
	params: []ccParam{
		{
			CongestionParam: CongestionParam{Name: "alpha", Unit: "segments", Min: 1, Max: 255, Default: 2,
				Doc: "backlog below which the window grows"},
			field: func(a congestion) any { return &a.(*vegas).alpha },
		},
		{
			CongestionParam: CongestionParam{Name: "beta", Unit: "segments", Min: 1, Max: 255, Default: 4,
				Doc: "backlog above which the window shrinks"},
			field: func(a congestion) any { return &a.(*vegas).beta },
		},
		{
			CongestionParam: CongestionParam{Name: "gamma", Unit: "segments", Min: 1, Max: 255, Default: 1,
				Doc: "backlog above which slow start ends"},
			field: func(a congestion) any { return &a.(*vegas).gamma },
		},
	},
}

func (*vegas) info() *ccInfo { return &vegasInfo }

func (v *vegas) ack(w *ccWindow, s *ccSignal) {
	v.trips.sample(s.rate.rtt)
	if s.recovering || s.afterLoss {
		v.newReno.ack(w, s)
		v.trips.restart(s)
		return
	}
	if v.trips.next(s) {
		v.decide(w, s)
		v.trips.clear()
		return
	}
	if w.slowStart() && !v.resting && s.grows() {
		w.climb(s)
	}
}

// decide is taken once a round.
func (v *vegas) decide(w *ccWindow, s *ccSignal) {
	if v.trips.count < vegasSamples {
		v.newReno.ack(w, s)
		return
	}
	backlog := float64(w.cwnd) * float64(v.trips.this.least-v.trips.ever.least) / float64(v.trips.this.least)
	segs := backlog / float64(s.mss)
	switch {
	case w.slowStart():
		v.resting = !v.resting
		if segs > float64(v.gamma) {
			// What the path holds without a queue, and one segment.
			fits := uint32(float64(w.cwnd)-backlog) + s.mss
			w.cwnd = max(min(w.cwnd, fits), 2*s.mss)
			w.ssthresh = max(w.cwnd-s.mss, 2*s.mss)
		}
	case segs > float64(max(v.beta, v.alpha)):
		w.cwnd = max(w.cwnd-s.mss, 2*s.mss)
		w.ssthresh = min(w.ssthresh, w.cwnd)
	case segs < float64(v.alpha) && s.limited:
		w.cwnd = min(w.cwnd+s.mss, maxCwnd)
	}
}
