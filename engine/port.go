package engine

// Frames come in here: those of each link go to the stack that speaks for it.

import (
	"errors"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/buf"
)

// frameRoom returns memory for a frame. Whoever keeps it sets frame to nil.
func (e *engine) frameRoom() []byte {
	if e.frame == nil {
		e.frame = e.stack.Pool().Get(buf.FrameSize)
	}
	return e.frame.B[:buf.FrameSize]
}

// A port is a link of the engine and what the engine does with its frames.
type port struct {
	hostlink.Link
	timed hostlink.Timed // the link, if it holds frames back
	name  string
	kind  string
	stack *netstack.Stack // that takes its frames; nil: they are dropped
	num   int             // the link's number there
	gone  bool            // its device was deleted
}

// Bounds of what is taken from a link in one turn, in frames and in bytes: a
// sender whose window is full waits for the acknowledgements that the turn's end
// sends, and should not wait for a whole window to be worked off.
const (
	frameBatch = 64
	byteBatch  = 256 << 10
)

// An early frame is one that was taken off the uplink while the loop stayed awake for
// it: who has sent it is often just about to wait for what it brings about.
type earlyFrame struct {
	hostlink.RxFrame
	there bool
}

// count is how many frames there are.
func (f *earlyFrame) count() int {
	if f.there {
		return 1
	}
	return 0
}

// takeEarly takes a frame that waits at the uplink, unless it is a program's turn: then
// looking at the uplink keeps from looking at the program.
func (e *engine) takeEarly() bool {
	if e.theirTurn {
		return false
	}
	p := e.ports[0]
	f, err := p.ReadFrame(e.frameRoom())
	if err != nil {
		e.noFrame(p, err)
		return false
	}
	e.ahead = earlyFrame{f, true}
	return true
}

// inputEarly hands an early frame to the stack, and what has come after it.
func (e *engine) inputEarly() {
	if !e.ahead.there {
		return
	}
	e.ahead.there = false
	e.inputFrame(e.ports[0], &e.ahead.RxFrame)
	e.input(e.ports[0])
}

// input hands waiting frames to the stack.
func (e *engine) input(p *port) {
	for n, size := 0, 0; n < frameBatch && size < byteBatch; n++ {
		f, err := p.ReadFrame(e.frameRoom())
		if err != nil {
			e.noFrame(p, err)
			return
		}
		size += len(f.Data)
		e.inputFrame(p, &f)
	}
}

// noFrame takes notice of why there is no frame: a packet socket says only once that
// its device was deleted.
func (e *engine) noFrame(p *port, err error) {
	if errors.Is(err, hostlink.ErrGone) && !p.gone {
		p.gone = true
		_ = e.poll.Remove(p.FD())
		e.log.Warn("link is gone", "link", p.name)
	}
}

// inputFrame hands a frame to the stack, or to whoever speaks for its address.
func (e *engine) inputFrame(p *port, f *hostlink.RxFrame) {
	switch {
	case e.lease != nil && e.lease.takes(p, f):
	case p.stack != nil:
		p.stack.Input(p.num, f)
		if e.shards != nil {
			e.shards.seen.note(e.stack.TCP().Latest())
		}
	}
}

// tick serves links that hold frames back.
func (e *engine) tick() {
	for _, p := range e.ports {
		if p.timed == nil {
			continue
		}
		if at, ok := p.timed.Deadline(); ok && at <= hostlink.Now() {
			p.timed.Tick()
			e.input(p)
		}
	}
}
