package tcp

// Selective acknowledgements that arrive: RFC 2018 section 5, RFC 2883. What
// they report is kept in the log of transmissions, sendlog.go.

import (
	"math"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// dupThresh is how many segments above a hole make it a loss (RFC 6675 section 2):
// tcp_reordering, or more where the path was seen to reorder by more.
func (c *conn) dupThresh() uint32 {
	n := uint32(c.l.tun.Reordering)
	if c.rare != nil {
		n = max(n, c.rare.reordering)
	}
	return n
}

// reorderedFrom notes that what was sent at seq has arrived after what was sent
// behind it, up to fack: tcp_max_reordering bounds what comes of that.
func (c *conn) reorderedFrom(seq, fack uint32) {
	mss := uint32(c.mss)
	r := c.cold()
	r.reordered++
	r.reordering = max(r.reordering, min((fack-seq+mss-1)/mss, uint32(c.l.tun.MaxReordering)))
}

// overestimated forgets that degree where a timeout shows that waiting for so many
// segments was too much.
func (c *conn) overestimated() {
	if c.rare != nil && c.caState == caOpen && c.log != nil && uint32(c.log.sackedSegs) >= uint32(c.l.tun.Reordering) {
		c.rare.reordering = 0
	}
}

// seqRange is [left, right).
type seqRange struct{ left, right uint32 }

// sackInput enters the blocks of a segment and returns how many bytes were
// news, and whether the first one is a D-SACK: something below the
// acknowledgement that arrived twice, or a part of what the second block has
// (RFC 2883 section 4).
func (c *conn) sackInput(h *wire.TCP, now time.Duration) (fresh uint32, dsack bool) {
	if h.NSACK == 0 || c.flags&flagSACK == 0 {
		return 0, false
	}
	first := h.SACK[0]
	dsack = seqLT(first.Left, first.Right) && seqLEQ(first.Right, h.Ack)
	if h.NSACK > 1 && seqLT(h.Ack, first.Left) && seqLT(first.Left, first.Right) {
		second := h.SACK[1]
		dsack = seqLEQ(second.Left, first.Left) && seqLEQ(first.Right, second.Right)
	}
	for _, s := range h.SACK[:h.NSACK] {
		// What is not outstanding is a D-SACK or a lie.
		if seqLT(s.Left, c.sndUna) || seqLT(c.sndNxt, s.Right) || c.log == nil {
			continue
		}
		if !c.mayNote(s.Left, s.Right) {
			c.l.counters.SACKHoleDrops++
			continue
		}
		fresh += c.sacked(s.Left, s.Right, now)
		c.countHoles()
	}
	return fresh, dsack
}

// sacked enters [left, right) and returns how many bytes of it were news. Pieces
// below a segment's size are a hostile peer's: there are not more of them than
// segments in flight could make.
func (c *conn) sacked(left, right uint32, now time.Duration) (fresh uint32) {
	b := c.log
	limit := min(maxRecords, 64+2*int((c.sndNxt-c.sndUna)/uint32(c.mss)))
	i := b.seek(left)
	for i < b.records() && b.at(i).flags&recSacked != 0 {
		left = b.at(i).end // known already
		i++
	}
	if !seqLT(left, right) {
		return 0
	}
	i, j := b.cut(left, right, limit)
	for k := i; k < j; k++ {
		if r := b.at(k); r.flags&recSacked == 0 {
			fresh += r.len()
			c.deliver(r, r.len(), now)
			b.setSacked(k)
		}
	}
	// One record for the whole range, with those that touch it.
	for k := j; k >= i; k-- {
		b.join(k - 1)
	}
	return fresh
}

// logSent enters the first transmission of [seq, SND.NXT).
func (c *conn) logSent(seq, segs uint32, now time.Duration) {
	b := c.log
	if b == nil {
		// draft-ietf-ccwg-bbr section 4.1.2.2: a flight begins.
		b = c.l.takeLog()
		c.log = b
		b.firstSent, b.deliveredAt = now, now
		seq = c.sndUna // what went with a SYN had no record
		b.rackRTT, b.fack = c.srtt, seq
	}
	r := txRecord{start: seq, end: c.sndNxt, segs: uint16(min(max(segs, 1), math.MaxUint16))}
	c.stampRecord(&r, now)
	b.add(r)
}

// logResent enters that [seq, end) is sent again.
func (c *conn) logResent(seq, end uint32, now time.Duration) {
	b := c.log
	if b == nil {
		return
	}
	i, j := b.cut(seq, end, math.MaxInt)
	for k := i; k < j; k++ {
		r := b.at(k)
		if r.flags&recSacked != 0 {
			continue
		}
		b.setSent(k)
		if r.rexmts < 255 {
			r.rexmts++
		}
		c.stampRecord(r, now)
	}
	for k := j; k >= i; k-- {
		b.join(k - 1)
	}
}

// logAcked takes what lies below SND.UNA out of the log.
func (c *conn) logAcked(now time.Duration) {
	b := c.log
	if b == nil {
		return
	}
	defer c.countHoles()
	all := c.sndUna == c.sndNxt // then nothing needs to be kept in order
	for i := 0; i < b.records(); {
		r := b.at(i)
		if seqLT(c.sndUna, r.end) {
			if seqLT(r.start, c.sndUna) {
				b.split(0, c.sndUna)
				continue
			}
			return
		}
		if r.flags&recSacked == 0 {
			c.deliver(r, r.len(), now)
			s := &c.l.sample
			if s.firstAcked == 0 {
				s.firstAcked = r.sentAt
			}
			s.rexmtAcked = s.rexmtAcked || r.flags&recRexmt != 0
		}
		if all {
			i++
		} else {
			b.pop()
		}
	}
	c.dropLog()
}
