package tcp

// H-TCP grows faster the longer the last loss is ago, and backs off as far as
// the queue that it has filled: D. Leith, R. Shorten, draft-leith-tcp-htcp-06.

import (
	"math"
	"time"
)

const (
	htcpDeltaL  = time.Second            // Delta_L: as long the growth is Reno's
	htcpMinBeta = 0.5                    // section 3.2
	htcpMaxBeta = 0.8                    //
	htcpSwitch  = 0.2                    // Delta_B: a change of throughput beyond it resets beta
	htcpRefRTT  = 100 * time.Millisecond // section 5: growth is scaled to it
)

type htcp struct {
	ccBase
	since        time.Duration // the last reduction; 0: none
	trips        span          // the greatest since the last reduction
	beta         float64       // what the last reduction left
	rate, before float64       // bytes per second: best round since the last reduction, and before it
	roundAt      time.Duration
	carried      float64 // growth below one byte
	acked        uint32  // in this round
	round        rounds
	adaptive     bool
	scaling      bool

	undoneSince time.Duration
	undoneBeta  float64
}

var htcpInfo = ccInfo{
	name: "htcp",
	make: func() congestion { return &htcp{beta: htcpMinBeta, adaptive: true} },
	params: []ccParam{
		{
			CongestionParam: CongestionParam{Name: "adaptive_backoff", Unit: "flag", Min: 0, Max: 1, Default: 1,
				Doc: "back off by the queue that was filled instead of by half"},
			field: func(a congestion) any { return &a.(*htcp).adaptive },
		},
		{
			CongestionParam: CongestionParam{Name: "rtt_scaling", Unit: "flag", Min: 0, Max: 1, Default: 0,
				Doc: "grow equally fast whatever the round trip"},
			field: func(a congestion) any { return &a.(*htcp).scaling },
		},
	},
}

func (*htcp) info() *ccInfo { return &htcpInfo }

func (h *htcp) ack(w *ccWindow, s *ccSignal) {
	h.measure(s)
	if !s.grows() {
		return
	}
	acked := w.climb(s)
	if acked == 0 {
		return
	}
	if h.since == 0 {
		h.since = max(s.now, 1)
	}
	h.carried += h.alpha(s.now-h.since) * float64(acked) / float64(w.cwnd) * float64(s.mss)
	whole := math.Floor(min(h.carried, float64(acked)))
	h.carried = min(h.carried-whole, float64(s.mss))
	w.cwnd = min(w.cwnd+uint32(whole), maxCwnd)
}

// alpha is the growth per round trip in segments, d after the last reduction:
// sections 3.1, 3.3 and 5.
func (h *htcp) alpha(d time.Duration) float64 {
	a := 1.0
	if d > htcpDeltaL {
		x := (d - htcpDeltaL).Seconds()
		a = 1 + 10*x + x*x/4
	}
	if h.scaling && h.trips.least > 0 {
		// A tenth to twice of what it were otherwise.
		a *= min(max(float64(h.trips.least)/float64(htcpRefRTT), 0.1), 2)
	}
	return max(2*(1-h.beta)*a, 1)
}

// measure keeps the round trips, and the throughput of each round.
func (h *htcp) measure(s *ccSignal) {
	h.acked += s.rate.newlyAcked
	if rtt := s.rate.rtt; rtt > 0 && !s.recovering {
		h.trips.add(rtt)
	}
	if !h.round.next(s) {
		if h.roundAt == 0 {
			h.roundAt = s.now
		}
		return
	}
	if d := s.now - h.roundAt; d > 0 && !s.recovering {
		h.rate = max(h.rate, float64(h.acked)/d.Seconds())
	}
	h.acked, h.roundAt = 0, s.now
}

// backOffFactor is section 3.2: the share of the round trip that is not the
// queue's, unless throughput has changed, which tells that others came or went.
func (h *htcp) backOffFactor() float64 {
	changed := h.before > 0 && math.Abs(h.rate-h.before) > htcpSwitch*h.before
	h.before, h.rate = h.rate, 0
	if !h.adaptive || changed || h.trips.most == 0 {
		return htcpMinBeta
	}
	return min(max(float64(h.trips.least)/float64(h.trips.most), htcpMinBeta), htcpMaxBeta)
}

func (h *htcp) loss(w *ccWindow, s *ccSignal) {
	h.undoneSince, h.undoneBeta = h.since, h.beta
	h.beta = h.backOffFactor()
	h.since, h.carried = max(s.now, 1), 0
	h.trips.most = h.trips.least // the queue is measured anew
	w.backOff(s, w.cwnd, h.beta)
}

func (h *htcp) ce(w *ccWindow, s *ccSignal) { h.loss(w, s) }

func (h *htcp) timeout(w *ccWindow, s *ccSignal) {
	if !s.again {
		h.loss(w, s)
		h.beta = htcpMinBeta
	}
	w.collapse(s)
}

func (h *htcp) undo(w *ccWindow, s *ccSignal) {
	h.since, h.beta = h.undoneSince, h.undoneBeta
	h.ccBase.undo(w, s)
}

// restart keeps idle time from counting as time without loss.
func (h *htcp) restart(_ *ccWindow, s *ccSignal) {
	if h.since != 0 {
		h.since += s.idle
	}
}
