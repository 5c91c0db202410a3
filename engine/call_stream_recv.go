package engine

// Receiving calls on TCP sockets. Most are the kernel's, natively on P. The engine
// executes those for which an AF_UNIX socket has no answer: of sockets that asked
// for ancillary data or for errors that end nothing, with MSG_TRUNC, and of
// connections that have ended, whose error P does not know. It reads from P as the
// program would, so other threads may read natively at the same time.

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// maxReceive bounds what one call takes, in bytes. With MSG_WAITALL it waits for
// no more than that, nor for more than fits into the pair.
const maxReceive = 1 << 20

func (c *call) recvStream(s *stream) {
	flags := c.receiveFlags()
	switch {
	case c.req.Nr == abi.SYS_RECVMMSG && uint32(c.ptr(2)) == 0:
		c.resume() // no message; the kernel knows what that is worth
	case flags&abi.MSG_ERRQUEUE != 0:
		c.receiveRefusal(s)
	case s.phase == phaseFailed:
		c.receiveNothing(s)
	case s.phase == phaseIdle, s.phase == phaseListening:
		c.fail(errno.ENOTCONN)
	case !s.receives(flags):
		c.resume()
	default:
		c.receiveBytes(s, flags)
	}
}

// receives reports whether a call with these flags is the engine's.
func (s *stream) receives(flags int) bool {
	return flags&abi.MSG_TRUNC != 0 || s.phase == phaseEnded || s.kept() > 0 || s.tcp.Options().GivesAlong()
}

// receiveNothing is a call after an attempt to connect has failed: the error once,
// then an end of file.
func (c *call) receiveNothing(s *stream) {
	e := s.takeError(c.p)
	if e == 0 {
		if m, err := c.receiveMessage(); err != nil {
			c.result(err)
		} else {
			c.handBytes(s, &m, nil, 0)
		}
	} else if !c.fail(e) {
		s.failure = e
	}
}

func (c *call) receiveBytes(s *stream, flags int) {
	m, err := c.receiveMessage()
	switch {
	case err != nil:
		c.result(err)
		return
	case flags&abi.MSG_OOB != 0:
		c.receiveUrgent(s, &m, flags)
		return
	}
	timeo := s.tcp.Options().RcvTimeo
	now := c.late || timeo < 0 || c.nonBlocking(flags)
	have := s.kept() + hostlink.QueuedIn(c.p)
	if !now && have > 0 && have < s.target(m.room, flags) && s.mayGrow(c.p) {
		c.parkFor(timeo, errno.EAGAIN)
		return
	}
	b, e := s.read(c.p, m.room, have, flags)
	switch {
	case e == abi.EAGAIN:
		if pending := s.tcp.TakePending(); pending != 0 {
			if !c.fail(pending) {
				s.failure = pending
			}
		} else if now {
			c.fail(errno.EAGAIN)
		} else {
			c.parkFor(timeo, errno.EAGAIN)
		}
	case e != 0, have == 0 && len(b) == 0 && !s.eofSent:
		c.failBytes(s, &m, errno.Errno(e))
	default:
		c.giveBytes(s, &m, b, flags)
	}
}

// receiveMessage is where the call wants its bytes.
func (c *call) receiveMessage() (message, error) {
	if c.req.Nr != abi.SYS_RECVFROM {
		return c.readMessageOf(c.ptr(1), maxReceive)
	}
	m := message{name: c.ptr(4), room: int(min(c.ptr(2), maxReceive))}
	m.iov = append(c.eng.vectors[:0], hostlink.RemoteVec{Addr: c.ptr(1), Len: uint64(m.room)})
	return m, nil
}

// target is how many bytes a call that may wait waits for: sock_rcvlowat of Linux.
func (s *stream) target(room, flags int) int {
	if flags&abi.MSG_WAITALL != 0 {
		return room
	}
	return min(room, int(s.tcp.Options().RcvLowat))
}

// mayGrow reports whether more may come to what waits in P before it is read: no
// end, room, and no urgent byte, at which a call ends.
func (s *stream) mayGrow(p int) bool {
	if s.phase != phaseConnected || s.eofSent || s.rdShut || s.outBlocked {
		return false
	}
	var b [1]byte
	_, e := hostlink.Recv(p, b[:], abi.MSG_OOB|abi.MSG_PEEK)
	return e != 0
}

// read takes up to room bytes of the have that wait, or looks at them. Without any
// it finds out what there is instead: EAGAIN, an error, or the end of file.
func (s *stream) read(p, room, have, flags int) ([]byte, abi.Errno) {
	peek := flags & abi.MSG_PEEK
	if s.kept() > 0 {
		return s.readKept(p, room, have, peek), 0
	}
	if room == 0 {
		if have > 0 {
			return nil, 0
		}
		peek = abi.MSG_PEEK
	}
	b := s.eng.receiveRoom(max(1, min(room, have)))
	n, e := hostlink.Recv(p, b, peek)
	return b[:min(n, room)], e
}

