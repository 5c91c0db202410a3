package tcp

// Congestion control as RFC 5681 frames it: an algorithm is a small type that is
// told what happens and decides how much may be in the network and how fast it
// goes there. Loss detection and the rest of the connection do not know which one
// runs; what they do have to know is in the table of capabilities.

import (
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
)

// maxCwnd bounds the window, in bytes: beyond the largest window that can be
// offered it has no meaning. As slow start threshold it means none yet.
const maxCwnd = 1 << 30

// A ccWindow is what an algorithm decides. It is part of the connection.
type ccWindow struct {
	cwnd, ssthresh uint32 // bytes
	quantum        uint32 // bytes that may leave at once while paced; 0: any
	restrained     bool   // what is sent tells nothing of the path: see draft-ietf-ccwg-bbr section 5.3.4.3
	pacing         uint64 // bytes per second; 0: not paced
}

func (w *ccWindow) slowStart() bool { return w.cwnd < w.ssthresh }

// A ccSignal is an event and the connection as it is then. It is valid during
// the call. All sizes are bytes.
type ccSignal struct {
	now  time.Duration
	srtt time.Duration // 0: not measured yet
	idle time.Duration // restart: since something was sent
	seed uint64        // start: for algorithms that draw lots

	una, nxt uint32 // SND.UNA after the event, SND.NXT; lost: the transmission
	mss      uint32 // payload of a full segment
	burst    uint32 // largest payload that is sent at once
	flight   uint32 // outstanding: FlightSize of RFC 5681
	acked    uint32 // ack: newly acknowledged in order

	delivered uint64 // C.delivered: since the connection began

	priorCwnd, priorSsthresh uint32 // undo: as they were before the reduction

	limited    bool // ack: the window held output back
	recovering bool // ack: loss recovery owns the window, it must not grow
	afterLoss  bool // ack: slow start after a timeout
	undone     bool // recovered: the reduction was taken back meanwhile
	again      bool // timeout: of a segment that timed out before
	paced      bool // segments do not leave in bursts
	sack       bool // several losses of one window can be told apart

	rate rateSample // ack, lost: what was delivered, lost, marked
}

// A congestion is one algorithm with the state of one connection. Each method
// may change the window; none may keep a pointer that it was given. Methods that
// an algorithm has no use for come from ccBase.
type congestion interface {
	info() *ccInfo
	// start is called once the connection is established, with the initial
	// window, or when the algorithm takes over a connection that lives: then with
	// the window and threshold of its predecessor, without pacing.
	start(w *ccWindow, s *ccSignal)
	// ack is called for every acknowledgement that delivers something, after loss
	// detection and the other methods that it may lead to.
	ack(w *ccWindow, s *ccSignal)
	// lost is called for each transmission that is taken for lost, if the table
	// says so: s.rate tells of that transmission, newlyLost is its size.
	lost(w *ccWindow, s *ccSignal)
	// loss is called at the start of fast recovery, once for a window: it sets the
	// threshold and the window that recovery is to end with.
	loss(w *ccWindow, s *ccSignal)
	// ce is called for congestion marks instead of loss, once for a window (RFC
	// 3168 section 6.1.2).
	ce(w *ccWindow, s *ccSignal)
	// recovered is called when fast recovery, or recovery from a timeout, ends.
	recovered(w *ccWindow, s *ccSignal)
	// timeout is called when the retransmission timer expired; s.again tells that
	// it did for the same segment before, so that only the window is set.
	timeout(w *ccWindow, s *ccSignal)
	// undo is called when the last reduction turns out to have been needless.
	undo(w *ccWindow, s *ccSignal)
	// restart is called before sending when nothing is in flight: for those that
	// own their window always, for others after a retransmission timeout's time.
	restart(w *ccWindow, s *ccSignal)
}

// A ccInfo is the row of an algorithm in the table.
type ccInfo struct {
	name    string
	aliases []string // by which other systems know it
	make    func() congestion

	// What the connection has to do for it.
	pacing    bool // spread segments by ccWindow.pacing
	ecn       bool // ask for ECN, and for the count of marked bytes (RFC 8257)
	ownWindow bool // leave the window alone in recovery and after idling
	wantsLost bool // call lost

	params []ccParam
}

// congestions is the table. The first row is the default.
var congestions = []*ccInfo{&cubicInfo, &newRenoInfo, &bbrInfo, &dctcpInfo, &htcpInfo, &vegasInfo, &cdgInfo}

