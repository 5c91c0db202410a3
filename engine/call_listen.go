package engine

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func (c *call) listen(s *stream) {
	switch s.phase {
	case phaseIdle, phaseListening:
	default:
		c.fail(errno.EINVAL)
		return
	}
	s, err := c.revive(s)
	if err != nil {
		c.result(err)
		return
	}
	if err := s.tcp.Listen(c.arg(1)); err != nil {
		c.result(err)
		return
	}
	if s.phase == phaseIdle {
		hostlink.ShutdownFD(c.p, abi.SHUT_WR) // writing to a listener is EPIPE
	}
	s.phase, s.agree().backlog = phaseListening, c.arg(1)
	if !s.bound {
		s.agree().at = s.tcp.LocalAddr()
	}
	s.mirror()
	s.record()
	c.reply(0)
}

func (c *call) accept(s *stream) { c.acceptWith(s, 0) }

func (c *call) accept4(s *stream) { c.acceptWith(s, c.arg(3)) }

func (c *call) acceptWith(s *stream, flags int) {
	switch {
	case flags&^(abi.SOCK_CLOEXEC|abi.SOCK_NONBLOCK) != 0, s.phase != phaseListening:
		c.fail(errno.EINVAL)
	case s.waiting() > 0:
		s.ahead, s.nonBl = true, flags&abi.SOCK_NONBLOCK != 0
		// What poll shows must be true when the call returns.
		s.showWaiting(c.p, s.waiting()-1)
		s.hand(c)
		s.showWaiting(c.p, s.waiting())
	case c.nonBlocking(0):
		s.showWaiting(c.p, 0)
		c.fail(errno.EAGAIN)
	default:
		o := s.tcp.Options()
		c.parkFor(o.RcvTimeo, errno.EAGAIN)
	}
}
