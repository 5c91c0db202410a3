package tcp

// The handshake of accurate ECN: RFC 9768 sections 3.1 and 3.2.2.1. Each side
// tells with which codepoint the other's SYN or SYN-ACK arrived, so that what a
// path does to the ECN field shows before it does harm.

import (
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// plainTries is from which retransmission on a SYN-ACK goes without ECN, as
// something may drop those that have it: section 3.2.3.2.2. The first one goes
// without the option.
const plainTries = 2

// handshakeACE tells of the codepoint of a SYN or SYN-ACK: tables 2 and 3.
var handshakeACE = [...]wire.TCPFlags{
	notECT: wire.TCPCwr,
	ect1:   wire.TCPCwr | wire.TCPEce,
	ect0:   wire.TCPAe,
	ecnCE:  wire.TCPAe | wire.TCPCwr,
}

// markOfACE is its inverse; ok is false for values that tell of none.
func markOfACE(f wire.TCPFlags) (mark uint8, ok bool) {
	for m, g := range handshakeACE {
		if f&ecnFlags == g {
			return uint8(m), true
		}
	}
	return 0, false
}

// newAccECN begins accurate feedback: section 3.2.1.
func newAccECN(peerSYN uint8) *accECN {
	a := &accECN{rcep: aceFirst, peerSYN: peerSYN}
	a.rbytes = [numCounts]uint32{1, 0, 1}
	a.scep, a.sbytes = aceFirst, a.rbytes
	return a
}

// ecnOfAnswer is what the flags of a SYN-ACK agree to for who has asked for
// accurate feedback (table 2), and with which codepoint our SYN arrived.
func ecnOfAnswer(f wire.TCPFlags) (mode ecnMode, mark uint8) {
	if f&ecnFlags == wire.TCPAe|wire.TCPEce {
		return ecnAccurate, notECT // section 3.1.3: reserved, taken as unchanged
	}
	if f&ecnFlags == wire.TCPEce {
		return ecnClassic, notECT
	}
	if mark, ok := markOfACE(f); ok {
		return ecnAccurate, mark
	}
	return ecnOff, notECT // none, or the flags of the SYN reflected
}

// accAnswered takes a SYN-ACK that agrees to accurate feedback and says that our
// SYN, which was not ECN-capable, arrived with the codepoint mark.
func (c *conn) accAnswered(rx *Rx, mark uint8) {
	c.agreeECN(ecnAccurate, rx.TOS&ecnMask)
	e, a := c.ecn, c.ecn.acc
	e.noECT = mark != notECT // section 3.2.2.3
	a.early = mark == ecnCE
	a.third, a.hello = true, true
	if a.peerSYN == ecnCE {
		a.rcep++
	}
	a.readCounts(&rx.Header.AccECN)
}

// answerAgain is for a SYN-ACK that arrives once more, as our acknowledgement of
// it was lost: section 3.2.2.1 for its encoding, 3.2.3.2.2 for the option, which
// may be why.
func (c *conn) answerAgain(rx *Rx) {
	a, h := c.accurate(), &rx.Header
	const synAck = wire.TCPSyn | wire.TCPAck
	if a == nil || c.flags&flagActive == 0 || h.Flags&synAck != synAck || h.Seq != c.irs || h.Ack != c.iss+1 {
		return
	}
	if mode, _ := ecnOfAnswer(h.Flags); mode != ecnAccurate {
		return
	}
	a.third, a.mute = true, true
	if a.peerSYN = rx.TOS & ecnMask; a.peerSYN == ecnCE && a.rcep == aceFirst {
		a.rcep++
	}
}

// thirdStep takes the first segment that acknowledges our SYN-ACK: table 4, if it
// is pure.
func (c *conn) thirdStep(h *wire.TCP, payload int) {
	a := c.accurate()
	if a == nil || payload > 0 || h.NSACK > 0 || h.Flags&(wire.TCPSyn|wire.TCPFin) != 0 {
		return
	}
	a.skip = true
	a.lastTS = h.TSVal
	a.readCounts(&h.AccECN)
	if h.Flags&ecnFlags == 0 {
		// Note 1: the peer seems to have no ECN.
		c.ecn.noECT, a.deaf = true, true
		c.l.counters.AccECNBroken++
		return
	}
	mark, ok := markOfACE(h.Flags)
	if ok && mark != notECT {
		c.ecn.noECT = true // section 3.2.2.3: the SYN-ACK was not ECN-capable
	}
	if mark == ecnCE {
		a.scep++
		a.early = true
	}
}

// beginECN responds to congestion that the handshake told of, once there is a
// window.
func (c *conn) beginECN() {
	if a := c.accurate(); a != nil && a.early {
		c.l.counters.ECNReductions++
		c.reduceForMarks(c.now())
	}
}

// stampSYN puts into a SYN-ACK what mode answers to a SYN with the codepoint mark,
// after tries retransmissions. It reports whether the answer is without ECN
// although it was agreed on.
func (l *Layer) stampSYN(t *wire.TCP, mode ecnMode, mark, tries uint8, again bool) (plain bool) {
	switch {
	case mode == ecnClassic && l.gaveUpECNAnswer(tries):
		return true
	case mode == ecnClassic:
		t.Flags |= wire.TCPEce
	case mode == ecnAccurate && tries >= plainTries && l.tun.ECNFallback:
		return true
	case mode == ecnAccurate:
		t.Flags |= handshakeACE[mark]
		if tries == 0 && !again && l.tun.ECNOption != 0 {
			t.AccECN = wire.AccECN{Present: true, N: numCounts, Fields: [numCounts]uint32{1, 0, 1}}
		}
	}
	return false
}

// ecnConflict reports whether a repetition of a SYN that led to mode would lead to
// the other kind: section 3.1.5 has that connection reset.
func ecnConflict(mode, again ecnMode) bool {
	return mode != ecnOff && again != ecnOff && again != mode
}

// ecnRepeated is for a repetition of a SYN that we answer. RFC 3168 section
// 6.1.1: after one without ECN, which the peer sends when those with it seem to be
// lost, the connection goes without. RFC 9768 section 3.1.5: it tells of marks as
// before, and sends nothing that can be marked.
func (c *conn) ecnRepeated(f wire.TCPFlags, mark uint8) {
	e := c.ecn
	switch {
	case e == nil:
	case e.asked == ecnOff && ecnConflict(e.mode, ecnAgree(f, c.l.ecnAccepts(c.cc.info()))):
		c.sendReset()
		c.fail(errno.ECONNRESET)
	case e.mode == ecnClassic && f&ecnFlags == 0:
		c.ecn = nil
	case e.mode == ecnAccurate:
		e.acc.peerSYN = mark
		e.acc.mute = true
		e.noECT = e.noECT || f&ecnFlags == 0
	}
}

// halfECN is what a half-open connection keeps.
type halfECN struct {
	synMark      uint8 // codepoint of the latest SYN
	again, noECT bool  // it came again; a SYN or SYN-ACK went without ECN
}

// repeatedECN is ecnRepeated for a half-open connection; false: it is reset.
func (h *halfOpen) repeatedECN(f wire.TCPFlags, mark uint8) bool {
	switch {
	case ecnConflict(h.opts.ecn, h.agreesECN(f, h.options())):
		return false
	case h.opts.ecn == ecnClassic && f&ecnFlags == 0:
		h.opts.ecn = ecnOff
	}
	h.ecn.again, h.ecn.synMark = true, mark
	h.ecn.noECT = h.ecn.noECT || f&ecnFlags == 0
	return true
}
