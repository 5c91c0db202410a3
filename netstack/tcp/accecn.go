package tcp

// Accurate ECN, the receiver's side: RFC 9768. The receiver counts the packets
// that arrive marked, and the bytes that arrive with each codepoint, and repeats
// the counts: three bits of the first in the ACE field, which takes the place of
// the flags AE, CWR and ECE in every segment but SYNs, 24 bits of the others in an
// option. What the sender makes of it is in accecnack.go, the handshake in
// accecnsyn.go.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

const (
	// aceMask are the bits of the packet counter that the ACE field carries.
	aceMask = 7
	// aceFirst is where that counter starts: section 3.2.1.
	aceFirst = 5
	// optionBytes is after how many bytes of one count the option is repeated, at
	// the latest: section 3.2.3.3.
	optionBytes = 1 << 21
	// optionRepeats is how much text arrives twice before options count as what
	// keeps our acknowledgements from arriving: section 3.2.3.2.2.
	optionRepeats = 3
)

// Counters of the option, in the order of kind 172.
const (
	countE0 = iota
	countCE
	countE1
	numCounts
)

// accECN is the state of RFC 9768, the names of the counters are its own.
type accECN struct {
	// As a receiver of text.
	rcep       uint32
	rbytes     [numCounts]uint32 // r.e0b, r.ceb, r.e1b
	changed    uint8             // bits of the counters that ever changed
	fresh      uint8             // since the last option
	freshBytes uint32
	marks      uint32 // CE marks since the last acknowledgement
	peerSYN    uint8  // codepoint of the SYN or SYN-ACK that arrived last
	repeats    uint8  // text that arrived twice
	lastCE     bool   // the last packet was marked
	third      bool   // the next pure acknowledgement has the encoding of the handshake
	hello      bool   // the first text is to carry an option
	due        bool   // an option wants an acknowledgement of its own
	mute       bool   // options seem to be dropped: none are sent
	optionAt   uint32 // when the last option went, in milliseconds of the layer's clock

	// As a sender of text.
	accSender
}

// ace is the value of the flags as a counter.
func ace(f wire.TCPFlags) uint32 {
	n := uint32(f&wire.TCPEce) / uint32(wire.TCPEce)
	n |= uint32(f&wire.TCPCwr) / uint32(wire.TCPCwr) << 1
	return n | uint32(f&wire.TCPAe)/uint32(wire.TCPAe)<<2
}

// aceFlags is the inverse of ace.
var aceFlags = [aceMask + 1]wire.TCPFlags{
	0, wire.TCPEce, wire.TCPCwr, wire.TCPCwr | wire.TCPEce,
	wire.TCPAe, wire.TCPAe | wire.TCPEce, wire.TCPAe | wire.TCPCwr, ecnFlags,
}

// accurate is the state of RFC 9768, nil without it.
func (c *conn) accurate() *accECN {
	if c.ecn == nil {
		return nil
	}
	return c.ecn.acc
}

// countMarks counts an acceptable segment, without SYN, of the peer's: section
// 3.2, and decides whether it wants an acknowledgement: section 3.2.2.5.1. A
// merged frame is one event.
func (c *conn) countMarks(rx *Rx) {
	a := c.accurate()
	if a == nil {
		return
	}
	mark, n := rx.TOS&ecnMask, uint32(len(rx.Payload))
	ce := mark == ecnCE
	was := a.lastCE
	a.lastCE = ce
	if mark != notECT && n > 0 {
		c.ecn.seen = true
		a.count([...]int{ect1: countE1, ect0: countE0, ecnCE: countCE}[mark], n)
	}
	if !ce {
		return
	}
	segs := uint32(segments(rx))
	a.rcep += segs
	a.marks += segs
	c.ecn.countCE(c.l, int(segs))
	most := uint32(3)
	if n > 0 || c.unacked > 0 {
		most = 2
	}
	if n > 0 && !was {
		a.due = true
		c.ackNow() // change-triggered
	}
	if a.marks >= most {
		c.ackNow() // increment-triggered
	}
}

func (a *accECN) count(i int, n uint32) {
	a.rbytes[i] += n
	a.changed |= 1 << i
	a.fresh |= 1 << i
	if a.freshBytes += n; a.freshBytes >= optionBytes {
		a.due = true
	}
}

// stampACE puts the counter into a segment.
func (a *accECN) stampACE(h *wire.TCP) {
	h.Flags |= aceFlags[a.rcep&aceMask]
	a.marks = 0
}

// oneByOne reports whether segments must not leave in super-segments: what cuts
// them clears CWR on all but the first, which is a bit of the counter here.
func (c *conn) oneByOne() bool {
	a := c.accurate()
	return a != nil && aceFlags[a.rcep&aceMask]&wire.TCPCwr != 0
}

