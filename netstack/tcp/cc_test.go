package tcp

import (
	"math"
	"testing"
	"time"
)

// rounds grows the window for n round trips of rtt, each of which acknowledges
// a whole window, and returns it.
func rounds(a congestion, w ccWindow, n int, rtt time.Duration, now *time.Duration) ccWindow {
	for range n {
		for left := w.cwnd; left > 0; {
			acked := min(left, 2*w.mss)
			w.cwnd = a.grow(w, acked, *now, rtt)
			left -= acked
		}
		*now += rtt
	}
	return w
}

func TestSlowStartDoubles(t *testing.T) {
	for _, name := range CongestionNames() {
		now := time.Hour
		w := ccWindow{cwnd: 10_000, ssthresh: maxCwnd, mss: 1000}
		if got := rounds(newCongestion(name), w, 3, 100*time.Millisecond, &now); got.cwnd != 80_000 {
			t.Errorf("%s: %d after three round trips", name, got.cwnd)
		}
	}
}

func TestRenoGrowsBySegmentPerRoundTrip(t *testing.T) {
	now := time.Hour
	w := rounds(new(newReno), ccWindow{cwnd: 20_000, ssthresh: 10_000, mss: 1000}, 10, time.Second, &now)
	if w.cwnd < 29_000 || w.cwnd > 30_000 {
		t.Errorf("%d, want 30,000", w.cwnd)
	}
}

func TestReduction(t *testing.T) {
	w := ccWindow{cwnd: 100_000, ssthresh: maxCwnd, mss: 1000, flight: 60_000}
	if got := new(newReno).reduce(w, 0); got != 30_000 {
		t.Errorf("reno: %d, want half the flight", got)
	}
	if got := new(cubic).reduce(w, 0); got != 70_000 {
		t.Errorf("cubic: %d, want 0.7 of the window", got)
	}
	w.cwnd, w.flight = 2000, 2000
	for _, name := range CongestionNames() {
		if got := newCongestion(name).reduce(w, 0); got != 2000 {
			t.Errorf("%s: %d, want two segments at least", name, got)
		}
	}
}

// TestCubicFollowsItsCurve compares the window with W_cubic of RFC 9438 section
// 4.2, where the Reno-friendly estimate is far below it.
func TestCubicFollowsItsCurve(t *testing.T) {
	const mss, rtt = 1000, 100 * time.Millisecond
	q := new(cubic)
	now := time.Hour
	w := ccWindow{cwnd: 1000 * mss, ssthresh: 1000 * mss, mss: mss}
	w.ssthresh = q.reduce(w, now)
	w.cwnd = w.ssthresh
	k := math.Cbrt(1000 * (1 - cubicBeta) / cubicC)
	for sec := 1; sec <= 14; sec++ {
		w = rounds(q, w, 10, rtt, &now)
		want := cubicC*math.Pow(float64(sec)-k, 3) + 1000
		if got := float64(w.cwnd) / mss; math.Abs(got-want) > 0.03*want {
			t.Errorf("after %d s: %.0f segments, want %.0f", sec, got, want)
		}
	}
}

// TestCubicIsNoSlowerThanReno on a short path: section 4.3.
func TestCubicIsNoSlowerThanReno(t *testing.T) {
	const mss, rtt = 1000, time.Millisecond
	now := time.Hour
	q := new(cubic)
	w := ccWindow{cwnd: 20 * mss, mss: mss}
	w.ssthresh = q.reduce(w, now)
	w.cwnd = w.ssthresh
	w = rounds(q, w, 30, rtt, &now)
	if w.cwnd < 26*mss || w.cwnd > 40*mss {
		t.Errorf("%d segments after 30 round trips", w.cwnd/mss)
	}
}

func TestCubicConvergesFast(t *testing.T) {
	q := new(cubic)
	q.reduce(ccWindow{cwnd: 100_000, mss: 1000}, 0)
	q.reduce(ccWindow{cwnd: 80_000, mss: 1000}, 0)
	if q.wMax != 80*(1+cubicBeta)/2 { // section 4.7
		t.Errorf("W_max is %v", q.wMax)
	}
}

func TestWindowDoesNotGrowUnused(t *testing.T) {
	s := story(t, `
		from established
		write 10
		> P. seq 1 len 10
		< . seq 1 ack 11
		cwnd 14600`)
	s.step("+10s")
	s.step("write 10")
	s.step("> P. seq 11 len 10")
	s.step("cwnd 14600") // at the restart window already
}

func TestWindowRestartsAfterIdle(t *testing.T) {
	story(t, `
		from established
		write 10
		> P. seq 1 len 10
		< . seq 1 ack 11
		setcwnd 146000
		+450ms
		write 10
		> P. seq 11 len 10
		cwnd 36500`) // halved for every timeout that passed
	story(t, `
		with tcp_slow_start_after_idle=0
		from established
		write 10
		> P. seq 1 len 10
		< . seq 1 ack 11
		setcwnd 146000
		+450ms
		write 10
		> P. seq 11 len 10
		cwnd 146000`)
}

func TestRTOEstimator(t *testing.T) {
	s := story(t, "from established")
	c := s.s.conn
	c.srtt, c.rttvar = 0, 0
	c.rttSample(100 * time.Millisecond)
	if c.srtt != 100*time.Millisecond || c.rttvar != 50*time.Millisecond || c.rto != 300*time.Millisecond {
		t.Errorf("first sample: %v %v %v", c.srtt, c.rttvar, c.rto) // RFC 6298 section 2.2
	}
	c.rttSample(180 * time.Millisecond)
	if c.srtt != 110*time.Millisecond || c.rttvar != 57500*time.Microsecond || c.rto != 340*time.Millisecond {
		t.Errorf("second sample: %v %v %v", c.srtt, c.rttvar, c.rto) // section 2.3
	}
	for range 1000 {
		c.rttSample(time.Millisecond)
	}
	if c.rto > 202*time.Millisecond || c.rto < 200*time.Millisecond {
		t.Errorf("floor: %v", c.rto)
	}
	c.backoff = 200
	if c.currentRTO() != 120*time.Second {
		t.Errorf("ceiling: %v", c.currentRTO())
	}
}
