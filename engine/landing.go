package engine

// Connections on their way to the program that accepts them.
//
// The program's thread has to take its descriptor by itself, and the kernel has who
// gives it wait for that: two switches of threads, most of the time to another
// processor and back. While further connections wait, a courier waits in the loop's
// place. The connection is off its listener's queue then, and comes back to its head
// if the program did not get it. P stays open here until the outcome is known, so that
// nobody's close shows before; see arrive.

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// landing is what the courier has under way.
type landing struct {
	courier *hostlink.Courier // nil: there is none
	crowd   *stream           // the listener at which further connections waited at the last accept; nil: none
	landed  *stream           // whose P was closed since the poller looked; nil: none
	busy    bool              // the rest is valid
	call    call              // being answered; the journal has it until it was
	from    *stream           // the listener
	conn    *tcp.Socket
	unborn  *unborn
}

// openLanding starts the courier, which has the calling thread's privileges and
// filter.
func (e *engine) openLanding() (err error) {
	e.landing.courier, err = hostlink.NewCourier(e.poll)
	return err
}

// closeLanding ends the courier, also when the loop ends by a fault: a process that
// ends while a call is being answered would have that return 0.
func (e *engine) closeLanding() {
	e.land(true)
	e.landing.courier.Close()
}

// depart has the courier answer an accept call with the next connection, whose socket
// was made.
func (s *stream) depart(c *call, cloexec bool) {
	l := &s.eng.landing
	conn, _ := s.tcp.Accept() // off the queue
	l.busy, l.call, l.from, l.conn, l.unborn = true, *c, s, conn, s.unborn
	l.call.p, l.call.th = -1, nil
	c.note, s.unborn = noNote, nil // the landing's from now on
	l.courier.Post(c.on, c.req.ID, l.unborn.p, cloexec)
}

// land takes notice of what became of the connection that departed last, if that is
// known by now or wait says that it must be.
func (e *engine) land(wait bool) {
	l := &e.landing
	if !l.busy || !wait && !l.courier.Done() {
		return
	}
	l.look()
	fd, no := l.courier.Finish()
	from, conn, u := l.from, l.conn, l.unborn
	l.busy, l.from, l.conn, l.unborn = false, nil, nil, nil
	if no == 0 {
		u.bear(place{l.call.req.TID, fd})
		l.landed = u.child
	} else {
		from.takeBack(conn, u)
		if no != abi.ENOENT {
			l.call.fail(errno.Errno(no))
		}
	}
	l.call.forget()
}

// arrive is called before a call is served that may depend on what the program has done
// before: it may have closed what has just landed. True: it has.
func (e *engine) arrive() bool {
	e.land(true)
	return e.landing.look()
}

// look notices that the program has closed what landed last, and reports whether it
// has.
func (l *landing) look() bool {
	s := l.landed
	l.landed = nil
	if s == nil || s.fd < 0 {
		return false
	}
	mask, no := hostlink.PollNow(s.fd, hostlink.In|hostlink.Pri|hostlink.RdHup)
	if no != 0 || mask&hostlink.Hup == 0 {
		return false
	}
	s.ready(uint32(mask))
	return true
}

// underWay reports whether there is no outcome yet; the poller's next Wait returns
// when there is.
func (l *landing) underWay() bool { return l.busy && l.courier.WakeWhenDone() }

// takeBack makes a connection that no program got the next one again.
func (s *stream) takeBack(conn *tcp.Socket, u *unborn) {
	if !s.tcp.TakeBack(conn) { // nobody listens any more
		conn.Abort()
		u.drop()
		return
	}
	if s.unborn != nil {
		s.eng.strays = append(s.eng.strays, s.unborn)
	}
	s.unborn = u
	s.Event(tcp.EventAcceptable)
}

// early serves a call that waits at a listener of calls ahead of everything else if it
// is an accept and there is a crowd: nothing that a program did before could change
// what it gets, and a program with one thread does nothing until it has it.
func (e *engine) early(ev *hostlink.Event) {
	crowd := e.landing.crowd
	if crowd == nil || crowd.waiting() == 0 || e.socks.full() || ev.Ready()&hostlink.In == 0 {
		return
	}
	on := e.interceptOf(tagged(ev.Data()))
	if on == nil || on.taken || !e.take(on) {
		return
	}
	if nr := on.next.req.Nr; nr == abi.SYS_ACCEPT || nr == abi.SYS_ACCEPT4 {
		e.serve(on)
		ev.Events = 0 // was served; a hang-up comes again
	}
}
