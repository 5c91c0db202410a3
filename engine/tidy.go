package engine

// An engine that has become idle gives back the memory that a burst has left: what
// the collector has not come round to, and the pools' chunks. The collector by
// itself would come with the next garbage, which an idle engine does not make.

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

// idleAfter is how long nothing has happened in an idle engine. burst is how many
// events leave so much behind that it is worth collecting.
const (
	idleAfter = time.Second
	burst     = 1024
)

// tidying knows when there is something to give back.
type tidying struct {
	events int           // since the last time
	last   time.Duration // when one came
	under  atomic.Bool   // the collector is at work
}

// saw notes that n events came at the time now.
func (t *tidying) saw(n int, now time.Duration) {
	if n > 0 {
		t.events, t.last = min(t.events+n, burst), now
	}
}

// deadline is when the engine counts as idle, if something is to be done then.
func (t *tidying) deadline() (time.Duration, bool) {
	return t.last + idleAfter, t.events >= burst && !t.under.Load()
}

// tidy gives back what an idle engine does not need. The collector works beside
// the loop.
func (e *engine) tidy() {
	at, any := e.tidying.deadline()
	if !any || e.now < at {
		return
	}
	e.tidying.events = 0
	e.tidying.under.Store(true)
	e.stack.Pool().Trim()
	e.closePassages()
	go func() {
		debug.FreeOSMemory()
		e.tidying.under.Store(false)
	}()
}
