package tcp

// The sender's scoreboard of selective acknowledgements: RFC 2018 section 5 and
// RFC 6675 sections 2 to 4.

import (
	"sort"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// dupThresh is how many segments above a hole make it a loss (RFC 6675 section 2).
const dupThresh = 3

// maxSackRanges bounds the scoreboard. SACK is advice: what does not fit is
// retransmitted needlessly, no more.
const maxSackRanges = 512

// seqRange is [left, right).
type seqRange struct{ left, right uint32 }

// A scoreboard holds the ranges above SND.UNA that the peer has, ascending and
// apart from each other.
type scoreboard struct {
	ranges []seqRange
	sacked uint32 // bytes in all ranges
}

// add enters a range and returns how many bytes of it were new.
func (b *scoreboard) add(left, right uint32) uint32 {
	// [i, j) are the ranges that the new one touches.
	i := sort.Search(len(b.ranges), func(i int) bool { return seqLEQ(left, b.ranges[i].right) })
	j := i
	var had uint32
	for ; j < len(b.ranges) && seqLEQ(b.ranges[j].left, right); j++ {
		had += b.ranges[j].right - b.ranges[j].left
	}
	if i == j {
		if len(b.ranges) >= maxSackRanges {
			return 0
		}
		b.ranges = append(b.ranges, seqRange{})
		copy(b.ranges[i+1:], b.ranges[i:])
		b.ranges[i] = seqRange{left, right}
		b.sacked += right - left
		return right - left
	}
	merged := seqRange{seqMin(left, b.ranges[i].left), seqMax(right, b.ranges[j-1].right)}
	b.ranges[i] = merged
	b.ranges = append(b.ranges[:i+1], b.ranges[j:]...)
	fresh := merged.right - merged.left - had
	b.sacked += fresh
	return fresh
}

// trim forgets what lies below una.
func (b *scoreboard) trim(una uint32) {
	n := 0
	for ; n < len(b.ranges) && seqLEQ(b.ranges[n].right, una); n++ {
		b.sacked -= b.ranges[n].right - b.ranges[n].left
	}
	if n > 0 {
		b.ranges = b.ranges[:copy(b.ranges, b.ranges[n:])]
	}
	if len(b.ranges) > 0 && seqLT(b.ranges[0].left, una) {
		b.sacked -= una - b.ranges[0].left
		b.ranges[0].left = una
	}
}

// below is how many bytes under seq are held by the peer.
func (b *scoreboard) below(seq uint32) uint32 {
	var n uint32
	for _, r := range b.ranges {
		if seqLEQ(seq, r.left) {
			break
		}
		n += seqMin(seq, r.right) - r.left
	}
	return n
}

// lostEdge is the sequence number under which every hole is lost: IsLost of
// RFC 6675 section 4. Without any it is una.
func (b *scoreboard) lostEdge(una, mss uint32) uint32 {
	var bytes, ranges uint32
	for i := len(b.ranges) - 1; i >= 0; i-- {
		bytes += b.ranges[i].right - b.ranges[i].left
		ranges++
		if ranges >= dupThresh || bytes > (dupThresh-1)*mss {
			return b.ranges[i].left
		}
	}
	return una
}

// highest is the end of the highest range, una without any.
func (b *scoreboard) highest(una uint32) uint32 {
	if n := len(b.ranges); n > 0 {
		return b.ranges[n-1].right
	}
	return una
}

// hole finds the first bytes in [from, limit) that the peer lacks.
func (b *scoreboard) hole(from, limit uint32) (left, right uint32, ok bool) {
	i := sort.Search(len(b.ranges), func(i int) bool { return seqLT(from, b.ranges[i].right) })
	for ; i < len(b.ranges) && seqLEQ(b.ranges[i].left, from); i++ {
		from = b.ranges[i].right
	}
	if i < len(b.ranges) {
		limit = seqMin(limit, b.ranges[i].left)
	}
	return from, limit, seqLT(from, limit)
}

// sackInput enters the blocks of a segment and returns how many bytes were
// news, and whether the first one is a D-SACK: something below the
// acknowledgement that arrived twice (RFC 2883 section 4).
func (c *conn) sackInput(h *wire.TCP) (fresh uint32, dsack bool) {
	if h.NSACK == 0 || c.flags&flagSACK == 0 {
		return 0, false
	}
	dsack = seqLT(h.SACK[0].Left, h.Ack)
	for _, s := range h.SACK[:h.NSACK] {
		// What is not outstanding is a D-SACK or a lie.
		if !seqLT(s.Left, s.Right) || seqLT(s.Left, c.sndUna) || seqLT(c.sndNxt, s.Right) {
			continue
		}
		if c.sb == nil {
			c.sb = new(scoreboard)
		}
		fresh += c.sb.add(s.Left, s.Right)
	}
	return fresh, dsack
}
