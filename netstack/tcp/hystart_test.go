package tcp

import (
	"testing"
	"time"
)

// slowStartRounds lets a fresh cubic grow through rounds of the given round trips
// and returns the windows after each, in segments.
func slowStartRounds(rtts ...time.Duration) (*ride, []float64) {
	r := newRide("cubic", 32, 0)
	var got []float64
	for _, rtt := range rtts {
		r.rounds(1, rtt)
		got = append(got, r.segs())
	}
	return r, got
}

const ms = time.Millisecond

// TestHyStart is RFC 9406 section 4.2 round by round.
func TestHyStart(t *testing.T) {
	for _, c := range []struct {
		what string
		rtts []time.Duration
		want []float64 // 0: any
		css  bool
		ends bool
	}{
		{"a steady round trip", []time.Duration{50 * ms, 50 * ms, 50 * ms, 50 * ms}, []float64{64, 128, 256, 512}, false, false},
		{"less than an eighth longer", []time.Duration{80 * ms, 80 * ms, 89 * ms, 89 * ms}, []float64{64, 128, 256, 512}, false, false},
		{"an eighth longer", []time.Duration{80 * ms, 80 * ms, 90 * ms, 90 * ms}, []float64{64, 128, 0, 0}, true, false},
		{"4 ms are needed", []time.Duration{8 * ms, 8 * ms, 11 * ms, 11 * ms}, []float64{64, 128, 256, 512}, false, false},
		{"and do", []time.Duration{8 * ms, 8 * ms, 12 * ms}, []float64{64, 128, 0}, true, false},
		{"16 ms always do", []time.Duration{400 * ms, 400 * ms, 416 * ms}, []float64{64, 128, 0}, true, false},
		{"a mistake", []time.Duration{50 * ms, 50 * ms, 70 * ms, 50 * ms}, nil, false, false},
		{"five rounds", []time.Duration{50 * ms, 50 * ms, 70 * ms, 70 * ms, 70 * ms, 70 * ms, 70 * ms, 70 * ms}, nil, true, true},
	} {
		r, got := slowStartRounds(c.rtts...)
		for i, want := range c.want {
			if want != 0 && got[i] != want {
				t.Errorf("%s: round %d: %v segments, want %v", c.what, i, got[i], want)
			}
		}
		h := &r.a.(*cubic).hystart
		if h.css != c.css || (r.w.ssthresh != maxCwnd) != c.ends {
			t.Errorf("%s: CSS %v, ssthresh %d", c.what, h.css, r.w.ssthresh)
		}
	}
}

// TestConservativeSlowStart: a quarter of the growth, in the round after the one
// in which it began.
func TestConservativeSlowStart(t *testing.T) {
	_, got := slowStartRounds(50*ms, 50*ms, 70*ms, 70*ms, 70*ms)
	if a := got[3] / got[2]; a < 1.24 || a > 1.26 {
		t.Errorf("%v: a round of CSS grows by %.3f", got, a)
	}
	if got[2] < 1.2*got[1] || got[2] > 1.6*got[1] { // eight samples of it in slow start
		t.Errorf("%v: the round in which CSS began", got)
	}
}

// TestHyStartNeedsSamples: fewer than N_RTT_SAMPLE in a round decide nothing.
func TestHyStartNeedsSamples(t *testing.T) {
	h, w := new(hyStart), &ccWindow{cwnd: 10_000, ssthresh: maxCwnd}
	for round := range 5 {
		rtt := 50 * ms
		if round > 1 {
			rtt = 500 * ms
		}
		for i := range uint32(hySamples - 1) {
			una := uint32(round)*(hySamples-1) + i
			h.sample(w, &ccSignal{una: una, nxt: una + hySamples - 1, rate: rateSample{rtt: rtt}})
		}
	}
	if h.css || w.ssthresh != maxCwnd {
		t.Errorf("%+v", h)
	}
}

// TestHyStartIsForTheFirstSlowStart: section 4.3. Later ones have a threshold.
func TestHyStartIsForTheFirstSlowStart(t *testing.T) {
	r := newRide("cubic", 16, 300)
	for _, rtt := range []time.Duration{50 * ms, 50 * ms, 500 * ms, 500 * ms} {
		r.rounds(1, rtt)
	}
	if h := r.a.(*cubic).hystart; h.css || h != (hyStart{}) || r.segs() != 256 {
		t.Errorf("%+v, %v segments", h, r.segs())
	}
}

// TestHyStartSparesTheQueue: on a path with a deep queue, slow start overruns it
// by much less.
func TestHyStartSparesTheQueue(t *testing.T) {
	lost := func(name string) int {
		p := newModel(40, 50*ms, 3)
		f := p.flow(name)
		p.run(3 * time.Second)
		return f.losses
	}
	with, without := lost("cubic"), lost("reno")
	t.Logf("%d segments lost, %d without HyStart++", with, without)
	if with > without/2 {
		t.Errorf("%d segments lost, %d without HyStart++", with, without)
	}
}

// TestHyStartResolution: round trips are kept in whole microseconds, and the
// shortest is not none.
func TestHyStartResolution(t *testing.T) {
	for rtt, want := range map[time.Duration]uint32{1: 1, time.Microsecond: 1, 50 * ms: 50_000, 50*ms + 1: 50_001} {
		h := new(hyStart)
		if h.sample(&ccWindow{ssthresh: maxCwnd}, &ccSignal{rate: rateSample{rtt: rtt}}); h.thisMin != want {
			t.Errorf("%v: %d", rtt, h.thisMin)
		}
	}
}

// TestHyStartNeedsMeasurements: what has no round trip is no sample of none.
func TestHyStartNeedsMeasurements(t *testing.T) {
	h, w := new(hyStart), &ccWindow{cwnd: 10_000, ssthresh: maxCwnd}
	for i := range uint32(100) {
		h.sample(w, &ccSignal{una: i, nxt: i + 10})
	}
	if h.samples != 0 || h.thisMin != 0 || h.css {
		t.Errorf("%+v", h)
	}
}
