package tcp

// Accurate ECN, the sender's side: RFC 9768 sections 3.2.2.3 to 3.2.2.5 and
// 3.2.3.1 to 3.2.3.2. The counters of the peer are followed; of the packets' only
// three bits arrive, so that an acknowledgement of many packets may hide rounds of
// it.

import (
	"github.com/tcpcni/tcpcni/netstack/wire"
)

const (
	// ackThinning is from how many packets for an acknowledgement on, on average, in
	// 1/64, many at once are the peer's way and no sign of lost acknowledgements.
	ackThinning = 4 << 6
	// markedRounds is for how many rounds everything may be marked before the marks
	// are taken for a fault of the path: section 3.2.2.3.
	markedRounds = 4
)

// accSender is what a sender of text keeps.
type accSender struct {
	scep     uint32
	sbytes   [numCounts]uint32 // s.e0b, s.ceb, s.e1b
	lastTS   uint32            // timestamp of the last feedback
	perAck   uint16            // packets for an acknowledgement, on average, in 1/64
	rounds   uint8
	roundEnd uint32 // Valid iff rounds: SND.NXT when the present one began
	ceBytes  uint64 // that were marked since the connection began
	first    bool   // the first ACE field after the handshake has been seen
	skip     bool   // the segment that is looked at has the encoding of the handshake
	options  bool   // the peer's option has arrived
	ignored  bool   // it is wrong and not looked at
	deaf     bool   // marks are not heeded: what tells of them is broken
	early    bool   // the handshake told of congestion
}

// freshACE reports whether an acknowledgement is later than what was looked at
// before: it delivers something, or its timestamp says so.
func (c *conn) freshACE(h *wire.TCP, sacked uint32) bool {
	a := c.accurate()
	if a.skip {
		a.skip = false
		return false
	}
	if h.Ack == c.sndUna && sacked == 0 && (c.flags&flagTS == 0 || !seqLT(a.lastTS, h.TSVal)) {
		return false
	}
	a.lastTS = h.TSVal
	return true
}

// readACE finds out whether an acknowledgement tells of marks at all.
func (c *conn) readACE(h *wire.TCP, sacked uint32) {
	a, s := c.accurate(), &c.l.sample
	if s.feedback = c.freshACE(h, sacked); !s.feedback {
		return
	}
	if !a.first {
		// Section 3.2.2.4: the counter starts above zero, and so few packets cannot
		// have brought it round.
		a.first = true
		if ace(h.Flags) == 0 && h.Ack-c.sndUna <= 2*uint32(c.mss) {
			c.ecn.noECT, a.deaf = true, true
			c.l.counters.AccECNBroken++
		}
	}
	s.marked = !a.deaf && ace(h.Flags) != a.scep&aceMask
}

// countACE follows the peer's counters by an acknowledgement that readACE has
// found to be fresh, once it is known what it delivers.
func (c *conn) countACE(h *wire.TCP) {
	a, s := c.accurate(), &c.l.sample
	if !s.feedback {
		return
	}
	ceb, option := a.readCounts(&h.AccECN)
	delta := (ace(h.Flags) - a.scep) & aceMask
	marks := a.unwrap(delta, s.segs, ceb, s.newlyAcked, option)
	a.scep += marks
	if s.segs > 0 {
		a.perAck = uint16(int(a.perAck) + (int(min(s.segs, 1<<9))<<6-int(a.perAck))/8)
	}
	if !option {
		ceb = min(marks*uint32(c.mss), s.newlyAcked)
	} else if ceb > 0 && delta == 0 && s.segs <= aceMask && c.caState == caOpen {
		// Section 3.2.3.2.5: bytes were marked and no packet. Something on the path
		// changes the one or the other.
		c.ecn.noECT = true
	}
	c.checkMarkedAll(ceb)
	s.marked = !a.deaf && (marks > 0 || ceb > 0)
	if !s.marked {
		return
	}
	s.ceBytes = ceb
	c.ecn.deliveredCE += marks
	c.l.counters.DeliveredCE += uint64(marks)
}

// readCounts takes the bytes that an option counts; ok is false without a valid
// one.
func (a *accSender) readCounts(o *wire.AccECN) (ceb uint32, ok bool) {
	if !o.Present || a.ignored {
		return 0, false
	}
	now := a.sbytes
	o.Bytes(&now[countE0], &now[countCE], &now[countE1])
	if !a.options {
		a.options = true
		if now[countE0] == 0 || now[countE1] == 0 {
			a.ignored = true // section 3.2.3.2.4: these start above zero
			return 0, false
		}
	}
	ceb = (now[countCE] - a.sbytes[countCE]) & wire.AccECNMask
	if int32(ceb<<8) < 0 {
		return 0, false // backwards
	}
	for i, n := range now {
		a.sbytes[i] += (n - a.sbytes[i]) & wire.AccECNMask
	}
	return ceb, true
}

// unwrap is how many packets were marked, when the three bits have moved by
// delta, segs packets were acknowledged and ceb bytes of bytes were marked if
// option says so: section 3.2.2.5.2 and appendix A.2.
func (a *accSender) unwrap(delta, segs, ceb, bytes uint32, option bool) uint32 {
	most := max(segs, delta)
	safest := most - (most-delta)&aceMask // so few packets as aceMask cannot hide a round
	switch {
	case option:
		// The nearest number with these three bits, by packets of average size.
		guess := uint32((uint64(ceb)*uint64(segs) + uint64(bytes)/2) / uint64(max(bytes, 1)))
		return min(delta+(max(guess, delta)-delta+4)&^aceMask, safest)
	case a.perAck > ackThinning:
		return delta // the peer acknowledges so many at once as a rule
	}
	return safest
}

// checkMarkedAll takes marks for a fault when in the first rounds there was
// nothing else: section 3.2.2.3.
func (c *conn) checkMarkedAll(ceb uint32) {
	a := c.accurate()
	a.ceBytes += uint64(ceb)
	// Before anything was delivered there is nothing that could be marked.
	if a.deaf || a.ceBytes < max(c.delivered, 1) || a.rounds > 0 && seqLT(c.sndUna, a.roundEnd) {
		return
	}
	a.roundEnd = c.sndNxt
	if a.rounds++; a.rounds > markedRounds {
		a.deaf, c.ecn.noECT = true, true
		c.l.counters.AccECNBroken++
	}
}
