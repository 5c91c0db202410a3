package tcp

import (
	"testing"
	"time"
)

// backlog is what waits before the line of p, in segments.
func (p *modelPath) backlog() float64 {
	return max(0, (p.free-p.now).Seconds()*p.rate/modelMSS)
}

// TestVegasHoldsItsBacklog: alone, Vegas keeps between alpha and beta segments in
// the queue, give or take the one that is being sent; several each keep theirs.
func TestVegasHoldsItsBacklog(t *testing.T) {
	for _, c := range []struct{ flows, alpha, beta int }{{1, 2, 4}, {1, 10, 14}, {2, 2, 4}} {
		p := newModel(20, 40*time.Millisecond, 2)
		for range c.flows {
			f := p.flow("vegas")
			v := f.a.(*vegas)
			v.alpha, v.beta = uint8(c.alpha), uint8(c.beta)
		}
		p.run(30 * time.Second)
		sum, n := 0.0, 0
		before := p.flows[0].losses
		p.flows[0].on = func(*ccSignal) { sum += p.backlog(); n++ }
		got := 0.0
		for _, share := range p.share(20 * time.Second) {
			got += share
		}
		mean := sum / float64(n)
		t.Logf("%d flows, %d to %d: %.1f segments wait", c.flows, c.alpha, c.beta, mean)
		if low, high := float64(c.flows*c.alpha)-1, float64(c.flows*c.beta)+1; mean < low || mean > high+float64(c.flows-1)*4 {
			t.Errorf("%d flows, alpha %d, beta %d: %.1f segments wait", c.flows, c.alpha, c.beta, mean)
		}
		if got < 0.99 || p.flows[0].losses != before {
			t.Errorf("%.3f of the line, %d losses", got, p.flows[0].losses-before)
		}
	}
}

// TestVegasDecides is the rule of the paper, section 3.2, a round at a time: with
// a window of 40 and a least round trip of 100 ms, the backlog is
// 40 (rtt - 100 ms) / rtt.
func TestVegasDecides(t *testing.T) {
	for _, c := range []struct {
		rtt  time.Duration
		want float64
	}{
		{100 * ms, 41}, // nothing waits
		{103 * ms, 41}, // 1.2 segments
		{106 * ms, 40}, // 2.3
		{110 * ms, 40}, // 3.6
		{112 * ms, 39}, // 4.3
		{150 * ms, 39}, // 13
	} {
		r := newRide("vegas", 40, 20)
		v := r.a.(*vegas)
		r.rounds(1, 100*ms)
		r.w.cwnd = 40_000
		v.trips.restart(r.signal())
		before := r.segs()
		r.rounds(1, c.rtt) // its last acknowledgement ends the round
		if got := r.segs() - before + 40; got != c.want {
			t.Errorf("round trip %v: %v segments, want %v", c.rtt, got, c.want)
		}
	}
}

// TestVegasSlowStart doubles in every other round, and stops at gamma.
func TestVegasSlowStart(t *testing.T) {
	r := newRide("vegas", 16, 0)
	var got []float64
	for range 6 {
		r.rounds(1, 100*ms)
		got = append(got, r.segs())
	}
	if got[5] < 80 || got[5] > 160 {
		t.Errorf("%v: three doublings in six rounds", got)
	}
	for range 3 {
		r.rounds(1, 130*ms)
	}
	if r.w.ssthresh == maxCwnd || r.segs() > 2*got[5] {
		t.Errorf("no end of slow start at %v segments", r.segs())
	}
}

// TestVegasNeedsSamples: with delayed acknowledgements alone it is newReno.
func TestVegasNeedsSamples(t *testing.T) {
	w, v := &ccWindow{cwnd: 4000, ssthresh: 2000}, newCongestion("vegas")
	for i := range uint32(20) {
		s := &ccSignal{una: i * 4000, nxt: i*4000 + 4000, mss: 1000, acked: 4000, limited: true}
		s.rate = rateSample{newlyAcked: 4000, rtt: 300 * ms}
		v.ack(w, s)
	}
	if w.cwnd < 8000 {
		t.Error(w.cwnd)
	}
}

// TestVegasBounds: exactly alpha and exactly beta are neither too little nor too
// much, and exactly gamma ends no slow start. A fifth of the window waits at a
// round trip that is a quarter longer than the least.
func TestVegasBounds(t *testing.T) {
	for _, c := range []struct {
		cwnd, ssthresh, want uint32
		unused               bool
	}{
		{9000, 1000, 10_000, false}, // 1.8 segments
		{10_000, 1000, 10_000, false},
		{20_000, 1000, 20_000, false},
		{21_000, 1000, 20_000, false}, // 4.2
		{9000, 1000, 9000, true},      // what is not used does not grow
		{9000, 9000, 10_000, false},   // slow start is over at the threshold
		{5000, maxCwnd, 5000, false},  // 1
		{10_000, maxCwnd, 9000, false},
	} {
		v := vegasInfo.make().(*vegas)
		w := &ccWindow{cwnd: c.cwnd, ssthresh: c.ssthresh}
		v.trips = trips{ever: span{least: 100 * ms}, this: span{least: 125 * ms}, count: vegasSamples}
		v.decide(w, &ccSignal{mss: 1000, limited: !c.unused, acked: 1000})
		if w.cwnd != c.want || c.ssthresh == maxCwnd && (w.ssthresh == maxCwnd) != (c.cwnd == c.want) {
			t.Errorf("%d: %d (threshold %d), want %d", c.cwnd, w.cwnd, w.ssthresh, c.want)
		}
	}
}

// TestVegasAfterLoss: in recovery and in the slow start after a timeout it is
// newReno, and takes no decision by round trips of retransmissions.
func TestVegasAfterLoss(t *testing.T) {
	for _, c := range []struct {
		s    ccSignal
		want uint32
	}{{ccSignal{recovering: true}, 20_000}, {ccSignal{afterLoss: true}, 30_000}} {
		v := vegasInfo.make().(*vegas)
		w := &ccWindow{cwnd: 20_000, ssthresh: 40_000}
		v.trips.ever.least = 100 * ms
		for i := range uint32(10) {
			s := c.s
			s.una, s.nxt, s.mss, s.acked, s.limited = i*20_000, i*20_000+20_000, 1000, 1000, true
			s.rate = rateSample{newlyAcked: 1000, rtt: 300 * ms}
			v.ack(w, &s)
		}
		if w.cwnd != c.want || v.trips.count != 0 {
			t.Errorf("%+v: %d, %d samples", c.s, w.cwnd, v.trips.count)
		}
	}
}

// TestVegasCountsMeasurements: an acknowledgement without a round trip is no
// sample.
func TestVegasCountsMeasurements(t *testing.T) {
	v := new(vegas)
	for _, rtt := range []time.Duration{0, 0, 0, 120 * ms, 100 * ms, 110 * ms} {
		v.trips.sample(rtt)
	}
	if v.trips.count != 3 || v.trips.ever.least != 100*ms || v.trips.this.least != 100*ms {
		t.Errorf("%d samples, base %v, least %v", v.trips.count, v.trips.ever.least, v.trips.this.least)
	}
}
