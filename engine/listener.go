package engine

// A listening socket is readable exactly while a connection waits: for each of
// the first maxTokens there is a byte in P's receive queue. A byte of its own
// for each arrival gives an edge-triggered epoll its edge.

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const maxTokens = 64

// waiting is the number of connections that accept could return.
func (s *stream) waiting() int { return s.tcp.AcceptQueueLen() }

// admit gives new connections to the calls that wait for them and shows the rest
// to poll.
func (s *stream) admit() {
	if s.phase != phaseListening {
		return
	}
	for s.waiting() > 0 {
		w := s.wait.first(abi.SYS_ACCEPT, abi.SYS_ACCEPT4)
		if w == nil {
			break
		}
		w.end()
		if w.on.Valid(w.req.ID) { // else its thread was interrupted or killed
			s.hand(&w.call)
		}
	}
	s.wait.compact()
	s.showWaiting(-1, s.waiting())
	if s.ahead && s.waiting() > 0 {
		// The program is on its way here: what accept needs is ready by then. It is
		// no matter if it fails, since accept tries again.
		if conn, err := s.tcp.Waiting(); err == nil {
			_ = s.layOut(conn, s.nonBl)
		}
	}
}

// hand ends an accept call with the next connection. The connection leaves the
// queue only if the program got it: the caller may have been interrupted.
func (s *stream) hand(c *call) {
	e := s.eng
	e.land(true) // one at a time
	conn, err := s.tcp.Waiting()
	if err != nil {
		c.fail(asErrno(err))
		return
	}
	if c.ptr(1) != 0 {
		var room [sockaddrIn6Len]byte
		sa := appendSockaddr(room[:0], s.domain, conn.RemoteAddr())
		if err := c.writeSockaddr(c.ptr(1), c.ptr(2), sa); err != nil {
			c.fail(asErrno(err))
			return
		}
	}
	flags := 0
	if c.req.Nr == abi.SYS_ACCEPT4 {
		flags = c.arg(3)
	}
	if no := s.layOut(conn, flags&abi.SOCK_NONBLOCK != 0); no != 0 {
		c.fail(errno.Errno(no))
		return
	}
	cloexec := flags&abi.SOCK_CLOEXEC != 0
	e.landing.crowd = nil
	if s.waiting() > 1 && e.landing.courier != nil {
		e.landing.crowd = s
		s.depart(c, cloexec)
		return
	}
	fd, no := c.on.ReplyFD(c.req.ID, s.unborn.p, cloexec)
	if no != 0 {
		if no != abi.ENOENT {
			c.fail(errno.Errno(no))
		}
		return
	}
	_, _ = s.tcp.Accept() // off the queue
	s.unborn.bear(place{c.req.TID, fd})
	s.unborn = nil
}

// showWaiting makes P show n waiting connections. p is P' or -1.
func (s *stream) showWaiting(p, n int) {
	want := min(n, maxTokens)
	switch {
	case s.tokens < want:
		n, _ := hostlink.Send(s.fd, filler[:want-s.tokens], 0)
		s.tokens += n
	case s.tokens > want && p >= 0:
		s.takeTokens(p, s.tokens-want)
	case s.tokens > want:
		if got, ok := s.grab(); ok {
			s.takeTokens(got, s.tokens-want)
			hostlink.CloseFD(got)
		}
	}
}

// takeTokens removes n tokens from P. A program that reads from its listening
// descriptor takes them itself; then they are all gone.
func (s *stream) takeTokens(p, n int) {
	var b [maxTokens]byte
	got, e := hostlink.Recv(p, b[:n], 0)
	if e != 0 || got < n {
		s.tokens = 0
		s.showWaiting(p, s.waiting())
		return
	}
	s.tokens -= got
}

// stopListening ends the listener by shutdown(2): whoever waits in accept gets
// EINVAL, whoever polls a hang-up. The socket cannot listen again.
func (s *stream) stopListening() {
	s.eng.land(true)
	s.entomb()
	s.withdraw()
	s.phase = phaseEnded
	s.wait.answer(func(w *waiter) bool { return w.fail(errno.EINVAL) })
}
