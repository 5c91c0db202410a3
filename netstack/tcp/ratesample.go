package tcp

// What one acknowledgement says about the rate of delivery: the rate sample of
// draft-ietf-ccwg-bbr, sections 4.1 and 5.5. Who keeps transmit records fills it
// in; congestion control reads it.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A rateSample is made for every acknowledgement that delivers something, in
// order or by SACK. The names are the draft's. All sizes are bytes. A sample
// without interval has no rate: nothing in it was measurable, but the counts
// of what this acknowledgement did hold all the same.
type rateSample struct {
	// Of the newest segment that was delivered: P.delivered, what had been
	// delivered in all when it was sent (P.lost, P.tx_in_flight likewise).
	priorDelivered uint64
	delivered      uint64        // since then: C.delivered - P.delivered
	lost           uint64        // since then: C.lost - P.lost
	interval       time.Duration // over which delivered arrived; 0: no rate
	rtt            time.Duration // from its transmission to now; 0: it was sent twice
	priorInFlight  uint32        // in flight just after it was sent: P.tx_in_flight
	appLimited     bool          // the program, not the network, set the rate

	// Of this acknowledgement.
	newlyAcked uint32 // delivered by it, in order or by SACK
	newlyLost  uint32 // taken for lost on it
	inFlight   uint32 // in flight after it: C.inflight
	ceBytes    uint32 // of newlyAcked, those that met congestion (ECN)
}

// rate is the delivery rate in bytes per second; 0: none.
func (r *rateSample) rate() uint64 {
	if r.interval <= 0 {
		return 0
	}
	return uint64(float64(r.delivered) / r.interval.Seconds())
}

// sampling is the work on the sample of one acknowledgement. A layer has one,
// as it looks at one acknowledgement at a time.
type sampling struct {
	rateSample
	any                     bool // something measurable was delivered
	lastEnd                 uint32
	sentAt, deliveredAt     time.Duration // of the newest segment: when it was sent, C.delivered_time then
	sendElapsed, ackElapsed time.Duration
	rexmt                   bool
	firstAcked              time.Duration // when the first segment was sent that is acknowledged in order
	rexmtAcked              bool          // one of those was sent more than once
	original, beyond        bool          // something sent once arrived: below, above the recovery point
	hasEcho                 bool
	echo                    uint32 // TSecr
	fackBefore              uint32 // RACK.fack before this acknowledgement
	priorLost               uint64
	lostBefore              uint64 // C.lost before this acknowledgement
	segs                    uint32 // that were delivered
	marked                  bool   // it tells of congestion marks
	feedback                bool   // its counts of marks are the latest
}

// beginSample is GenerateRateSample's start: an acknowledgement has arrived.
func (c *conn) beginSample(h *wire.TCP) {
	s := &c.l.sample
	*s = sampling{lostBefore: c.lostBytes, hasEcho: c.flags&flagTS != 0 && h.TSEcr != 0, echo: h.TSEcr}
	if c.log != nil {
		s.fackBefore = c.log.fack
	}
}

// stampRecord notes the state at transmission: section 4.1.2.2.
func (c *conn) stampRecord(r *txRecord, now time.Duration) {
	b := c.log
	r.sentAt, r.firstSent, r.deliveredAt = now, b.firstSent, b.deliveredAt
	r.delivered, r.lost = c.delivered, c.lostBytes
	r.inFlight = c.pipe()
	r.flags &^= recApp
	if c.appLimited != 0 {
		r.flags |= recApp
	}
}

// deliver takes n bytes of r as arrived: section 4.1.2.3, UpdateRateSample.
func (c *conn) deliver(r *txRecord, n uint32, now time.Duration) {
	s, b := &c.l.sample, c.log
	c.delivered += uint64(n)
	b.deliveredAt = now
	s.newlyAcked += n
	s.segs += uint32(r.segs)
	if r.flags&recRexmt == 0 {
		if seqLT(c.recover, r.end) {
			s.beyond = true
		} else {
			s.original = true
		}
	}
	c.rackDelivered(r, now)
	if s.any && (r.sentAt < s.sentAt || r.sentAt == s.sentAt && seqLEQ(r.end, s.lastEnd)) {
		return
	}
	s.any, s.lastEnd, s.sentAt = true, r.end, r.sentAt
	s.rateSample.priorDelivered, s.priorLost = r.delivered, r.lost
	s.priorInFlight = r.inFlight
	s.appLimited = r.flags&recApp != 0
	s.rexmt = r.flags&recRexmt != 0
	s.deliveredAt = r.deliveredAt
	s.sendElapsed = r.sentAt - r.firstSent
	s.ackElapsed = now - r.deliveredAt
	b.firstSent = r.sentAt
}

// endSample completes the sample once losses are known: section 4.1.2.3.
func (c *conn) endSample(now time.Duration) *rateSample {
	s := &c.l.sample
	if c.delivered > c.appLimited {
		c.appLimited = 0 // the bubble has left
	}
	s.newlyLost = uint32(c.lostBytes - s.lostBefore)
	s.inFlight = c.pipe()
	if s.any {
		s.delivered = c.delivered - s.priorDelivered
		s.lost = c.lostBytes - s.priorLost
		if !s.rexmt {
			s.rtt = max(now-s.sentAt, 1)
			c.leastRTT(s.rtt, now)
		}
		// Sections 4.1.2.1 and 4.1.2.3: the slower of both rates, and none over less
		// than a round trip, which a rate cannot be told from.
		if iv := max(s.sendElapsed, s.ackElapsed); c.minRTT == 0 || iv >= c.minRTT {
			s.interval = iv
		}
	}
	return &s.rateSample
}

// leastRTT keeps the least round trip of as long as tcp_min_rtt_wlen says: a path
// may become longer, and RFC 8985 section 6.2 step 1 leaves the span open.
func (c *conn) leastRTT(rtt, now time.Duration) {
	if c.minRTT == 0 || rtt <= c.minRTT || now-c.minRTTAt > c.l.tun.MinRTTWindow {
		c.minRTT, c.minRTTAt = rtt, now
	}
}

// noteAppLimited marks what is sent from now on as limited by the program if
// the program leaves the path idle: section 4.1.2.4.
func (c *conn) noteAppLimited() {
	if c.log != nil && c.log.lost > 0 || c.unsent() >= uint32(c.mss) {
		return
	}
	if pipe := c.pipe(); pipe < c.cwnd {
		c.appLimited = max(c.delivered+uint64(pipe), 1)
	}
}
