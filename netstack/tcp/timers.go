package tcp

import "time"

// Timers of a layer: one heap of deadlines. Every connection has one entry, for
// the earliest of its own timers, and re-arming a timer to a later instant only
// stores that instant: the entry fires early, finds nothing due and moves. So
// the retransmission timer costs a store per acknowledgement.

// A timed thing has timers. runTimers runs those due at now and returns the
// next deadline, or never.
type timed interface {
	runTimers(now time.Duration) (next time.Duration)
	heapPos() *int32
}

// never is the deadline of a timer that is not armed.
const never = time.Duration(1<<63 - 1)

// timerEntry is one heap slot.
type timerEntry struct {
	at time.Duration
	t  timed
}

// timerHeap is a binary heap by deadline. The position of an entry, plus one,
// is kept in the timed thing; 0 means that it has no entry.
type timerHeap []timerEntry

// arm makes sure that t is called no later than at.
func (h *timerHeap) arm(t timed, at time.Duration) {
	pos := t.heapPos()
	if *pos == 0 {
		*h = append(*h, timerEntry{at, t})
		*pos = int32(len(*h))
		h.up(len(*h) - 1)
		return
	}
	i := int(*pos) - 1
	if at < (*h)[i].at {
		(*h)[i].at = at
		h.up(i)
	}
}

// remove takes t's entry out.
func (h *timerHeap) remove(t timed) {
	pos := t.heapPos()
	if *pos == 0 {
		return
	}
	i, last := int(*pos)-1, len(*h)-1
	*pos = 0
	if i != last {
		(*h)[i] = (*h)[last]
		*(*h)[i].t.heapPos() = int32(i + 1)
	}
	(*h)[last] = timerEntry{}
	*h = (*h)[:last]
	if i != last {
		h.down(i)
		h.up(i)
	}
}

// run calls everything that is due at now.
func (h *timerHeap) run(now time.Duration) {
	for len(*h) > 0 && (*h)[0].at <= now {
		t := (*h)[0].t
		next := t.runTimers(now)
		pos := t.heapPos()
		switch {
		case *pos == 0: // removed itself
		case next == never:
			h.remove(t)
		default:
			// A deadline that was not moved past now would never let go.
			i := int(*pos) - 1
			(*h)[i].at = max(next, now+1)
			h.down(i)
			h.up(int(*pos) - 1)
		}
	}
}

func (h timerHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	*h[i].t.heapPos() = int32(i + 1)
	*h[j].t.heapPos() = int32(j + 1)
}

func (h timerHeap) up(i int) {
	for {
		parent := (i - 1) / 2 // the root's is the root
		if h[parent].at <= h[i].at {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h timerHeap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].at < h[child].at {
			child++
		}
		if h[i].at <= h[child].at {
			return
		}
		h.swap(i, child)
		i = child
	}
}
