package engine

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const (
	protoTCP = 6
	protoUDP = 17
)

// kinds are the sockets that a program may have, by type.
var kinds = map[int]struct {
	proto int
	make  func(e *engine, domain int, nonblock bool) (*sock, int, abi.Errno)
}{
	sockopt.SockStream: {protoTCP, func(e *engine, domain int, nonblock bool) (*sock, int, abi.Errno) {
		s, p, err := e.newStream(domain, nonblock, nil)
		if err != 0 {
			return nil, -1, err
		}
		return &s.sock, p, 0
	}},
	sockopt.SockDgram: {protoUDP, func(e *engine, domain int, nonblock bool) (*sock, int, abi.Errno) {
		d, p, err := e.newDgram(domain, nonblock)
		if err != 0 {
			return nil, -1, err
		}
		return &d.sock, p, 0
	}},
}

// socket executes socket(2). The filter has let only the two families through,
// and no raw sockets.
func (c *call) socket() {
	domain, typ, proto := c.arg(0), c.arg(1)&0xf, c.arg(2)
	flags := c.arg(1) &^ 0xf
	kind, ok := kinds[typ]
	switch {
	case flags&^(abi.SOCK_CLOEXEC|abi.SOCK_NONBLOCK) != 0:
		c.fail(errno.EINVAL)
		return
	case domain != sockopt.AFInet && domain != sockopt.AFInet6:
		c.fail(errno.EAFNOSUPPORT)
		return
	case typ > abi.SOCK_PACKET: // beyond the last type of Linux
		c.fail(errno.EINVAL)
		return
	case !ok:
		c.fail(errno.ESOCKTNOSUPPORT)
		return
	case proto != 0 && proto != kind.proto:
		// MPTCP, SCTP, ping sockets and UDP-Lite; programs that try them fall
		// back, as on a kernel without.
		c.fail(errno.EPROTONOSUPPORT)
		return
	}
	th, e := c.eng.threads.get(c.on, c.req.ID, c.req.TID)
	if e != 0 {
		c.fail(errno.Errno(e)) // ESRCH: nobody hears it
		return
	}
	s, p, e := kind.make(c.eng, domain, flags&abi.SOCK_NONBLOCK != 0)
	if e != 0 {
		c.fail(errno.Errno(e))
		return
	}
	s.uid = th.UID
	s.setUser()
	s.record()
	fd, e := c.on.ReplyFD(c.req.ID, p, flags&abi.SOCK_CLOEXEC != 0)
	hostlink.CloseFD(p)
	if e != 0 {
		s.abandon()
		c.fail(errno.Errno(e)) // EMFILE; when the caller is gone, nobody hears it
		return
	}
	s.home = place{c.req.TID, fd}
}

// abandon drops a socket that its program never got.
func (s *sock) abandon() {
	if s.stream != nil {
		s.stream.tcp.Close()
	} else {
		s.dgram.udp.Close()
	}
	s.discard()
}
