package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func (c *call) nameStream(s *stream) { c.tell(s.tcp.LocalAddr()) }

func (c *call) nameDgram(d *dgram) {
	d.named()
	c.tell(d.udp.LocalAddr())
}

func (c *call) peerStream(s *stream) {
	switch s.tcp.State() {
	case tcp.StateClosed, tcp.StateSynSent, tcp.StateListen:
		c.fail(errno.ENOTCONN)
	default:
		c.tell(s.tcp.RemoteAddr())
	}
}

func (c *call) peerDgram(d *dgram) {
	peer := d.udp.RemoteAddr()
	if !peer.IsValid() || peer.Port() == 0 {
		c.fail(errno.ENOTCONN)
		return
	}
	c.tell(peer)
}

// tell ends getsockname or getpeername with an address.
func (c *call) tell(a netip.AddrPort) {
	var room [sockaddrIn6Len]byte
	c.result(c.writeSockaddr(c.ptr(1), c.ptr(2), appendSockaddr(room[:0], c.s.domain, a)))
}
