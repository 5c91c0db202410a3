package netstack

// Loopback: packets to 127.0.0.0/8, ::1 and the stack's own addresses never
// reach a link (RFC 1122 section 3.2.1.3(g)). They wait here until Flush, so
// that no layer is entered twice.

import (
	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Bounds of the queue; a packet beyond them is dropped, as a full device queue
// drops it.
const (
	loopMaxBytes   = 16 << 20 // of chunks
	loopMaxPackets = 8192
)

// loopQueue is a ring that grows up to its bound.
type loopQueue struct {
	ring  []held // length is a power of two
	first int
	count int
	bytes int

	blank []byte // where a packet with a blank payload is put together, see whole; nil: none came yet
}

func (q *loopQueue) empty() bool { return q.count == 0 }

func (q *loopQueue) push(s *Stack, f *TxFrame) {
	if q.count >= loopMaxPackets || q.bytes >= loopMaxBytes {
		s.counters.Loop.Drops++
		return
	}
	h, ok := s.holdHeaders(f)
	if !ok {
		h, ok = s.hold(f)
	}
	if !ok {
		s.counters.Loop.Drops++
		return
	}
	s.counters.Loop.Packets++
	if q.count == len(q.ring) {
		q.grow()
	}
	q.ring[(q.first+q.count)&(len(q.ring)-1)] = h
	q.count++
	q.bytes += cap(h.chunk.B)
	s.Wake()
}

// holdHeaders is hold for a packet whose payload is blank, of which the length is
// enough. false: it has another, or none.
func (s *Stack) holdHeaders(f *TxFrame) (held, bool) {
	n := 0
	for _, p := range f.Payload {
		if !buf.IsBlank(p) {
			return held{}, false
		}
		n += len(p)
	}
	if n == 0 || n > buf.LargeSize {
		return held{}, false
	}
	hdr := f.Buf[ipStart:]
	c := s.pool.Get(len(hdr))
	c.B = append(c.B, hdr...)
	return held{chunk: c, blank: n, hdrLen: len(hdr), gsoType: f.GSOType, gsoSize: f.GSOSize}, true
}

// whole is the packet h in one piece, until the next call.
func (q *loopQueue) whole(h *held) []byte {
	if h.blank == 0 {
		return h.chunk.B
	}
	if q.blank == nil {
		q.blank = make([]byte, maxHeaders+buf.LargeSize)
	}
	at := maxHeaders - len(h.chunk.B)
	copy(q.blank[at:], h.chunk.B)
	return q.blank[at : maxHeaders+h.blank]
}

func (q *loopQueue) grow() {
	ring := make([]held, max(16, 2*len(q.ring)))
	for i := range q.count {
		ring[i] = q.ring[(q.first+i)&(len(q.ring)-1)]
	}
	q.ring, q.first = ring, 0
}

func (q *loopQueue) pop() held {
	h := q.ring[q.first]
	q.ring[q.first] = held{}
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.count--
	q.bytes -= cap(h.chunk.B)
	return h
}

// runLoop takes in what is queued now, at most budget packets, and returns what
// is left of the budget.
func (s *Stack) runLoop(budget int) int {
	for n := min(s.loop.count, budget); n > 0; n-- {
		budget--
		h := s.loop.pop()
		s.in = inbound{trusted: true, gso: h.gsoSize}
		if h.gsoType == wire.GSONone {
			s.in.gso = 0
		}
		if b := s.loop.whole(&h); b[0]>>4 == 4 {
			s.input4(b)
		} else {
			s.input6(b)
		}
		s.pool.Put(h.chunk)
	}
	return budget
}
