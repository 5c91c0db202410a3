package tcp

// The steps of draft-ietf-ccwg-bbr one by one: what comes out of the model. Its
// estimates, what losses do to it and the states are in files of their own.

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
