package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// readDestination copies the address that a connect call names.
func (c *call) readDestination() (sa []byte, family int, err error) {
	if sa, err = c.readSockaddr(c.ptr(1), c.arg(2)); err != nil {
		return nil, 0, err
	}
	family, ok := sockaddrFamily(sa)
	if !ok {
		return nil, 0, errno.EINVAL
	}
	return sa, family, nil
}

// connectStream executes connect(2) on TCP. What a repeated call answers follows
// __inet_stream_connect of Linux: the first call after the outcome reports it,
// EISCONN comes from the second on.
func (c *call) connectStream(s *stream) {
	sa, family, err := c.readDestination()
	switch {
	case err != nil:
		c.result(err)
	case family == afUnspec:
		c.disconnectStream(s)
	case s.phase == phaseIdle:
		c.startConnect(s, sa)
	case s.phase == phaseConnecting && c.nonBlocking(0):
		c.fail(errno.EALREADY)
	case s.phase == phaseConnecting:
		c.parkFor(s.tcp.Options().SndTimeo, errno.EALREADY)
	case s.phase == phaseFailed:
		e := s.takeError(c.p)
		if e == 0 {
			e = errno.ECONNABORTED // SO_ERROR or read has taken it
		}
		if c.fail(e) {
			s.phase = phaseIdle
		} else {
			s.failure = e
		}
	case s.phase == phaseConnected && !s.told:
		s.told = c.reply(0)
	default:
		c.fail(errno.EISCONN)
	}
}

func (c *call) startConnect(s *stream, sa []byte) {
	to, err := parseSockaddr(sa, s.domain, false)
	if err != nil {
		c.result(err)
		return
	}
	s, err = c.revive(s)
	if err != nil {
		c.result(err)
		return
	}
	if e := c.eng.linkDown(to.Addr()); e != 0 {
		c.fail(e)
		return
	}
	c.eng.defaults.Outgoing(s.tcp.Options(), s.domain, to)
	err = s.tcp.Connect(to)
	if err != nil && err != errno.EINPROGRESS {
		c.result(err)
		return
	}
	s.agree().peer, s.early = to, false
	if err == nil {
		c.startDeferred(s)
		return
	}
	s.phase = phaseConnecting
	s.record()
	if c.nonBlocking(0) {
		c.fail(errno.EINPROGRESS)
		return
	}
	c.parkFor(s.tcp.Options().SndTimeo, errno.EINPROGRESS)
}

// connectCalls are the calls that wait for a connection to stand.
var connectCalls = append([]int32{abi.SYS_CONNECT}, sendCalls...)

// connected shows the program that its connection stands.
func (s *stream) connected() {
	if s.phase != phaseConnecting {
		return
	}
	s.phase = phaseConnected
	s.record()
	s.dropKeys() // only now: an attempt that is made again must be signed
	s.open(-1)
	if s.wait.answer(func(w *waiter) bool { return w.reply(0) }, abi.SYS_CONNECT) {
		s.told = true
	}
	s.readable = true // bytes may have been written behind the filler
	s.tcp.Resume()
	s.pump()
	s.fastConnected()
}

// connectFailed shows the program that its attempt has failed: to the calls that
// wait for it, or else as Linux shows it to poll, by POLLERR and POLLHUP, and in
// SO_ERROR. E holds the filler unread, so closing it does that.
func (s *stream) connectFailed() {
	s.fast = nil
	if s.wait.first(connectCalls...) != nil {
		e := s.stackError()
		if s.wait.answer(func(w *waiter) bool { return w.fail(e) }, connectCalls...) {
			s.phase = phaseIdle
			s.record()
			return
		}
		s.failure = e // nobody heard; the repetition of the call will ask again
	}
	s.planted = s.filled > 0
	s.entomb()
	s.phase = phaseFailed
}

// disconnectStream is connect with AF_UNSPEC: the socket becomes as new, but
// keeps its options.
func (c *call) disconnectStream(s *stream) {
	if s.phase == phaseEnded {
		c.fail(errno.EINVAL) // its pair is gone
		return
	}
	// What is on its way to a program comes back to this listener, not to what the
	// socket becomes.
	s.eng.land(true)
	options, before := *s.tcp.Options(), s.tcp
	s.unmirror()
	s.leavePassages()
	s.tcp.SetOwner(nil)
	s.tcp.Abort()
	s.withdraw()
	s.wait.answer(func(w *waiter) bool { return w.fail(errno.ECONNABORTED) })
	s.emptyPair(c.p)
	s.eng.socks.noteShut(s, false)
	*s = stream{sock: s.sock, dirty: s.dirty}
	s.stream = s
	s.tcp = s.eng.stack.NewTCP(s.domain, s)
	s.setUser()
	*s.tcp.Options() = options
	s.tcp.CopyKeys(before)
	s.keepKeys(s.tcp)
	s.watch(baseMask)
	s.fill(c.p)
	s.agree().at, s.agree().peer = netip.AddrPort{}, netip.AddrPort{}
	s.record()
	c.reply(0)
}

// emptyPair discards what lies in the two receive queues.
func (s *stream) emptyPair(p int) {
	b := s.eng.chunk().B
	for _, fd := range [...]int{p, s.fd} {
		for range emptyReads {
			if n, e := hostlink.Recv(fd, b[:cap(b)], 0); e != 0 || n == 0 {
				break
			}
		}
	}
}

// emptyReads bounds the reads that empty one queue: more than both buffers of a
// pair hold, so that only a program that goes on writing meanwhile meets it.
const emptyReads = 256

func (c *call) connectDgram(d *dgram) {
	sa, family, err := c.readDestination()
	switch {
	case err != nil:
		c.result(err)
		return
	case family == afUnspec:
		port := d.udp.LocalAddr().Port()
		d.udp.Disconnect()
		d.agree().peer = netip.AddrPort{}
		if d.udp.LocalAddr().Port() == 0 {
			d.agree().at, d.shown = netip.AddrPort{}, false
			d.eng.portReleased(port)
		}
		d.record()
		c.reply(0)
		return
	}
	to, err := parseSockaddr(sa, d.domain, d.domain == sockopt.AFInet6)
	if err == nil {
		err = d.udp.Connect(to)
	}
	if err == nil {
		d.agree().peer = to
		d.noteBound()
		d.record()
	}
	c.result(err)
}
