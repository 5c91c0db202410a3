package tcp

// BBR version 3: draft-ietf-ccwg-bbr. It builds a model of the path from rates
// of delivery and round trips, and sends by the model: at what rate, and how much
// may be in flight. Names are the draft's. bbrmodel.go has the estimates,
// bbrstate.go the state machine, bbrloss.go what losses do; this file has what
// the connection tells and the control parameters that come out.

import (
	"math"
	"time"
)

// Constants of sections 2.5 to 2.16.
const (
	bbrMargin        = 0.99 // BBR.PacingMarginPercent
	bbrLossThresh    = 0.02
	bbrBeta          = 0.7
	bbrHeadroom      = 0.15
	bbrMinPipe       = 4 // BBR.MinPipeCwnd in segments
	bbrMinRTTLen     = 10 * time.Second
	bbrProbeRTTTime  = 200 * time.Millisecond
	bbrProbeRTTEvery = 5 * time.Second
	bbrMaxQuantum    = 64 << 10
	bbrFullLossCount = 6
	bbrAggregation   = 10 // BBR.ExtraAckedFilterLen in rounds

	bbrNoRate = math.MaxUint64 // infinity
	bbrNoSize = math.MaxUint32
	bbrNoTime = time.Duration(math.MaxInt64)
)

type bbrState uint8

const (
	bbrStartup bbrState = iota
	bbrDrain
	bbrDown
	bbrCruise
	bbrRefill
	bbrUp
	bbrProbeRTT
	bbrNoState // undo: nothing to return to
)

// bbrGains is the table of section 5.6.1.
var bbrGains = [...]struct{ pacing, cwnd float64 }{
	bbrStartup:  {2.77, 2},
	bbrDrain:    {0.5, 2},
	bbrDown:     {0.90, 2},
	bbrCruise:   {1, 2},
	bbrRefill:   {1, 2},
	bbrUp:       {1.25, 2.25},
	bbrProbeRTT: {1, 0.5},
}

// bbrAcks is BBR.ack_phase: section 2.14.
type bbrAcks uint8

const (
	bbrAcksInit bbrAcks = iota
	bbrAcksRefilling
	bbrAcksStarting
	bbrAcksFeedback
	bbrAcksStopping
)

// bbr is the state of section 2. Sizes are bytes, rates bytes per second.
type bbr struct {
	state     bbrState
	undoState bbrState
	acks      bbrAcks

	roundStart, lossRoundStart       bool
	lossInRound                      bool
	recovering                       bool // between loss or timeout and recovered
	limitedNow, limitedBefore        bool // C.is_cwnd_limited, in this round and the last
	fullBWReached, fullBWNow         bool
	probeSample                      bool // BBR.is_bw_probe_sample
	tooHigh, precautionary           bool // BBR.prev_probe_too_high, _precautionary
	probeRTTExpired, probeRTTRounded bool
	idleRestart                      bool
	measured                         bool // the pacing rate rests on a round trip
	fullBWCount                      uint8
	upRounds                         uint8
	lossEvents                       uint8
	aggrRounds                       uint8

	roundCount, drainRound uint32
	roundsSinceUp          uint32
	nextRound, lossRound   uint64 // BBR.next_round_delivered, loss_round_delivered
	lossEnd                uint32 // sequence number after the last loss

	maxBW                  [2]uint64 // best of the previous cycle and of this
	bw, bwShort, bwLatest  uint64
	fullBW                 uint64
	inflightLatest         uint64
	inflightShort          uint32
	inflightLong           uint32
	maxInflight            uint32
	priorCwnd              uint32
	initialCwnd            uint32
	upAcked, upAckedPerInc uint32

	undoBWShort                       uint64
	undoInflightShort, undoInflightLo uint32

	minRTT, probeRTTMin     time.Duration
	minRTTAt, probeRTTMinAt time.Duration
	probeRTTDoneAt          time.Duration
	cycleAt, probeWait      time.Duration
	aggrAt                  time.Duration // BBR.extra_acked_interval_start
	aggrDelivered           uint64
	extraAcked              [2]uint32
	lots                    lots
}

var bbrInfo = ccInfo{
	name: "bbr", pacing: true, ownWindow: true, wantsLost: true,
	make: func() congestion { return new(bbr) },
}

func (*bbr) info() *ccInfo { return &bbrInfo }

// start is OnInit: section 5.2.1.
func (b *bbr) start(w *ccWindow, s *ccSignal) {
	*b = bbr{
		state: bbrStartup, undoState: bbrNoState,
		lots: lots(s.seed), initialCwnd: w.cwnd,
		inflightLong: bbrNoSize, upAckedPerInc: bbrNoSize,
		minRTT: bbrNoTime, minRTTAt: s.now, probeRTTMin: bbrNoTime, probeRTTMinAt: s.now,
		aggrAt: s.now, nextRound: s.delivered, lossRound: s.delivered,
	}
	if s.srtt > 0 {
		b.minRTT = s.srtt
	}
	b.resetShortTerm()
	b.initPacing(w, s)
	b.setQuantum(w, s)
}

// initPacing is InitPacingRate: section 5.6.2. Without a round trip it is done
// again when there is one.
func (b *bbr) initPacing(w *ccWindow, s *ccSignal) {
	rtt := s.srtt
	b.measured = rtt > 0
	if rtt <= 0 {
		rtt = time.Millisecond
	}
	w.pacing = uint64(bbrGains[bbrStartup].pacing * float64(b.initialCwnd) / rtt.Seconds())
}