func congestionByName(name string) *ccInfo {
	for _, i := range congestions {
		if i.name == name || slices.Contains(i.aliases, name) {
			return i
		}
	}
	return nil
}

// CongestionNames lists what TCP_CONGESTION may name, the default first.
func CongestionNames() []string {
	var names []string
	for _, i := range congestions {
		names = append(names, i.name)
	}
	return names
}

// knowsCongestion reports whether name, or what it is an alias of, is in the
// table.
func knowsCongestion(name string) bool { return congestionByName(name) != nil }

func newCongestion(name string) congestion {
	i := congestionByName(name)
	if i == nil {
		i = congestions[0]
	}
	return i.make()
}

// ccBase answers as most algorithms do.
type ccBase struct{}

func (ccBase) start(*ccWindow, *ccSignal) {}
func (ccBase) lost(*ccWindow, *ccSignal)  {}

// recovered leaves the window that the reduction chose: RFC 6582 section 3.2
// step 3, full acknowledgement; RFC 6937 section 3.
func (ccBase) recovered(w *ccWindow, s *ccSignal) {
	if !s.afterLoss && !s.undone && w.ssthresh < maxCwnd {
		w.cwnd = w.ssthresh
	}
}

// undo takes back the reduction: RFC 4015 section 3.
func (ccBase) undo(w *ccWindow, s *ccSignal) {
	w.cwnd = max(w.cwnd, s.priorCwnd)
	w.ssthresh = max(w.ssthresh, s.priorSsthresh)
}

func (ccBase) restart(*ccWindow, *ccSignal) {}

// collapse is the window after a timeout: RFC 5681 section 3.1, the loss window.
func (w *ccWindow) collapse(s *ccSignal) { w.cwnd = s.mss }

// backOff makes a fraction of base the threshold and the window, at least two
// segments: RFC 5681 equation 4.
func (w *ccWindow) backOff(s *ccSignal, base uint32, fraction float64) {
	w.ssthresh = max(uint32(float64(base)*fraction), 2*s.mss)
	w.cwnd = w.ssthresh
}

// slowStartLimit is L of RFC 3465 section 2.3 in segments, for senders that do
// not pace: RFC 9406 section 4.2.
const slowStartLimit = 8

// growth is how much one acknowledgement may add to the window in slow start.
// RFC 3465 section 2.3: one segment after a timeout. Otherwise L segments, or
// what is sent at once, which is acknowledged at once as well: that is no burst
// of acknowledgements that were lost.
func (w *ccWindow) growth(s *ccSignal) uint32 {
	switch {
	case s.afterLoss:
		return min(s.acked, s.mss)
	case s.paced:
		return s.acked
	}
	return min(s.acked, max(slowStartLimit*s.mss, s.burst))
}

// climb is slow start: RFC 5681 section 3.1, by bytes (RFC 3465). It returns what
// is left of the acknowledged bytes for congestion avoidance.
func (w *ccWindow) climb(s *ccSignal) (left uint32) {
	if !w.slowStart() {
		return s.acked
	}
	n := w.growth(s)
	if room := w.ssthresh - w.cwnd; n >= room {
		w.cwnd = w.ssthresh
		return s.acked - room
	}
	w.cwnd += n
	return 0
}

// grows reports whether the acknowledgement may enlarge the window: RFC 5681
// section 3.1 and RFC 7661 section 4, a window that is not used tells nothing
// about the path.
func (s *ccSignal) grows() bool { return s.limited && !s.recovering && s.acked > 0 }

// A rounds tells round trips apart by sequence numbers: one ends when what was
// next to be sent at its start is acknowledged.
type rounds struct {
	end     uint32
	running bool
}

// next reports whether a round ended with s, and starts another.
func (r *rounds) next(s *ccSignal) bool {
	if r.running && seqLT(s.una, r.end) {
		return false
	}
	ended := r.running
	r.end, r.running = s.nxt, true
	return ended
}

// lots is a generator for one connection's decisions (SplitMix64).
type lots uint64

func (l *lots) next() uint64 {
	*l += 0x9e3779b97f4a7c15
	z := uint64(*l)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// share is a number in [0, 1).
func (l *lots) share() float64 { return float64(l.next()>>11) / (1 << 53) }

// congestionNames leaves of a profile's list what the stack has.
func congestionNames(p *sockopt.Profile) []string {
	return slices.DeleteFunc(slices.Clone(p.Congestion), func(n string) bool { return !knowsCongestion(n) })
}
