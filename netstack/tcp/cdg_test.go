package tcp

import (
	"math"
	"testing"
	"time"
)

// cdgRounds gives a fresh CDG in congestion avoidance rounds with the given least
// and greatest round trips.
func cdgRounds(t *testing.T, set map[string]int64, rtts ...[2]time.Duration) (*cdg, *ccWindow) {
	t.Helper()
	d := cdgInfo.make().(*cdg)
	for name, v := range set {
		p, err := cdgInfo.param(name)
		if err != nil {
			t.Fatal(err)
		}
		p.set(d, v)
	}
	w := &ccWindow{cwnd: 100_000, ssthresh: 50_000}
	d.start(w, &ccSignal{seed: 1})
	una := uint32(0)
	d.trips.rounds = rounds{end: 100_000, running: true}
	for _, r := range rtts {
		for i := range uint32(10) {
			una += 10_000
			rtt := r[0]
			if i == 5 {
				rtt = r[1]
			}
			s := &ccSignal{una: una, nxt: una + 100_000, mss: 1000, acked: 10_000, limited: true, flight: w.cwnd}
			s.rate = rateSample{newlyAcked: 10_000, rtt: rtt}
			d.ack(w, s)
		}
	}
	return d, w
}

// TestCDGDraws: equation 3, the probability is 1 - exp(-g/G), within 0.02.
func TestCDGDraws(t *testing.T) {
	d := &cdg{scale: 2, lots: 1}
	for _, g := range []float64{-5, 0, 0.1, 1, 2, 5} {
		const n = 20_000
		hits := 0
		for range n {
			if d.draw(g) {
				hits++
			}
		}
		want := max(0, 1-math.Exp(-g/2))
		if got := float64(hits) / n; math.Abs(got-want) > 0.02 {
			t.Errorf("gradient %v ms: %.3f, want %.3f", g, got, want)
		}
	}
}

// TestCDGSmoothes: equation 5, the mean over the last rounds, by smoothing_factor.
func TestCDGSmoothes(t *testing.T) {
	for _, c := range []struct {
		smoothing uint8
		want      float64
	}{{0, 8}, {1, 8}, {2, 7.5}, {8, 4.5}, {16, 2.25}} {
		d := &cdg{smoothing: c.smoothing, last: span{100 * ms, 200 * ms}}
		var gmin, gmax float64
		for i := 1; i <= 8; i++ {
			now := span{d.last.least + time.Duration(i)*ms, d.last.most - time.Duration(i)*ms}
			gmin, gmax = d.gradients(d.last, now)
			d.last = now
		}
		if math.Abs(gmin-c.want) > 1e-9 || math.Abs(gmax+c.want) > 1e-9 {
			t.Errorf("smoothing %d: %v and %v, want %v", c.smoothing, gmin, gmax, c.want)
		}
	}
}

// TestCDGBacksOffForGrowingDelay and not for a steady one, however long.
func TestCDGBacksOffForGrowingDelay(t *testing.T) {
	steady, growing := [][2]time.Duration{}, [][2]time.Duration{}
	for i := range 6 {
		steady = append(steady, [2]time.Duration{300 * ms, 400 * ms})
		growing = append(growing, [2]time.Duration{time.Duration(100+100*i) * ms, time.Duration(200+100*i) * ms})
	}
	if _, w := cdgRounds(t, nil, steady...); w.cwnd < 104_000 || w.cwnd > 106_000 {
		t.Errorf("steady: %d", w.cwnd)
	}
	// 100 ms a round draw for certain: a reduction in every other round, as the
	// effect of one is not to be seen in the next.
	d, w := cdgRounds(t, nil, growing...)
	if w.cwnd > 60_000 || w.cwnd < 30_000 || d.shadow < 100_000 {
		t.Errorf("growing: %d, shadow %d", w.cwnd, d.shadow)
	}
}

// TestCDGDrawsOneLot: in a round the least round trip is what counts if it grows,
// otherwise the greatest.
func TestCDGDrawsOneLot(t *testing.T) {
	for _, c := range []struct {
		gmin, gmax time.Duration
		want       bool
	}{
		{time.Second, time.Second, true},
		{time.Second, -ms, true},
		{0, time.Second, true},
		{-ms, time.Second, true},
		{-ms, 0, false},
		{time.Microsecond, time.Second, false}, // the least hardly grows
	} {
		d := cdgInfo.make().(*cdg)
		d.smoothing, d.lots = 1, 1
		d.last, d.trips.this = span{5 * time.Second, 6 * time.Second}, span{5*time.Second + c.gmin, 6*time.Second + c.gmax}
		if got := d.endRound(&ccWindow{cwnd: 100_000, ssthresh: 50_000}, &ccSignal{mss: 1000}); got != c.want {
			t.Errorf("%v and %v: %v", c.gmin, c.gmax, got)
		}
	}
}

