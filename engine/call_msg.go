package engine

// The message calls on TCP sockets. A connected P does natively what they ask
// for; what remains is what an AF_UNIX socket answers differently: no
// connection, a destination address, the error queue; call_fastopen.go has
// MSG_FASTOPEN.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func (c *call) sendtoStream(s *stream) {
	m := message{name: c.ptr(4), nameLen: c.arg(5)}
	c.oneVector(&m)
	c.sendStream(s, &m, c.arg(3))
}

func (c *call) sendmsgStream(s *stream) {
	m, err := c.readMessage(c.ptr(1))
	if err != nil {
		c.result(err)
		return
	}
	c.sendStream(s, &m, c.arg(2))
}

func (c *call) sendmmsgStream(s *stream) {
	if e := c.sendRefusal(s, c.arg(3)); e != 0 {
		c.fail(e)
		return
	}
	c.resume()
}

// sendRefusal is why a sending call on a TCP socket fails at once, 0 if it does
// not. While a connection is being made the kernel lets the caller wait, as P is
// full. Of several messages none may connect.
func (c *call) sendRefusal(s *stream, flags int) errno.Errno {
	switch {
	case flags&abi.MSG_FASTOPEN != 0:
		return errno.EOPNOTSUPP
	case s.phase == phaseIdle, s.phase == phaseFailed, s.phase == phaseListening:
		return errno.EPIPE
	case s.phase == phaseConnected && s.tcp.Options().GivesAlong():
		return s.tcp.TakePending() // an ICMP error that was asked for
	}
	return 0
}

// sendStream executes sendto and sendmsg. Linux ignores an address on a
// connection; an AF_UNIX socket would refuse it, so the bytes are copied. What
// does not fit at once is the caller's to repeat, as after any partial send.
func (c *call) sendStream(s *stream, m *message, flags int) {
	if flags&abi.MSG_FASTOPEN != 0 {
		c.sendFast(s, m, flags)
		return
	}
	c.sendBytes(s, m, flags)
}

// sendBytes is sendStream on a socket that need not connect for it. It reports
// whether the caller has an answer: false when it waits or is not there any more.
func (c *call) sendBytes(s *stream, m *message, flags int) (answered bool) {
	if e := c.sendRefusal(s, flags); e != 0 {
		return c.fail(e)
	}
	if m.name == 0 || m.nameLen == 0 {
		return c.on.Continue(c.req.ID) == 0
	}
	b, err := c.gather(m, c.eng.datagram[:])
	if err != nil {
		return c.result(err)
	}
	sum := func(int) (uint64, bool) { return sumOf(0, b, netip.AddrPort{}), true }
	if n, ok := c.missed(sum); ok {
		return c.answerOnce(n, sumOf(0, b, netip.AddrPort{}))
	}
	n, e := hostlink.Send(c.p, b, flags&abi.MSG_OOB)
	if e == abi.EAGAIN && !c.nonBlocking(flags) {
		c.park(c.eng.now+retryAfter, 0)
		return false
	}
	if e != 0 {
		return c.fail(errno.Errno(e))
	}
	if c.reply(n) {
		return true
	}
	c.unhear(n, sumOf(0, b, netip.AddrPort{}))
	return false
}
