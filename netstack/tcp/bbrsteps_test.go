package tcp

// The steps of draft-ietf-ccwg-bbr one by one: the conditions that lead from one
// state to the next, and what each of them does to the model.

import (
	"testing"
	"time"
)

// bbrStep is a BBR in a state, with a path of 1 MB/s and 100 ms, 100 segments, the
// window of a connection that is sending, and an acknowledgement at the hour.
func bbrStep(state bbrState) (*bbr, *ccWindow, *ccSignal) {
	b, w := new(bbr), &ccWindow{cwnd: 10_000}
	b.start(w, &ccSignal{now: time.Hour, mss: 1000})
	b.state, b.fullBWReached = state, state != bbrStartup
	b.maxBW[0], b.bw = 1_000_000, 1_000_000
	b.minRTT, b.minRTTAt, b.probeRTTMin, b.probeRTTMinAt, b.cycleAt = 100*ms, time.Hour, 100*ms, time.Hour, time.Hour
	b.probeWait = 2 * time.Second
	w.cwnd, w.quantum = 200_000, 2000
	return b, w, &ccSignal{now: time.Hour, mss: 1000, sack: true, limited: true, delivered: 1_000_000}
}

// TestBBRBeginsWithoutARoundTrip: sections 5.6.2 and 5.6.4.2, until there is one
// the path holds the initial window and a round trip is a millisecond.
func TestBBRBeginsWithoutARoundTrip(t *testing.T) {
	b, w := new(bbr), &ccWindow{cwnd: 10_000}
	b.start(w, &ccSignal{now: time.Hour, mss: 1000})
	if b.bdp() != 10_000 || w.pacing != 27_700_000 {
		t.Errorf("at first the path holds %d, pacing %d", b.bdp(), w.pacing)
	}
	w.pacing = 30_000_000 // by what was delivered
	if b.ack(w, &ccSignal{mss: 1000}); w.pacing != 30_000_000 {
		t.Errorf("pacing %d without a round trip", w.pacing)
	}
	if b.ack(w, &ccSignal{mss: 1000, srtt: 100 * ms}); w.pacing != 277_000 {
		t.Errorf("pacing %d with the first round trip", w.pacing)
	}
	if b.ack(w, &ccSignal{mss: 1000, srtt: 10 * ms}); w.pacing != 277_000 {
		t.Errorf("pacing %d with the second", w.pacing)
	}
	b.start(w, &ccSignal{now: time.Hour, mss: 1000, srtt: 50 * ms})
	if b.minRTT != 50*ms || w.pacing != 554_000 {
		t.Errorf("least round trip %v, pacing %d", b.minRTT, w.pacing)
	}
}

// TestBBRPacingRate: section 5.6.2, Startup never slows down, and nothing known is
// no rate.
func TestBBRPacingRate(t *testing.T) {
	for _, c := range []struct {
		state       bbrState
		bw          uint64
		srtt        time.Duration
		prior, want uint64
	}{
		{bbrStartup, 1_000_000, 0, 500_000, 990_000},
		{bbrStartup, 1_000_000, 0, 2_000_000, 2_000_000},
		{bbrCruise, 1_000_000, 0, 2_000_000, 990_000},
		{bbrCruise, 0, 0, 2_000_000, 2_000_000},
		{bbrCruise, 0, 100 * ms, 2_000_000, 40_000}, // the least window in a round trip
	} {
		b, w, s := bbrStep(c.state)
		b.bw, s.srtt, w.pacing = c.bw, c.srtt, c.prior
		if b.setPacing(w, s, 1); w.pacing != c.want {
			t.Errorf("%+v: %d", c, w.pacing)
		}
	}
}

