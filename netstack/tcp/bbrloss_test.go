package tcp

// What losses and marks do to the model of BBR, step by step.

import "testing"

// TestBBRLossesOutsideOfProbing: section 5.5.10.3, a round with losses lowers the
// short-term model, unless it was meant to find out how much is too much.
func TestBBRLossesOutsideOfProbing(t *testing.T) {
	for state := bbrStartup; state < bbrNoState; state++ {
		for _, lost := range []bool{false, true} {
			b, w, s := bbrStep(state)
			b.lossRoundStart, b.lossInRound = true, lost
			b.updateCongestion(w, s)
			accelerating := state == bbrStartup || state == bbrRefill || state == bbrUp
			if got, want := b.bwShort != bbrNoRate, lost && !accelerating; got != want || b.lossInRound {
				t.Errorf("state %d, losses %v: short-term model %v", state, lost, got)
			}
		}
	}
}

// TestBBRTooHigh: section 5.5.10.2, more than a fiftieth is too much; without SACK
// any loss.
func TestBBRTooHigh(t *testing.T) {
	for _, c := range []struct {
		lost uint64
		sack bool
		want bool
	}{{2000, true, false}, {2001, true, true}, {0, false, false}, {1, false, true}} {
		_, _, s := bbrStep(bbrUp)
		s.sack, s.rate.lost, s.rate.priorInFlight = c.sack, c.lost, 100_000
		if got := inflightTooHigh(s); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	b, w, s := bbrStep(bbrUp)
	b.probeSample = true
	b.handleTooHigh(w, s, 150_000)
	if b.probeSample || !b.tooHigh || b.inflightLong != 150_000 || b.state != bbrDown || b.undoState != bbrUp {
		t.Errorf("%+v", b)
	}
	b, w, s = bbrStep(bbrCruise)
	if b.handleTooHigh(w, s, 1000); b.inflightLong != 70_000 || b.state != bbrCruise {
		t.Errorf("at least 0.7 of the target: %d, state %d", b.inflightLong, b.state)
	}
	b, w, s = bbrStep(bbrCruise)
	s.rate.appLimited = true
	if b.handleTooHigh(w, s, 150_000); b.inflightLong != bbrNoSize {
		t.Errorf("a sample that the program limited: %d", b.inflightLong)
	}
}

// TestBBRCountsLossRanges: section 5.3.1.3, ranges that follow each other are one
// event, and six events are as many as count.
func TestBBRCountsLossRanges(t *testing.T) {
	b, w, s := bbrStep(bbrStartup)
	for i, c := range []struct {
		from, to uint32
		want     uint8
	}{
		{1000, 2000, 1}, {2000, 3000, 1}, {4000, 5000, 2}, {6000, 7000, 3}, {8000, 9000, 4}, {10_000, 11_000, 5},
		{12_000, 13_000, 6}, {14_000, 15_000, 6},
	} {
		s.una, s.nxt = c.from, c.to
		if b.lost(w, s); b.lossEvents != c.want {
			t.Errorf("range %d: %d events, want %d", i, b.lossEvents, c.want)
		}
	}
}

// TestBBRStartupEndsByLoss: section 5.3.1.3, all of it must be so: in Startup and
// recovery, a round has ended, in which six ranges were lost and more than a
// fiftieth. Without SACK a loss is enough.
func TestBBRStartupEndsByLoss(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*bbr, *ccSignal)
		want   bool
	}{
		"all of it":            {func(*bbr, *ccSignal) {}, true},
		"another state":        {func(b *bbr, _ *ccSignal) { b.state = bbrDrain }, false},
		"the path is full":     {func(b *bbr, _ *ccSignal) { b.fullBWReached = true }, false},
		"no recovery":          {func(b *bbr, _ *ccSignal) { b.recovering = false }, false},
		"the round goes on":    {func(b *bbr, _ *ccSignal) { b.lossRoundStart = false }, false},
		"five ranges":          {func(b *bbr, _ *ccSignal) { b.lossEvents = 5 }, false},
		"a fiftieth":           {func(_ *bbr, s *ccSignal) { s.rate.lost = 2000 }, false},
		"no SACK, and a loss":  {func(b *bbr, s *ccSignal) { s.sack, b.lossRoundStart, s.rate.newlyLost = false, false, 1 }, true},
		"SACK, and a loss":     {func(b *bbr, s *ccSignal) { b.lossRoundStart, s.rate.newlyLost = false, 1 }, false},
		"no SACK, and no loss": {func(b *bbr, s *ccSignal) { s.sack, b.lossRoundStart = false, false }, false},
	} {
		b, _, s := bbrStep(bbrStartup)
		b.recovering, b.lossRoundStart, b.lossEvents = true, true, 6
		s.rate.lost, s.rate.priorInFlight = 2001, 100_000
		c.change(b, s)
		b.checkStartupLoss(s)
		if got := b.inflightLong != bbrNoSize; got != c.want {
			t.Errorf("%s: %v", what, got)
		}
		if b.lossRoundStart != (b.lossEvents == 0) {
			t.Errorf("%s: %d events are left", what, b.lossEvents)
		}
	}
}

