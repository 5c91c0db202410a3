package udp

// The error queue: ip(7) and ipv6(7), IP_RECVERR. A socket with the option keeps
// every error about what it sent until the program asks (recvmsg(2) with
// MSG_ERRQUEUE).

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A QueuedError is one entry: struct sock_extended_err and what goes with it.
type QueuedError struct {
	Errno      errno.Errno
	ICMP       bool  // an ICMP message said so; else the stack itself did, when the program sent
	Type, Code uint8 // of the message
	Info       uint32
	To         netip.AddrPort // where the datagram went
	At         netip.Addr     // the address of ours that the message came to
	Offender   netip.Addr     // who sent the message; invalid: nobody did
	Marks      Marks          // of the message
	Text       []byte         // of the datagram, as far as it was quoted
}

// queuedErrorCost is what an entry takes besides its text, in bytes. All of them
// together take no more than SO_RCVBUF.
const queuedErrorCost = 256

// maxQueuedText bounds what is kept of the datagram that an error quotes, in
// bytes: routers quote no more than RFC 4443 section 2.4 (c) lets them.
const maxQueuedText = 1280

type errorQueue struct {
	list []QueuedError
	size int
}

// enqueue keeps e with a copy of text, if there is room.
func (s *Socket) enqueue(e QueuedError, text []byte) {
	text = text[:min(len(text), maxQueuedText)]
	cost, used := queuedErrorCost+len(text), 0
	if s.queue != nil {
		used = s.queue.size
	}
	if used+cost > int(s.opts.RcvBuf) {
		return
	}
	if s.queue == nil {
		s.queue = new(errorQueue)
	}
	q := s.queue
	e.Text = append([]byte(nil), text...)
	q.list, q.size = append(q.list, e), q.size+cost
}

// localError queues what the stack itself says about a datagram to to: it is
// larger than mtu.
func (s *Socket) localError(to netip.AddrPort, no errno.Errno, mtu int) {
	every := s.opts.RecvErr
	if to.Addr().Is6() {
		every = s.opts.RecvErr6
	}
	if !every {
		return
	}
	s.enqueue(QueuedError{Errno: no, Info: uint32(mtu), To: to}, nil)
	if s.owner != nil {
		s.owner.Error(0)
	}
}

// FirstError is the oldest entry; ok is false when there is none. Its text is
// valid until DropError.
func (s *Socket) FirstError() (e QueuedError, ok bool) {
	if s.queue == nil {
		return e, false
	}
	return s.queue.list[0], true
}

// DropError takes the oldest entry off. What SO_ERROR shows is then that of the
// next one, as on Linux.
func (s *Socket) DropError() {
	q := s.queue
	if q == nil {
		return
	}
	was := q.list[0]
	q.size -= queuedErrorCost + len(was.Text)
	q.list[0] = QueuedError{}
	if q.list = q.list[1:]; len(q.list) == 0 {
		s.queue = nil
	}
	switch {
	case s.queue != nil && q.list[0].ICMP:
		s.err = q.list[0].Errno
	case was.ICMP:
		s.err = 0
	}
}