// TestCDGLeavesOutDelayedAcknowledgements: a peer that acknowledges two segments
// at once keeps a single one waiting for its timer. That is no queue. A peer that
// acknowledges each has no such timer.
func TestCDGLeavesOutDelayedAcknowledgements(t *testing.T) {
	ack := func(d *cdg, segs uint32, rtt time.Duration) {
		d.ack(&ccWindow{cwnd: 100_000, ssthresh: 50_000}, &ccSignal{una: 1, nxt: 1000, mss: 1000, rate: rateSample{newlyAcked: segs * 1000, rtt: rtt}})
	}
	d := cdgInfo.make().(*cdg)
	d.trips.rounds = rounds{end: 1000, running: true}
	ack(d, 2, 100*ms)
	ack(d, 1, 140*ms)
	if want := (span{100 * ms, 100 * ms}); d.trips.this != want {
		t.Errorf("one of a single segment counts: %v", d.trips.this)
	}
	ack(d, 2, 101*ms)
	ack(d, 1, 90*ms) // which waited less than the others
	if want := (span{90 * ms, 101 * ms}); d.trips.this != want {
		t.Errorf("the least: %v, want %v", d.trips.this, want)
	}
	for range 20 {
		ack(d, 2, 101*ms)
	}
	for range cdgSeveral {
		ack(d, 1, 141*ms)
	}
	if d.trips.this.most != 101*ms {
		t.Errorf("%d of a single segment count: %v", cdgSeveral, d.trips.this)
	}
	if ack(d, 1, 141*ms); d.trips.this.most != 141*ms {
		t.Errorf("nothing counts of a peer that acknowledges each: %v", d.trips.this)
	}
}

// TestCDGGivesUpOnDelay: section 3.3, after loss_compete_consec_cong reductions
// without effect, loss_compete_hold_backoff are left out.
func TestCDGGivesUpOnDelay(t *testing.T) {
	var rtts [][2]time.Duration
	for i := range 60 {
		rtts = append(rtts, [2]time.Duration{time.Duration(100+100*i) * ms, time.Duration(200+100*i) * ms})
	}
	_, always := cdgRounds(t, map[string]int64{"loss_compete_consec_cong": 0}, rtts...)
	_, some := cdgRounds(t, nil, rtts...)
	_, rarely := cdgRounds(t, map[string]int64{"loss_compete_consec_cong": 1, "loss_compete_hold_backoff": 50}, rtts...)
	if !(always.cwnd < some.cwnd && some.cwnd < rarely.cwnd) {
		t.Errorf("%d, %d, %d", always.cwnd, some.cwnd, rarely.cwnd)
	}
}

// TestCDGLeavesOutSoMany: in a row reductions that have no effect are made
// loss_compete_consec_cong times, then left out loss_compete_hold_backoff times, and
// so on; an effect has it begin anew. What follows a reduction is not judged.
func TestCDGLeavesOutSoMany(t *testing.T) {
	for _, c := range []struct {
		consec, hold uint8
		want         string // of each round that is judged: reduced, left out, an effect was seen
	}{
		{3, 2, "RRR..RRR..RRR"}, {1, 1, "R.R.R"}, {2, 0, "RRRRRR"}, {0, 2, "RRRRRR"}, {3, 2, "RR-RRR.-RRR..R"},
	} {
		d := cdgInfo.make().(*cdg)
		d.smoothing, d.lots, d.consecCong, d.holdBackoff = 1, 1, c.consec, c.hold
		at := span{time.Hour, time.Hour}
		d.last = at
		round := func(by time.Duration) bool {
			at = span{at.least + by, at.most + by}
			d.trips.this = at
			return d.endRound(&ccWindow{cwnd: 100_000, ssthresh: 50_000}, &ccSignal{mss: 1000})
		}
		got := ""
		for _, r := range c.want {
			switch {
			case r == '-':
				round(-time.Second)
				got += "-"
			case round(time.Second):
				got += "R"
				if round(time.Second) {
					t.Error("the round after a reduction is judged")
				}
			default:
				got += "."
			}
		}
		if got != c.want {
			t.Errorf("%d and %d: %s, want %s", c.consec, c.hold, got, c.want)
		}
	}
}

