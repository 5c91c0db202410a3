package engine

// How a program sees that its connection has failed: RFC 9293 section 3.10.7
// ("connection reset"). Closing one end of an AF_UNIX pair that holds unread
// bytes gives the other end ECONNRESET after it has read what was queued for it;
// closing an empty one gives it an end of file.

import (
	"github.com/tcpcni/tcpcni/hostlink"
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
	s.entomb()
	s.phase = phaseEnded
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
