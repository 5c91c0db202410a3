package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/udp"
)

// An origin says where a datagram came from and where it was sent to.
type origin struct {
	from netip.AddrPort
	to   netip.Addr
	size int32 // bytes
	run  int32 // bytes of each of several datagrams that are given as one; 0: it is one
	wake bool  // no datagram, only a means to end a poll

	marked bool // marks are known
	marks  udp.Marks
	drops  uint32 // as many datagrams were dropped before
	at     int64  // when it came, see hostlink.WallClock; 0: nobody asked
}

// origins are those of the datagrams in a socket's receive queue, oldest first.
// Datagrams that the program reads natively leave the queue unseen, so before a
// use the list is cut to the bytes that are still queued.
type origins struct {
	list  []origin // from head on
	head  int
	bytes int // sum of sizes
	limit int // length at which a recount is due
}

const firstRecount = 64

func (q *origins) len() int { return len(q.list) - q.head }

func (q *origins) push(o origin) {
	if q.head > 0 && q.head*2 >= len(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, o)
	q.bytes += int(o.size)
}

func (q *origins) pop() origin {
	o := q.list[q.head]
	q.list[q.head] = origin{}
	q.head++
	q.bytes -= int(o.size)
	if q.len() == 0 {
		q.clear()
	}
	return o
}

// first is the oldest entry, nil when there is none. It is valid until the next
// change.
func (q *origins) first() *origin {
	if q.len() == 0 {
		return nil
	}
	return &q.list[q.head]
}

func (q *origins) clear() { q.list, q.head, q.bytes = q.list[:0], 0, 0 }

// crowded tells that the list may be longer than the queue.
func (q *origins) crowded() bool { return q.len() >= max(q.limit, firstRecount) }

// counted sets when to look again after a recount.
func (q *origins) counted() {
	q.limit = 2 * q.len()
	if q.len() == 0 {
		q.list = nil
	}
}

// keepLast cuts the list to the newest entries with that many bytes. Entries
// without bytes at the cut are kept; match sorts them out.
func (q *origins) keepLast(bytes int) {
	for q.len() > 0 && q.bytes > bytes {
		q.pop()
	}
}

// match takes the entry of a datagram with size bytes that has just been read:
// entries without bytes before it belong to ones that were read natively.
func (q *origins) match(size int) origin {
	for q.len() > 0 {
		o := q.pop()
		if int(o.size) == size {
			return o
		}
	}
	return origin{size: int32(size)}
}

// peek is match without taking.
func (q *origins) peek(size int) origin {
	for _, o := range q.list[q.head:] {
		if int(o.size) == size {
			return o
		}
	}
	return origin{size: int32(size)}
}

// peekAt is peek from an offset in bytes, as SO_PEEK_OFF counts: over datagrams that
// end before it. size is what came of the datagram.
func (q *origins) peekAt(offset int32, size int) origin {
	for _, o := range q.list[q.head:] {
		if offset > 0 && o.size <= offset {
			offset -= o.size
			continue
		}
		if int(o.size-max(offset, 0)) == size {
			return o
		}
	}
	return origin{size: int32(size)}
}

func (q *origins) onlyWake() bool { return q.len() == 1 && q.lastIsWake() }

func (q *origins) lastIsWake() bool { return q.len() > 0 && q.list[len(q.list)-1].wake }
