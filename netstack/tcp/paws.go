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
	if seqLT(h.TSVal, c.tsRecent) && now-c.tsRecentAt < pawsIdle {
		c.l.counters.PAWSDrops++
		return tsOld
	}
	return tsAccept
}

// tsUpdate is section 4.3 (2): the timestamp to echo is that of the segment
// that the last acknowledgement left off at.
func (c *conn) tsUpdate(h *wire.TCP, now time.Duration) {
	if c.flags&flagTS != 0 && h.HasTS && seqLEQ(h.Seq, c.rcvWup) && seqLEQ(c.tsRecent, h.TSVal) {
		c.tsRecent, c.tsRecentAt = h.TSVal, now
	}
}
