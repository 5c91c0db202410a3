package tcp

// The socket calls: RFC 9293 section 3.9.1 (user interface), with the results
// that Linux documents in tcp(7), connect(2), listen(2) and accept(2).

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/ports"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Socket is one end of a connection, a listener, or neither yet. It
// implements sockopt.Target. All methods belong to the stack's event loop.
type Socket struct {
	l     *Layer
	owner Owner
	conn  *conn        // the connection, also after it has ended
	lst   *listener    // Valid iff listening
	claim *ports.Claim // the port; nil: none, or shared with a listener
	share *sharedClaim // Valid iff the socket was accepted: the listener's port
	bound netip.Addr   // the address given to Bind; invalid before
	opts  sockopt.Options

	ccSettings *[]ccSetting // nil: none; for the connection to come; see SetCongestionParam

	keys *keyring // nil: none; RFC 2385, RFC 5925

	events   Events // raised, not yet reported
	domain   uint8
	block    uint8       // function block that was chosen, place in stackBlocks from 1 on; 0: none
	queued   bool        // stands in Layer.raised
	autoPort bool        // the port was chosen by Connect and goes with the connection
	orphan   bool        // the program is gone
	fastNow  bool        // Connect is called with data
	err      errno.Errno // SO_ERROR: read once
	lastErr  errno.Errno // why the connection ended
	uid      uint32      // owner, for the ports that the socket gets
}

// NewSocket returns a socket of the domain, which is 2 (AF_INET) or 10
// (AF_INET6). The owner may be nil until SetOwner.
func (l *Layer) NewSocket(domain int, o Owner) *Socket {
	return &Socket{l: l, owner: o, domain: uint8(domain), opts: l.profile.NewOptions()}
}

// SetUser says whose the socket is, for a port that it gets without Bind.
func (s *Socket) SetUser(uid uint32) { s.uid = uid }

// SetOwner makes o hear of the socket, including what was raised before.
func (s *Socket) SetOwner(o Owner) {
	s.owner = o
	if s.events != 0 {
		s.raise(s.events)
	}
}

// Owned reports whether the socket has an owner. One that waited at a listener has
// lost the one that it was given when the listener closed and no other took over.
func (s *Socket) Owned() bool { return s.owner != nil }

// raise notes events for the owner; they are reported when the stack is at
// rest, never from inside a call of the owner's.
func (s *Socket) raise(ev Events) {
	s.events |= ev
	if s.queued || s.owner == nil {
		return
	}
	s.queued = true
	s.l.raised = append(s.l.raised, s)
	if len(s.l.raised) == 1 {
		s.l.net.Wake()
	}
}

func (s *Socket) report() {
	s.queued = false
	if s.owner == nil {
		return
	}
	ev := s.events
	s.events = 0
	s.owner.Event(ev)
}

// live is the connection if it has not ended.
func (s *Socket) live() *conn {
	if s.conn != nil && s.conn.state != StateClosed {
		return s.conn
	}
	return nil
}

// SendSpace is how many bytes Write and WriteChunk take now. A result of zero
// asks for EventWritable when there is room again.
func (s *Socket) SendSpace() int {
	c := s.live()
	if c == nil || c.flags&flagFinQueued != 0 {
		return 0
	}
	n := c.sendSpace()
	if n <= 0 {
		c.flags |= flagWantSpace
		return 0
	}
	return n
}

// Write queues a copy of as much of p as SendSpace allows and returns how much
// that was.
func (s *Socket) Write(p []byte) int {
	n := min(len(p), s.SendSpace())
	if n <= 0 {
		return 0
	}
	s.conn.queue(p[:n])
	return n
}

// WriteChunk queues c's bytes and takes ownership of c. The caller asks
// SendSpace first; one chunk beyond it is tolerated. On a socket that can no
// longer send the bytes are discarded.
func (s *Socket) WriteChunk(c *buf.Chunk) {
	t := s.live()
	if t == nil || t.flags&flagFinQueued != 0 || len(c.B) == 0 {
		s.l.pool.Put(c)
		return
	}
	t.queueChunk(c)
}

