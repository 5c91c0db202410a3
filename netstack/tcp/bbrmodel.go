package tcp

// BBR's estimates of the path: draft-ietf-ccwg-bbr section 5.5.

import "time"

// countable reports whether a sample stands for a round trip. One over less time
// than the least of them is that of a segment which was sent again and whose first
// transmission arrived: section 4.1.3.5.
func countable(s *ccSignal) bool { return s.rate.interval > 0 }

// updateLatest is UpdateLatestDeliverySignals: section 5.5.10.3.
func (b *bbr) updateLatest(s *ccSignal) {
	b.lossRoundStart = false
	if !countable(s) {
		return
	}
	b.bwLatest = max(b.bwLatest, s.rate.rate())
	b.inflightLatest = max(b.inflightLatest, s.rate.delivered)
	if s.rate.priorDelivered >= b.lossRound {
		b.lossRound = s.delivered
		b.lossRoundStart = true
	}
}

func (b *bbr) advanceLatest(s *ccSignal) {
	if b.lossRoundStart {
		b.bwLatest, b.inflightLatest = s.rate.rate(), s.rate.delivered
	}
}

func (b *bbr) resetCongestion() {
	b.lossInRound = false
	b.bwLatest, b.inflightLatest = 0, 0
}

// updateRound is section 5.5.1.
func (b *bbr) updateRound(s *ccSignal) {
	b.roundStart = countable(s) && s.rate.priorDelivered >= b.nextRound
	if b.roundStart {
		b.startRound(s)
		b.roundCount++
		b.roundsSinceUp++
		b.limitedBefore, b.limitedNow = b.limitedNow, false
	}
}

func (b *bbr) startRound(s *ccSignal) { b.nextRound = s.delivered }

// updateMaxBW is section 5.5.5.
func (b *bbr) updateMaxBW(s *ccSignal) {
	b.updateRound(s)
	if r := s.rate.rate(); r >= b.maxBandwidth() || !s.rate.appLimited {
		b.maxBW[1] = max(b.maxBW[1], r)
	}
}

// maxBandwidth is BBR.max_bw, over two cycles.
func (b *bbr) maxBandwidth() uint64 { return max(b.maxBW[0], b.maxBW[1]) }

// advanceMaxBW is section 5.5.6. A cycle without a sample does not count.
func (b *bbr) advanceMaxBW() {
	if b.maxBW[1] != 0 {
		b.maxBW[0], b.maxBW[1] = b.maxBW[1], 0
	}
}

// updateAggregation is section 5.5.9. The windowed maximum over ten rounds is
// kept as those of two halves.
func (b *bbr) updateAggregation(w *ccWindow, s *ccSignal) {
	half := uint8(1)
	if b.fullBWReached {
		half = bbrAggregation / 2
	}
	if b.roundStart {
		if b.aggrRounds++; b.aggrRounds >= half {
			b.aggrRounds = 0
			b.extraAcked[0], b.extraAcked[1] = b.extraAcked[1], 0
			if !b.fullBWReached {
				b.extraAcked[0] = 0 // one round
			}
		}
	}
	expected := uint64(float64(b.bw) * (s.now - b.aggrAt).Seconds())
	if b.aggrDelivered <= expected {
		b.aggrDelivered, b.aggrAt, expected = 0, s.now, 0
	}
	b.aggrDelivered += uint64(s.rate.newlyAcked)
	extra := uint32(min(b.aggrDelivered-expected, uint64(w.cwnd)))
	b.extraAcked[1] = max(b.extraAcked[1], extra)
}

func (b *bbr) resetFullBW() { b.fullBW, b.fullBWCount, b.fullBWNow = 0, 0, false }

// checkFullBW is section 5.3.1.2.
func (b *bbr) checkFullBW(s *ccSignal) {
	if b.fullBWNow || !b.roundStart || s.rate.appLimited {
		return
	}
	r := s.rate.rate()
	if float64(r) >= 1.25*float64(b.fullBW) {
		b.resetFullBW()
		b.fullBW = r
		return
	}
	b.fullBWCount++
	b.fullBWNow = b.fullBWCount >= 3
	b.fullBWReached = b.fullBWReached || b.fullBWNow
}

// updateMinRTT is section 5.3.4.3.
func (b *bbr) updateMinRTT(s *ccSignal) {
	b.probeRTTExpired = s.now > b.probeRTTMinAt+bbrProbeRTTEvery
	if rtt := s.rate.rtt; rtt > 0 && (rtt < b.probeRTTMin || b.probeRTTExpired) {
		b.probeRTTMin, b.probeRTTMinAt = rtt, s.now
	}
	if b.probeRTTMin < b.minRTT || s.now > b.minRTTAt+bbrMinRTTLen {
		b.minRTT, b.minRTTAt = b.probeRTTMin, b.probeRTTMinAt
	}
}

func (b *bbr) elapsed(s *ccSignal, d time.Duration) bool { return s.now > b.cycleAt+d }
