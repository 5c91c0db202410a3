package tcp

// The estimates of BBR, step by step.

import (
	"testing"
	"time"
)

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
