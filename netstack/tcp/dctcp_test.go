package tcp

import (
	"math"
	"testing"
	"time"
)

// observed feeds d windows of ten segments, marked of which met congestion, and
// returns the estimate after each.
func observed(d *dctcp, w *ccWindow, windows int, marked uint32) []float64 {
	var alphas []float64
	una := uint32(0)
	for range windows {
		end := una + 10_000
		for i := range uint32(10) {
			una += 1000
			s := &ccSignal{una: una, nxt: end + 1000*(i+1), mss: 1000, burst: 1000, acked: 1000, limited: true}
			s.rate.newlyAcked = 1000
			if i < marked {
				s.rate.ceBytes = 1000
			}
			d.ack(w, s)
		}
		alphas = append(alphas, float64(d.alpha)/dctcpOne)
	}
	return alphas
}

func newDCTCP() (*dctcp, *ccWindow) {
	d := dctcpInfo.make().(*dctcp)
	w := &ccWindow{cwnd: 10_000, ssthresh: 10_000}
	d.start(w, &ccSignal{mss: 1000})
	d.window = rounds{end: 0, running: true}
	return d, w
}

// TestDCTCPAlpha: RFC 8257 section 3.3 step 6, alpha = alpha (1 - g) + g F with
// F the share of marked bytes, within a hundredth (integers).
func TestDCTCPAlpha(t *testing.T) {
	for _, marked := range []uint32{0, 1, 5, 10} {
		d, w := newDCTCP()
		want := 1.0
		first := true
		for i, got := range observed(d, w, 100, marked) {
			if first {
				first = false // the round that start left open
				want = got
				continue
			}
			want = want*15/16 + float64(marked)/10/16
			if math.Abs(got-want) > 0.02 {
				t.Fatalf("%d of 10 marked, window %d: %.3f, want %.3f", marked, i, got, want)
			}
		}
	}
}

// TestDCTCPForgets: without marks the estimate reaches zero, not only nearly.
func TestDCTCPForgets(t *testing.T) {
	d, w := newDCTCP()
	observed(d, w, 200, 0)
	if d.alpha != 0 {
		t.Error(d.alpha)
	}
}

// TestDCTCPReducesByAlpha: step 8, cwnd = cwnd (1 - alpha/2), once in a window.
func TestDCTCPReducesByAlpha(t *testing.T) {
	for _, alpha := range []uint32{0, 256, 512, 1024} {
		d, w := newDCTCP()
		d.alpha, w.cwnd, w.ssthresh = alpha, 100_000, 50_000
		s := &ccSignal{una: 1000, nxt: 101_000, mss: 1000, flight: 100_000, limited: true, acked: 1000}
		s.rate = rateSample{newlyAcked: 1000, ceBytes: 1000}
		d.window = rounds{end: 1 << 30, running: true}
		d.ack(w, s)
		if want := uint32(100_000 * (1 - float64(alpha)/2048)); w.cwnd != want || w.ssthresh != want {
			t.Errorf("alpha %d: cwnd %d, ssthresh %d, want %d", alpha, w.cwnd, w.ssthresh, want)
		}
		reduced := w.cwnd
		s.una, s.nxt = 50_000, 140_000
		if d.ack(w, s); w.cwnd != reduced {
			t.Errorf("alpha %d: reduced again in the same window to %d", alpha, w.cwnd)
		}
		s.una, s.nxt = 101_000, 190_000
		if d.ack(w, s); alpha > 0 && w.cwnd >= reduced {
			t.Errorf("alpha %d: not reduced in the next window", alpha)
		}
	}
}

// TestDCTCPLoss: section 3.4, a loss halves, and marks of the same window do
// nothing more.
func TestDCTCPLoss(t *testing.T) {
	d, w := newDCTCP()
	d.alpha, w.cwnd = 512, 100_000
	s := &ccSignal{una: 1000, nxt: 101_000, mss: 1000, flight: 100_000}
	if d.loss(w, s); w.cwnd != 50_000 {
		t.Error(w.cwnd)
	}
	s.una = 50_000
	if d.ce(w, s); w.cwnd != 50_000 {
		t.Error("marks of the same window:", w.cwnd)
	}
	s.una, s.nxt = 101_000, 151_000
	if d.ce(w, s); w.cwnd != 37_500 {
		t.Error("of the next:", w.cwnd)
	}
}

// TestDCTCPHoldsAShallowQueue: with marking at K bytes the queue stays about K
// and the line full, which half a window on each mark would not do: sections 1
// and 3.1.
func TestDCTCPHoldsAShallowQueue(t *testing.T) {
	run := func(name string) (share float64, peak int, f *modelFlow) {
		p := newModel(100, 10*time.Millisecond, 4)
		p.mark = 20_000 // bytes: K above a seventh of what the path holds, 17,857
		f = p.flow(name)
		p.run(5 * time.Second)
		p.peak = 0
		share = p.share(5 * time.Second)[0]
		return share, p.peak, f
	}
	share, peak, f := run("dctcp")
	alpha := float64(f.a.(*dctcp).alpha) / dctcpOne
	t.Logf("%.3f of the line, queue up to %d, alpha %.3f", share, peak, alpha)
	if share < 0.98 || peak > 50_000 || f.losses > 0 || alpha < 0.02 || alpha > 0.6 {
		t.Errorf("%.3f of the line, queue up to %d, %d losses, alpha %.3f", share, peak, f.losses, alpha)
	}
	if reno, _, _ := run("reno"); reno >= share {
		t.Errorf("reno takes %.3f: nothing is shown", reno)
	}
}

// TestDCTCPWithoutMarksIsReno.
func TestDCTCPWithoutMarksIsReno(t *testing.T) {
	a, b := newRide("dctcp", 40, 20), newRide("reno", 40, 20)
	for range 3 {
		a.rounds(20, time.Second)
		b.rounds(20, time.Second)
		if a.w != b.w {
			t.Fatalf("%+v, reno %+v", a.w, b.w)
		}
		a.loss()
		b.loss()
	}
}

// TestDCTCPEmptyWindow: a round in which nothing was delivered, as after a change
// of algorithm, leaves the estimate as it is.
func TestDCTCPEmptyWindow(t *testing.T) {
	d, w := newDCTCP()
	d.alpha = 100
	for i := range uint32(4) {
		d.ack(w, &ccSignal{una: i * 1000, nxt: i * 1000, mss: 1000})
	}
	if d.alpha != 100 {
		t.Error(d.alpha)
	}
}
