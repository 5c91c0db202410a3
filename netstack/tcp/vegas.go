package tcp

// Vegas holds a few segments in the bottleneck's queue: L. Brakmo, L. Peterson,
// "TCP Vegas: End to End Congestion Avoidance on a Global Internet", IEEE JSAC
// 13(8), 1995. Once a round trip it compares the rate that the window should give
// with the rate that it gives; the difference, times the least round trip, is the
// backlog.

import "time"

type vegas struct {
	newReno                // losses, and rounds with too few samples
	base     time.Duration // least round trip of the connection: BaseRTT
	least    time.Duration // of this round; 0: none yet
	round    rounds
	samples  uint8
	alpha    uint8 // segments: with less the window grows
	beta     uint8 // with more it shrinks
	gamma    uint8 // with more slow start ends
	doubling bool  // slow start grows in every other round
}

// vegasSamples is how many round trips a round has to show: fewer may all come
// from delayed acknowledgements.
const vegasSamples = 3

var vegasInfo = ccInfo{
	name: "vegas",
	make: func() congestion {
		return &vegas{newReno: newReno{beta: 50, betaECN: 50}, alpha: 2, beta: 4, gamma: 1, doubling: true}
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
	v.sample(s.rate.rtt)
	if s.recovering || s.afterLoss {
		v.newReno.ack(w, s)
		v.restartRound(s)
		return
	}
	if v.round.next(s) {
		v.decide(w, s)
		v.least, v.samples = 0, 0
		return
	}
	if w.slowStart() && v.doubling && s.grows() {
		w.climb(s)
	}
}

func (v *vegas) sample(rtt time.Duration) {
	if rtt <= 0 {
		return
	}
	if v.base == 0 || rtt < v.base {
		v.base = rtt
	}
	if v.least == 0 || rtt < v.least {
		v.least = rtt
	}
	if v.samples < vegasSamples {
		v.samples++
	}
}

// restartRound forgets the round: its samples come from retransmissions, too.
func (v *vegas) restartRound(s *ccSignal) {
	v.round = rounds{}
	v.round.next(s)
	v.least, v.samples = 0, 0
}

// decide is taken once a round.
func (v *vegas) decide(w *ccWindow, s *ccSignal) {
	if v.samples < vegasSamples {
		v.newReno.ack(w, s)
		return
	}
	backlog := float64(w.cwnd) * float64(v.least-v.base) / float64(v.least)
	segs := backlog / float64(s.mss)
	switch {
	case w.slowStart():
		v.doubling = !v.doubling
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
