package engine

// How a program sees that its connection has failed: RFC 9293 section 3.10.7
// ("connection reset"). Closing one end of an AF_UNIX pair that holds unread
// bytes gives the other end ECONNRESET after it has read what was queued for it;
// closing an empty one gives it an end of file.
//
// Once the program has shut down writing nothing can be put there any more. So
// shutdown puts a byte in front of the end, the seal: it stays in E until both
// directions have ended well, and the program that waits for an answer hears of a
// failure also then, or of the engine's death. The seal is sent as urgent data,
// which marks its place: another thread may be writing.

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
	s.recall()
}

// takeError is the error of a connection that has ended, once. The program may
// have met it already, by reading: then P has it no more, which does not matter
// to systems whose errors are permanent.
func (s *stream) takeError(p int) errno.Errno {
	e := s.failure
	s.failure = 0
	if e == 0 {
		e = s.stackError()
	}
	if s.planted && !s.eng.profile.PermanentErrors {
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
// shut down writing and E could not be sealed: then the program sees an end of
// file, and the error in SO_ERROR only.
func (s *stream) plant() {
	if s.unborn != nil {
		_, _ = hostlink.Send(s.unborn.p, filler[:1], 0)
		return
	}
	p, ok := s.grab()
	if !ok {
		return
	}
	_, _ = hostlink.Send(p, filler[:1], 0)
	hostlink.CloseFD(p)
}

// seal puts the seal into E through P'. An urgent byte that the stack has not had
// yet would lose its mark by it, and goes first.
func (s *stream) seal(p int) {
	var b [1]byte
	if _, e := hostlink.Recv(s.fd, b[:], abi.MSG_OOB|abi.MSG_PEEK); e == 0 {
		return
	}
	n, e := hostlink.Send(p, filler[:1], abi.MSG_OOB)
	s.sealed = e == 0 && n == 1
}

// atSeal reports whether the seal is all that is left in E. What another thread
// has written behind it is worth more than the seal.
func (s *stream) atSeal() bool {
	if !hostlink.AtMark(s.fd) {
		return false
	}
	if hostlink.QueuedIn(s.fd) == 1 {
		return true
	}
	s.unseal()
	return false
}

// unseal takes the seal away: the program is to see the end of file.
func (s *stream) unseal() {
	if s.sealed && s.fd >= 0 {
		var b [1]byte
		_, _ = hostlink.Recv(s.fd, b[:], abi.MSG_OOB)
	}
	s.sealed = false
}

// fromProgram is how many bytes of the program are in E.
func (s *stream) fromProgram() int {
	n := hostlink.QueuedIn(s.fd)
	if s.sealed {
		n--
	}
	return n
}
