package engine

import (
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A waiter is a call that waits for something to happen to its socket.
type waiter struct {
	call
	deadline time.Duration // 0: none
	timeout  errno.Errno   // what the call fails with then; 0: it is tried again
	heap     int           // position in the timers, -1: none
	done     bool
}

// waiters are the calls that wait at one socket, oldest first.
type waiters struct {
	list  []*waiter
	sweep int // look for dead ones when the list gets this long
}

// firstSweep is the length of a list at which it is first searched for waiters
// whose threads were killed; nobody tells the engine about those.
const firstSweep = 8

// park makes the call wait, until deadline if that is not 0. A repetition of an
// interrupted call takes the place of the original and keeps its deadline: the
// signal must not prolong the wait.
func (c *call) park(deadline time.Duration, timeout errno.Errno) {
	s := c.s
	w := &waiter{call: *c, deadline: deadline, timeout: timeout, heap: -1}
	w.p, w.th = -1, nil
	c.note = noNote // the waiter's from now on
	crowd := len(s.wait.list) >= max(s.wait.sweep, firstSweep)
	for _, old := range s.wait.list {
		if old.req.TID == c.req.TID {
			if old.req.Nr == c.req.Nr && old.req.IP == c.req.IP && old.deadline != 0 && deadline != 0 {
				w.deadline = old.deadline
			}
			old.end()
			crowd = true
			break
		}
	}
	if crowd {
		s.wait.compact()
	}
	s.wait.list = append(s.wait.list, w)
	if w.deadline != 0 {
		c.eng.timers.add(w)
	}
}

// end takes the waiter out of service; compact takes it off the list.
func (w *waiter) end() {
	w.done = true
	if w.heap >= 0 {
		w.eng.timers.remove(w)
	}
}

// first returns the oldest waiter that makes one of the calls, or any call when
// none is named; nil when there is none.
func (q *waiters) first(nr ...int32) *waiter {
	for _, w := range q.list {
		if !w.done && (len(nr) == 0 || slices.Contains(nr, w.req.Nr)) {
			return w
		}
	}
	return nil
}

// answer ends all waiters that first would find and reports whether anybody
// heard.
func (q *waiters) answer(do func(*waiter) bool, nr ...int32) (heard bool) {
	for w := q.first(nr...); w != nil; w = q.first(nr...) {
		w.end()
		if do(w) {
			heard = true
		}
	}
	q.compact()
	return heard
}

// retry tries the calls that first would find once more, the oldest first and as
// long as due says that there is something for them: hundreds of threads may wait
// at a socket, and one byte is for one of them.
func (q *waiters) retry(due func() bool, nr ...int32) {
	list, on := q.list, true
	q.list = nil // calls that wait again stand here
	rest := list[:0]
	for _, w := range list {
		on = on && due()
		if !on || w.done || !slices.Contains(nr, w.req.Nr) {
			rest = append(rest, w)
			continue
		}
		w.end()
		again := w.takeCall()
		again.execute()
	}
	clear(list[len(rest):])
	if len(q.list) == 0 {
		q.list = rest
	} else {
		q.list = append(q.list, rest...)
	}
}

// compact removes waiters that have ended and, now and then, those whose thread
// has.
func (q *waiters) compact() {
	if q.sweep == 0 {
		q.sweep = firstSweep
	}
	check := len(q.list) >= q.sweep
	kept := q.list[:0]
	for _, w := range q.list {
		if check && !w.done && !w.on.Valid(w.req.ID) {
			w.end()
		}
		if w.done {
			w.forget()
		} else {
			kept = append(kept, w)
		}
	}
	clear(q.list[len(kept):])
	q.list = kept
	if check {
		q.sweep = max(firstSweep, 2*len(kept))
	}
}

// expire fails a waiter whose time has come, or tries its call again.
func (w *waiter) expire() {
	w.end()
	if w.timeout != 0 {
		switch {
		case w.isFast():
			w.endFast(w.s.stream, w.timeout)
		case w.s.stream != nil && slices.Contains(receiveCalls, w.req.Nr):
			w.late = true // it gets what is there
			w.retry()
			return
		default:
			w.fail(w.timeout)
		}
		w.s.wait.compact()
		return
	}
	w.retry()
}

// again tries the call of a waiter that is still in service.
func (w *waiter) again() {
	w.end()
	w.retry()
}

func (w *waiter) retry() {
	again := w.takeCall()
	w.s.wait.compact()
	again.execute()
}

// takeCall takes the call out of a waiter that has ended. When it waits once more,
// that is for the rest of the time: what an event has brought may not be enough.
func (w *waiter) takeCall() call {
	again := w.call
	again.s = nil
	if w.timeout != 0 {
		again.until = w.deadline
	}
	w.note = noNote
	return again
}

// execute executes a call that has waited, from its beginning.
func (c *call) execute() {
	c.dispatch()
	c.release()
	c.forget()
}

// parkFor is park with a timeout of a socket option: 0 waits without end, a
// negative one not at all. It counts from when the call first waited.
func (c *call) parkFor(d time.Duration, timeout errno.Errno) {
	switch {
	case d < 0:
		c.fail(timeout)
	case c.until != 0:
		c.park(c.until, timeout)
	case d == 0:
		c.park(0, timeout)
	default:
		c.park(c.eng.now+d, timeout)
	}
}

// retryAfter is how long a call waits before it is tried again when nothing
// would tell that it may succeed.
const retryAfter = 2 * time.Millisecond
