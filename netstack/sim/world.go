package sim

import (
	"container/heap"
	"fmt"
	"time"
)

// A World is virtual time and everything that happens in it.
type World struct {
	now    time.Duration
	rng    Rand
	queue  eventQueue
	serial uint64
	hosts  []*Host
	broken bool // a host has broken a rule

	// Profile is that of the hosts to come; "" is linux.
	Profile string
	// Audit has every host examined after every step.
	Audit bool
	// MaxSteps ends a world in which there is no end of things to do; 0: none.
	MaxSteps int
	steps    int
	digest   uint64
}

// New returns an empty world whose every random decision follows from seed.
func New(seed uint64) *World {
	// Instants are not small numbers in real life either.
	return &World{now: 1000 * time.Second, rng: Rand{state: seed}}
}

// Now is the present instant.
func (w *World) Now() time.Duration { return w.now }

// Rand is the world's generator.
func (w *World) Rand() *Rand { return &w.rng }

type event struct {
	at     time.Duration
	serial uint64 // events of one instant run in the order in which they were made
	run    func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].serial < q[j].serial
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

// After runs f once d has passed.
func (w *World) After(d time.Duration, f func()) {
	w.serial++
	heap.Push(&w.queue, event{w.now + d, w.serial, f})
}

// Digest stands for everything that was sent so far, and when: runs of one seed
// have the same.
func (w *World) Digest() uint64 { return w.digest }

// note adds a segment to the digest (FNV-1a).
func (w *World) note(segment []byte) {
	d := w.digest ^ uint64(w.now)
	for _, b := range segment {
		d = (d ^ uint64(b)) * 1099511628211
	}
	w.digest = d
}

// Broken is the first rule that a host was seen to break.
func (w *World) Broken() error {
	for i, h := range w.hosts {
		if h.Broken != nil {
			return fmt.Errorf("host %d: %w", i, h.Broken)
		}
	}
	if w.MaxSteps > 0 && w.steps > w.MaxSteps {
		return fmt.Errorf("no end after %d steps", w.steps)
	}
	return nil
}

// Run lets time pass until done reports true, which it returns, or until
// nothing is left to happen within limit from now, or a rule is broken.
func (w *World) Run(limit time.Duration, done func() bool) bool {
	end := w.now + limit
	for {
		w.settle()
		if w.steps++; w.broken || w.MaxSteps > 0 && w.steps > w.MaxSteps {
			return false
		}
		if done != nil && done() {
			return true
		}
		at, ok := w.next()
		if !ok || at > end {
			w.now = max(w.now, min(end, w.now+limit))
			return false
		}
		w.now = max(w.now, at)
		for len(w.queue) > 0 && w.queue[0].at <= w.now {
			heap.Pop(&w.queue).(event).run()
		}
		for _, h := range w.hosts {
			if d, ok := h.TCP.Deadline(); ok && d <= w.now {
				h.TCP.Advance()
			}
		}
	}
}

// settle lets every host send what it owes.
func (w *World) settle() {
	for _, h := range w.hosts {
		h.settle()
		if w.Audit && h.Broken == nil {
			if err := h.TCP.Audit(); err != nil {
				h.breaks(err)
			}
		}
	}
}

// next is the instant of the next thing to happen.
func (w *World) next() (at time.Duration, ok bool) {
	if len(w.queue) > 0 {
		at, ok = w.queue[0].at, true
	}
	for _, h := range w.hosts {
		if d, armed := h.TCP.Deadline(); armed && (!ok || d < at) {
			at, ok = d, true
		}
	}
	return at, ok
}

// Rand is a small generator (SplitMix64).
type Rand struct{ state uint64 }

// Uint64 returns the next number.
func (r *Rand) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Uint32 returns the upper half of the next number.
func (r *Rand) Uint32() uint32 { return uint32(r.Uint64() >> 32) }

// Intn returns a number in [0, n).
func (r *Rand) Intn(n int) int { return int(r.Uint64() % uint64(n)) }

// Chance is true in perMille of a thousand cases.
func (r *Rand) Chance(perMille int) bool { return r.Intn(1000) < perMille }