// TestCDGGrowsWithoutReduction: a round that reduces nothing ends as Reno's do.
func TestCDGGrowsWithoutReduction(t *testing.T) {
	far := span{time.Second, time.Second}
	for what, d := range map[string]*cdg{
		"no round trip":         {},
		"the first round":       {trips: trips{this: far}},
		"after a reduction":     {trips: trips{this: far}, last: span{ms, ms}, held: true},
		"as much as before":     {trips: trips{this: far}, last: far},
		"reductions left out":   {trips: trips{this: far}, last: span{ms, ms}, consecCong: 1, holdBackoff: 5, ineffective: 1},
		"the round is not over": {trips: trips{this: far, rounds: rounds{end: 2}}, last: span{ms, ms}},
	} {
		d.newReno.beta, d.alpha, d.scale, d.lots = 50, 1, 2, 1
		d.trips.rounds.running = true
		w := &ccWindow{cwnd: 10_000, ssthresh: 5000}
		if d.ack(w, &ccSignal{una: 1, nxt: 1, mss: 1000, acked: 10_000, limited: true}); w.cwnd != 11_000 {
			t.Errorf("%s: %d", what, w.cwnd)
		}
	}
}

// TestCDGAfterLoss: the round that follows a loss is not judged, as its effect is
// not to be seen yet; a repeated timeout reduces nothing more.
func TestCDGAfterLoss(t *testing.T) {
	d := cdgInfo.make().(*cdg)
	d.smoothing, d.lots = 1, 1
	w, s := &ccWindow{cwnd: 100_000, ssthresh: 50_000}, &ccSignal{mss: 1000}
	d.loss(w, s)
	for i, want := range []bool{false, true} {
		d.last, d.trips.this = span{ms, ms}, span{time.Second, time.Second}
		if got := d.endRound(w, s); got != want {
			t.Errorf("round %d after a loss: reduced %v", i+1, got)
		}
	}
	w = &ccWindow{cwnd: 100_000, ssthresh: maxCwnd}
	d = cdgInfo.make().(*cdg)
	if d.timeout(w, s); w.cwnd != 1000 || w.ssthresh != 50_000 {
		t.Errorf("a timeout: window %d, threshold %d", w.cwnd, w.ssthresh)
	}
	s.again = true
	if d.timeout(w, s); w.ssthresh != 50_000 {
		t.Errorf("again: threshold %d", w.ssthresh)
	}
}

// TestCDGLoss: section 3.4, with a full queue a loss halves the shadow window,
// but never to more than the window; with a queue that is not, nothing.
func TestCDGLoss(t *testing.T) {
	for _, c := range []struct {
		what              string
		queue             cdgQueue
		cwnd, shadow      uint32
		recent, base, top time.Duration
		want              uint32
	}{
		{"nothing is known", cdgUnknown, 100_000, 0, 100 * ms, 100 * ms, 200 * ms, 50_000},
		{"full", cdgFull, 100_000, 0, 200 * ms, 100 * ms, 200 * ms, 50_000},
		{"full, reduced for delay before", cdgFull, 70_000, 100_000, 200 * ms, 100 * ms, 200 * ms, 50_000},
		{"far reduced", cdgFull, 20_000, 100_000, 200 * ms, 100 * ms, 200 * ms, 20_000},
		{"not full", cdgNotFull, 100_000, 0, 110 * ms, 100 * ms, 200 * ms, 100_000},
		{"not full, but the round trip is long", cdgNotFull, 100_000, 0, 180 * ms, 100 * ms, 200 * ms, 50_000},
		{"not full, and nothing of late", cdgNotFull, 100_000, 0, 0, 100 * ms, 200 * ms, 50_000},
		{"a path without a queue", cdgNotFull, 100_000, 0, 100 * ms, 100 * ms, 100 * ms, 50_000},
	} {
		d := &cdg{newReno: newReno{beta: 50}, queue: c.queue, shadow: c.shadow, trips: trips{ever: span{c.base, c.top}}, last: span{most: c.recent}}
		w := &ccWindow{cwnd: c.cwnd, ssthresh: maxCwnd}
		d.loss(w, &ccSignal{mss: 1000, flight: c.cwnd})
		d.recovered(w, &ccSignal{mss: 1000})
		if w.cwnd != c.want {
			t.Errorf("%s: %d, want %d", c.what, w.cwnd, c.want)
		}
	}
}

