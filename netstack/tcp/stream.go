package tcp

import (
	"sort"

	"github.com/tcpcni/tcpcni/netstack/buf"
)

// A stream is a run of bytes in sequence space, [start, end), held in chunks:
// the send queue (from SND.UNA on) and the receive queue (up to RCV.NXT).
type stream struct {
	pieces     []piece
	head       int // first live entry of pieces
	start, end uint32
	mem        int // capacity of all chunks, in bytes
}

// piece is one chunk and the sequence number of its first byte.
type piece struct {
	c   *buf.Chunk
	seq uint32
}

func (p *piece) end() uint32 { return p.seq + uint32(len(p.c.B)) }

// len is the number of bytes held.
func (q *stream) len() int { return int(q.end - q.start) }

// reset makes the stream empty at seq. It must hold no chunks.
func (q *stream) reset(seq uint32) { q.start, q.end = seq, seq }

// push appends a chunk and takes ownership of it.
func (q *stream) push(c *buf.Chunk) {
	if q.head > 32 && q.head*2 > len(q.pieces) {
		n := copy(q.pieces, q.pieces[q.head:])
		clear(q.pieces[n:])
		q.pieces, q.head = q.pieces[:n], 0
	}
	q.pieces = append(q.pieces, piece{c, q.end})
	q.end += uint32(len(c.B))
	q.mem += cap(c.B)
}

// tailRoom is how many bytes the last chunk has left.
func (q *stream) tailRoom() int {
	if q.head == len(q.pieces) {
		return 0
	}
	b := q.pieces[len(q.pieces)-1].c.B
	return cap(b) - len(b)
}

// write copies p to the end, filling the last chunk before taking a new one.
func (q *stream) write(pool *buf.Pool, p []byte) {
	if q.head < len(q.pieces) {
		c := q.pieces[len(q.pieces)-1].c
		n := min(len(p), cap(c.B)-len(c.B))
		c.B = append(c.B, p[:n]...)
		q.end += uint32(n)
		p = p[n:]
	}
	for len(p) > 0 {
		c := pool.Get(min(len(p), buf.LargeSize))
		n := min(len(p), cap(c.B))
		c.B = append(c.B, p[:n]...)
		q.push(c)
		p = p[n:]
	}
}

// trim drops the bytes before seq and returns the chunks that emptied.
func (q *stream) trim(pool *buf.Pool, seq uint32) {
	q.start = seq
	for q.head < len(q.pieces) && seqLEQ(q.pieces[q.head].end(), seq) {
		p := &q.pieces[q.head]
		q.mem -= cap(p.c.B)
		pool.Put(p.c)
		*p = piece{}
		q.head++
	}
	if q.head == len(q.pieces) {
		q.pieces, q.head = q.pieces[:0], 0
		if cap(q.pieces) > 16 {
			q.pieces = nil // an idle connection keeps no queue
		}
	}
}

// find is the index of the piece that holds the byte at seq.
func (q *stream) find(seq uint32) int {
	live := q.pieces[q.head:]
	if len(live) > 0 && seqLT(seq, live[0].end()) {
		return q.head
	}
	return q.head + sort.Search(len(live), func(i int) bool { return seqLT(seq, live[i].end()) })
}

// slices appends to dst the memory of the n bytes from seq on, all of which
// must be held.
func (q *stream) slices(dst [][]byte, seq uint32, n int) [][]byte {
	for i := q.find(seq); n > 0; i++ {
		p := &q.pieces[i]
		b := p.c.B[seq-p.seq:]
		b = b[:min(len(b), n)]
		dst = append(dst, b)
		seq += uint32(len(b))
		n -= len(b)
	}
	return dst
}

// first is the memory of the leading bytes up to the end of their chunk.
func (q *stream) first() []byte {
	if q.head == len(q.pieces) {
		return nil
	}
	p := &q.pieces[q.head]
	return p.c.B[q.start-p.seq:]
}