// readKept is read while there is something that only the engine has; what P has
// comes behind that.
func (s *stream) readKept(p, room, have, peek int) []byte {
	b := s.eng.receiveRoom(min(room, have))
	n := copy(b, s.returned.read(len(b), peek != 0))
	if n < len(b) {
		more, e := hostlink.Recv(p, b[n:], peek)
		if e == 0 {
			n += more
		}
	}
	return b[:n]
}

// receiveRoom is memory for n bytes, until the next call.
func (e *engine) receiveRoom(n int) []byte {
	if n <= len(e.datagram) {
		return e.datagram[:n]
	}
	if n > len(e.received) {
		e.received = make([]byte, n)
	}
	return e.received[:n]
}

// failBytes ends a call for which there are no bytes with the true error of the
// connection, once; native is what P says, 0: the end of the file.
func (c *call) failBytes(s *stream, m *message, native errno.Errno) {
	e := s.failure
	if e == 0 {
		e = s.tcp.TakePending()
	}
	if e == 0 {
		e = native
	}
	s.failure = 0
	if native != 0 {
		s.planted = false // P has told it
	}
	if e == 0 {
		c.handBytes(s, m, nil, 0)
	} else if !c.fail(e) {
		s.failure = e
	}
}

// receiveUrgent is MSG_OOB. The byte is only taken when the caller has heard.
func (c *call) receiveUrgent(s *stream, m *message, flags int) {
	var b [1]byte
	n, e := hostlink.Recv(c.p, b[:min(1, m.room)], abi.MSG_OOB|abi.MSG_PEEK)
	if e != 0 {
		c.fail(errno.Errno(e))
		return
	}
	if c.handBytes(s, m, b[:n], flags) && flags&abi.MSG_PEEK == 0 {
		_, _ = hostlink.Recv(c.p, b[:], abi.MSG_OOB)
	}
}

// giveBytes ends a call with b. What nobody heard of goes back.
func (c *call) giveBytes(s *stream, m *message, b []byte, flags int) {
	if !c.handBytes(s, m, b, flags) && flags&abi.MSG_PEEK == 0 && len(b) > 0 {
		s.giveBack(c.p, b)
	}
}

// handBytes is giveBytes up to the answer; it reports whether the caller has it.
func (c *call) handBytes(s *stream, m *message, b []byte, flags int) bool {
	if flags&abi.MSG_TRUNC == 0 {
		if err := c.scatter(m, b); err != nil {
			c.result(err)
			return false
		}
	}
	n := len(b)
	var err error
	switch {
	case c.req.Nr != abi.SYS_RECVFROM:
		x := parcel{control: s.control(c.p, n, flags&abi.MSG_PEEK != 0), flags: flags & abi.MSG_OOB}
		err = c.endMessage(m, nil, &x)
	case m.name != 0:
		err = c.writeSockaddr(m.name, c.ptr(5), nil)
	}
	if err == nil && c.req.Nr == abi.SYS_RECVMMSG {
		err = c.writeInt(m.addr+offMmsgLen, n)
		n = 1
	}
	if err != nil {
		c.result(err)
		return false
	}
	return c.reply(n)
}

// control is the ancillary data of a call that has given n bytes.
func (s *stream) control(p, n int, peek bool) []byte {
	r := s.tcp.Options().Rare()
	left := uint64(hostlink.QueuedIn(p) + s.kept() + s.tcp.Unread())
	var b []byte
	if got := s.tcp.Received(); r.WantsStamps() && left <= got {
		read := got - left
		last := read
		if peek {
			last += uint64(n)
		}
		if n == 0 {
			last++ // of the byte that would have been next
		}
		if at, ok := s.tcp.ArrivedBy(last, read); ok {
			b = appendStamps(b, r, hostlink.WallClock()-int64(hostlink.Now()-at))
		}
	}
	if r.Inq {
		if s.tcp.PeerEnded() {
			left++ // the FIN is to be read as well: tcp_inq_hint of Linux
		}
		b = appendControl(b, abi.IPPROTO_TCP, abi.TCP_CM_INQ, binary.NativeEndian.AppendUint32(nil, uint32(min(left, 1<<31-1))))
	}
	return b
}

// wakeReceivers tries the receiving calls that wait once more.
func (s *stream) wakeReceivers() {
	s.recvDue = false
	s.wait.retry(s.hasInput, receiveCalls...)
}

// hasInput reports whether a call that receives need not wait: there are bytes, an
// end or an error.
func (s *stream) hasInput() bool {
	return s.phase != phaseConnected || s.eofSent || s.rdShut || s.failure != 0 || s.tcp.HasPending() ||
		s.kept() > 0 || hostlink.QueuedOut(s.fd) > 0
}

// recall has settle try the receiving calls that wait.
func (s *stream) recall() {
	if len(s.wait.list) > 0 {
		s.recvDue = true
		s.mark()
	}
}
