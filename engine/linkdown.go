package engine

// Interfaces that are not up, for systems whose programs hear of it:
// sockopt.Profile.LinkDown.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// linkDown is the profile's error when an interface on the way to addr is not up:
// that which the sandbox shows, or the uplink. 0: all are, or the profile has none.
func (e *engine) linkDown(addr netip.Addr) errno.Errno {
	if e.profile.LinkDown == 0 || !addr.IsValid() || e.stack.IsLocal(addr.Unmap()) {
		return 0
	}
	for _, p := range e.ports {
		if p.kind == LinkTAP && !hostlink.TAPUp(p.FD()) {
			return e.profile.LinkDown
		}
	}
	return 0
}

// stackError is the error of the stack's socket, once. What could not be delivered
// while an interface is down has that for its reason.
func (s *stream) stackError() errno.Errno {
	e := s.tcp.TakeError()
	if e == errno.ETIMEDOUT {
		if down := s.eng.linkDown(s.tcp.RemoteAddr().Addr()); down != 0 {
			return down
		}
	}
	return e
}
