package tcp

import (
	"slices"
	"testing"
	"time"
)

// A bbrTrace notes the states that a flow goes through and when.
type bbrTrace struct {
	b      *bbr
	states []bbrState
	at     []time.Duration
	spent  [bbrNoState]time.Duration
	last   time.Duration
}

func traceBBR(f *modelFlow) *bbrTrace {
	tr := &bbrTrace{b: f.a.(*bbr), last: f.p.now}
	tr.states, tr.at = []bbrState{tr.b.state}, []time.Duration{f.p.now}
	f.on = func(s *ccSignal) {
		tr.spent[tr.states[len(tr.states)-1]] += s.now - tr.last
		tr.last = s.now
		if st := tr.b.state; st != tr.states[len(tr.states)-1] {
			tr.states, tr.at = append(tr.states, st), append(tr.at, s.now)
		}
	}
	return tr
}

// bbrEdges are the transitions of section 5.1.1, those of section 5.3.3.6 and of
// ProbeRTT, which may come from anywhere and ends in CRUISE or Startup. DOWN may
// be left at once by the acknowledgement that enters it.
var bbrEdges = map[bbrState][]bbrState{
	bbrStartup:  {bbrDrain, bbrProbeRTT},
	bbrDrain:    {bbrDown, bbrCruise, bbrProbeRTT},
	bbrDown:     {bbrCruise, bbrRefill, bbrProbeRTT},
	bbrCruise:   {bbrRefill, bbrProbeRTT},
	bbrRefill:   {bbrUp, bbrDown, bbrCruise, bbrProbeRTT},
	bbrUp:       {bbrDown, bbrCruise, bbrProbeRTT},
	bbrProbeRTT: {bbrCruise, bbrStartup},
}

func (tr *bbrTrace) check(t *testing.T) {
	t.Helper()
	for i := 1; i < len(tr.states); i++ {
		if !slices.Contains(bbrEdges[tr.states[i-1]], tr.states[i]) {
			t.Errorf("from state %d to %d", tr.states[i-1], tr.states[i])
		}
	}
}

// TestBBRStates runs through the whole machine on a path without noise: section
// 5.1.
func TestBBRStates(t *testing.T) {
	p := newModel(20, 40*ms, 4)
	f := p.flow("bbr")
	tr := traceBBR(f)
	p.run(30 * time.Second)
	tr.check(t)
	// The queue is drained when Drain ends, so that DOWN is over at once.
	want := []bbrState{bbrStartup, bbrDrain, bbrCruise, bbrRefill, bbrUp, bbrDown, bbrCruise}
	if len(tr.states) < len(want) || !slices.Equal(tr.states[:len(want)], want) {
		t.Errorf("%v, want it to begin with %v", tr.states, want)
	}
	if tr.b.tooHigh || f.losses > 0 {
		t.Errorf("%d losses in a queue of four times what the path holds", f.losses)
	}
	// Startup doubles the rate each round, from ten segments to a hundred, and takes
	// three more to see that it is over.
	if d := tr.at[1] - tr.at[0]; d < 4*p.rtt || d > 14*p.rtt {
		t.Errorf("Startup took %v", d)
	}
	for i, st := range tr.states {
		switch {
		case i+1 == len(tr.at):
		case st == bbrRefill && (tr.at[i+1]-tr.at[i] < p.rtt || tr.at[i+1]-tr.at[i] > 2*p.rtt):
			t.Errorf("REFILL took %v, want a round", tr.at[i+1]-tr.at[i])
		case st == bbrProbeRTT && (tr.at[i+1]-tr.at[i] < bbrProbeRTTTime || tr.at[i+1]-tr.at[i] > 2*bbrProbeRTTTime):
			t.Errorf("ProbeRTT took %v", tr.at[i+1]-tr.at[i])
		}
	}
	// Section 5.3.3.8: a probe every two to three seconds, or 63 rounds.
	probes := 0
	for _, st := range tr.states {
		if st == bbrUp {
			probes++
		}
	}
	if probes < 6 || probes > 20 {
		t.Errorf("%d probes in 30 s", probes)
	}
	if share := tr.spent[bbrProbeRTT].Seconds() / 30; share > 0.06 {
		t.Errorf("%.3f of the time in ProbeRTT", share)
	}
}

