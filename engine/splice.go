package engine

// One connection made of two: what a plain container's kernel has with this
// engine, and what this engine has with the other side. RFC 9293 sections 3.6
// (half-close) and 3.10.7 (reset) and RFC 6093 (urgent data) say what has to
// look the same on both.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A splice joins two ends of TCP. One asked for the connection, the other was
// dialled by the engine; who asked gets its answer when the outcome of that is
// known, so a refusal stays a refusal.
//
// Bytes cross in the moment of their delivery: the other end's send queue takes the
// frame's memory over, or a copy of what is too little for that. What has no room
// there is copied into the receive queue of the end that it came from, whose window
// closes, and a second time when there is room again.
type splice struct {
	eng      *engine
	asked    end // nil until its SYN was answered
	dialled  end
	pending  *tcp.Pending  // the SYN of who asked; nil once answered
	gone     bool          // the SYN was forgotten before that
	inward   bool          // it was asked for on the network's side
	dialling bool          // the dialled end does not stand yet
	joined   bool          // both ends stand
	over     bool          // nothing more will be done
	dirty    bool          // stands in inline.dirty
	waits    bool          // stands in inline.waiting
	slot     int           // in inline.all
	left     int           // bytes that a reset waits for
	until    time.Duration // when it waits no longer
}

// An end is one of the two connections of a splice. What happens to it is
// noted, and settle acts on it once the stacks are at rest.
type end interface {
	// write takes of p what there is room for. When that is not all, the other
	// end is resumed once there is room.
	write(p []byte, urgent bool) int
	// room is how many bytes write takes. 0 asks for the same.
	room() int
	// resume has the end pass on what the other end did not take.
	resume()
	// closeWrite ends the stream towards the peer after what was written.
	closeWrite()
	// unsent is how many bytes were written that the peer does not have yet.
	unsent() int
	// unread is how many bytes wait that the other end did not take.
	unread() int
	// abort ends the connection by RST.
	abort()
	// leave gives the connection up: it has failed, or ends by itself.
	leave()
	// act works on what was noted; afterwards state is true.
	act()
	state() *endState
}

// endState is what is known of an end.
type endState struct {
	up     bool        // the connection stands
	ended  bool        // the peer has ended its stream and all of it was passed on
	shut   bool        // closeWrite was called
	failed bool        // the connection is gone
	why    errno.Errno // Valid iff failed
}

// other is the end that x is joined to.
func (s *splice) other(x end) end {
	if x == s.asked {
		return s.dialled
	}
	return s.asked
}

// mark has settle called before the loop sleeps.
func (s *splice) mark() {
	if !s.dirty && !s.over {
		s.dirty = true
		s.eng.inline.dirty = append(s.eng.inline.dirty, s)
	}
}

// settle acts on what has happened since the last time.
func (s *splice) settle() {
	s.dirty = false
	for _, x := range [...]end{s.asked, s.dialled} {
		if x != nil && !s.over {
			x.act()
		}
	}
	switch {
	case s.over:
	case s.joined:
		s.proceed()
	default:
		s.open()
	}
}

// open goes on with a connection that does not stand on both sides yet.
func (s *splice) open() {
	d := s.dialled.state()
	if d.up {
		s.eng.inline.reached(s)
	}
	switch {
	case s.gone:
		s.dialled.abort()
		s.finish()
	case d.failed && s.pending != nil:
		s.eng.inline.refuse(s.pending, d.why)
		s.pending = nil
		s.finish()
	case d.failed:
		s.asked.abort()
		s.finish()
	case s.asked != nil && s.asked.state().failed:
		s.dialled.abort()
		s.finish()
	case d.up && s.pending != nil:
		s.accept()
	case d.up && s.asked.state().up:
		s.joined = true
		s.asked.resume()
		s.dialled.resume()
		s.proceed()
	}
}

// accept answers the SYN of who asked: the other side is reached.
func (s *splice) accept() {
	p := s.pending
	s.pending = nil
	x := &stackEnd{splice: s}
	from := s.eng.inline.stack
	if s.inward {
		from = s.eng.stack
	}
	x.open(from, p.Domain())
	if s.inward {
		s.eng.defaults.Incoming(x.sock.Options(), p.Domain(), p.Local(), p.Remote())
	}
	s.asked = x
	if p.Accept(x.sock) != nil {
		p.Drop() // unless it has gone by itself
		s.dialled.abort()
		s.finish()
	}
}

// Gone implements tcp.PendingOwner: who asked has given up, or will ask again.
func (s *splice) Gone(*tcp.Pending) {
	s.pending, s.gone = nil, true
	s.mark()
}

// proceed passes on the ends and failures of a connection that stands.
func (s *splice) proceed() {
	a, d := s.asked.state(), s.dialled.state()
	s.passEnd(a, s.dialled)
	s.passEnd(d, s.asked)
	switch {
	case a.failed && d.failed, a.ended && d.ended && !a.failed && !d.failed:
		s.finish()
	case a.failed:
		s.passReset(s.asked, s.dialled)
	case d.failed:
		s.passReset(s.dialled, s.asked)
	}
}

// passEnd ends the stream towards x when the other's has ended.
func (s *splice) passEnd(from *endState, x end) {
	if to := x.state(); from.ended && !to.shut && !to.failed {
		to.shut = true
		x.closeWrite()
	}
}

// resetPatience is how long a reset waits for the bytes that came before it
// while none of them arrives: they were acknowledged to their sender, who may
// believe them delivered. maxWaiting bounds the connections that wait; more of
// them are reset at once.
const (
	resetPatience = 2 * time.Second
	maxWaiting    = 1024
)

// passReset ends the connection of x, the other end, once everything that was
// received before the failure of the one called gone has arrived there.
func (s *splice) passReset(gone, x end) {
	in := &s.eng.inline
	left := gone.unread() + x.unsent()
	if s.until == 0 || left < s.left {
		s.left, s.until = left, s.eng.now+resetPatience
	}
	if left == 0 || s.eng.now >= s.until || !s.waits && len(in.waiting) >= maxWaiting {
		x.abort()
		s.finish()
		return
	}
	if !s.waits {
		s.waits = true
		in.waiting = append(in.waiting, s)
	}
}

// finish lets both connections go, which end by themselves or have ended.
func (s *splice) finish() {
	s.over = true
	s.eng.inline.remove(s)
	for _, x := range [...]end{s.asked, s.dialled} {
		if x != nil {
			x.leave()
		}
	}
}
