package tcp

// newReno is the window arithmetic of RFC 5681 with RFC 3465 (bytes, not
// acknowledgements, are counted) and RFC 8511 (a mark costs less than a loss);
// RFC 6582's recovery is in recovery.go.
type newReno struct {
	ccBase
	acked   uint32 // bytes acknowledged towards the next segment of growth
	beta    uint8  // percent of the window that a loss leaves
	betaECN uint8  // and a congestion mark
}

var newRenoInfo = ccInfo{
	name: "reno", aliases: []string{"newreno", "sunreno"},
	make: func() congestion { return &newReno{beta: 50, betaECN: 80} },
	params: []ccParam{
		{
			CongestionParam: CongestionParam{Name: "beta", Unit: "percent", Min: 1, Max: 100, Default: 50,
				Doc: "of the window that a loss leaves"},
			field: func(a congestion) any { return &a.(*newReno).beta },
		},
		{
			CongestionParam: CongestionParam{Name: "beta_ecn", Unit: "percent", Min: 1, Max: 100, Default: 80,
				Doc: "of the window that a congestion mark leaves"},
			field: func(a congestion) any { return &a.(*newReno).betaECN },
		},
	},
}

func (*newReno) info() *ccInfo { return &newRenoInfo }

func (r *newReno) ack(w *ccWindow, s *ccSignal) {
	if s.grows() {
		r.avoid(w, s, w.climb(s))
	}
}

// avoid is congestion avoidance: RFC 5681 section 3.1 and RFC 3465 section 2.1,
// one segment for each window that is acknowledged.
func (r *newReno) avoid(w *ccWindow, s *ccSignal, acked uint32) {
	if acked == 0 {
		return
	}
	r.acked += acked
	for r.acked >= w.cwnd && w.cwnd < maxCwnd {
		r.acked -= w.cwnd
		w.cwnd += s.mss
	}
}

func (r *newReno) loss(w *ccWindow, s *ccSignal) {
	r.acked = 0
	w.backOff(s, min(s.flight, w.cwnd), float64(r.beta)/100)
}

// ce is RFC 8511 section 3.1.
func (r *newReno) ce(w *ccWindow, s *ccSignal) {
	r.acked = 0
	w.backOff(s, min(s.flight, w.cwnd), float64(r.betaECN)/100)
}

func (r *newReno) timeout(w *ccWindow, s *ccSignal) {
	if !s.again {
		w.backOff(s, min(s.flight, w.cwnd), 0.5)
	}
	r.acked = 0
	w.collapse(s)
}