// TestBBRModel: the model is the path, within a fiftieth, and the queue is drained.
func TestBBRModel(t *testing.T) {
	for _, c := range []struct {
		mbit float64
		rtt  time.Duration
	}{{1, 20 * ms}, {20, 40 * ms}, {100, 10 * ms}, {50, 150 * ms}} {
		p := newModel(c.mbit, c.rtt, 4)
		f := p.flow("bbr")
		tr := traceBBR(f)
		p.run(10 * time.Second)
		b := tr.b
		if got := float64(b.maxBandwidth()); got < 0.98*p.rate || got > 1.02*p.rate {
			t.Errorf("%+v: bandwidth %.0f, the line has %.0f", c, got, p.rate)
		}
		if one := time.Duration(modelMSS / p.rate * 1e9); b.minRTT < c.rtt || b.minRTT > c.rtt+2*one {
			t.Errorf("%+v: least round trip %v", c, b.minRTT)
		}
		sum, n := 0.0, 0
		prior := f.on
		f.on = func(s *ccSignal) { prior(s); sum += p.backlog(); n++ }
		p.run(10 * time.Second)
		if mean, bdp := sum/float64(n), p.rate*c.rtt.Seconds()/modelMSS; mean > 0.4*bdp+8 {
			t.Errorf("%+v: %.1f segments wait, the path holds %.1f", c, mean, bdp)
		}
	}
}

// TestBBRFollowsTheLine: more is found by probing, less within two cycles.
func TestBBRFollowsTheLine(t *testing.T) {
	p := newModel(10, 40*ms, 8)
	f := p.flow("bbr")
	p.run(10 * time.Second)
	p.rate *= 4
	p.run(15 * time.Second)
	if got := p.share(5 * time.Second)[0]; got < 0.85 {
		t.Errorf("%.3f of a line four times as fast", got)
	}
	p.rate /= 8
	p.run(15 * time.Second)
	if bw := float64(f.a.(*bbr).maxBandwidth()); bw > 1.1*p.rate {
		t.Errorf("bandwidth %.0f of a line of %.0f", bw, p.rate)
	}
}

// TestBBRLeavesStartupByLoss: section 5.3.1.3, a shallow queue ends Startup when
// more than a fiftieth of a round is lost; the volume is remembered.
func TestBBRLeavesStartupByLoss(t *testing.T) {
	p := newModel(50, 100*ms, 0.1)
	f := p.flow("bbr")
	tr := traceBBR(f)
	for p.now < time.Hour+3*time.Second && tr.b.state == bbrStartup {
		p.run(ms)
	}
	bdp := p.rate * p.rtt.Seconds()
	if tr.b.undoState != bbrStartup || tr.b.inflightLong == bbrNoSize || float64(tr.b.inflightLong) > 2.5*bdp {
		t.Errorf("state %d, undo %d, inflight_longterm %d, path holds %.0f", tr.b.state, tr.b.undoState, tr.b.inflightLong, bdp)
	}
	// It was all a mistake: section 5.5.11.2.
	f.a.undo(&f.w, f.signal())
	if tr.b.state != bbrStartup || tr.b.fullBWReached || tr.b.inflightLong != bbrNoSize {
		t.Errorf("undone: state %d, reached %v, inflight_longterm %d", tr.b.state, tr.b.fullBWReached, tr.b.inflightLong)
	}
}

// TestBBRStandsLoss: random losses below the threshold cost little, those above
// make it give way: sections 3.2 and 5.5.10.
func TestBBRStandsLoss(t *testing.T) {
	share := func(name string, loss float64) float64 {
		p := newModel(20, 40*ms, 1)
		p.loss = loss
		p.flow(name)
		p.run(10 * time.Second)
		return p.share(30 * time.Second)[0]
	}
	low, high := share("bbr", 0.005), share("bbr", 0.08)
	t.Logf("%.3f with 0.5 %% lost, %.3f with 8 %%; cubic has %.3f", low, high, share("cubic", 0.005))
	if low < 0.8 || high > 0.5*low || low < 2*share("cubic", 0.005) {
		t.Errorf("%.3f with 0.5 %% lost, %.3f with 8 %%", low, high)
	}
}

