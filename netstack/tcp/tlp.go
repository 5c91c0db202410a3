package tcp

// Tail loss probes: RFC 8985 section 7. When the last segments of a flight, or
// the only acknowledgement of them, are lost, nothing comes back that could show
// it; a probe after two round trips does, long before the retransmission timer.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

const (
	// tlpSlack is added to two round trips for the peer's scheduling: two ticks
	// of a kernel's clock.
	tlpSlack = 2 * time.Millisecond
	// tlpAckDelay is added when one segment is out, whose acknowledgement the
	// peer may delay: section 7.2, TLP.max_ack_delay.
	tlpAckDelay = 200 * time.Millisecond
	// probesOn is the least value of tcp_early_retrans that has probes.
	probesOn = 3
)

// probeTimer is the time after which a probe is sent, or false when the state
// does not allow one: sections 7.2 and 7.3. Beyond RFC 8985 it is also armed in
// fast recovery, where silence means that the retransmission is lost as well.
func (c *conn) probeTimer() (time.Duration, bool) {
	if !c.byTime() || c.l.tun.EarlyRetrans < probesOn || c.flags&(flagProbeOut|flagNewRTT) != flagNewRTT ||
		c.backoff > 0 || c.log == nil {
		return 0, false
	}
	if c.caState == caLoss || c.caState == caOpen && c.log.sacked > 0 {
		return 0, false
	}
	d := 2*c.srtt + tlpSlack
	if c.sndNxt-c.sndUna <= uint32(c.mss) {
		d += tlpAckDelay
	}
	return d, true
}

// sendTailProbe sends a new segment if there is one, else the last one again, or
// in recovery the first that is missing: section 7.3.
func (c *conn) sendTailProbe(now time.Duration) {
	c.l.counters.TailProbes++
	c.flags |= flagProbeOut
	c.flags &^= flagProbeRexmt | flagNewRTT
	mss := uint32(c.mss)
	wnd := c.sndUna + c.sndWnd - c.sndNxt
	switch unsent := c.unsent(); {
	case c.caState == caRecovery:
		c.markHead() // the retransmission follows
	case unsent > 0 && int32(wnd) >= int32(min(unsent, mss)):
		n := min(unsent, mss)
		c.sendPiece(n, n == unsent && c.flags&flagFinQueued != 0, now)
	default:
		c.flags |= flagProbeRexmt
		n := min(mss, c.sndNxt-c.sndUna)
		c.resend(c.sndNxt-n, n)
	}
	c.probeEnd = c.sndNxt
}

// probeAnswered looks at what an acknowledgement says about an outstanding
// probe: section 7.4.2, TLP_process_ack.
func (c *conn) probeAnswered(h *wire.TCP, a ackNews, now time.Duration) {
	if c.flags&flagProbeOut == 0 || !seqLEQ(c.probeEnd, h.Ack) {
		return
	}
	switch {
	case c.flags&flagProbeRexmt == 0: // it was new data
	case a.dsack && h.SACK[0].Right == c.probeEnd: // only an acknowledgement was lost
	case seqLT(c.probeEnd, h.Ack):
		// The probe repaired a loss, to which congestion control responds.
		if c.caState == caOpen {
			c.reduceForLoss(now)
			c.recovered(caRecovery, now)
		}
	case a.acked == 0 && h.NSACK == 0: // an acknowledgement of its own for the repetition
	default:
		return
	}
	c.flags &^= flagProbeOut | flagProbeRexmt
}
