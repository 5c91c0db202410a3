package engine

import (
	"net/netip"
	"testing"
)

func from(port uint16, size int32) origin {
	return origin{from: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port), size: size}
}

func TestOriginsFollowNativeReads(t *testing.T) {
	var q origins
	for i, size := range []int32{1, 0, 3, 4, 0, 5} {
		q.push(from(uint16(i), size))
	}
	// The program has read the first three; 4+0+5 bytes are queued.
	q.keepLast(9)
	if o := q.match(4); o.from.Port() != 3 {
		t.Errorf("4 bytes are from %v", o.from)
	}
	// It reads the empty one natively, which the count of bytes does not show.
	q.keepLast(5)
	if o := q.peek(5); o.from.Port() != 5 {
		t.Errorf("peek: 5 bytes are from %v", o.from)
	}
	if o := q.match(5); o.from.Port() != 5 || q.len() != 0 || q.bytes != 0 {
		t.Errorf("5 bytes are from %v, %d left", o.from, q.len())
	}
	if o := q.match(7); o.from.IsValid() || o.size != 7 {
		t.Errorf("nothing known, got %v", o)
	}
}

func TestOriginsStayBounded(t *testing.T) {
	var q origins
	for range 100 * firstRecount {
		q.push(from(1, 10))
		if q.crowded() {
			q.keepLast(30)
			q.counted()
		}
	}
	if cap(q.list) > 8*firstRecount {
		t.Errorf("the list holds %d entries", cap(q.list))
	}
}

func TestTimersInOrder(t *testing.T) {
	var ts timers
	var ws []*waiter
	for i := range 100 {
		w := &waiter{deadline: timeAt(i * 37 % 100), heap: -1}
		ws = append(ws, w)
		ts.add(w)
	}
	for i := 0; i < 100; i += 3 {
		ts.remove(ws[i])
	}
	last := timeAt(-1)
	for n := 0; ; n++ {
		d, ok := ts.next()
		if !ok {
			if n != 66 {
				t.Errorf("%d left", n)
			}
			return
		}
		if d < last {
			t.Fatalf("%v after %v", d, last)
		}
		last = d
		ts.remove(ts.h[0])
	}
}
