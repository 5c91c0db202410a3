package engine

// A listening socket is readable exactly while a connection waits: for each of
// the first maxTokens there is a byte in P's receive queue. A byte of its own
// for each arrival gives an edge-triggered epoll its edge.

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const maxTokens = 64

// waiting is the number of connections that accept could return.
func (s *stream) waiting() int {
	n := s.tcp.AcceptQueueLen()
	if s.offered != nil {
		n++
	}
	return n
}

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
}

// next is the connection that accept returns next. It stays the next one until
// a program has it.
func (s *stream) next() (*tcp.Socket, error) {
	if s.offered == nil {
		conn, err := s.tcp.Accept()
		if err != nil {
			return nil, err
		}
		s.offered = conn
	}
	return s.offered, nil
}

// hand ends an accept call with the next connection. The connection leaves the
// queue only if the program got it: the caller may have been interrupted.
func (s *stream) hand(c *call) {
	conn, err := s.next()
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
	child, p, e := s.eng.newStream(s.domain, flags&abi.SOCK_NONBLOCK != 0, conn)
	if e != 0 {
		c.fail(errno.Errno(e))
		return
	}
	child.record()
	child.showInherited(p, conn)
	fd, e := c.on.ReplyFD(c.req.ID, p, flags&abi.SOCK_CLOEXEC != 0)
	hostlink.CloseFD(p)
	if e != 0 {
		child.discard()
		if e != abi.ENOENT {
			c.fail(errno.Errno(e))
		}
		return
	}
	s.offered = nil
	child.home = place{c.req.TID, fd}
	child.uid = s.uid
	conn.SetOwner(child)
	conn.Resume()
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
	if s.offered != nil {
		s.offered.Abort()
		s.offered = nil
	}
	s.entomb()
	s.phase = phaseEnded
	s.wait.answer(func(w *waiter) bool { return w.fail(errno.EINVAL) })
}
