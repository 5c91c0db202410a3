package engine

// Calls under way, for the engine's successor. A call that was taken off a
// listener is not given to anybody else: its thread waits until it is answered,
// also when who took it has died. So calls are received straight into the
// journal, in one step with the taking, and leave it when they were answered.
// The successor executes what it finds there as if it had just come; handlers
// are made for that (see the package comment, Interrupted calls).

import (
	"github.com/tcpcni/tcpcni/hostlink"
)

// calls are the places for calls in a journal.
type calls struct {
	used int // places that were ever taken
	free []int
}

// noNote is the note of a call that is in no journal.
const noNote = -1

// place returns where to receive the next call, and its note: room of the journal,
// or other room when there is none.
func (e *engine) place() (*hostlink.Notification, int) {
	j := e.journal
	if j == nil {
		return &e.unnoted, noNote
	}
	n := len(j.calls.free)
	switch {
	case n > 0:
		note := j.calls.free[n-1]
		j.calls.free = j.calls.free[:n-1]
		return j.mem.Notification(noteAt(note)), note
	case j.calls.used < maxNotes:
		j.calls.used++
		return j.mem.Notification(noteAt(j.calls.used - 1)), j.calls.used - 1
	}
	return &e.unnoted, noNote
}

// forget takes the call out of the journal: it was answered, or nobody waits for
// it.
func (c *call) forget() {
	if c.note == noNote {
		return
	}
	j := c.eng.journal
	j.mem.Notification(noteAt(c.note)).ID = 0
	j.calls.free = append(j.calls.free, c.note)
	c.note = noNote
}
