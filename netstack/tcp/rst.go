package tcp

// Resets, and how little a stranger can do with them: RFC 9293 sections 3.5.2,
// 3.5.3 and 3.10.7, RFC 5961.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// segLen is SEG.LEN: text plus SYN and FIN.
func segLen(rx *Rx) uint32 {
	n := uint32(len(rx.Payload))
	if rx.Header.Flags&wire.TCPSyn != 0 {
		n++
	}
	if rx.Header.Flags&wire.TCPFin != 0 {
		n++
	}
	return n
}

// refuse answers a segment that belongs to no connection: RFC 9293 section
// 3.5.2 group 1 and section 3.10.7.1. The answer is signed by a.
func (l *Layer) refuse(rx *Rx, a *auth) {
	in := &rx.Header
	if in.Flags&wire.TCPRst != 0 {
		return
	}
	path, err := l.wayBack(rx)
	if err != nil {
		return
	}
	l.txPath = path // of its own it would be allocated, for each stranger
	h := &l.tx
	*h = wire.TCP{SrcPort: in.DstPort, DstPort: in.SrcPort, Flags: wire.TCPRst, WScale: -1}
	if in.Flags&wire.TCPAck != 0 {
		h.Seq = in.Ack
	} else {
		h.Flags |= wire.TCPAck
		h.Ack = in.Seq + segLen(rx)
	}
	l.counters.OutRsts++
	l.send(a, &l.txPath, h, nil, 0)
}

// sendReset tells the peer that the connection is gone.
func (c *conn) sendReset() {
	h := c.header(c.sndNxt, wire.TCPRst|wire.TCPAck)
	c.stampTime(h) // RFC 7323 section 3.2, SHOULD
	c.l.counters.OutRsts++
	c.send(h, nil, 0)
}

// refuseAck sends <SEQ=SEG.ACK><CTL=RST> on a connection that is not
// synchronized: RFC 9293 section 3.5.2 group 2.
func (c *conn) refuseAck(h *wire.TCP) {
	if h.Flags&wire.TCPRst != 0 {
		return
	}
	out := c.header(h.Ack, wire.TCPRst)
	c.l.counters.OutRsts++
	c.send(out, nil, 0)
}

// resetInput is the second step of section 3.10.7.4 with RFC 5961 section 3.2:
// only a RST at exactly RCV.NXT is believed, any other in the window is
// answered by a challenge, unless the tunable insecure_rst asks for the rule of
// RFC 793.
func (c *conn) resetInput(h *wire.TCP) {
	if h.Seq != c.rcvNxt && c.flags&(flagFastOpen|flagActive) == flagFastOpen|flagActive && c.bytesRcvd == 0 && c.state == StateEstablished {
		c.l.pauseFastOpen() // out of turn, as the first thing that comes
	}
	if h.Seq != c.rcvNxt && !c.l.tun.InsecureRST {
		c.challenge()
		return
	}
	c.reset()
}

// reset is the connection being ended by the peer.
func (c *conn) reset() {
	switch {
	case c.state == StateSynReceived && c.flags&flagActive != 0: // an active open that crossed another
		c.fail(errno.ECONNREFUSED)
	case c.state == StateSynReceived:
		c.fastReset()
		c.fail(errno.ECONNRESET)
	case c.state == StateCloseWait:
		c.l.counters.EstabResets++
		c.fail(errno.EPIPE)
	case c.state == StateClosing || c.state == StateLastAck:
		c.destroy() // section 3.10.7.4: both sides were done
	default:
		c.l.counters.EstabResets++
		c.fail(errno.ECONNRESET)
	}
}

// challengeLimit bounds challenge acknowledgements of all connections: RFC 5961
// section 7. The bound of each second is drawn at random, so that it cannot be
// used to count another connection's.
type challengeLimit struct {
	until time.Duration
	left  uint32
}

func (l *Layer) mayChallenge() bool {
	now := l.net.Now()
	if now >= l.challenges.until {
		l.challenges.until = now + time.Second
		mean := uint32(l.tun.ChallengeAckLimit)
		l.challenges.left = mean/2 + l.net.Rand32()%(mean+1)
	}
	if l.challenges.left == 0 {
		return false
	}
	l.challenges.left--
	return true
}

// challenge sends an acknowledgement that makes an honest peer show itself.
func (c *conn) challenge() {
	if !c.mayAnswer(c.l.tun.InvalidRatelimit) || !c.l.mayChallenge() {
		return
	}
	c.l.counters.ChallengeACKs++
	c.ackNow()
}

// mayAnswer bounds how often one connection answers unacceptable segments that
// carry no text, to one in each gap, so that two confused peers cannot keep each
// other busy.
func (c *conn) mayAnswer(gap time.Duration) bool {
	r, now := c.cold(), c.now()
	if r.oowOnce && now-r.lastOow < gap {
		return false
	}
	r.oowOnce, r.lastOow = true, now
	return true
}

// probeGap lets every probe of a window through: they follow one another by a
// retransmission timeout, and a loop of two confused peers is still slow.
const probeGap = 100 * time.Millisecond

// answerGap is the gap for an unacceptable segment without text. The byte before
// the window is how Linux and BSD probe it; the update that answers one probe may
// be lost, and the next must not meet silence (RFC 9293 section 3.8.6.1,
// MUST-38).
func (c *conn) answerGap(h *wire.TCP) time.Duration {
	if h.Seq == c.rcvNxt-1 {
		return min(probeGap, c.l.tun.InvalidRatelimit)
	}
	return c.l.tun.InvalidRatelimit
}
