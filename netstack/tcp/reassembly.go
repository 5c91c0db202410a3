package tcp

// Segments that arrive ahead of their turn: RFC 9293 section 3.10.7.4, seventh
// step, and the receiver's side of RFC 2018. Memory is bounded per connection
// and for the layer.

import (
	"sort"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Bounds on out-of-order data.
const (
	maxOOOPieces = 4096     // per connection
	maxOOOBytes  = 64 << 20 // memory of all connections of a layer
	idlePieces   = 64       // entries that an empty queue keeps room for
)

// A reassembly holds what lies above RCV.NXT: pieces ascending and disjoint.
type reassembly struct {
	pieces []piece
	mem    int // capacity of the chunks, in bytes
	listed int // pieces that the layer has counted

	// All queues of a layer with memory, in the order in which they began: what
	// is given up first when there is none left.
	of           *conn
	older, newer *reassembly

	// recent are the islands that changed last, the latest first: what RFC 2018
	// section 4 wants reported.
	recent  [wire.MaxSACKBlocks]seqRange
	nrecent int

	delay sackDelay
}

// reportsSACK reports whether the next acknowledgement carries SACK blocks.
func (c *conn) reportsSACK() bool {
	return c.flags&(flagSACK|flagNoBlocks) == flagSACK && (c.flags&flagDSACK != 0 || c.ahead())
}

// ahead reports whether text has arrived behind a gap. Then an acknowledgement
// goes by itself, as a peer without SACK counts only those that bring no text for
// duplicates: RFC 5681 section 2.
func (c *conn) ahead() bool { return c.ooo != nil && len(c.ooo.pieces) > 0 }

// noteTwice has the next acknowledgement say that [left, right) arrived twice,
// from which the peer learns that a retransmission was needless: RFC 2883
// section 4.
func (c *conn) noteTwice(left, right uint32) {
	if c.flags&(flagSACK|flagNoBlocks) == flagSACK && c.l.tun.DSACK && seqLT(left, right) {
		c.cold().dsack = seqRange{left, right}
		c.flags |= flagDSACK
	}
}

// keepAhead stores text and FIN that are not at RCV.NXT.
func (c *conn) keepAhead(p []byte, seq uint32, fin bool) {
	if fin {
		r := c.cold()
		r.finSeq, r.finAhead = seq+uint32(len(p)), true
	}
	if len(p) == 0 {
		return
	}
	if c.ooo == nil {
		c.ooo = &reassembly{of: c}
	}
	r := c.ooo
	before := r.mem
	if r.full(c) || c.l.exhausted() {
		c.l.counters.ReasmDrops++
		return
	}
	c.noteTwice(r.held(seq, seq+uint32(len(p)))) // RFC 2883 section 4.1.2
	at := r.insert(c.l.pool, p, seq)
	c.l.ooo.account(r, before)
	c.l.ooo.count(r, len(r.pieces))
	r.note(at)
}

// held is the first part of [left, right) that is held already; to is not above
// from when there is none.
func (r *reassembly) held(left, right uint32) (from, to uint32) {
	i := sort.Search(len(r.pieces), func(i int) bool { return seqLT(left, r.pieces[i].end()) })
	if i == len(r.pieces) {
		return left, left
	}
	from = seqMax(left, r.pieces[i].seq)
	for to = from; i < len(r.pieces) && seqLEQ(r.pieces[i].seq, to); i++ {
		to = r.pieces[i].end()
	}
	return from, seqMin(to, right)
}

// full reports whether no more may be stored. The memory of a connection may be
// twice its window, as chunks are not always full.
func (r *reassembly) full(c *conn) bool {
	queue := int(c.l.tun.ReassQueue)
	return len(r.pieces) >= maxOOOPieces || c.l.ooo.bytes >= maxOOOBytes ||
		queue > 0 && len(r.pieces) >= queue || c.l.ooo.pieces >= int(c.l.tun.ReassMax) ||
		r.mem > 2*int(c.rcvLimit())+buf.LargeSize
}

// insert stores the parts of p that are not held yet and returns the index of a
// piece that holds its last byte.
func (r *reassembly) insert(pool *buf.Pool, p []byte, seq uint32) int {
	i := sort.Search(len(r.pieces), func(i int) bool { return seqLT(seq, r.pieces[i].end()) })
	for {
		if i < len(r.pieces) && seqLEQ(r.pieces[i].seq, seq) {
			held := r.pieces[i].end() - seq
			if uint32(len(p)) <= held {
				return i
			}
			p, seq = p[held:], seq+held
			i++
			continue
		}
		n := len(p)
		if i < len(r.pieces) {
			n = min(n, int(r.pieces[i].seq-seq))
		}
		i = r.store(pool, i, p[:n], seq)
		if n == len(p) {
			return i - 1
		}
		p, seq = p[n:], seq+uint32(n)
	}
}

// store puts p, which touches nothing, before index i, into the free part of
// the chunk before it when that ends where p begins. It returns the index
// behind it.
func (r *reassembly) store(pool *buf.Pool, i int, p []byte, seq uint32) int {
	size := len(p)
	if i > 0 && r.pieces[i-1].end() == seq {
		c := r.pieces[i-1].c
		n := min(len(p), cap(c.B)-len(c.B))
		c.B = append(c.B, p[:n]...)
		if n == len(p) {
			return i
		}
		p, seq = p[n:], seq+uint32(n)
		size = len(p)
		if i > 1 && r.pieces[i-2].end() == r.pieces[i-1].seq {
			size = buf.LargeSize // a long island: fewer, larger chunks
		}
	}
	c := pool.Get(size)
	c.B = append(c.B, p...)
	r.mem += cap(c.B)
	r.pieces = append(r.pieces, piece{})
	copy(r.pieces[i+1:], r.pieces[i:])
	r.pieces[i] = piece{c, seq}
	return i + 1
}

// note puts the island around piece i in front of the recent ones.
func (r *reassembly) note(i int) {
	lo, hi := i, i
	for lo > 0 && r.pieces[lo-1].end() == r.pieces[lo].seq {
		lo--
	}
	for hi+1 < len(r.pieces) && r.pieces[hi].end() == r.pieces[hi+1].seq {
		hi++
	}
	island := seqRange{r.pieces[lo].seq, r.pieces[hi].end()}
	var list [wire.MaxSACKBlocks]seqRange
	list[0] = island
	n := 1
	for _, b := range r.recent[:r.nrecent] {
		// Islands that touch are one, so each of before is in this one or apart.
		if !seqIn(b.left, island.left, island.right-island.left) && n < len(list) {
			list[n] = b
			n++
		}
	}
	r.recent, r.nrecent = list, n
}

// stampSACK reports the islands, the latest first: RFC 2018 section 4.
func (c *conn) stampSACK(h *wire.TCP) {
	if !c.reportsSACK() {
		return
	}
	if c.flags&flagDSACK != 0 {
		c.flags &^= flagDSACK
		h.SACK[0] = wire.SACKBlock{Left: c.rare.dsack.left, Right: c.rare.dsack.right}
		h.NSACK = 1
	}
	if c.ooo == nil {
		return
	}
	for _, b := range c.ooo.recent[:c.ooo.nrecent] {
		if seqLT(c.rcvNxt, b.left) && int(h.NSACK) < len(h.SACK) {
			h.SACK[h.NSACK] = wire.SACKBlock{Left: b.left, Right: b.right}
			h.NSACK++
		}
	}
}

// fillGap takes the pieces whose turn has come. It returns false when the owner
// ended the connection meanwhile.
func (c *conn) fillGap() bool {
	r := c.ooo
	n := 0
	for ; n < len(r.pieces) && seqLEQ(r.pieces[n].seq, c.rcvNxt); n++ {
		p := r.pieces[n]
		r.pieces[n] = piece{}
		r.mem -= cap(p.c.B)
		c.l.ooo.account(r, r.mem+cap(p.c.B))
		if seqLT(c.rcvNxt, p.end()) {
			c.takeChunk(p.c, c.rcvNxt-p.seq)
		} else {
			c.l.pool.Put(p.c)
		}
		if c.state == StateClosed {
			return false // the rest went with the connection
		}
	}
	if n > 0 {
		r.pieces = r.pieces[:copy(r.pieces, r.pieces[n:])]
		c.l.ooo.count(r, len(r.pieces))
		if len(r.pieces) == 0 {
			r.nrecent = 0
			if cap(r.pieces) > idlePieces {
				c.ooo = nil // a connection that had a bad day keeps no table
			}
		}
	}
	return true
}

// dropReassembly gives all memory back.
func (c *conn) dropReassembly() {
	if c.ooo == nil {
		return
	}
	r := c.ooo
	before := r.mem
	for _, p := range r.pieces {
		if p.c != nil {
			r.mem -= cap(p.c.B)
			c.l.pool.Put(p.c)
		}
	}
	c.l.ooo.account(r, before)
	c.l.ooo.count(r, 0)
	c.ooo = nil
}

// finIsNext reports whether a FIN that arrived early is at RCV.NXT now.
func (c *conn) finIsNext() bool {
	return c.rare != nil && c.rare.finAhead && c.rare.finSeq == c.rcvNxt
}
