package sim

import "time"

// A Way is one direction of a link. Chances are per thousand segments.
type Way struct {
	Rate      int           // bits per second, 0: no limit
	Delay     time.Duration // one way
	Jitter    time.Duration // added at random, which reorders when it exceeds the spacing
	Queue     int           // bytes that may wait for the line, 0: no limit
	Loss      int
	Duplicate int
	Reorder   int // held back by up to four times Delay, at least a millisecond
	MTU       int // bytes, 0: 1500
}

// link is a Way between two hosts with its state.
type link struct {
	Way
	to   *Host
	free time.Duration // when the line is idle again
	down bool
}

func (l *link) mtu() int {
	if l.MTU == 0 {
		return 1500
	}
	return l.MTU
}

// send carries one packet, or loses it.
func (l *link) send(w *World, p packet) {
	size := len(p.segment) + 40
	if l.down || w.rng.Chance(l.Loss) {
		return
	}
	at := w.now
	if l.Rate > 0 {
		start := max(l.free, w.now)
		if l.Queue > 0 && start-w.now > l.time(l.Queue) {
			return // the queue is full
		}
		l.free = start + l.time(size)
		at = l.free
	}
	at += l.Delay
	if l.Jitter > 0 {
		at += time.Duration(w.rng.Intn(int(l.Jitter)))
	}
	if w.rng.Chance(l.Reorder) {
		at += time.Duration(w.rng.Intn(int(max(4*l.Delay, time.Millisecond))))
	}
	w.After(at-w.now, func() { l.to.arrive(p) })
	if w.rng.Chance(l.Duplicate) {
		w.After(at-w.now+time.Duration(w.rng.Intn(int(time.Millisecond))), func() { l.to.arrive(p) })
	}
}

// time is how long n bytes occupy the line.
func (l *link) time(n int) time.Duration {
	return time.Duration(int64(n) * 8 * int64(time.Second) / int64(l.Rate))
}
