package engine

// Sockets that accept has not returned yet. A connection gets its pair before a
// program has it: what has arrived is then there to be read when accept returns, so
// who polls first need not sleep once more, and if connections come to a program
// that polls before it accepts, the pair is made while that program wakes up.
//
// The program may be interrupted, or have no descriptor left. The connection is then
// the next one's, with the pair that it has and what is in it.

import (
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

// withdraw takes the next socket back: nobody will accept it. The stack resets the
// connection with the others of the queue.
func (s *stream) withdraw() {
	u := s.unborn
	if u == nil {
		return
	}
	s.unborn, u.child.unborn = nil, nil
	u.child.phase = phaseEnded // so that it reacts to nothing
	u.child.discard()
	hostlink.CloseFD(u.p)
}
