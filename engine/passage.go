package engine

// Bulk between two programs of one sandbox. Bytes that the engine reads from one
// pair and sends into another are copied twice more than in a kernel, and that
// thread would be what everybody waits for. So they go by a passage, a pipe, from
// pair to pair inside the kernel (splice(2)), which hands over the pages that the
// sender has filled. The stack carries blank bytes in their place, see
// netstack/tcp/blank.go: the connection is the same TCP as ever, and what it
// delivers is where the bytes of the same sequence numbers are in the passage.
//
// A passage is for a direction that has shown that it is busy; bytes that come
// otherwise, urgent ones, and those in front of the end are read and sent as usual,
// before and after those of the passage.

import (
	"math"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/tcp"
)

const (
	// maxPassages bounds the pipes of an engine. A user without privileges may
	// have pipes of 64 MiB in all (pipe-user-pages-soft), on the whole machine.
	maxPassages = 16
	// passageSize is the capacity of one in bytes, if every page is full: a page
	// of what the pair holds may be one of 32 KiB.
	passageSize = 256 << 10
	// passageMove is the most that goes into one at a time.
	passageMove = 512 << 10
)

// How busy a direction is: reads that fill a chunk count up, and at busyEnough a
// passage is tried. What brings less than littlePassed is slower than a read.
const (
	busyEnough   = 4
	busyMost     = 8
	littlePassed = 16 << 10
	dullness     = -32 // after much that was little
)

// A passage is a pipe from the pair of one stream to that of another.
type passage struct {
	r, w     int
	from, to *stream // from is nil when its program is gone; to is nil while nobody has the passage
	next     uint32  // sequence number of the first byte in it
	n        int     // bytes in it
	lost     bool    // what is in it cannot be delivered: the connection ends
}

// ways are the passages that a stream stands at.
type ways struct{ in, out *passage }

// passOn moves bytes from E into a passage, at most about space of them, and
// reports whether that has been dealt with: false leaves it to a read.
func (s *stream) passOn(space int) bool {
	if s.sealed || s.urgent || s.ended || space < copyBelow {
		return false
	}
	q := s.wayOut()
	switch {
	case q == nil:
		return false
	case q.to.outBlocked, q.n > 0:
		return false // the stack fills its queues and closes its window, as ever
	}
	// An urgent byte that is next would be lost. In this order: what was there
	// first, and is not urgent, stays in front of what comes.
	queued := hostlink.QueuedIn(s.fd)
	if queued == 0 {
		s.readable = false
		return true
	}
	if hostlink.AtMark(s.fd) {
		if !s.pumpUrgent() {
			return false // a read goes on behind the mark of one that was taken
		}
		s.Event(tcp.EventWritable)
		return true
	}
	n, e := hostlink.Splice(s.fd, q.w, min(space, queued, passageMove))
	switch {
	case e != 0 || n == 0:
		return false // a read finds out what it is
	case n < littlePassed:
		s.busy = max(s.busy-busyMost, dullness)
	default:
		s.busy = min(s.busy+1, busyMost)
	}
	s.unseen = true
	q.next, q.n = s.tcp.WritePlace(), n
	s.tcp.WriteBlank(n)
	if n == queued {
		s.readable = false // what has come since then is an event of its own
		return true
	}
	// On with what E holds when this has gone through, but not past an urgent byte.
	s.urgent = hostlink.AtMark(s.fd)
	s.Event(tcp.EventWritable)
	return true
}

// noteRead notes a read of n bytes into room.
func (s *stream) noteRead(n, room int) {
	if n == room {
		s.busy = min(s.busy+1, busyMost)
	} else if s.busy > 0 {
		s.busy--
	}
}

// wayOut is the passage to who receives what s sends; nil: there is none. That the
// other end is here is asked every time: the route can be another by now, and blank
// bytes mean nothing to anybody else.
func (s *stream) wayOut() *passage {
	peer := s.tcp.Peer()
	if peer == nil || !hostlink.CanPassPages() || s.eng.profile.Tunables.StdUrg {
		return nil
	}
	if s.ways != nil && s.ways.out != nil {
		if s.ways.out.to.tcp != peer {
			return nil
		}
		return s.ways.out
	}
	to, ok := peer.Owner().(*stream)
	if !ok || to.eng != s.eng || to.phase != phaseConnected || to.fd < 0 || to.rdShut || to == s || to.ways != nil && to.ways.in != nil {
		return nil
	}
	q := s.eng.passage()
	if q == nil {
		return nil
	}
	// Sending into a socket by splice waits unless the socket says otherwise.
	hostlink.SetNonBlocking(to.fd, true)
	q.from, q.to = s, to
	s.pathways().out, to.pathways().in = q, q
	return q
}

