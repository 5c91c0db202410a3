package engine

// Urgent data: RFC 6093, and MSG_OOB of AF_UNIX streams, which keeps the byte's
// place in the stream, raises SIGURG and POLLPRI and answers SIOCATMARK.
// Deliver passes an arriving urgent byte on.

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// pumpUrgent takes the urgent byte if it is next in E. False: read on. A read
// stops in front of the byte, so it is met exactly.
func (s *stream) pumpUrgent() bool {
	if !hostlink.AtMark(s.fd) {
		return false
	}
	var b [1]byte
	n, e := hostlink.Recv(s.fd, b[:], abi.MSG_OOB)
	if e != 0 || n == 0 {
		s.urgent = false // the mark of a byte that was taken before
		return false
	}
	s.tcp.WriteUrgent(b[:])
	return true
}
