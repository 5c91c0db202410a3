package engine

import "time"

// timers is a heap of waiters by deadline.
type timers struct{ h []*waiter }

// next is the earliest deadline.
func (t *timers) next() (time.Duration, bool) {
	if len(t.h) == 0 {
		return 0, false
	}
	return t.h[0].deadline, true
}

// run expires every waiter that is due.
func (t *timers) run(now time.Duration) {
	for len(t.h) > 0 && t.h[0].deadline <= now {
		t.h[0].expire()
	}
}

func (t *timers) add(w *waiter) {
	w.heap = len(t.h)
	t.h = append(t.h, w)
	t.up(w.heap)
}

func (t *timers) remove(w *waiter) {
	i, last := w.heap, len(t.h)-1
	w.heap = -1
	if i != last {
		t.put(i, t.h[last])
	}
	t.h[last] = nil
	t.h = t.h[:last]
	if i != last {
		t.down(i)
		t.up(i)
	}
}

func (t *timers) put(i int, w *waiter) { t.h[i], w.heap = w, i }

func (t *timers) up(i int) {
	w := t.h[i]
	for i > 0 && w.deadline < t.h[(i-1)/2].deadline {
		t.put(i, t.h[(i-1)/2])
		i = (i - 1) / 2
	}
	t.put(i, w)
}

func (t *timers) down(i int) {
	w := t.h[i]
	for {
		c := 2*i + 1
		if c >= len(t.h) {
			break
		}
		if c+1 < len(t.h) && t.h[c+1].deadline < t.h[c].deadline {
			c++
		}
		if w.deadline <= t.h[c].deadline {
			break
		}
		t.put(i, t.h[c])
		i = c
	}
	t.put(i, w)
}
