package tcp

// dctcp is RFC 8257: the window is reduced by how many bytes met congestion, not
// by whether any did. It needs ECN, and who marks from a shallow queue on; without
// marks it is newReno.
type dctcp struct {
	newReno
	acked, marked uint32 // bytes of the present observation window
	alpha         uint32 // estimate of the marked share, in 1/1024: section 3.3
	shift         uint8  // the estimation gain g is 2^-shift
	window        rounds
	reduced       rounds // at most one reduction in each
}

const dctcpOne = 1024 // alpha when every byte was marked

var dctcpInfo = ccInfo{
	name: "dctcp", ecn: true,
	make: func() congestion {
		return &dctcp{newReno: newReno{beta: 50, betaECN: 50}, alpha: dctcpOne, shift: 4}
	},
	params: []ccParam{
		{
			CongestionParam: CongestionParam{Name: "alpha", Unit: "/1024", Min: 0, Max: dctcpOne, Default: dctcpOne,
				Doc: "estimate of the share of marked bytes"},
			field: func(a congestion) any { return &a.(*dctcp).alpha },
		},
		{
			CongestionParam: CongestionParam{Name: "shift_g", Unit: "bits", Min: 0, Max: 10, Default: 4,
				Doc: "gain of the estimate, 2 to the power of minus this"},
			field: func(a congestion) any { return &a.(*dctcp).shift },
		},
	},
}

func (*dctcp) info() *ccInfo { return &dctcpInfo }

func (d *dctcp) ack(w *ccWindow, s *ccSignal) {
	d.observe(s)
	if s.rate.ceBytes > 0 {
		// Section 3.3 step 8, and no growth from what reports congestion.
		d.ce(w, s)
		return
	}
	d.newReno.ack(w, s)
}

// observe is steps 1 to 7 of section 3.3.
func (d *dctcp) observe(s *ccSignal) {
	d.acked += s.rate.newlyAcked
	d.marked += min(s.rate.ceBytes, s.rate.newlyAcked)
	if !d.window.next(s) {
		return
	}
	if d.acked > 0 {
		share := uint32(uint64(d.marked) * dctcpOne / uint64(d.acked))
		d.alpha = d.alpha - d.decay() + share>>d.shift
		d.alpha = min(d.alpha, dctcpOne)
	}
	d.acked, d.marked = 0, 0
}

// decay is g times alpha, at least one so that alpha reaches zero.
func (d *dctcp) decay() uint32 {
	n := d.alpha >> d.shift
	if n == 0 {
		n = min(d.alpha, 1)
	}
	return n
}

// ce is step 8: cwnd = cwnd * (1 - alpha / 2), once for a window. It does not
// reduce further what a loss has just reduced.
func (d *dctcp) ce(w *ccWindow, s *ccSignal) {
	if s.recovering || d.reduced.running && !d.reduced.next(s) {
		return
	}
	d.reduced = rounds{end: s.nxt, running: true}
	d.newReno.acked = 0
	w.backOff(s, w.cwnd, 1-float64(d.alpha)/(2*dctcpOne))
}

// loss is section 3.4: as without DCTCP, and once for a window.
func (d *dctcp) loss(w *ccWindow, s *ccSignal) {
	d.newReno.loss(w, s)
	d.reduced = rounds{end: s.nxt, running: true}
}
