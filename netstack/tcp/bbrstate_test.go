package tcp

// The conditions of BBR's state machine one by one.

import (
	"testing"
	"time"
)

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
