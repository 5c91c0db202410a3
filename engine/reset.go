package engine

// How a program sees that its connection has failed: RFC 9293 section 3.10.7
// ("connection reset"). Closing one end of an AF_UNIX pair that holds unread
// bytes gives the other end ECONNRESET after it has read what was queued for it;
// closing an empty one gives it an end of file.

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// reset ends an established connection that has failed, after what arrived
// before the failure was delivered.
func (s *stream) reset() {
	if s.tcp.Unread() > 0 && s.outBlocked {
		s.resetDue = true
		return
	}
	if hostlink.QueuedIn(s.fd) == 0 {
		s.plant()
	}
	s.planted = hostlink.QueuedIn(s.fd) != 0
	if s.eofSent {
		// A reset after the peer's FIN is EPIPE to a writer (tcp_reset of Linux),
		// also to one that is just writing: the end comes before the error.
		hostlink.ShutdownFD(s.fd, abi.SHUT_RD)
	}
	s.entomb()
	s.phase = phaseEnded
}

// takeError is the error of a connection that has ended, once. The program may
// have met it already, by reading: then P has it no more.
func (s *stream) takeError(p int) errno.Errno {
	e := s.failure
	s.failure = 0
	if e == 0 {
		e = s.tcp.TakeError()
	}
	if s.planted {
		var native [4]byte
		n, no := hostlink.GetSockOpt(p, abi.SOL_SOCKET, abi.SO_ERROR, native[:])
		if no == 0 && n == 4 && native == [4]byte{} {
			return 0
		}
		s.planted = false
	}
	return e
}

// plant puts an unread byte into E through P'. It fails when the program has
// shut down writing; then the program sees an end of file, and the error in
// SO_ERROR only.
func (s *stream) plant() {
	p, ok := s.grab()
	if !ok {
		return
	}
	_, _ = hostlink.Send(p, filler[:1], 0)
	hostlink.CloseFD(p)
}
