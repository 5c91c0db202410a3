package engine

// TCP Fast Open as programs ask for it (RFC 7413, tcp(7)): sendto(2) with
// MSG_FASTOPEN, which connects and sends in one call, and TCP_FASTOPEN_CONNECT,
// with which connect(2) succeeds at once and the first bytes written go with the
// SYN.

import (
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// sendCalls are the calls that may connect.
var sendCalls = []int32{abi.SYS_SENDTO, abi.SYS_SENDMSG, abi.SYS_SENDMMSG}

// A fastSend is a sending call that connects and has not been answered: it waits
// for the outcome, or its answer met nobody and it will be repeated.
type fastSend struct {
	tid  uint32 // whose call it is
	sent int    // bytes of it that the stack has taken
}

// sendFast executes a sending call with MSG_FASTOPEN. As on Linux a call that
// waits returns when the connection stands and all of its bytes are on their way;
// one that does not returns what goes with the SYN, or EINPROGRESS when there is
// no cookie yet.
func (c *call) sendFast(s *stream, m *message, flags int) {
	if f := s.fast; f != nil && f.tid == c.req.TID {
		c.goOnFast(s, m, flags)
		return
	}
	if c.eng.profile.Tunables.FastOpen&1 == 0 {
		c.fail(errno.EOPNOTSUPP)
		return
	}
	switch s.phase {
	case phaseIdle:
		c.startFast(s, m, flags)
	case phaseConnecting:
		if s.fast != nil || c.impatient(s, flags) {
			c.fail(errno.EALREADY)
			return
		}
		s.fast = &fastSend{tid: c.req.TID}
		c.parkFor(s.tcp.Options().SndTimeo, errno.EALREADY)
	case phaseConnected, phaseListening:
		// As of connect, the first call after the outcome succeeds.
		if s.told || s.phase == phaseListening {
			c.fail(errno.EISCONN)
			return
		}
		s.told = c.sendBytes(s, m, flags&^abi.MSG_FASTOPEN)
	case phaseFailed:
		e := s.takeError(c.p)
		if e == 0 {
			e = errno.ECONNABORTED
		}
		if c.fail(e) {
			s.phase = phaseIdle
		} else {
			s.failure = e
		}
	default:
		c.fail(errno.EPIPE)
	}
}

func (c *call) startFast(s *stream, m *message, flags int) {
	to, payload, err := c.fastMessage(s, m)
	if err != nil {
		c.result(err)
		return
	}
	if s, err = c.revive(s); err != nil {
		c.result(err)
		return
	}
	c.eng.defaults.Outgoing(s.tcp.Options(), s.domain, to)
	n, err := s.tcp.ConnectWithData(to, payload)
	if err != nil && err != errno.EINPROGRESS {
		c.result(err)
		return
	}
	s.phase, s.agree().peer, s.early = phaseConnecting, to, n > 0
	s.record()
	switch {
	case !c.impatient(s, flags):
		s.fast = &fastSend{tid: c.req.TID, sent: n}
		c.parkFor(s.tcp.Options().SndTimeo, errno.EINPROGRESS)
	case n > 0:
		s.fast = &fastSend{tid: c.req.TID, sent: n}
		c.endFast(s, 0)
	default:
		c.fail(errno.EINPROGRESS)
	}
}

// impatient reports whether the call must not wait for a connection to stand.
func (c *call) impatient(s *stream, flags int) bool {
	return c.nonBlocking(flags) || s.tcp.Options().SndTimeo < 0
}

// endFast answers the call that connects with data while the attempt goes on: as
// on Linux with what went with the SYN, or with e when that is nothing. If nobody
// hears, the call will be repeated and must not send the same bytes again.
func (c *call) endFast(s *stream, e errno.Errno) {
	var heard bool
	if s.fast.sent > 0 {
		heard = c.reply(s.fast.sent)
	} else {
		heard = c.fail(e)
	}
	if heard {
		s.fast = nil
	}
}

// isFast reports whether the waiter is the call that connects with data.
func (w *waiter) isFast() bool {
	s := w.s.stream
	return s != nil && s.fast != nil && s.fast.tid == w.req.TID && slices.Contains(sendCalls, w.req.Nr)
}

// fastMessage reads where a message goes and its bytes.
func (c *call) fastMessage(s *stream, m *message) (to netip.AddrPort, payload []byte, err error) {
	if m.name == 0 || m.nameLen == 0 {
		return to, nil, errno.EINVAL
	}
	sa, err := c.readSockaddr(m.name, m.nameLen)
	if err != nil {
		return to, nil, err
	}
	if family, ok := sockaddrFamily(sa); ok && family == afUnspec {
		return to, nil, errno.EOPNOTSUPP
	}
	if to, err = parseSockaddr(sa, s.domain, false); err != nil {
		return to, nil, err
	}
	payload, err = c.gather(m, c.eng.datagram[:])
	return to, payload, err
}

// goOnFast is the rest of a call that connects, once there is an outcome, or its
// repetition after a signal.
func (c *call) goOnFast(s *stream, m *message, flags int) {
	f := s.fast
	switch {
	case s.phase == phaseConnecting && c.impatient(s, flags):
		c.endFast(s, errno.EALREADY)
		return
	case s.phase == phaseConnecting:
		c.parkFor(s.tcp.Options().SndTimeo, errno.EINPROGRESS)
		return
	case s.phase != phaseConnected:
		s.fast = nil
		c.sendStream(s, m, flags)
		return
	}
	payload, err := c.gather(m, c.eng.datagram[:])
	if err == nil && f.sent < len(payload) {
		n, e := hostlink.Send(c.p, payload[f.sent:], 0)
		if e == abi.EAGAIN && f.sent == 0 && !c.nonBlocking(flags) {
			c.park(c.eng.now+retryAfter, 0)
			return
		}
		f.sent += n
		if e != 0 {
			err = errno.Errno(e)
		}
	}
	// What nobody hears, as when a signal came first, leaves the state to the
	// repetition.
	var heard bool
	if err != nil && f.sent == 0 {
		heard = c.result(err)
	} else {
		heard = c.reply(f.sent)
	}
	if heard {
		s.fast, s.told = nil, true
	}
}

// fastConnected lets the call go on that has connected with data.
func (s *stream) fastConnected() {
	for _, w := range s.wait.list {
		if !w.done && w.isFast() {
			w.again()
			return
		}
	}
}

// startDeferred shows a connection whose SYN waits for the first bytes: to the
// program it stands.
func (c *call) startDeferred(s *stream) {
	s.phase = phaseConnected
	s.record()
	s.open(c.p)
	s.readable = true // bytes may have been written behind the filler
	s.told = c.reply(0)
	s.pump()
}