// ackFirst reports whether a pure acknowledgement goes before text that could
// carry it: one with the encoding of the handshake (section 3.2.2.1), or one that
// has room for an option that cannot wait.
func (c *conn) ackFirst() bool {
	a := c.accurate()
	return a != nil && (a.third || a.due && !a.mute)
}

// stampThird gives the acknowledgement of a SYN-ACK its encoding: section 3.2.2.1,
// for a pure one without SACK.
func (c *conn) stampThird(h *wire.TCP) {
	a := c.accurate()
	if a == nil || !a.third {
		return
	}
	a.third = false
	if h.NSACK == 0 {
		h.Flags = h.Flags&^ecnFlags | handshakeACE[a.peerSYN]
	}
}

// stampCounts adds the option to a segment with n bytes of text: section 3.2.3.3,
// the simple scheme. What does not fit behind SACK blocks and before the text is
// left out, whole.
func (c *conn) stampCounts(h *wire.TCP, n uint32) {
	a := c.accurate()
	if a == nil || a.mute || a.fresh == 0 && !a.hello && !c.repeatsCounts(a) {
		return
	}
	if c.l.tun.ECNOption == 0 {
		a.fresh, a.freshBytes, a.due, a.hello = 0, 0, false, false
		return
	}
	room := min(wire.TCPMaxHeader-h.HeaderLen(), int(c.mss)-int(n))
	if a.put(&h.AccECN, room) {
		a.fresh, a.freshBytes, a.due = 0, 0, false
		a.optionAt = clockMillis(c.now())
	}
	a.hello = a.hello && n == 0
}

// repeatsCounts reports whether the option goes although nothing has changed since
// the last one: wherever there is room, or so many times in a round trip, as the
// tunables tcp_ecn_option and tcp_ecn_option_beacon say (section 3.2.3.3).
func (c *conn) repeatsCounts(a *accECN) bool {
	if a.changed == 0 {
		return false
	}
	beacon := uint32(c.l.tun.ECNOptionBeacon)
	since := time.Duration(clockMillis(c.now())-a.optionAt) * time.Millisecond
	return c.l.tun.ECNOption == 2 || beacon > 0 && since > 0 && since*time.Duration(beacon) >= c.srtt
}

// put fills in the option, at best with every counter that ever changed, at least
// with those that have since the last option; false: there is no room for it.
func (a *accECN) put(o *wire.AccECN, room int) bool {
	order := [numCounts]int{countE0, countCE, countE1}
	o.ECT1 = a.changed&(1<<countE0|1<<countE1) == 1<<countE1
	if o.ECT1 {
		order = [numCounts]int{countE1, countCE, countE0}
	}
	least, most := 0, 0
	for i, k := range order {
		if a.fresh&(1<<k) != 0 {
			least = i + 1
		}
		if a.changed&(1<<k) != 0 {
			most = i + 1
		}
		o.Fields[i] = a.rbytes[k] & wire.AccECNMask
	}
	if a.hello {
		most = numCounts
	}
	for n := most; n >= least; n-- {
		if (2+3*n+3)&^3 <= room {
			o.Present, o.N = true, uint8(n)
			return true
		}
	}
	return false
}

// arrivedTwice is for text that had arrived before. If it does so again and again
// our acknowledgements may be what is lost, for the option that they carry.
func (c *conn) arrivedTwice() {
	if a := c.accurate(); a != nil && !a.mute && a.changed != 0 {
		a.repeats++
		a.mute = a.repeats >= optionRepeats
	}
}

// info fills in what struct tcp_info tells of it. The counters that start at one
// are shown from zero on.
func (a *accECN) info(i *sockopt.TCPInfo) {
	i.ReceivedE0Bytes, i.ReceivedCEBytes, i.ReceivedE1Bytes = a.rbytes[countE0]-1, a.rbytes[countCE], a.rbytes[countE1]-1
	i.DeliveredE0Bytes, i.DeliveredCEBytes, i.DeliveredE1Bytes = a.sbytes[countE0]-1, a.sbytes[countCE], a.sbytes[countE1]-1
	switch {
	case a.ignored:
		i.AccECNFailMode |= sockopt.TCPInfoOptionFail
		i.AccECNOptSeen = sockopt.TCPInfoOptionFailSeen
	case a.options:
		i.AccECNOptSeen = sockopt.TCPInfoOptionSeen
	}
	if a.deaf {
		i.AccECNFailMode |= sockopt.TCPInfoACEFail
	}
	if a.mute {
		i.AccECNFailMode |= sockopt.TCPInfoOptionFailSend
	}
}
