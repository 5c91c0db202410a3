package tcp

import (
	"math"
	"testing"
	"time"
)

// TestHTCPAlpha: sections 3.1 and 3.3 of the draft.
func TestHTCPAlpha(t *testing.T) {
	for _, c := range []struct {
		d       time.Duration
		beta    float64
		least   time.Duration
		scaling bool
		want    float64
	}{
		{0, 0.5, 0, false, 1},
		{time.Second, 0.5, 0, false, 1},
		{2 * time.Second, 0.5, 0, false, 11.25},
		{5 * time.Second, 0.5, 0, false, 45},
		{5 * time.Second, 0.8, 0, false, 18},
		{time.Second, 0.8, 0, false, 1}, // never slower than Reno
		{2 * time.Second, 0.5, 50 * time.Millisecond, true, 5.625},
		{2 * time.Second, 0.5, 50 * time.Millisecond, false, 11.25},
		{2 * time.Second, 0.5, time.Millisecond, true, 1.125},
		{2 * time.Second, 0.5, time.Second, true, 22.5},
		{2 * time.Second, 0.5, 0, true, 11.25}, // nothing to scale by
	} {
		h := &htcp{beta: c.beta, trips: span{least: c.least}, scaling: c.scaling}
		if got := h.alpha(c.d); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestHTCPFollowsItsCurve compares growth with the sum of alpha over rounds,
// within a twentieth.
func TestHTCPFollowsItsCurve(t *testing.T) {
	r := newRide("htcp", 400, 400)
	r.a.(*htcp).adaptive = false
	r.rounds(1, 100*ms)
	r.loss()
	want := r.segs()
	for n := range 80 {
		d := float64(n)*0.1 - 1
		if d < 0 {
			d = 0
		}
		want += 1 + 10*d + d*d/4
		r.rounds(1, 100*ms)
		if got := r.segs(); math.Abs(got-want) > 0.05*want {
			t.Fatalf("after %d rounds %v segments, want %v", n+1, got, want)
		}
	}
}

// TestHTCPBackOff: section 3.2, beta is the share of the round trip that is not
// the queue's, between a half and 0.8.
func TestHTCPBackOff(t *testing.T) {
	for _, c := range []struct {
		least, most  time.Duration
		before, rate float64
		adaptive     bool
		want         float64
	}{
		{100 * ms, 150 * ms, 1e6, 1e6, true, 100.0 / 150},
		{100 * ms, 400 * ms, 1e6, 1e6, true, 0.5},
		{100 * ms, 101 * ms, 1e6, 1e6, true, 0.8},
		{100 * ms, 150 * ms, 1e6, 1.1e6, true, 100.0 / 150},
		{100 * ms, 150 * ms, 1e6, 1.3e6, true, 0.5}, // throughput changed by more than a fifth
		{100 * ms, 150 * ms, 1e6, 0.7e6, true, 0.5},
		{100 * ms, 150 * ms, 1e6, 1.2e6, true, 100.0 / 150}, // by a fifth exactly
		{100 * ms, 150 * ms, 1e6, 1e6, false, 0.5},
		{100 * ms, 150 * ms, 0, 1e6, true, 100.0 / 150}, // the first loss: nothing to compare with
		{0, 0, 0, 0, true, 0.5},                         // nothing is known
	} {
		h := &htcp{trips: span{c.least, c.most}, before: c.before, rate: c.rate, adaptive: c.adaptive, beta: 0.5}
		w := &ccWindow{cwnd: 100_000}
		h.loss(w, &ccSignal{now: time.Hour, mss: 1000})
		if got := float64(w.cwnd) / 100_000; math.Abs(got-c.want) > 0.001 || w.ssthresh != w.cwnd {
			t.Errorf("%+v: %.3f", c, got)
		}
	}
}

// TestHTCPIdleIsNoSuccess: time without data does not speed growth up, nor does
// what is undone slow it down.
func TestHTCPIdleIsNoSuccess(t *testing.T) {
	r := newRide("htcp", 100, 100)
	h := r.a.(*htcp)
	r.rounds(20, 100*ms)
	s := r.signal()
	s.idle = time.Minute
	r.now += time.Minute
	r.a.restart(&r.w, s)
	if d := r.now - h.since; d > 3*time.Second {
		t.Errorf("%v since the last loss", d)
	}
	since, beta, prior := h.since, h.beta, r.w
	r.a.loss(&r.w, r.signal())
	s = r.signal()
	s.priorCwnd, s.priorSsthresh = prior.cwnd, prior.ssthresh
	r.a.undo(&r.w, s)
	if h.since != since || h.beta != beta || r.w.cwnd != prior.cwnd {
		t.Errorf("%v %v %+v", h.since, h.beta, r.w)
	}
}

// TestHTCPTimeout: the window before the first timeout is halved, repetitions of
// it change nothing more.
func TestHTCPTimeout(t *testing.T) {
	h, w := htcpInfo.make(), &ccWindow{cwnd: 100_000, ssthresh: maxCwnd}
	s := &ccSignal{now: time.Hour, mss: 1000}
	h.timeout(w, s)
	if w.cwnd != 1000 || w.ssthresh != 50_000 {
		t.Errorf("window %d, threshold %d", w.cwnd, w.ssthresh)
	}
	s.again = true
	if h.timeout(w, s); w.cwnd != 1000 || w.ssthresh != 50_000 {
		t.Errorf("again: window %d, threshold %d", w.cwnd, w.ssthresh)
	}
}

// TestHTCPThroughput: what was delivered in a round over the time that it took.
func TestHTCPThroughput(t *testing.T) {
	h := htcpInfo.make().(*htcp)
	for _, c := range []struct {
		now      time.Duration
		una, nxt uint32
	}{{time.Hour, 0, 3000}, {time.Hour + time.Second, 1000, 4000}, {time.Hour + 2*time.Second, 3000, 6000}} {
		h.measure(&ccSignal{now: c.now, una: c.una, nxt: c.nxt, rate: rateSample{newlyAcked: 1000, rtt: time.Second}})
	}
	if h.rate != 1500 {
		t.Errorf("%v bytes/s", h.rate)
	}
	if h.measure(&ccSignal{now: time.Hour + 3*time.Second, una: 3000}); h.trips.least != time.Second {
		t.Errorf("an acknowledgement without a round trip: least %v", h.trips.least)
	}
}

// TestHTCPMeasures: the round trips between which beta is chosen, and the rate of
// the best round; recovery distorts both.
func TestHTCPMeasures(t *testing.T) {
	r := newRide("htcp", 100, 100)
	h := r.a.(*htcp)
	h.measure(&ccSignal{now: time.Hour}) // without anything
	if h.trips.least != 0 || h.trips.most != 0 {
		t.Errorf("%v %v", h.trips.least, h.trips.most)
	}
	for _, rtt := range []time.Duration{100 * ms, 150 * ms, 120 * ms} {
		r.rounds(2, rtt)
	}
	if h.trips.least != 100*ms || h.trips.most != 150*ms {
		t.Errorf("least %v, most %v", h.trips.least, h.trips.most)
	}
	if h.rate < 0.9e6 || h.rate > 1.2e6 { // a hundred segments and some in 100 ms
		t.Errorf("%.0f bytes/s", h.rate)
	}
	rate := h.rate
	for i := range uint32(40) {
		s := r.signal()
		r.una += 50_000
		r.now += 10 * ms
		s.now, s.una, s.nxt, s.recovering = r.now, r.una, r.una+50_000*(i%2), true
		s.rate = rateSample{newlyAcked: 50_000, rtt: 10 * ms}
		r.a.ack(&r.w, s)
	}
	if h.trips.least != 100*ms || h.rate != rate {
		t.Errorf("recovery: least %v, %.0f bytes/s", h.trips.least, h.rate)
	}
	r.a.loss(&r.w, r.signal())
	if h.trips.most != h.trips.least || h.rate != 0 || h.before != rate {
		t.Errorf("after a loss: most %v, rate %.0f, before %.0f", h.trips.most, h.rate, h.before)
	}
}