// WriteUrgent is Write with the last byte that it took marked urgent.
func (s *Socket) WriteUrgent(p []byte) int {
	n := s.Write(p)
	if n > 0 {
		s.conn.markUrgent()
	}
	return n
}

// Resume tells that the owner takes bytes again: what is queued is delivered
// before Resume returns. A new owner of an accepted socket calls it first.
func (s *Socket) Resume() {
	if s.conn != nil {
		s.conn.drain()
	}
}

// Unread is how many bytes the receive buffer holds that Deliver has not taken.
func (s *Socket) Unread() int {
	if s.conn == nil {
		return 0
	}
	return s.conn.rq.len()
}

// UrgentOffset is how many bytes of the stream stand before the urgent byte; ok
// is false when no urgent byte is pending. Deliver ends before the urgent byte,
// then hands it over alone with an offset of 0.
func (s *Socket) UrgentOffset() (ahead int, ok bool) {
	if s.conn == nil {
		return 0, false
	}
	return s.conn.urgentAhead()
}

// CloseWrite ends the outgoing stream: a FIN follows what is queued.
func (s *Socket) CloseWrite() {
	if c := s.live(); c != nil {
		c.closeWrite()
	}
}

// CloseRead has the socket discard what arrives from now on.
func (s *Socket) CloseRead() {
	if s.conn != nil {
		s.conn.closeRead()
	}
}

// Close says that the program is gone. A connection is ended by FIN, or by RST
// when bytes are unread (RFC 9293 section 3.6.1, SHLD-3) or the linger option
// says so; a listener refuses those who wait.
func (s *Socket) Close() {
	if s.orphan {
		return
	}
	s.orphan = true
	s.closeListener()
	c := s.live()
	if c == nil {
		s.release()
		if s.conn != nil {
			s.conn.discardInput()
		}
		return
	}
	c.orphaned()
}

// Abort ends the connection by RST now.
func (s *Socket) Abort() {
	s.closeListener()
	if c := s.live(); c != nil {
		c.abort()
	}
	if s.conn != nil {
		s.conn.discardInput()
	}
	s.release()
}

// State is the state of the socket's connection.
func (s *Socket) State() State {
	switch {
	case s.lst != nil:
		return StateListen
	case s.conn != nil:
		return s.conn.state
	}
	return StateClosed
}

// Err is why the connection ended: 0 for an orderly end or none yet.
func (s *Socket) Err() errno.Errno { return s.lastErr }

// LocalAddr is what getsockname(2) shows. As on Linux a connection's address
// stays after it has ended.
func (s *Socket) LocalAddr() netip.AddrPort {
	d := int(s.domain)
	switch {
	case s.live() != nil, s.conn != nil && s.conn.flags&flagEstablished != 0:
		return shown(d, netip.AddrPortFrom(s.conn.path.Src, s.conn.lport))
	case s.bound.IsValid():
		return shown(d, netip.AddrPortFrom(s.bound, s.port()))
	}
	return netip.AddrPortFrom(wildcard(d), s.port())
}

// RemoteAddr is the peer's address, also while connecting and after the
// connection has ended; it is invalid before. Whether getpeername(2) shows it
// is for Connected to say.
func (s *Socket) RemoteAddr() netip.AddrPort {
	if c := s.conn; c != nil {
		return shown(int(s.domain), netip.AddrPortFrom(c.path.Dst, c.rport))
	}
	return netip.AddrPort{}
}

// port is the local port, 0 before one was bound.
func (s *Socket) port() uint16 {
	switch {
	case s.claim != nil:
		return s.claim.Port
	case s.conn != nil:
		return s.conn.lport
	}
	return 0
}

// fault stores an error that the program finds in SO_ERROR.
func (s *Socket) fault(e errno.Errno) {
	s.err, s.lastErr = e, e
	s.raise(EventError)
}