// TestBBRProbeTooHigh: section 5.5.10.2, what was too much is remembered, the next
// probe stops there, and goes on from it at once if nothing is lost (5.3.3.6).
func TestBBRProbeTooHigh(t *testing.T) {
	p := newModel(20, 40*ms, 0.15)
	f := p.flow("bbr")
	tr := traceBBR(f)
	p.run(20 * time.Second)
	tr.check(t)
	bdp := p.rate * p.rtt.Seconds()
	if long := float64(tr.b.inflightLong); long < 0.7*bdp || long > 1.5*bdp {
		t.Errorf("inflight_longterm %.0f, path and queue hold %.0f", long, 1.15*bdp)
	}
	if got := p.share(10 * time.Second)[0]; got < 0.8 {
		t.Errorf("%.3f of the line", got)
	}
	if rate := float64(f.losses) / float64(f.delivered/modelMSS); rate > bbrLossThresh {
		t.Errorf("%.4f of all segments were lost", rate)
	}
}

// steadyBBR is a flow in CRUISE on a path of 2.5 MB/s and 40 ms.
func steadyBBR(t *testing.T) (*modelPath, *modelFlow, *bbr) {
	t.Helper()
	p := newModel(20, 40*ms, 4)
	f := p.flow("bbr")
	b := f.a.(*bbr)
	for range 10_000 {
		if p.run(ms); b.state == bbrCruise {
			return p, f, b
		}
	}
	t.Fatal("no CRUISE")
	return nil, nil, nil
}

// TestBBRControls: section 5.6, pacing at 99 % of the gain, quanta of a
// millisecond, a window of twice what the path holds and what is aggregated.
func TestBBRControls(t *testing.T) {
	_, f, b := steadyBBR(t)
	if got, want := float64(f.w.pacing), 0.99*float64(b.bw); got < want-1 || got > want+1 {
		t.Errorf("pacing %v, want %v", got, want)
	}
	if f.w.quantum != uint32(f.w.pacing/1000) {
		t.Errorf("quantum %d at %d bytes/s", f.w.quantum, f.w.pacing)
	}
	bdp := b.bdp()
	if f.w.cwnd < 2*bdp || f.w.cwnd > 3*bdp {
		t.Errorf("window %d, path holds %d", f.w.cwnd, bdp)
	}
	w := &ccWindow{pacing: 100}
	if b.setQuantum(w, f.signal()); w.quantum != 2*modelMSS {
		t.Errorf("quantum %d at 100 bytes/s", w.quantum)
	}
	w.pacing = 1 << 40
	if b.setQuantum(w, f.signal()); w.quantum != bbrMaxQuantum {
		t.Errorf("quantum %d at 2^40 bytes/s", w.quantum)
	}
}

// TestBBRLossRound: section 5.5.10.3, a round with a loss outside of probing cuts
// the short-term model to what was delivered, to 0.7 at worst.
func TestBBRLossRound(t *testing.T) {
	_, f, b := steadyBBR(t)
	max, cwnd := b.maxBandwidth(), f.w.cwnd
	s := f.signal()
	s.rate = rateSample{priorInFlight: 100_000, lost: 1000, newlyLost: 1000}
	b.lost(&f.w, s)
	if b.undoBWShort != bbrNoRate || b.priorCwnd != cwnd {
		t.Errorf("saved %d, %d", b.undoBWShort, b.priorCwnd)
	}
	b.bwLatest, b.inflightLatest = max/10, 1000
	b.lowerBounds(&f.w)
	if want := uint64(0.7 * float64(max)); b.bwShort != want || b.inflightShort != uint32(0.7*float64(cwnd)) {
		t.Errorf("short-term %d and %d, want %d and %d", b.bwShort, b.inflightShort, want, uint32(0.7*float64(cwnd)))
	}
	b.undo(&f.w, f.signal())
	if b.bwShort != bbrNoRate || b.inflightShort != bbrNoSize || f.w.cwnd < cwnd {
		t.Errorf("undone: %d, %d, window %d", b.bwShort, b.inflightShort, f.w.cwnd)
	}
}

