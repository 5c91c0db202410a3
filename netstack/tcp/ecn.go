package tcp

// Explicit congestion notification: RFC 3168 section 6.1. Who sends says in the
// IP header that it can be told of congestion by a mark (ECT); a router that would
// have to drop a packet marks it instead (CE); who receives the mark says so in
// the TCP header (ECE) until the sender tells that it has slowed down (CWR).
//
// How the ends agree is in ecnsyn.go, what happens when the path does not let them
// in ecnfallback.go. RFC 9768, which counts marks, is in accecn.go.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// Codepoints of the IP header's ECN field: RFC 3168 section 5.
const (
	ecnMask = 3
	notECT  = 0
	ect1    = 1
	ect0    = 2
	ecnCE   = 3
)

// An ecnMode is how a connection tells of marks.
type ecnMode uint8

const (
	ecnOff ecnMode = iota
	ecnClassic
	ecnAccurate
)

// An ecnState is what a connection with ECN keeps; others have none.
type ecnState struct {
	mode    ecnMode
	asked   ecnMode // what our SYN asked for
	without bool    // a SYN of ours went without ECN
	noECT   bool    // nothing that we send may be marked
	reduced bool    // mark is valid
	cwr     bool    // the next new text tells of a reduction (CWR)
	echo    bool    // acknowledgements tell of a mark (ECE)
	seen    bool    // a packet arrived that was marked or could have been

	mark        uint32 // SND.NXT at the last reduction
	deliveredCE uint32 // segments of ours that were marked
	receivedCE  uint32 // and of the peer's

	acc *accECN // nil without accurate feedback
}

// markNew says that the piece about to be sent can be marked: only new text is
// (RFC 3168 sections 6.1.4 to 6.1.6), as it alone is sent again, and by whom it
// counts, if it is dropped in the place of a mark. unmark must follow.
func (c *conn) markNew(n uint32) {
	if e := c.ecn; e != nil && e.mode != ecnOff && !e.noECT && n > 0 {
		c.path.TOS |= ect0
	}
}

func (c *conn) unmark() { c.path.TOS &^= ecnMask }

// stampECN fills in what a segment that is not a SYN tells of marks.
func (c *conn) stampECN(h *wire.TCP) {
	e := c.ecn
	if e == nil {
		return
	}
	if e.acc != nil {
		e.acc.stampACE(h)
		return
	}
	if e.echo {
		h.Flags |= wire.TCPEce // section 6.1.3: on every one
	}
	if e.cwr && c.path.TOS&ecnMask != notECT {
		h.Flags |= wire.TCPCwr // section 6.1.2: on the first new text after the reduction
		e.cwr = false
	}
}

// noteReduction is for every reduction, for loss or for marks: marks of what was
// sent before ask for no other one, and the peer is told.
func (c *conn) noteReduction() {
	if e := c.ecn; e != nil {
		e.mark, e.reduced = c.sndNxt, true
		e.cwr = e.mode == ecnClassic
		if e.acc != nil && c.sndUna == c.iss+1 {
			e.acc.mute = true // the first text, which had an option, was lost
		}
	}
}

// readMarks finds out whether an acknowledgement that is not overtaken tells of
// marks.
func (c *conn) readMarks(h *wire.TCP, sacked uint32) {
	switch {
	case c.ecn == nil || seqLT(h.Ack, c.sndUna) || h.Flags&wire.TCPSyn != 0:
	case c.ecn.acc != nil:
		c.readACE(h, sacked)
	default:
		c.l.sample.marked = h.Flags&wire.TCPEce != 0
	}
}

// marksAcked takes from an acknowledgement how many bytes of what it delivers met
// congestion, before the algorithm is told of it.
func (c *conn) marksAcked(h *wire.TCP) {
	e, s := c.ecn, &c.l.sample
	if e != nil && e.acc != nil {
		c.countACE(h)
		return
	}
	if !s.marked {
		return
	}
	s.ceBytes = s.newlyAcked
	e.deliveredCE += s.segs
	c.l.counters.DeliveredCE += uint64(s.segs)
}

// heedMarks reduces the window for marks, once for a window of data (section
// 6.1.2): not again before something is acknowledged that was sent after the last
// reduction, nor while loss recovery has reduced it already.
func (c *conn) heedMarks(now time.Duration) {
	e := c.ecn
	if !c.l.sample.marked || c.caState != caOpen || e.reduced && !seqLT(e.mark, c.sndUna) {
		return
	}
	c.l.counters.ECNReductions++
	c.flags &^= flagMayUndo // what an earlier one was for does not excuse this one
	c.reduceForMarks(now)
	c.l.markDirty(c)
}

// textMarks takes the marks of a segment with text in the window, before the text
// is taken (section 6.1.3; 6.1.5 for what lies outside).
func (c *conn) textMarks(rx *Rx) {
	e := c.ecn
	if e == nil || e.acc != nil || len(rx.Payload) == 0 {
		return
	}
	ce := rx.TOS&ecnMask == ecnCE
	e.seen = e.seen || rx.TOS&ecnMask != notECT
	if ce {
		c.ecn.countCE(c.l, segments(rx))
	}
	if c.cc.info().ecn {
		// RFC 8257 section 3.2: ECE says of each acknowledged byte whether it was
		// marked, so what arrived before a change is acknowledged before it.
		if ce != e.echo && c.unacked > 0 {
			c.sendAck()
		}
		e.echo = ce
		return
	}
	if rx.Header.Flags&wire.TCPCwr != 0 {
		e.echo = false
		c.ackNow() // a window that was reduced may be a single segment
	}
	e.echo = e.echo || ce
}

// countCE counts segments that arrived marked.
func (e *ecnState) countCE(l *Layer, segs int) {
	e.receivedCE += uint32(segs)
	l.counters.CESegs += uint64(segs)
}

// segments is how many the link merged into rx.
func segments(rx *Rx) int {
	if rx.GSOSize == 0 {
		return 1
	}
	return (len(rx.Payload) + rx.GSOSize - 1) / rx.GSOSize
}

// infoECN fills in what struct tcp_info tells of ECN.
func (c *conn) infoECN(i *sockopt.TCPInfo) {
	e := c.ecn
	if e == nil || e.mode == ecnOff {
		return
	}
	i.Options |= sockopt.TCPInfoECN
	if e.seen {
		i.Options |= sockopt.TCPInfoECNSeen
	}
	i.DeliveredCE, i.ReceivedCE = e.deliveredCE, e.receivedCE
	if e.acc != nil {
		e.acc.info(i)
	}
	if i.CAState == uint8(caOpen) && e.reduced && seqLEQ(c.sndUna, e.mark) && c.sndUna != c.sndNxt {
		i.CAState = 2 // TCP_CA_CWR
	}
}
