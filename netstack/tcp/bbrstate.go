package tcp

// BBR's state machine: draft-ietf-ccwg-bbr section 5.3.

import "time"

// probing reports whether the state is one of ProbeBW.
func (b *bbr) probing() bool { return b.state >= bbrDown && b.state <= bbrUp }

// accelerating is IsProbingBW: section 5.3.3.9.
func (b *bbr) accelerating() bool {
	return b.state == bbrStartup || b.state == bbrRefill || b.state == bbrUp
}

// checkStartupDone is section 5.3.1.1.
func (b *bbr) checkStartupDone(w *ccWindow, s *ccSignal) {
	b.checkStartupLoss(s)
	if b.state == bbrStartup && b.fullBWReached {
		b.state = bbrDrain
		b.drainRound = b.roundCount
	}
}

// checkDrainDone is section 5.3.2.
func (b *bbr) checkDrainDone(w *ccWindow, s *ccSignal) {
	if b.state == bbrDrain &&
		(s.rate.inFlight <= b.inflight(w, s, b.bw, 1) || b.roundCount > b.drainRound+3) {
		b.startDown(s)
	}
}

func (b *bbr) startDown(s *ccSignal) {
	b.resetCongestion()
	b.upAckedPerInc = bbrNoSize
	b.pickWait()
	b.cycleAt = s.now
	b.acks = bbrAcksStopping
	b.startRound(s)
	b.state = bbrDown
}

// pickWait is PickProbeWait: section 5.3.3.8.3.
func (b *bbr) pickWait() {
	b.roundsSinceUp = uint32(b.lots.next() & 1)
	b.probeWait = 2*time.Second + time.Duration(b.lots.share()*float64(time.Second))
}

func (b *bbr) startRefill(s *ccSignal) {
	b.resetShortTerm()
	b.upRounds, b.upAcked = 0, 0
	b.precautionary = false
	b.acks = bbrAcksRefilling
	b.startRound(s)
	b.state = bbrRefill
}

func (b *bbr) startUp(w *ccWindow, s *ccSignal) {
	b.acks = bbrAcksStarting
	b.startRound(s)
	b.resetFullBW()
	b.fullBW = s.rate.rate()
	b.state = bbrUp
	b.raiseSlope(w, s)
}

// updateCycle is UpdateProbeBWCyclePhase: section 5.3.3.9.
func (b *bbr) updateCycle(w *ccWindow, s *ccSignal) {
	if !b.fullBWReached || b.adaptLongTerm(w, s) {
		return
	}
	switch b.state {
	case bbrDown:
		if b.timeToProbe(w, s) {
			b.startRefill(s)
		} else if b.timeToCruise(w, s) {
			b.state = bbrCruise
		}
	case bbrCruise:
		if b.timeToProbe(w, s) {
			b.startRefill(s)
		}
	case bbrRefill:
		if b.roundStart { // after one round
			b.probeSample = true
			b.startUp(w, s)
		}
	case bbrUp:
		if b.timeToGoDown(w, s) {
			b.tooHigh = false // no high loss yet
			b.startDown(s)
		}
	}
}

// timeToProbe is section 5.3.3.8.3: after a few seconds, or as many rounds as
// Reno would need to grow by as much.
func (b *bbr) timeToProbe(w *ccWindow, s *ccSignal) bool {
	return b.elapsed(s, b.probeWait) || b.roundsSinceUp >= min(b.targetInflight(w)/s.mss, 63)
}

func (b *bbr) timeToCruise(w *ccWindow, s *ccSignal) bool {
	return s.rate.inFlight <= b.withHeadroom(s) && s.rate.inFlight <= b.inflight(w, s, b.maxBandwidth(), 1)
}

// timeToGoDown is IsTimeToGoDown: section 5.3.3.9.
func (b *bbr) timeToGoDown(w *ccWindow, s *ccSignal) bool {
	switch {
	case b.tooHigh && s.rate.inFlight >= b.inflightLong:
		b.precautionary = true // section 5.3.3.6
		return true
	case b.cwndLimited() && w.cwnd >= b.inflightLong:
		b.resetFullBW() // the limit, not the path
		b.fullBW = s.rate.rate()
	case b.fullBWNow:
		return true
	}
	return false
}

