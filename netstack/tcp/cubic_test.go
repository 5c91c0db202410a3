package tcp

import (
	"math"
	"testing"
	"time"
)

// TestCubicFollowsItsCurve compares the window with W_cubic of RFC 9438 section
// 4.2, where the Reno-friendly estimate is far below it.
func TestCubicFollowsItsCurve(t *testing.T) {
	r := newRide("cubic", 1000, 1000)
	r.loss()
	k := math.Cbrt(1000 * (1 - cubicBeta) / cubicC)
	for sec := 1; sec <= 14; sec++ {
		r.rounds(10, 100*time.Millisecond)
		want := cubicC*math.Pow(float64(sec)-k, 3) + 1000
		if got := r.segs(); math.Abs(got-want) > 0.03*want {
			t.Errorf("after %d s: %.0f segments, want %.0f", sec, got, want)
		}
	}
}

// TestCubicFollowsReno on a short path, where the estimate of section 4.3 leads:
// 0.53 segments per round trip up to the window of the last loss, one from there.
func TestCubicFollowsReno(t *testing.T) {
	const w = 40
	r := newRide("cubic", w, w)
	r.loss()
	for n := 1; n <= 60; n++ {
		r.rounds(1, time.Millisecond)
		want := w*cubicBeta + cubicAlpha*float64(n)
		if over := want - w; over > 0 {
			want = w + over/cubicAlpha
		}
		if got := r.segs(); math.Abs(got-want) > 1 {
			t.Errorf("round %d: %.2f segments, want %.2f", n, got, want)
		}
	}
}

func TestCubicConvergesFast(t *testing.T) {
	q := new(cubic)
	for _, c := range []struct {
		cwnd uint32
		wMax float64
	}{
		{100_000, 100}, {100_000, 100}, // as much as before: no reason
		{80_000, 80 * (1 + cubicBeta) / 2}, // section 4.7
		{90_000, 90},
	} {
		if q.loss(&ccWindow{cwnd: c.cwnd}, &ccSignal{mss: 1000}); q.wMax != c.wMax {
			t.Errorf("a loss at %d: W_max is %v, want %v", c.cwnd, q.wMax, c.wMax)
		}
	}
}

// TestCubicAfterTimeout: section 4.8, the curve starts from the window at which
// slow start ends, not from the one before the loss.
func TestCubicAfterTimeout(t *testing.T) {
	r := newRide("cubic", 100, 100)
	q := r.a.(*cubic)
	r.a.timeout(&r.w, r.signal())
	if r.w.cwnd != rideMSS || r.w.ssthresh != 70*rideMSS {
		t.Fatalf("cwnd %d, ssthresh %d", r.w.cwnd, r.w.ssthresh)
	}
	s := r.signal()
	s.again = true
	if r.a.timeout(&r.w, s); r.w.ssthresh != 70*rideMSS {
		t.Errorf("a timeout of the same segment reduces again: %d", r.w.ssthresh)
	}
	for r.w.slowStart() {
		r.rounds(1, 100*time.Millisecond)
	}
	r.rounds(1, 100*time.Millisecond)
	if q.k != 0 || q.wMax < 69 || q.wMax > 72 {
		t.Errorf("K %v, W_max %v", q.k, q.wMax)
	}
}

// TestCubicAfterTimeoutsLoss: section 4.8 is for the first curve after a timeout,
// the next loss gives one that leads back to its window.
func TestCubicAfterTimeoutsLoss(t *testing.T) {
	for _, undone := range []bool{false, true} {
		r := newRide("cubic", 100, 100)
		q := r.a.(*cubic)
		r.rounds(3, 100*time.Millisecond)
		r.a.timeout(&r.w, r.signal())
		if undone {
			s := r.signal()
			s.priorCwnd, s.priorSsthresh = 100*rideMSS, 100*rideMSS
			r.a.undo(&r.w, s)
		}
		for r.w.slowStart() {
			r.rounds(1, 100*time.Millisecond)
		}
		r.rounds(1, 100*time.Millisecond)
		before := r.segs()
		r.loss()
		r.rounds(1, 100*time.Millisecond)
		if want := math.Cbrt(before * (1 - cubicBeta) / cubicC); math.Abs(q.k-want) > 0.3*want {
			t.Errorf("undone %v: K %v, want about %v", undone, q.k, want)
		}
	}
}

// TestCubicUndo: section 4.9, a reduction that was needless leaves no trace.
func TestCubicUndo(t *testing.T) {
	for _, reduce := range []func(*ride){
		func(r *ride) { r.a.loss(&r.w, r.signal()) },
		func(r *ride) { r.a.timeout(&r.w, r.signal()) },
		func(r *ride) { r.a.ce(&r.w, r.signal()) },
	} {
		want, got := newRide("cubic", 500, 500), newRide("cubic", 500, 500)
		for _, r := range []*ride{want, got} {
			r.loss()
			r.rounds(30, 100*time.Millisecond)
		}
		prior := got.w
		reduce(got)
		if got.w.cwnd >= prior.cwnd {
			t.Fatal("no reduction")
		}
		s := got.signal()
		s.priorCwnd, s.priorSsthresh = prior.cwnd, prior.ssthresh
		got.a.undo(&got.w, s)
		if got.w.cwnd != prior.cwnd || got.w.ssthresh != prior.ssthresh {
			t.Errorf("%+v, want %+v", got.w, prior)
		}
		want.rounds(30, 100*time.Millisecond)
		got.rounds(30, 100*time.Millisecond)
		if math.Abs(got.segs()-want.segs()) > 0.01 {
			t.Errorf("%v segments, %v without the reduction", got.segs(), want.segs())
		}
	}
	new(cubic).undo(new(ccWindow), new(ccSignal)) // of nothing
}

// TestCubicRests: section 5.8, time in which the window was not in use is no time
// on the curve.
func TestCubicRests(t *testing.T) {
	for name, rest := range map[string]func(*ride){
		"idle": func(r *ride) {
			s := r.signal()
			s.idle = 20 * time.Second
			r.now += s.idle
			r.a.restart(&r.w, s)
		},
		"little to send": func(r *ride) {
			for range 20 {
				s := r.signal()
				s.limited, s.acked = false, rideMSS
				r.a.ack(&r.w, s)
				r.now += time.Second
			}
		},
	} {
		want, got := newRide("cubic", 500, 500), newRide("cubic", 500, 500)
		for _, r := range []*ride{want, got} {
			r.loss()
			r.rounds(10, 100*time.Millisecond)
		}
		before := got.w.cwnd
		rest(got)
		if got.w.cwnd != before {
			t.Errorf("%s: the window grew to %d", name, got.w.cwnd)
		}
		want.rounds(10, 100*time.Millisecond)
		got.rounds(10, 100*time.Millisecond)
		if math.Abs(got.segs()-want.segs()) > 0.02*want.segs() {
			t.Errorf("%s: %v segments, %v without rest", name, got.segs(), want.segs())
		}
	}
}

// TestCubicGrowsByHalfAtMost: section 4.2, the target is at most 1.5 windows away.
func TestCubicGrowsByHalfAtMost(t *testing.T) {
	r := newRide("cubic", 10, 10)
	r.loss()
	r.rounds(1, time.Second)
	for range 20 {
		before := r.segs()
		r.rounds(1, 30*time.Second) // as far as the curve is concerned, ages
		if r.segs() > 1.5*before+1 {
			t.Errorf("from %v to %v in a round trip", before, r.segs())
		}
	}
}
