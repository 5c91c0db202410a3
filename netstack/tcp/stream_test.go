package tcp

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
)

// TestStreamAgainstModel writes, pushes and trims at random and compares every
// range with a plain slice, across the wrap of sequence numbers.
func TestStreamAgainstModel(t *testing.T) {
	var pool buf.Pool
	var q stream
	var model []byte
	rnd := uint32(1)
	next := func(n int) int {
		rnd = rnd*1664525 + 1013904223
		return int(rnd>>8) % n
	}
	q.reset(1<<32 - 5000)
	for range 20000 {
		switch next(4) {
		case 0:
			p := bytes.Repeat([]byte{byte(rnd)}, next(3000))
			q.write(&pool, p)
			model = append(model, p...)
		case 1:
			c := pool.Get(1 + next(buf.LargeSize))
			c.B = append(c.B, bytes.Repeat([]byte{byte(rnd)}, 1+next(500))...)
			model = append(model, c.B...)
			q.push(c)
		case 2:
			n := next(len(model) + 1)
			q.trim(&pool, q.start+uint32(n))
			model = model[n:]
		case 3:
			if len(model) == 0 {
				continue
			}
			from := next(len(model))
			n := 1 + next(len(model)-from)
			parts := q.slices(nil, q.start+uint32(from), n)
			if !bytes.Equal(bytes.Join(parts, nil), model[from:from+n]) {
				t.Fatalf("[%d, %d) differs", from, from+n)
			}
			if slices.ContainsFunc(parts, func(p []byte) bool { return len(p) == 0 }) {
				t.Fatalf("[%d, %d) has an empty part", from, from+n)
			}
			f := q.first()
			if !bytes.HasPrefix(model, f) || len(f) == 0 {
				t.Fatal("the front differs")
			}
			if n := len(f); n < len(model) {
				if next := q.slices(nil, q.start+uint32(n), 1); len(next) != 1 || next[0][0] != model[n] {
					t.Fatal("the byte behind the front differs")
				}
			}
		}
		if q.len() != len(model) || q.mem != pool.InUse() {
			t.Fatalf("%d bytes in %d of memory, want %d in %d", q.len(), q.mem, len(model), pool.InUse())
		}
	}
	q.trim(&pool, q.end)
	if parts := q.slices(nil, q.start, 0); len(parts) != 0 {
		t.Errorf("%d parts of nothing", len(parts))
	}
	if pool.InUse() != 0 {
		t.Errorf("%d bytes left", pool.InUse())
	}
}

// alarm is a timed thing that notes when it was called.
type alarm struct {
	pos   int32
	due   time.Duration
	fired []time.Duration
}

func (a *alarm) heapPos() *int32 { return &a.pos }

func (a *alarm) runTimers(now time.Duration) time.Duration {
	if a.due > now {
		return a.due // fired early, as a later deadline is only stored
	}
	a.fired = append(a.fired, now)
	a.due = never
	return never
}

func TestTimersFireOnceAndNotLate(t *testing.T) {
	var h timerHeap
	alarms := make([]*alarm, 200)
	rnd := uint32(7)
	for i := range alarms {
		rnd = rnd*1664525 + 1013904223
		alarms[i] = &alarm{due: time.Duration(rnd >> 16)}
		h.arm(alarms[i], alarms[i].due)
	}
	// Some are put off, some brought forward, some taken out.
	want := make(map[*alarm]time.Duration)
	for i, a := range alarms {
		switch i % 4 {
		case 0:
			a.due += 1000
		case 1:
			a.due /= 2
		case 2:
			h.remove(a)
			continue
		}
		h.arm(a, a.due)
		want[a] = a.due
	}
	for now := time.Duration(0); now < 1<<17; now += 7 {
		h.run(now)
		for i := 1; i < len(h); i++ {
			if h[i].at < h[(i-1)/2].at || *h[i].t.heapPos() != int32(i+1) {
				t.Fatal("the heap is out of order")
			}
		}
	}
	for i, a := range alarms {
		due, armed := want[a]
		switch {
		case !armed && len(a.fired) > 0:
			t.Errorf("alarm %d was removed and fired", i)
		case armed && (len(a.fired) != 1 || a.fired[0] < due || a.fired[0] >= due+7):
			t.Errorf("alarm %d due at %d fired at %v", i, due, a.fired)
		}
	}
	if len(h) != 0 {
		t.Errorf("%d left", len(h))
	}
}

// TestStreamForgetsWhatWasTrimmed: a queue that is never empty does not grow
// with what went through it.
func TestStreamForgetsWhatWasTrimmed(t *testing.T) {
	var pool buf.Pool
	var q stream
	for range 10000 {
		c := pool.Get(100)
		c.B = append(c.B, 1, 2, 3)
		q.push(c)
		if q.len() > 30 {
			q.trim(&pool, q.start+3)
		}
	}
	if n := cap(q.pieces); n > 256 {
		t.Errorf("room for %d pieces, %d are held", n, len(q.pieces)-q.head)
	}
	q.trim(&pool, q.end)
	if q.pieces != nil {
		t.Errorf("an empty queue has room for %d pieces", cap(q.pieces))
	}
}

// stuck is a timed thing whose deadline does not move.
type stuck struct {
	pos   int32
	calls int
}

func (s *stuck) heapPos() *int32 { return &s.pos }

func (s *stuck) runTimers(now time.Duration) time.Duration {
	if s.calls++; s.calls > 5 {
		return never
	}
	return now
}

// TestTimersGoOn: a deadline that is not moved past now is called once, and again
// when time has passed.
func TestTimersGoOn(t *testing.T) {
	var h timerHeap
	s := new(stuck)
	h.arm(s, 10)
	for i := range 3 {
		h.run(time.Duration(10 + i))
		if s.calls != i+1 {
			t.Fatalf("%d calls at %d", s.calls, 10+i)
		}
	}
}

// TestMostlyEmptyChunksAreCopied: what a connection queues takes at most four
// times the memory of its bytes, but for a chunk that is being filled.
func TestMostlyEmptyChunksAreCopied(t *testing.T) {
	for _, n := range []int{1, 1000, buf.SmallSize + 1, buf.LargeSize/4 - 1, buf.LargeSize / 4, buf.LargeSize} {
		s := story(t, "from established")
		c := s.s.conn
		for i := range 20 {
			chunk := s.n.pool.Get(buf.LargeSize)
			chunk.B = append(chunk.B, patterned(i*n, n)...)
			c.queueChunk(chunk)
		}
		if c.sq.len() != 20*n || c.sq.mem > 4*20*n+buf.LargeSize || s.n.pool.InUse() != c.sq.mem {
			t.Errorf("%d times %d bytes: %d of memory, %d in use", 20, n, c.sq.mem, s.n.pool.InUse())
		}
	}
}
