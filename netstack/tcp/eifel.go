package tcp

// The Eifel detection algorithm: RFC 3522. A timestamp that is older than the
// retransmission shows that the original was acknowledged.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// States of the detection.
const (
	eifelOff   uint8 = iota
	eifelArmed       // the first acknowledgement decides
	eifelDone        // it did
)

// eifelMark notes the timestamp of the first retransmission of a recovery:
// section 3.2 steps 1 and 2.
func (c *conn) eifelMark(seq uint32, now time.Duration) {
	b := c.log
	if c.flags&flagTS == 0 || c.caState == caOpen || b.eifel != eifelOff || seq != c.sndUna {
		return
	}
	b.eifel, b.rexmtTS = eifelArmed, c.tsNow(now)
}

// eifelAck is steps 3 to 5, for an acknowledgement that is going to advance
// SND.UNA, where the retransmission was. It reports whether that was needless.
func (c *conn) eifelAck(h *wire.TCP) bool {
	b := c.log
	if b == nil || b.eifel != eifelArmed {
		return false
	}
	b.eifel = eifelDone
	if c.flags&flagMayUndo == 0 || h.TSEcr == 0 || !seqLT(h.TSEcr, b.rexmtTS) {
		return false
	}
	if c.caState == caLoss {
		c.flags |= flagLongRTT
	}
	return true
}
