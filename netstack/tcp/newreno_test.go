package tcp

import (
	"math"
	"testing"
	"time"
)

// TestRenoGrowsBySegmentPerRoundTrip: RFC 5681 section 3.1, within a segment.
func TestRenoGrowsBySegmentPerRoundTrip(t *testing.T) {
	r := newRide("reno", 20, 10)
	for n := 1; n <= 100; n++ {
		r.rounds(1, time.Second)
		if want := 20 + float64(n); math.Abs(r.segs()-want) > 1 {
			t.Fatalf("round %d: %v segments, want %v", n, r.segs(), want)
		}
	}
}

// TestRenoCountsBytes: RFC 3465 section 2.1, how acknowledgements are cut does
// not matter.
func TestRenoCountsBytes(t *testing.T) {
	for _, step := range []uint32{1, 500, 1000, 7000, 20_000} {
		var w = ccWindow{cwnd: 20_000, ssthresh: 10_000}
		a := newCongestion("reno")
		for acked := uint32(0); acked < 20_000; acked += step {
			a.ack(&w, &ccSignal{mss: 1000, acked: step, limited: true})
		}
		if w.cwnd != 21_000 {
			t.Errorf("steps of %d: %d", step, w.cwnd)
		}
	}
}

// TestRenoObeysTheSquareRoot: with random losses of share p the mean window is
// sqrt(3/2p) segments, within a tenth: Mathis, Semke, Mahdavi, Ott, "The
// Macroscopic Behavior of the TCP Congestion Avoidance Algorithm", 1997.
func TestRenoObeysTheSquareRoot(t *testing.T) {
	for _, p := range []float64{0.0005, 0.002, 0.005} {
		path := &modelPath{now: time.Hour, rate: 1e9, rtt: 100 * time.Millisecond, loss: p, lots: 7}
		f := path.flow("reno")
		path.run(10 * time.Second)
		const span = 1000 * time.Second
		before := f.delivered
		path.run(span)
		mean := float64(f.delivered-before) / modelMSS / (span.Seconds() / path.rtt.Seconds())
		if want := math.Sqrt(1.5 / p); math.Abs(mean-want) > 0.1*want {
			t.Errorf("loss %v: %.1f segments on average, want %.1f", p, mean, want)
		}
	}
}

func TestRenoTimeout(t *testing.T) {
	r := newRide("reno", 100, 0)
	r.a.timeout(&r.w, r.signal())
	if r.w.cwnd != rideMSS || r.w.ssthresh != 50*rideMSS {
		t.Errorf("cwnd %d, ssthresh %d", r.w.cwnd, r.w.ssthresh)
	}
	s := r.signal()
	s.again = true
	if r.a.timeout(&r.w, s); r.w.cwnd != rideMSS || r.w.ssthresh != 50*rideMSS {
		t.Errorf("again: cwnd %d, ssthresh %d", r.w.cwnd, r.w.ssthresh)
	}
}

// TestNobodyGrowsUnused: RFC 7661 section 4, nor while recovery owns the window.
func TestNobodyGrowsUnused(t *testing.T) {
	for _, i := range congestions {
		if i.ownWindow {
			continue
		}
		for _, s := range []ccSignal{{limited: false}, {limited: true, recovering: true}} {
			for _, ssthresh := range []uint32{maxCwnd, 5000} {
				w := ccWindow{cwnd: 10_000, ssthresh: ssthresh}
				a := i.make()
				a.start(&w, &ccSignal{now: time.Hour, mss: 1000})
				for n := range uint32(200) {
					s.now, s.mss, s.burst, s.acked = time.Hour+time.Duration(n)*time.Second, 1000, 1000, 1000
					s.una, s.nxt = n*1000, n*1000+10_000
					s.rate = rateSample{newlyAcked: 1000, rtt: 100 * time.Millisecond}
					a.ack(&w, &s)
				}
				if w.cwnd > 10_000 {
					t.Errorf("%s grew to %d: %+v", i.name, w.cwnd, s)
				}
			}
		}
	}
}
