package tcp

// What losses and marks do to BBR's model: draft-ietf-ccwg-bbr sections 5.3.1.3,
// 5.5.10, 5.5.11 and 5.6.4.4.

func (b *bbr) resetShortTerm() { b.bwShort, b.inflightShort = bbrNoRate, bbrNoSize }

// updateCongestion is UpdateCongestionSignals: section 5.5.10.3.
func (b *bbr) updateCongestion(w *ccWindow, s *ccSignal) {
	b.updateMaxBW(s)
	if !b.lossRoundStart {
		return
	}
	if b.lossInRound && !b.accelerating() {
		b.lowerBounds(w)
	}
	b.lossInRound = false
}

// lowerBounds is AdaptLowerBoundsFromCongestion, once a round.
func (b *bbr) lowerBounds(w *ccWindow) {
	if b.bwShort == bbrNoRate {
		b.bwShort = b.maxBandwidth()
	}
	if b.inflightShort == bbrNoSize {
		b.inflightShort = w.cwnd
	}
	b.bwShort = max(b.bwLatest, uint64(bbrBeta*float64(b.bwShort)))
	b.inflightShort = max(uint32(min(b.inflightLatest, maxCwnd)), uint32(bbrBeta*float64(b.inflightShort)))
}

// inflightTooHigh is IsInflightTooHigh: section 5.5.10.2.
func inflightTooHigh(s *ccSignal) bool {
	return float64(s.rate.lost) > bbrLossThresh*float64(s.rate.priorInFlight) ||
		s.rate.lost > 0 && !s.sack
}

// handleTooHigh is HandleInflightTooHigh: at is how much in flight was too much.
func (b *bbr) handleTooHigh(w *ccWindow, s *ccSignal, at uint32) {
	b.tooHigh = true
	b.probeSample = false // one reaction for a probe
	if !s.rate.appLimited {
		b.inflightLong = max(at, uint32(float64(b.targetInflight(w))*bbrBeta))
	}
	if b.state == bbrUp {
		b.undoState = bbrUp
		b.startDown(s)
	}
}

// noteLoss is NoteLoss. The state to return to is that before the episode, as
// section 5.5.11.1 says in words, however many rounds it lasts.
func (b *bbr) noteLoss(w *ccWindow, s *ccSignal) {
	if !b.lossInRound {
		b.lossRound = s.delivered
		if !b.recovering {
			b.saveState(w)
		}
	}
	b.lossInRound = true
}

// lost is HandleLostPacket: section 5.5.10.2.
func (b *bbr) lost(w *ccWindow, s *ccSignal) {
	b.noteLoss(w, s)
	if s.una != b.lossEnd { // not one range with the last
		b.lossEvents = min(b.lossEvents+1, bbrFullLossCount)
	}
	b.lossEnd = s.nxt
	if b.probeSample && inflightTooHigh(s) {
		b.handleTooHigh(w, s, inflightAtLoss(s))
	}
}

// inflightAtLoss solves for how much was in flight when losses crossed the
// threshold, which may be in the midst of what was sent at once.
func inflightAtLoss(s *ccSignal) uint32 {
	size := float64(s.rate.newlyLost)
	before := float64(s.rate.priorInFlight) - size
	lostBefore := float64(s.rate.lost) - size
	at := before + max(bbrLossThresh*before-lostBefore, 0)/(1-bbrLossThresh)
	return uint32(min(max(at, 0), maxCwnd))
}

// checkStartupLoss is CheckStartupHighLoss: section 5.3.1.3.
func (b *bbr) checkStartupLoss(s *ccSignal) {
	if b.state == bbrStartup && !b.fullBWReached && b.recovering {
		many := b.lossRoundStart && b.lossEvents >= bbrFullLossCount && inflightTooHigh(s)
		if many || !s.sack && s.rate.newlyLost > 0 {
			b.leaveStartup()
		}
	}
	if b.lossRoundStart {
		b.lossEvents = 0
	}
}

func (b *bbr) leaveStartup() {
	b.undoState = bbrStartup
	b.fullBWReached = true
	b.inflightLong = max(b.bdp(), uint32(min(b.inflightLatest, maxCwnd)))
}

// saveCwnd is SaveCwnd: section 5.6.4.4.
func (b *bbr) saveCwnd(w *ccWindow) {
	if b.recovering || b.state == bbrProbeRTT {
		b.priorCwnd = max(b.priorCwnd, w.cwnd)
	} else {
		b.priorCwnd = w.cwnd
	}
}

func (b *bbr) restoreCwnd(w *ccWindow) { w.cwnd = max(w.cwnd, b.priorCwnd) }

// saveState is SaveStateUponLoss: section 5.5.11.1.
func (b *bbr) saveState(w *ccWindow) {
	b.saveCwnd(w)
	b.undoState = bbrNoState
	b.undoBWShort, b.undoInflightShort, b.undoInflightLo = b.bwShort, b.inflightShort, b.inflightLong
}

// loss is OnEnterFastRecovery: section 5.6.4.4. What lost has saved in this round
// holds.
func (b *bbr) loss(w *ccWindow, _ *ccSignal) {
	if !b.lossInRound {
		b.saveState(w)
	}
	b.recovering = true
}

// timeout is OnEnterRTO: section 5.6.4.4. All that was in flight is lost by now.
func (b *bbr) timeout(w *ccWindow, s *ccSignal) {
	b.saveState(w)
	b.recovering = true
	w.cwnd = s.mss
}

func (b *bbr) recovered(w *ccWindow, _ *ccSignal) {
	b.recovering = false
	b.restoreCwnd(w)
}

// undo is HandleSpuriousLossDetection: section 5.5.11.2.
func (b *bbr) undo(w *ccWindow, s *ccSignal) {
	b.restoreCwnd(w)
	b.lossInRound = false
	b.resetFullBW()
	b.bwShort = max(b.bwShort, b.undoBWShort)
	b.inflightShort = max(b.inflightShort, b.undoInflightShort)
	b.inflightLong = max(b.inflightLong, b.undoInflightLo)
	switch {
	case b.undoState == bbrStartup && b.state != bbrStartup:
		b.fullBWReached = false
		if b.state != bbrProbeRTT {
			b.state = bbrStartup
		}
	case b.undoState == bbrUp && b.state != bbrUp && b.state != bbrProbeRTT:
		b.startRefill(s)
	}
	b.undoState = bbrNoState
}

// ce takes a mark for a loss, as section 3.7 demands: what is in flight was too
// much, or in Startup the path is full.
func (b *bbr) ce(w *ccWindow, s *ccSignal) {
	b.noteLoss(w, s)
	switch {
	case b.state == bbrStartup && !b.fullBWReached:
		b.leaveStartup()
	case b.probeSample:
		b.handleTooHigh(w, s, s.flight)
	}
}
