package tcp

// Timestamps: RFC 7323 sections 3 to 5.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// pawsIdle is how long TS.Recent stays comparable: RFC 7323 section 5.5.
const pawsIdle = 24 * 24 * time.Hour

// tsNow is TSval: a millisecond clock (section 5.4) with the connection's
// offset.
func (c *conn) tsNow(now time.Duration) uint32 {
	return uint32(now/time.Millisecond) + c.tsOffset
}

// stampTime fills in the timestamp of a connection that has agreed on them.
func (c *conn) stampTime(h *wire.TCP) {
	if c.flags&flagTS != 0 {
		h.HasTS = true
		h.TSVal, h.TSEcr = c.tsNow(c.now()), c.tsRecent
	}
}

// tsVerdict is what timestamps say about a segment.
type tsVerdict uint8

const (
	tsAccept tsVerdict = iota
	tsIgnore           // drop without a word
	tsOld              // drop and acknowledge
)

// pawsCheck is section 5.3 R1, before the sequence check.
func (c *conn) pawsCheck(h *wire.TCP, now time.Duration) tsVerdict {
	if c.flags&flagTS == 0 || h.Flags&wire.TCPRst != 0 {
		return tsAccept // section 5.2: RSTs are not subject to PAWS
	}
	if !h.HasTS {
		return tsIgnore // section 3.2
	}
	if seqLT(h.TSVal, c.tsRecent) && !c.tsStale(now) {
		c.l.counters.PAWSDrops++
		return tsOld
	}
	return tsAccept
}

// tsUpdate is section 4.3 (2): the timestamp to echo is that of the segment
// that the last acknowledgement left off at.
func (c *conn) tsUpdate(h *wire.TCP, now time.Duration) {
	if c.flags&flagTS != 0 && seqLEQ(h.Seq, c.rcvWup) && (seqLEQ(c.tsRecent, h.TSVal) || c.tsStale(now)) {
		c.tsRecent, c.tsRecentAt = h.TSVal, now
	}
}

// tsStale reports whether TS.Recent is too old to be compared (section 5.5).
func (c *conn) tsStale(now time.Duration) bool { return now-c.tsRecentAt >= pawsIdle }