// raiseSlope is RaiseInflightLongtermSlope: section 5.3.3.9.
func (b *bbr) raiseSlope(w *ccWindow, s *ccSignal) {
	growth := uint32(1) << b.upRounds
	b.upRounds = min(b.upRounds+1, 30)
	b.upAckedPerInc = max(w.cwnd/growth, s.mss)
}

// raiseLong is ProbeInflightLongtermUpward: section 5.3.3.9.
func (b *bbr) raiseLong(w *ccWindow, s *ccSignal) {
	if !b.cwndLimited() || w.cwnd < b.inflightLong {
		return
	}
	b.upAcked += s.rate.newlyAcked
	if b.upAcked >= b.upAckedPerInc {
		n := b.upAcked / b.upAckedPerInc
		b.upAcked -= n * b.upAckedPerInc
		b.inflightLong = min(b.inflightLong+n*s.mss, maxCwnd)
	}
	if b.roundStart {
		b.raiseSlope(w, s)
	}
}

// adaptLongTerm is AdaptLongTermModel: section 5.3.3.9. It reports whether it
// changed the state.
func (b *bbr) adaptLongTerm(w *ccWindow, s *ccSignal) bool {
	if b.acks == bbrAcksStarting && b.roundStart {
		b.acks = bbrAcksFeedback // what is acknowledged now was sent probing
	}
	if b.acks == bbrAcksStopping && b.roundStart {
		b.probeSample = false
		b.acks = bbrAcksInit
		if b.probing() {
			if !s.rate.appLimited {
				b.advanceMaxBW()
			}
			if b.precautionary && !b.tooHigh {
				b.startRefill(s) // section 5.3.3.6
				return true
			}
		}
	}
	if inflightTooHigh(s) || b.inflightLong == bbrNoSize {
		return false
	}
	b.inflightLong = max(b.inflightLong, s.rate.priorInFlight)
	if b.state == bbrUp {
		b.raiseLong(w, s)
	}
	return false
}

// checkProbeRTT is section 5.3.4.3.
func (b *bbr) checkProbeRTT(w *ccWindow, s *ccSignal) {
	if b.state != bbrProbeRTT && b.probeRTTExpired && !b.idleRestart {
		b.saveCwnd(w)
		b.state = bbrProbeRTT
		b.probeRTTDoneAt = 0
		b.acks = bbrAcksStopping
		b.startRound(s)
	}
	if b.state == bbrProbeRTT {
		b.handleProbeRTT(w, s)
	}
	if s.rate.delivered > 0 {
		b.idleRestart = false
	}
}

func (b *bbr) handleProbeRTT(w *ccWindow, s *ccSignal) {
	w.restrained = true // low rates are of our own making
	switch {
	case b.probeRTTDoneAt == 0 && s.rate.inFlight <= b.probeRTTCwnd(s):
		b.probeRTTDoneAt = s.now + bbrProbeRTTTime
		b.probeRTTRounded = false
		b.startRound(s)
	case b.probeRTTDoneAt != 0:
		b.probeRTTRounded = b.probeRTTRounded || b.roundStart
		if b.probeRTTRounded {
			b.checkProbeRTTDone(w, s)
		}
	}
}

// checkProbeRTTDone leaves ProbeRTT when its time is over: section 5.3.4.4.
func (b *bbr) checkProbeRTTDone(w *ccWindow, s *ccSignal) {
	if b.probeRTTDoneAt == 0 || s.now <= b.probeRTTDoneAt {
		return
	}
	b.probeRTTMinAt = s.now
	b.restoreCwnd(w)
	b.resetShortTerm()
	if !b.fullBWReached {
		b.state = bbrStartup
		return
	}
	b.startDown(s)
	b.state = bbrCruise // nothing is queued
}