// TestBBRLimitedByTheWindow: C.is_cwnd_limited, in this round trip or the one
// before.
func TestBBRLimitedByTheWindow(t *testing.T) {
	for _, c := range []struct {
		inFlight uint32
		limited  bool
		want     bool
	}{{198_001, true, true}, {198_000, true, false}, {198_001, false, false}} {
		b, w, s := bbrStep(bbrUp)
		s.limited, s.rate.newlyAcked, s.rate.newlyLost, s.rate.inFlight = c.limited, 1000, 1000, c.inFlight-2000
		if b.noteLimit(w, s); b.cwndLimited() != c.want {
			t.Errorf("%+v: %v", c, b.cwndLimited())
		}
	}
	b, _, s := bbrStep(bbrUp)
	s.rate.interval = ms
	b.limitedNow = true
	for i, want := range []bool{true, false} {
		s.rate.priorDelivered = b.nextRound
		if b.updateRound(s); b.cwndLimited() != want {
			t.Errorf("%d rounds later: %v", i+1, b.cwndLimited())
		}
	}
}

// TestBBRBudget: section 5.6.4.2, three quanta and four segments can always be in
// flight, and two segments more while probing.
func TestBBRBudget(t *testing.T) {
	for _, c := range []struct {
		state               bbrState
		quantum, size, want uint32
	}{
		{bbrCruise, 2000, 50_000, 50_000}, {bbrUp, 2000, 50_000, 52_000},
		{bbrCruise, 2000, 1000, 6000}, {bbrCruise, 1000, 1000, 4000},
	} {
		b, w, s := bbrStep(c.state)
		w.quantum = c.quantum
		if got := b.quantize(w, s, c.size); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// TestBBRWindow: section 5.6.4.6, before the path is full the window grows by what
// is acknowledged as long as it is below its target, or little was delivered.
func TestBBRWindow(t *testing.T) {
	for _, c := range []struct {
		state     bbrState
		cwnd      uint32
		delivered uint64
		want      uint32
	}{
		{bbrStartup, 199_999, 1_000_000, 204_999},
		{bbrStartup, 200_000, 1_000_000, 200_000},
		{bbrStartup, 200_000, 9_999, 205_000},
		{bbrStartup, 200_000, 10_000, 200_000},
		{bbrCruise, 198_000, 1_000_000, 200_000},
		{bbrCruise, 300_000, 1_000_000, 200_000},
		{bbrProbeRTT, 300_000, 1_000_000, 50_000},
	} {
		b, w, s := bbrStep(c.state)
		w.cwnd, s.delivered, s.rate.newlyAcked = c.cwnd, c.delivered, 5000
		if b.setCwnd(w, s); w.cwnd != c.want {
			t.Errorf("%+v: %d", c, w.cwnd)
		}
	}
}

// TestBBRHeadroom: section 5.3.3.9, 15 % are left to others, at least a segment,
// but never so much that less than four segments remain.
func TestBBRHeadroom(t *testing.T) {
	for long, want := range map[uint32]uint32{bbrNoSize: bbrNoSize, 100_000: 85_000, 6000: 5000, 3000: 4000} {
		b, _, s := bbrStep(bbrCruise)
		if b.inflightLong = long; b.withHeadroom(s) != want {
			t.Errorf("of %d: %d, want %d", long, b.withHeadroom(s), want)
		}
	}
}

// TestBBRIdleInProbeRTT: section 5.4.1, a connection that rests in ProbeRTT until
// its time is over has left it.
func TestBBRIdleInProbeRTT(t *testing.T) {
	for _, c := range []struct {
		state bbrState
		at    time.Duration
		want  bbrState
	}{{bbrProbeRTT, -1, bbrCruise}, {bbrProbeRTT, 0, bbrProbeRTT}, {bbrProbeRTT, 1, bbrProbeRTT}, {bbrDrain, -1, bbrDrain}} {
		b, w, s := bbrStep(c.state)
		s.rate.appLimited = true
		b.probeRTTDoneAt = s.now + c.at
		if b.restart(w, s); b.state != c.want {
			t.Errorf("%+v: state %d", c, b.state)
		}
	}
}

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

// TestBBRRounds: section 5.5.1, a round has ended when what was sent after its
// start is delivered; a sample without a rate tells nothing.
func TestBBRRounds(t *testing.T) {
	for _, c := range []struct {
		prior    uint64
		interval time.Duration
		want     bool
	}{{999_999, ms, false}, {1_000_000, ms, true}, {1_000_000, 0, false}} {
		b, _, s := bbrStep(bbrCruise)
		b.nextRound, b.lossRound = 1_000_000, 1_000_000
		s.rate.priorDelivered, s.rate.interval = c.prior, c.interval
		b.updateRound(s)
		b.updateLatest(s)
		if b.roundStart != c.want || b.lossRoundStart != c.want {
			t.Errorf("%+v: %v, round of losses %v", c, b.roundStart, b.lossRoundStart)
		}
	}
}

// TestBBRMaxBandwidth: section 5.5.5, of what the program limits only samples count
// that are no less than what is known.
func TestBBRMaxBandwidth(t *testing.T) {
	for _, c := range []struct {
		delivered uint64 // in a second
		app       bool
		want      uint64
	}{{900_000, false, 900_000}, {900_000, true, 500_000}, {1_000_000, true, 1_000_000}, {1_100_000, true, 1_100_000}, {400_000, false, 500_000}} {
		b, _, s := bbrStep(bbrCruise)
		b.maxBW = [2]uint64{1_000_000, 500_000}
		s.rate.delivered, s.rate.interval, s.rate.appLimited = c.delivered, time.Second, c.app
		if b.updateMaxBW(s); b.maxBW[1] != c.want {
			t.Errorf("%+v: %d", c, b.maxBW[1])
		}
	}
}

// TestBBRForgetsAggregation: section 5.5.9, a maximum over ten rounds, in Startup
// over one.
func TestBBRForgetsAggregation(t *testing.T) {
	for state, rounds := range map[bbrState]int{bbrCruise: 10, bbrStartup: 1} {
		b, w, s := bbrStep(state)
		b.extraAcked[1] = 50_000
		b.roundStart = true
		for n := 1; n <= rounds; n++ {
			if max(b.extraAcked[0], b.extraAcked[1]) != 50_000 {
				t.Errorf("state %d: forgotten after %d rounds", state, n-1)
			}
			s.now += 100 * ms
			b.updateAggregation(w, s)
		}
		if max(b.extraAcked[0], b.extraAcked[1]) != 0 {
			t.Errorf("state %d: known after %d rounds", state, rounds)
		}
	}
}

// TestBBRFullPath: section 5.3.1.2, full after three rounds without growth by a
// quarter; what the program limits tells nothing.
func TestBBRFullPath(t *testing.T) {
	b, _, s := bbrStep(bbrStartup)
	b.roundStart, s.rate.interval = true, time.Second
	for i, c := range []struct {
		rate  uint64
		app   bool
		count uint8
		full  bool
	}{
		{1000, false, 0, false}, {1249, false, 1, false}, {1250, false, 0, false}, {1250, false, 1, false},
		{1250, true, 1, false}, {1500, false, 2, false}, {1500, false, 3, true},
	} {
		s.rate.delivered, s.rate.appLimited = c.rate, c.app
		if b.checkFullBW(s); b.fullBWCount != c.count || b.fullBWReached != c.full {
			t.Errorf("round %d: count %d, full %v", i, b.fullBWCount, b.fullBWReached)
		}
	}
}

// TestBBRLeastRoundTrip: section 5.3.4.3, a smaller one counts at once, another
// when the least has not been seen for five seconds, and the model follows after
// ten.
func TestBBRLeastRoundTrip(t *testing.T) {
	const probe, model = bbrProbeRTTEvery, bbrMinRTTLen
	for _, c := range []struct {
		after, rtt   time.Duration
		probing, min time.Duration
		expired      bool
		fresh        bool // the model's was seen just now
	}{
		{probe, 120 * ms, 100 * ms, 100 * ms, false, false},
		{probe + 1, 120 * ms, 120 * ms, 100 * ms, true, false},
		{probe + 1, 0, 100 * ms, 100 * ms, true, false},
		{time.Second, 0, 100 * ms, 100 * ms, false, false},
		{time.Second, 100 * ms, 100 * ms, 100 * ms, false, false},
		{time.Second, 99 * ms, 99 * ms, 99 * ms, false, true},
		{model, 120 * ms, 120 * ms, 100 * ms, true, false},
		{model + 1, 120 * ms, 120 * ms, 120 * ms, true, true},
	} {
		b, _, s := bbrStep(bbrCruise)
		s.now += c.after
		s.rate.rtt = c.rtt
		b.updateMinRTT(s)
		if b.probeRTTMin != c.probing || b.minRTT != c.min || b.probeRTTExpired != c.expired || (b.minRTTAt == s.now) != c.fresh {
			t.Errorf("%+v: %v and %v, expired %v, at %v", c, b.probeRTTMin, b.minRTT, b.probeRTTExpired, b.minRTTAt)
		}
		if (b.probeRTTMinAt == s.now) != (c.probing == c.rtt && c.rtt != 100*ms) {
			t.Errorf("%+v: seen at %v", c, b.probeRTTMinAt)
		}
	}
	// Seen again just as small, it is fresh for probing, but the model's stays as old
	// as it is.
	b, _, s := bbrStep(bbrCruise)
	b.probeRTTMinAt += time.Second
	if b.updateMinRTT(s); b.minRTTAt != time.Hour {
		t.Error("the model's is as fresh as that of the probe")
	}
}

// TestBBRStatesOfProbing: sections 5.1 and 5.3.3.9.
func TestBBRStatesOfProbing(t *testing.T) {
	for state, want := range map[bbrState][2]bool{
		bbrStartup: {false, true}, bbrDrain: {false, false}, bbrDown: {true, false}, bbrCruise: {true, false},
		bbrRefill: {true, true}, bbrUp: {true, true}, bbrProbeRTT: {false, false},
	} {
		b, _, _ := bbrStep(state)
		if b.probing() != want[0] || b.accelerating() != want[1] {
			t.Errorf("state %d: probing %v, accelerating %v", state, b.probing(), b.accelerating())
		}
	}
}

// TestBBRDrainEnds: section 5.3.2, when no more is in flight than the path holds,
// or after three rounds.
func TestBBRDrainEnds(t *testing.T) {
	for _, c := range []struct {
		inFlight, rounds uint32
		want             bbrState
	}{{100_000, 0, bbrDown}, {100_001, 0, bbrDrain}, {100_001, 3, bbrDrain}, {100_001, 4, bbrDown}} {
		b, w, s := bbrStep(bbrDrain)
		s.rate.inFlight, b.drainRound, b.roundCount = c.inFlight, 10, 10+c.rounds
		if b.checkDrainDone(w, s); b.state != c.want {
			t.Errorf("%+v: state %d", c, b.state)
		}
	}
	b, w, s := bbrStep(bbrUp)
	b.roundCount = 100
	if b.checkDrainDone(w, s); b.state != bbrUp {
		t.Error("another state ends as Drain does")
	}
}

// TestBBRTimeToProbe: section 5.3.3.8.3, after the time that was drawn, or as many
// rounds as the path holds segments, 63 at most.
func TestBBRTimeToProbe(t *testing.T) {
	for _, c := range []struct {
		after  time.Duration
		rounds uint32
		bw     uint64
		want   bool
	}{
		{2 * time.Second, 0, 1_000_000, false}, {2*time.Second + 1, 0, 1_000_000, true},
		{0, 62, 1_000_000, false}, {0, 63, 1_000_000, true}, {0, 19, 200_000, false}, {0, 20, 200_000, true},
	} {
		b, w, s := bbrStep(bbrCruise)
		s.now += c.after
		b.roundsSinceUp, b.bw = c.rounds, c.bw
		if got := b.timeToProbe(w, s); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestBBRTimeToCruise: section 5.3.3.9, what is in flight leaves headroom and fits
// what the path holds.
func TestBBRTimeToCruise(t *testing.T) {
	for _, c := range []struct {
		inFlight, long uint32
		want           bool
	}{{100_000, bbrNoSize, true}, {100_001, bbrNoSize, false}, {85_000, 100_000, true}, {85_001, 100_000, false}} {
		b, w, s := bbrStep(bbrDown)
		b.inflightLong, s.rate.inFlight = c.long, c.inFlight
		if got := b.timeToCruise(w, s); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestBBRTimeToGoDown: sections 5.3.3.6 and 5.3.3.9. A probe ends as a precaution
// where the one before lost, and when the path is full; while the limit is what
// holds it back nothing is known of that.
func TestBBRTimeToGoDown(t *testing.T) {
	for _, c := range []struct {
		tooHigh, limited, full bool
		inFlight, long         uint32
		want, precaution       bool
		count                  uint8
	}{
		{true, false, false, 150_000, 150_000, true, true, 2},
		{true, false, false, 149_999, 150_000, false, false, 2},
		{false, false, false, 150_000, 150_000, false, false, 2},
		{false, false, true, 150_000, 150_000, true, false, 2},
		{false, true, true, 150_000, 200_000, false, false, 0},
		{false, true, true, 150_000, 200_001, true, false, 2},
	} {
		b, w, s := bbrStep(bbrUp)
		b.tooHigh, b.limitedNow, b.fullBWNow, b.inflightLong, b.fullBWCount = c.tooHigh, c.limited, c.full, c.long, 2
		s.rate.inFlight, s.rate.delivered, s.rate.interval = c.inFlight, 123, time.Second
		if got := b.timeToGoDown(w, s); got != c.want || b.precautionary != c.precaution || b.fullBWCount != c.count {
			t.Errorf("%+v: %v, precaution %v, count %d", c, got, b.precautionary, b.fullBWCount)
		}
	}
}

// TestBBRRaisesTheLimit: section 5.3.3.9, by a segment for each window that is
// acknowledged at first, twice as fast each round.
func TestBBRRaisesTheLimit(t *testing.T) {
	b, w, s := bbrStep(bbrUp)
	for _, want := range []uint32{200_000, 100_000, 50_000} {
		if b.raiseSlope(w, s); b.upAckedPerInc != want {
			t.Errorf("a segment for %d, want %d", b.upAckedPerInc, want)
		}
	}
	for range 40 {
		b.raiseSlope(w, s)
	}
	if b.upAckedPerInc != 1000 {
		t.Errorf("a segment for %d at last", b.upAckedPerInc)
	}
	for _, c := range []struct {
		limited    bool
		long       uint32
		acked      uint32
		want, left uint32
	}{
		{true, 200_000, 9_999, 200_000, 9_999},
		{true, 200_000, 10_000, 201_000, 0},
		{true, 200_000, 25_000, 202_000, 5000},
		{true, 200_001, 25_000, 200_001, 0},
		{false, 200_000, 25_000, 200_000, 0},
	} {
		b, w, s := bbrStep(bbrUp)
		b.upAckedPerInc, b.limitedNow, b.inflightLong, s.rate.newlyAcked = 10_000, c.limited, c.long, c.acked
		if b.raiseLong(w, s); b.inflightLong != c.want || b.upAcked != c.left {
			t.Errorf("%+v: %d, %d are left", c, b.inflightLong, b.upAcked)
		}
	}
}

// TestBBRAdaptsTheLimit: section 5.3.3.9, what was in flight without loss raises
// the limit, if there is one, and while probing it grows beyond.
func TestBBRAdaptsTheLimit(t *testing.T) {
	for _, c := range []struct {
		state       bbrState
		lost        uint64
		long, prior uint32
		want        uint32
	}{
		{bbrCruise, 0, 100_000, 150_000, 150_000},
		{bbrCruise, 0, 100_000, 50_000, 100_000},
		{bbrCruise, 4000, 100_000, 150_000, 100_000},
		{bbrCruise, 0, bbrNoSize, 150_000, bbrNoSize},
		{bbrUp, 0, 100_000, 150_000, 155_000},
		{bbrDown, 0, 100_000, 150_000, 150_000},
	} {
		b, w, s := bbrStep(c.state)
		b.inflightLong, b.limitedNow, b.upAckedPerInc = c.long, true, 1000
		s.rate.lost, s.rate.priorInFlight, s.rate.newlyAcked = c.lost, c.prior, 5000
		if b.adaptLongTerm(w, s); b.inflightLong != c.want {
			t.Errorf("%+v: %d", c, b.inflightLong)
		}
	}
}

// TestBBRProbesAgainAfterAPrecaution: section 5.3.3.6, a probe that ended where the
// one before lost, and lost nothing, is followed by another at once.
func TestBBRProbesAgainAfterAPrecaution(t *testing.T) {
	for _, c := range []struct {
		acks                                 bbrAcks
		precautionary, tooHigh, round, again bool
	}{
		{bbrAcksStopping, true, false, true, true}, {bbrAcksStopping, true, true, true, false}, {bbrAcksStopping, false, false, true, false},
		{bbrAcksStopping, true, false, false, false}, {bbrAcksFeedback, true, false, true, false},
	} {
		b, w, s := bbrStep(bbrDown)
		b.acks, b.precautionary, b.tooHigh, b.roundStart = c.acks, c.precautionary, c.tooHigh, c.round
		s.now += 3 * time.Second // long enough for the next probe
		if got := b.adaptLongTerm(w, s); got != c.again || (b.state == bbrRefill) != c.again {
			t.Errorf("%+v: %v, state %d", c, got, b.state)
		}
	}
}

// TestBBRProbeRTT: section 5.3.4.3, begins when the least round trip was not seen
// for long, unless nothing was sent meanwhile; low rates are then our own doing.
func TestBBRProbeRTT(t *testing.T) {
	for _, c := range []struct {
		expired, idle bool
		want          bbrState
	}{{true, false, bbrProbeRTT}, {false, false, bbrCruise}, {true, true, bbrCruise}} {
		b, w, s := bbrStep(bbrCruise)
		b.probeRTTExpired, b.idleRestart, b.probeRTTDoneAt = c.expired, c.idle, time.Minute
		s.rate.inFlight = 150_000
		b.checkProbeRTT(w, s)
		if b.state != c.want || w.restrained != (c.want == bbrProbeRTT) || b.idleRestart != c.idle {
			t.Errorf("%+v: state %d, restrained %v, idle %v", c, b.state, w.restrained, b.idleRestart)
		}
		if c.want == bbrProbeRTT && (b.probeRTTDoneAt != 0 || b.priorCwnd != 200_000) {
			t.Errorf("done at %v, window %d", b.probeRTTDoneAt, b.priorCwnd)
		}
		s.rate.delivered = 1
		if b.checkProbeRTT(w, s); b.idleRestart {
			t.Error("delivery does not end the rest")
		}
	}
	// Begun once, it saves nothing more.
	b, w, s := bbrStep(bbrProbeRTT)
	b.probeRTTExpired, s.rate.inFlight = true, 150_000
	if b.checkProbeRTT(w, s); b.priorCwnd != 0 {
		t.Errorf("saved %d", b.priorCwnd)
	}
}

// TestBBRProbeRTTLasts: section 5.3.4.3, its time begins when little enough is in
// flight, and lasts 200 ms and a round.
func TestBBRProbeRTTLasts(t *testing.T) {
	b, w, s := bbrStep(bbrProbeRTT)
	b.probeRTTRounded = true // of the last time
	start := s.now
	for _, c := range []struct {
		at       time.Duration
		inFlight uint32
		round    bool
		state    bbrState
	}{
		{0, 50_001, true, bbrProbeRTT}, {10 * ms, 50_000, false, bbrProbeRTT}, {211 * ms, 50_000, false, bbrProbeRTT},
		{210 * ms, 50_000, true, bbrProbeRTT}, {210*ms + 1, 50_000, false, bbrCruise},
	} {
		s.now, s.rate.inFlight, b.roundStart = start+c.at, c.inFlight, c.round
		if b.checkProbeRTT(w, s); b.state != c.state {
			t.Errorf("%+v: state %d", c, b.state)
		}
	}
	if b.probeRTTMinAt != s.now {
		t.Errorf("the least round trip is of %v", b.probeRTTMinAt)
	}
}
