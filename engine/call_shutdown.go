package engine

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// shutdownStream executes shutdown(2) on TCP. On a connection it is done to P
// itself: bytes written before stay in front of the end, and other threads get
// EPIPE or an end of file from the kernel; E then reports the end and the stack
// hears of it in order.
func (c *call) shutdownStream(s *stream) {
	how := c.arg(1)
	if how < abi.SHUT_RD || how > abi.SHUT_RDWR {
		c.fail(errno.EINVAL)
		return
	}
	switch s.phase {
	case phaseConnected:
		s.shutdown(c.p, how)
		c.reply(0)
	case phaseListening:
		if how != abi.SHUT_WR {
			hostlink.ShutdownFD(c.p, abi.SHUT_RDWR)
			s.stopListening()
		}
		c.reply(0)
	case phaseConnecting:
		// Linux drops the attempt; the socket may connect again.
		s.tcp.Abort()
		s.wait.answer(func(w *waiter) bool { return w.fail(errno.ECONNABORTED) }, connectCalls...)
		s.phase, s.fast = phaseIdle, nil
		s.record()
		c.reply(0)
	case phaseEnded:
		if st := s.tcp.State(); st == tcp.StateClosed || st == tcp.StateTimeWait {
			c.fail(errno.ENOTCONN)
			return
		}
		c.reply(0) // both directions are shut, the connection is still ending
	default:
		c.fail(errno.ENOTCONN)
	}
}

func (s *stream) shutdown(p, how int) {
	if how != abi.SHUT_WR && !s.rdShut {
		s.rdShut = true
		s.tcp.CloseRead()
		s.leaveIn()
	}
	if how == abi.SHUT_WR && !s.rdShut && !s.wrShut {
		s.seal(p)
	}
	if how != abi.SHUT_RD {
		s.eng.socks.noteShut(s, true)
	}
	hostlink.ShutdownFD(p, how)
	s.recall()
}

// shutdownDgram executes shutdown(2) on UDP, which needs a peer.
func (c *call) shutdownDgram(d *dgram) {
	how := c.arg(1)
	switch {
	case how < abi.SHUT_RD || how > abi.SHUT_RDWR:
		c.fail(errno.EINVAL)
	case !d.udp.RemoteAddr().IsValid():
		// Linux refuses and shuts down all the same: programs wake a thread
		// that receives by it.
		d.shutdown(c.p, how)
		c.fail(errno.ENOTCONN)
	default:
		d.shutdown(c.p, how)
		c.reply(0)
	}
}