func (s *stream) pathways() *ways {
	if s.ways == nil {
		s.ways = new(ways)
	}
	return s.ways
}

// passage returns one that nobody needs, empty; nil: all are in use.
func (e *engine) passage() *passage {
	for _, q := range e.passages {
		switch {
		case q.to == nil:
			return q
		case q.n == 0 && !q.to.outBlocked:
			q.part()
			return q
		}
	}
	if len(e.passages) == maxPassages {
		return nil
	}
	r, w, err := hostlink.NewPipe(passageSize)
	if err != 0 {
		return nil
	}
	q := &passage{r: r, w: w}
	e.passages = append(e.passages, q)
	return q
}

// part takes the passage away from those who have it.
func (q *passage) part() {
	if q.from != nil {
		q.from.ways.out = nil
		if q.to.outBlocked {
			q.from.Event(tcp.EventWritable) // has waited for it
		}
	}
	if q.to != nil {
		q.to.ways.in = nil
	}
	q.from, q.to = nil, nil
}

// dropPassage parts q, whose bytes nobody wants any more.
func (e *engine) dropPassage(q *passage) {
	q.part()
	if q.n == 0 {
		return
	}
	hostlink.CloseFD(q.r)
	hostlink.CloseFD(q.w)
	for i := range e.passages {
		if e.passages[i] == q {
			last := len(e.passages) - 1
			e.passages[i], e.passages[last] = e.passages[last], nil
			e.passages = e.passages[:last]
			return
		}
	}
}

// closePassages closes those that nobody has.
func (e *engine) closePassages() {
	kept := e.passages[:0]
	for _, q := range e.passages {
		if q.n == 0 && (q.to == nil || !q.to.outBlocked) {
			q.part()
			hostlink.CloseFD(q.r)
			hostlink.CloseFD(q.w)
		} else {
			kept = append(kept, q)
		}
	}
	clear(e.passages[len(kept):])
	e.passages = kept
}

// leavePassages is the end of s at both of its passages. What s has sent still
// arrives.
func (s *stream) leavePassages() {
	if s.ways == nil {
		return
	}
	s.leaveIn()
	if q := s.ways.out; q != nil {
		s.ways.out, q.from = nil, nil
		if q.n == 0 {
			q.part()
		}
	}
}

// leaveIn is leavePassages for what comes to s: nobody reads it.
func (s *stream) leaveIn() {
	if s.ways != nil && s.ways.in != nil {
		s.eng.dropPassage(s.ways.in)
	}
}

// deliverMixed is Deliver while there are bytes in the passage to s: p is bytes and
// blanks.
func (s *stream) deliverMixed(p []byte) int {
	place, done := s.tcp.ReadPlace(), 0
	for done < len(p) {
		q, part, n := s.ways.in, len(p)-done, 0
		switch ahead := q.ahead(place + uint32(done)); {
		case ahead == 0:
			part = min(part, q.n)
			n = s.takeFrom(q, part)
		case ahead > 0:
			part = min(part, ahead)
			n = s.give(p[done:done+part], 0)
		default:
			return q.lose(len(p))
		}
		if done += n; n < part {
			break
		}
	}
	return done
}

// ahead is how many bytes come before the first one in q from place on.
func (q *passage) ahead(place uint32) int {
	switch {
	case q == nil || q.n == 0:
		return math.MaxInt
	case q.lost:
		return -1
	}
	return int(int32(q.next - place))
}

// takeFrom moves the next n bytes of q into E and returns how many of them are
// dealt with.
func (s *stream) takeFrom(q *passage, n int) int {
	done, e := hostlink.Splice(q.r, s.fd, n)
	q.n -= done
	q.next += uint32(done)
	switch {
	case e == abi.EPIPE:
		s.eng.dropPassage(q) // nobody reads any more; the hang-up follows
		return n
	case e != 0 && e != abi.EAGAIN:
		return q.lose(n)
	case done < n:
		s.block()
	case q.n == 0 && q.from == nil:
		q.part()
	}
	s.recall()
	return done
}

// lose ends the connection whose bytes are in q, and takes n bytes of it: nothing
// may be delivered in the place of what is lost.
func (q *passage) lose(n int) int {
	q.lost, q.to.abortDue = true, true
	q.to.mark()
	return n
}

// robbed reports whether the program waits for bytes that are lost.
func (s *stream) robbed() bool { return s.ways != nil && s.ways.in != nil && s.ways.in.lost }

// passageFree lets who sends to s go on.
func (s *stream) passageFree() {
	if s.ways != nil && s.ways.in != nil && s.ways.in.from != nil {
		s.ways.in.from.Event(tcp.EventWritable)
	}
}