// TestBBRSavesTheWindow: section 5.6.4.4, of an episode of losses or of ProbeRTT
// the largest window is what is gone back to.
func TestBBRSavesTheWindow(t *testing.T) {
	for _, c := range []struct {
		state      bbrState
		recovering bool
		want       uint32
	}{{bbrCruise, false, 200_000}, {bbrCruise, true, 300_000}, {bbrProbeRTT, false, 300_000}} {
		b, w, _ := bbrStep(c.state)
		b.recovering, b.priorCwnd = c.recovering, 300_000
		if b.saveCwnd(w); b.priorCwnd != c.want {
			t.Errorf("%+v: %d", c, b.priorCwnd)
		}
	}
	// What lost has saved is not overwritten when recovery begins, and a second loss
	// of an episode saves nothing.
	b, w, s := bbrStep(bbrCruise)
	b.lost(w, s)
	w.cwnd = 100_000
	b.loss(w, s)
	if b.priorCwnd != 200_000 || !b.recovering {
		t.Errorf("%d is gone back to, recovering %v", b.priorCwnd, b.recovering)
	}
	b, w, s = bbrStep(bbrCruise)
	if b.loss(w, s); b.priorCwnd != 200_000 {
		t.Errorf("%d is gone back to without lost", b.priorCwnd)
	}
	b, w, s = bbrStep(bbrCruise)
	if b.timeout(w, s); b.priorCwnd != 200_000 || !b.recovering || w.cwnd != s.mss {
		t.Errorf("after a timeout: %d, recovering %v, window %d", b.priorCwnd, b.recovering, w.cwnd)
	}
}

// TestBBRUndo: section 5.5.11.2, back to Startup or to probing, but ProbeRTT goes
// on.
func TestBBRUndo(t *testing.T) {
	for _, c := range []struct {
		undo, state, want bbrState
		full              bool
	}{
		{bbrStartup, bbrDrain, bbrStartup, false},
		{bbrStartup, bbrCruise, bbrStartup, false},
		{bbrStartup, bbrProbeRTT, bbrProbeRTT, false},
		{bbrUp, bbrDown, bbrRefill, true},
		{bbrUp, bbrCruise, bbrRefill, true},
		{bbrUp, bbrUp, bbrUp, true},
		{bbrUp, bbrProbeRTT, bbrProbeRTT, true},
		{bbrNoState, bbrDown, bbrDown, true},
		{bbrNoState, bbrDrain, bbrDrain, true},
	} {
		b, w, s := bbrStep(c.state)
		b.undoState, b.lossInRound = c.undo, true
		b.undo(w, s)
		if b.state != c.want || b.fullBWReached != c.full || b.lossInRound || b.undoState != bbrNoState {
			t.Errorf("%+v: state %d, full %v", c, b.state, b.fullBWReached)
		}
	}
	// Startup that the losses did not end goes on as it is.
	b, w, s := bbrStep(bbrStartup)
	b.undoState, b.fullBWReached = bbrStartup, true
	if b.undo(w, s); !b.fullBWReached {
		t.Error("what rates have told is forgotten")
	}
}

// TestBBRMarkOfAFullPath: section 3.7, a mark ends Startup once.
func TestBBRMarkOfAFullPath(t *testing.T) {
	for _, c := range []struct {
		state bbrState
		full  bool
		want  bool
	}{{bbrStartup, false, true}, {bbrStartup, true, false}, {bbrProbeRTT, false, false}, {bbrCruise, true, false}} {
		b, w, s := bbrStep(c.state)
		b.fullBWReached = c.full
		if b.ce(w, s); (b.inflightLong != bbrNoSize) != c.want {
			t.Errorf("%+v: inflight_longterm %d", c, b.inflightLong)
		}
	}
}
