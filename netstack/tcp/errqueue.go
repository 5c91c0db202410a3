package tcp

// The error queue of ip(7) and ipv6(7), as far as TCP has one: Linux queues the
// ICMP error that ends an attempt to connect, whether or not IP_RECVERR is set
// (tcp_v4_err, tcp_v6_err). A connection that stands has none. So one place is
// enough.

import (
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A QueuedError is the ICMP error that ended the attempt to connect: struct
// sock_extended_err and what goes with it.
type QueuedError struct {
	Errno      errno.Errno
	Type, Code uint8 // of the message
	Info       uint32
	To         netip.AddrPort // where the connection would have gone
	At         netip.Addr     // the address of ours that the message came to
	Offender   netip.Addr     // who sent the message
	TTL, TOS   uint8          // it came with
	Text       []byte         // of the segment, from its header on, as far as it was quoted
}

// maxQueuedText bounds what is kept of the segment, in bytes: a SYN with all its
// options, and what a Fast Open may have put behind it within the least IPv4 MTU.
const maxQueuedText = 576

func (c *conn) keepError(e ICMPError, local netip.Addr, quoted []byte) {
	c.cold().queued = &QueuedError{
		Errno: e.Errno, Type: e.Type, Code: e.Code, Info: e.Info,
		To: netip.AddrPortFrom(c.path.Dst, c.rport), At: local, Offender: e.From, TTL: e.TTL, TOS: e.TOS,
		Text: slices.Clone(quoted[:min(len(quoted), maxQueuedText)]),
	}
}

// FirstError is the error that waits in the queue; nil: none. DropError takes it off.
func (s *Socket) FirstError() *QueuedError {
	if s.conn == nil || s.conn.rare == nil {
		return nil
	}
	return s.conn.rare.queued
}

// DropError takes the error off the queue.
func (s *Socket) DropError() {
	if s.conn != nil && s.conn.rare != nil {
		s.conn.rare.queued = nil
	}
}