// ack is UpdateOnACK: section 5.2.3.
func (b *bbr) ack(w *ccWindow, s *ccSignal) {
	if !b.measured && s.srtt > 0 {
		b.initPacing(w, s)
	}
	if s.rate.newlyAcked == 0 {
		return
	}
	b.noteLimit(w, s)
	b.updateLatest(s)
	b.updateCongestion(w, s)
	b.updateAggregation(w, s)
	b.checkFullBW(s)
	b.checkStartupDone(w, s)
	b.checkDrainDone(w, s)
	b.updateCycle(w, s)
	b.updateMinRTT(s)
	b.checkProbeRTT(w, s)
	b.advanceLatest(s)
	b.bw = min(b.maxBandwidth(), b.bwShort) // BoundBWForModel
	b.setPacing(w, s, bbrGains[b.state].pacing)
	b.setQuantum(w, s)
	b.setCwnd(w, s)
}

// noteLimit keeps C.is_cwnd_limited: the window was in full use at some time
// during a round trip.
func (b *bbr) noteLimit(w *ccWindow, s *ccSignal) {
	before := s.rate.inFlight + s.rate.newlyAcked + s.rate.newlyLost
	if before+max(w.quantum, s.mss) > w.cwnd && s.limited {
		b.limitedNow = true
	}
}

func (b *bbr) cwndLimited() bool { return b.limitedNow || b.limitedBefore }

// setPacing is SetPacingRateWithGain: section 5.6.2. The least window may leave
// in each round trip, as section 5.6.4 means it to: a sample that a timeout was
// part of can make the estimate so small that segments are further apart than
// timeouts, and then it learns nothing better for long.
func (b *bbr) setPacing(w *ccWindow, s *ccSignal, gain float64) {
	rate := uint64(gain * float64(b.bw) * bbrMargin)
	if s.srtt > 0 {
		rate = max(rate, uint64(float64(bbrMinPipe*s.mss)/s.srtt.Seconds()))
	}
	switch {
	case !b.fullBWReached:
		w.pacing = max(w.pacing, rate)
	case rate > 0:
		w.pacing = rate
	}
}

// setQuantum is section 5.6.3.
func (b *bbr) setQuantum(w *ccWindow, s *ccSignal) {
	w.quantum = uint32(max(min(w.pacing/1000, bbrMaxQuantum), uint64(2*s.mss)))
}

// multiple is BDPMultiple: section 5.6.4.2.
func (b *bbr) multiple(bw uint64, gain float64) uint32 {
	if b.minRTT == bbrNoTime {
		return b.initialCwnd
	}
	return uint32(min(gain*float64(bw)*b.minRTT.Seconds(), maxCwnd))
}

func (b *bbr) bdp() uint32 { return b.multiple(b.bw, 1) }

// quantize is QuantizationBudget: section 5.6.4.2.
func (b *bbr) quantize(w *ccWindow, s *ccSignal, size uint32) uint32 {
	size = max(size, 3*w.quantum, bbrMinPipe*s.mss)
	if b.state == bbrUp {
		size += 2 * s.mss
	}
	return size
}

func (b *bbr) inflight(w *ccWindow, s *ccSignal, bw uint64, gain float64) uint32 {
	return b.quantize(w, s, b.multiple(bw, gain))
}

// setCwnd is section 5.6.4.6.
func (b *bbr) setCwnd(w *ccWindow, s *ccSignal) {
	size := b.multiple(b.bw, bbrGains[b.state].cwnd)
	b.maxInflight = b.quantize(w, s, size+max(b.extraAcked[0], b.extraAcked[1]))
	switch {
	case b.fullBWReached:
		w.cwnd = min(w.cwnd+s.rate.newlyAcked, b.maxInflight)
		w.ssthresh = b.maxInflight // for another algorithm that takes over
	case w.cwnd < b.maxInflight || s.delivered < uint64(b.initialCwnd):
		w.cwnd += s.rate.newlyAcked
	}
	w.cwnd = max(w.cwnd, bbrMinPipe*s.mss)
	if b.state == bbrProbeRTT {
		w.cwnd = min(w.cwnd, b.probeRTTCwnd(s))
	}
	b.boundCwnd(w, s)
}

func (b *bbr) probeRTTCwnd(s *ccSignal) uint32 {
	return max(b.multiple(b.bw, bbrGains[bbrProbeRTT].cwnd), bbrMinPipe*s.mss)
}

// boundCwnd is BoundCwndForModel: section 5.6.4.7.
func (b *bbr) boundCwnd(w *ccWindow, s *ccSignal) {
	limit := uint32(bbrNoSize)
	switch b.state {
	case bbrDown, bbrRefill, bbrUp:
		limit = b.inflightLong
	case bbrProbeRTT, bbrCruise:
		limit = b.withHeadroom(s)
	}
	w.cwnd = min(w.cwnd, max(min(limit, b.inflightShort), bbrMinPipe*s.mss))
}

// withHeadroom is InflightWithHeadroom: section 5.3.3.9.
func (b *bbr) withHeadroom(s *ccSignal) uint32 {
	if b.inflightLong == bbrNoSize {
		return bbrNoSize
	}
	room := max(s.mss, uint32(bbrHeadroom*float64(b.inflightLong)))
	return max(b.inflightLong-min(room, b.inflightLong), bbrMinPipe*s.mss)
}

// targetInflight is section 5.3.3.8.
func (b *bbr) targetInflight(w *ccWindow) uint32 { return min(b.bdp(), w.cwnd) }

// restart is HandleRestartFromIdle: section 5.4.1.
func (b *bbr) restart(w *ccWindow, s *ccSignal) {
	if !s.rate.appLimited {
		return
	}
	b.idleRestart = true
	b.aggrAt, b.aggrDelivered = s.now, 0
	switch {
	case b.probing():
		b.setPacing(w, s, 1)
	case b.state == bbrProbeRTT:
		b.checkProbeRTTDone(w, s)
	}
}