// TestBBRTimeout: section 5.6.4.4, one segment, and back to the window when the
// losses are repaired.
func TestBBRTimeout(t *testing.T) {
	_, f, b := steadyBBR(t)
	cwnd := f.w.cwnd
	if b.timeout(&f.w, f.signal()); f.w.cwnd != modelMSS {
		t.Error(f.w.cwnd)
	}
	if b.recovered(&f.w, f.signal()); f.w.cwnd != cwnd || b.recovering {
		t.Error(f.w.cwnd, cwnd)
	}
}

// TestBBRRestart: section 5.4.1, after idling at exactly the rate of the path,
// without ProbeRTT, as nothing was queued meanwhile.
func TestBBRRestart(t *testing.T) {
	p, f, b := steadyBBR(t)
	b.state = bbrDown
	f.from = p.now + 12*time.Second // nothing to send
	p.run(11 * time.Second)
	s := f.signal()
	b.restart(&f.w, s)
	if b.idleRestart {
		t.Error("a path that was full is not idle")
	}
	s.rate.appLimited = true
	b.restart(&f.w, s)
	if want := uint64(0.99 * float64(b.bw)); f.w.pacing != want || !b.idleRestart {
		t.Errorf("pacing %d, want %d", f.w.pacing, want)
	}
	p.run(2 * time.Second)
	if b.state == bbrProbeRTT || b.idleRestart {
		t.Errorf("state %d", b.state)
	}
}

// TestBBRMarks: section 3.7, CE is congestion.
func TestBBRMarks(t *testing.T) {
	p := newModel(20, 40*ms, 4)
	f := p.flow("bbr")
	b := f.a.(*bbr)
	p.run(100 * ms)
	b.ce(&f.w, f.signal())
	if !b.fullBWReached || b.inflightLong == bbrNoSize {
		t.Error("Startup goes on")
	}
	for b.state != bbrUp || !b.probeSample {
		p.run(ms)
	}
	s := f.signal()
	b.ce(&f.w, s)
	if b.state != bbrDown || !b.tooHigh || b.inflightLong > max(s.flight, uint32(0.7*float64(b.bdp()))) {
		t.Errorf("state %d, inflight_longterm %d of %d", b.state, b.inflightLong, s.flight)
	}
}

// TestBBRInflightAtLoss solves section 5.5.10.2's equation: with 100 segments in
// flight before a burst of 50, all of which is lost, two in a hundred were lost
// after two and a bit of it.
func TestBBRInflightAtLoss(t *testing.T) {
	s := &ccSignal{rate: rateSample{priorInFlight: 150_000, lost: 50_000, newlyLost: 50_000}}
	got := inflightAtLoss(s)
	if want := uint32(102_040); got != want {
		t.Errorf("%d, want %d", got, want)
	}
	s.rate.lost = 60_000 // more than allowed before it
	if got := inflightAtLoss(s); got != 100_000 {
		t.Errorf("%d, want all that was before", got)
	}
	s.rate = rateSample{priorInFlight: 1000, lost: 5000, newlyLost: 5000} // nonsense
	if got := inflightAtLoss(s); got != 0 {
		t.Error(got)
	}
}

// TestBBRTakesOver: on a connection that lives it starts from the window.
func TestBBRTakesOver(t *testing.T) {
	p := newModel(20, 40*ms, 4)
	f := p.flow("reno")
	p.run(5 * time.Second)
	before := f.w.cwnd
	f.a = newCongestion("bbr")
	f.a.start(&f.w, f.signal())
	if f.w.cwnd != before || f.w.pacing == 0 {
		t.Errorf("%+v", f.w)
	}
	p.run(5 * time.Second)
	if got := p.share(5 * time.Second)[0]; got < 0.9 {
		t.Errorf("%.3f of the line", got)
	}
}

// TestBBRLeastRate: however small the estimate, the least window leaves in a round
// trip. A segment that waits longer than a timeout stalls the connection.
func TestBBRLeastRate(t *testing.T) {
	_, f, b := steadyBBR(t)
	b.bw = 1000 // bytes per second, from one segment that a timeout delivered
	s := ccSignal{mss: f.mss, srtt: 5 * time.Millisecond}
	b.setPacing(&f.w, &s, 1)
	if least := uint64(bbrMinPipe*f.mss) * 200; f.w.pacing < least {
		t.Errorf("%d bytes per second, want %d", f.w.pacing, least)
	}
}