// TestCDGShadow: the window that Reno would have is kept from the first reduction
// for delay on, and grows with the window.
func TestCDGShadow(t *testing.T) {
	d, w := cdgRounds(t, nil, [2]time.Duration{100 * ms, 100 * ms}, [2]time.Duration{100 * ms, 100 * ms})
	if d.shadow != 0 {
		t.Errorf("shadow %d without a reduction", d.shadow)
	}
	d.shadow, d.newReno.acked = 80_000, 0
	w.cwnd, w.ssthresh = 10_000, 5000
	s := &ccSignal{una: 1, nxt: 1 << 20, mss: 1000, acked: 10_000, limited: true}
	d.trips.rounds = rounds{end: 1 << 20, running: true}
	if d.ack(w, s); w.cwnd != 11_000 || d.shadow != 81_000 {
		t.Errorf("window %d, shadow %d", w.cwnd, d.shadow)
	}
}

// TestCDGAlphaInc: alpha_inc rounds without congestion make growth a segment
// faster.
func TestCDGAlphaInc(t *testing.T) {
	var rtts [][2]time.Duration
	for range 21 {
		rtts = append(rtts, [2]time.Duration{100 * ms, 110 * ms})
	}
	_, plain := cdgRounds(t, nil, rtts...)
	d, fast := cdgRounds(t, map[string]int64{"alpha_inc": 5}, rtts...)
	if d.alpha < 4 || fast.cwnd < plain.cwnd+20_000 {
		t.Errorf("alpha %d, %d instead of %d", d.alpha, fast.cwnd, plain.cwnd)
	}
}

// TestCDGKeepsTheQueueShort: that is what it is for. Once slow start is over, a
// deep queue holds less than a third of what Reno leaves in it.
func TestCDGKeepsTheQueueShort(t *testing.T) {
	mean := func(name string) float64 {
		p := newModel(20, 40*ms, 2)
		f := p.flow(name)
		p.run(20 * time.Second)
		sum, n := 0.0, 0
		f.on = func(*ccSignal) { sum += p.backlog(); n++ }
		p.run(20 * time.Second)
		return sum / float64(n)
	}
	cdg, reno := mean("cdg"), mean("reno")
	t.Logf("%.1f segments wait, with reno %.1f", cdg, reno)
	if cdg > reno/3 {
		t.Errorf("%.1f segments wait, with reno %.1f", cdg, reno)
	}
}

// TestCDGInfersTheQueue: section 3.4, full when the least round trip still grows
// and the greatest cannot any more; one that shrinks tells that the last reduction
// was seen.
func TestCDGInfersTheQueue(t *testing.T) {
	for _, c := range []struct {
		gmin, gmax  time.Duration
		before      cdgQueue
		want        cdgQueue
		ineffective uint16
	}{
		{ms, 0, cdgUnknown, cdgFull, 3},
		{ms, -ms, cdgNotFull, cdgFull, 0},
		{ms, ms, cdgFull, cdgNotFull, 3}, // it rises
		{-ms, -ms, cdgFull, cdgNotFull, 0},
		{0, -ms, cdgFull, cdgNotFull, 0},
		{0, 0, cdgFull, cdgFull, 3}, // nothing is told: as before
		{0, ms, cdgFull, cdgFull, 3},
		{-ms, 0, cdgFull, cdgFull, 0},
	} {
		d := cdgInfo.make().(*cdg)
		d.smoothing, d.scale, d.lots = 1, 255, 1
		d.queue, d.ineffective = c.before, 3
		d.last = span{100 * ms, 200 * ms}
		d.trips.this = span{100*ms + c.gmin, 200*ms + c.gmax}
		d.endRound(&ccWindow{cwnd: 100_000, ssthresh: 50_000}, &ccSignal{mss: 1000})
		if d.queue != c.want || d.ineffective != c.ineffective {
			t.Errorf("%v and %v: queue %d, ineffective %d, want %d and %d", c.gmin, c.gmax, d.queue, d.ineffective, c.want, c.ineffective)
		}
	}
}
