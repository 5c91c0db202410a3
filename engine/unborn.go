package engine

// Sockets that accept has not returned yet. A connection gets its pair before a
// program has it: what has arrived is then there to be read when accept returns, so
// who polls first need not sleep once more, and if connections come to a program
// that polls before it accepts, the pair is made while that program wakes up.
//
// The program may be interrupted, or have no descriptor left. The connection is then
// the next one's, with the pair that it has and what is in it. The same when the
// listener closes and another inherits the connection (tcp_migrate_req): the pair
// holds what was acknowledged already.

import (
	"slices"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// An unborn is the socket of the connection that accept returns next. That stays in
// the accept queue, where it counts.
type unborn struct {
	child    *stream
	p        int  // P, open here until a program has it
	nonblock bool // its mode
}

// layOut makes the socket of conn, the next connection, unless it is there.
func (s *stream) layOut(conn *tcp.Socket, nonblock bool) abi.Errno {
	if u := s.unborn; u != nil {
		if u.nonblock != nonblock {
			hostlink.SetNonBlocking(u.p, nonblock)
			u.nonblock = nonblock
		}
		return 0
	}
	if s.adoptStray(conn) {
		return s.layOut(conn, nonblock)
	}
	child, p, e := s.eng.newStream(s.domain, nonblock, conn)
	if e != 0 {
		return e
	}
	child.uid = s.uid
	child.record()
	child.showInherited(p, conn)
	s.unborn = &unborn{child, p, nonblock}
	child.unborn = s.unborn
	conn.SetOwner(child)
	conn.Resume()
	return 0
}

// adoptStray takes over the socket that another listener has made for conn.
func (s *stream) adoptStray(conn *tcp.Socket) bool {
	e := s.eng
	i := slices.IndexFunc(e.strays, func(u *unborn) bool { return u.child.tcp == conn })
	if i < 0 {
		return false
	}
	s.unborn = e.strays[i]
	e.strays = slices.Delete(e.strays, i, i+1)
	return true
}

// withdraw is called when the stack's listener has closed: nobody will accept the
// next socket here. It waits for the one who has inherited its connection. What
// nobody has inherited, of this one or of others before, the stack has reset.
func (s *stream) withdraw() {
	e := s.eng
	if s.unborn != nil {
		e.strays = append(e.strays, s.unborn)
		s.unborn = nil
	}
	e.strays = slices.DeleteFunc(e.strays, func(u *unborn) bool {
		if u.child.tcp.Owned() {
			return false
		}
		u.drop()
		return true
	})
}

// bear notes that a program has the socket, and where.
func (u *unborn) bear(at place) {
	hostlink.CloseFD(u.p)
	u.child.home = at
	u.child.unborn = nil
}

// drop ends the socket of a connection that the stack has reset.
func (u *unborn) drop() {
	u.child.unborn = nil
	u.child.phase = phaseEnded // so that it reacts to nothing
	u.child.leavePassages()
	u.child.discard()
	hostlink.CloseFD(u.p)
}
