package tcp

// Connections that another layer serves. A driver with several loops has a layer
// for each: one, the home, owns every socket and the tables that decide about
// segments of strangers, and lends connections that are busy to the others, the
// guests, which only move text. RFC 9293 knows nothing of it: what a connection
// sends and when does not depend on where it is.
//
// A guest has established connections only. Whatever could end one, or change
// what the home knows of it, happens at home: segments with SYN, FIN, RST or URG,
// ICMP errors, retransmission timeouts, keep-alive, window probes. So ports, the
// ledger, TIME-WAIT and the program's errors stay where they are.
//
// Layers of one family are never entered at the same time while a connection
// moves; that is for the driver to see to.

import (
	"slices"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A Lender is asked by a home layer that meets a connection which it has lent.
type Lender interface {
	// Visit hands the guest a segment of a connection that is lent.
	Visit(s *Socket, rx *Rx)
	// Fetch brings a connection home before it returns, by MoveTo.
	Fetch(s *Socket)
}

// SetLender makes the layer one that lends, as one of n layers that share the
// bounds on memory equally. It is called before there is any connection.
func (l *Layer) SetLender(to Lender, n int) {
	l.lender = to
	l.divide(n)
}

// SetGuest makes the layer one of n that serves what others lend. ask is called,
// from inside the layer and more than once, for a connection that has to go home;
// until it does, it is as if time stood still for what it has to do there.
func (l *Layer) SetGuest(ask func(*Socket), n int) {
	l.askHome = ask
	l.divide(n)
}

func (l *Layer) divide(n int) {
	l.parts = n
	l.memory = l.limits()
}

// plainFlags are what a segment that changes no state may carry; it has an
// acknowledgement.
const plainFlags = wire.TCPAck | wire.TCPPsh | wire.TCPEce | wire.TCPCwr | wire.TCPAe

// Plain reports whether a segment with these flags moves text and nothing else.
func Plain(f wire.TCPFlags) bool { return f&wire.TCPAck != 0 && f&^plainFlags == 0 }

// away handles a segment for c, which is lent. It reports whether that is done;
// else c is here.
func (l *Layer) away(c *conn, rx *Rx) bool {
	if Plain(rx.Header.Flags) {
		l.lender.Visit(c.s, rx)
		return true
	}
	l.here(c)
	return false
}

// here brings c home.
func (l *Layer) here(c *conn) {
	if c.l != l {
		l.lender.Fetch(c.s)
	}
}

// Lent reports whether the socket's connection is with a guest of l.
func (s *Socket) Lent() bool { return s.l.askHome != nil }

// Lendable reports whether a guest could serve the socket's connection: it is
// established and owes nothing but text.
func (s *Socket) Lendable() bool {
	c := s.live()
	if c == nil || c.state != StateEstablished || s.orphan || s.queued || s.events != 0 || c.path.Local || c.auth != nil || s.keys != nil {
		return false
	}
	const not = flagDirty | flagFinQueued | flagFinRcvd | flagUrgRcv | flagUrgSnd | flagWinProbe | flagReadShut | flagOrphan | flagDraining | flagFastOpen
	if c.flags&not != 0 || c.embryo != 0 || c.backoff != 0 || c.path.Options != nil {
		return false
	}
	r := c.rare
	return r == nil || r.line == nil && !r.finAhead && r.fast == nil && r.queued == nil && r.softErr == 0
}

// Latest is the socket whose connection the last segment was for; nil: there was
// none, or it is gone.
func (l *Layer) Latest() *Socket {
	if l.last == nil {
		return nil
	}
	return l.last.s
}

// Segments is how many segments of the socket's connection have arrived.
func (s *Socket) Segments() uint32 {
	if s.conn == nil {
		return 0
	}
	return s.conn.segsIn
}

// Path is the way of the socket's connection, which there must be.
func (s *Socket) Path() Path { return s.conn.path }

// Owner is who is told what happens to the socket; nil: nobody.
func (s *Socket) Owner() Owner { return s.owner }

// Serves reports whether the connection that k's parts name is with this layer.
func (l *Layer) Serves(local, remote [16]byte, lport, rport uint16) bool {
	k := tuple{local, remote, lport, rport}
	if l.last != nil && k == l.lastKey {
		return true
	}
	c := l.conns[k]
	if c != nil {
		l.last, l.lastKey = c, k
	}
	return c != nil
}

// Guests is how many connections a guest layer has.
func (l *Layer) Guests() int { return len(l.conns) }

// MoveTo makes to, a layer of the same family, serve the socket's connection. The
// home layer goes on knowing that it exists. Only between calls of both layers, or
// from Lender.Fetch.
func (s *Socket) MoveTo(to *Layer) {
	c, from := s.conn, s.l
	if from == to {
		return
	}
	k := c.key()
	dirty := c.leave(from)
	if from.askHome != nil {
		delete(from.conns, k)
	}
	if to.askHome != nil {
		to.conns[k] = c
	}
	s.l, c.l = to, to
	c.path.Handle = nil // the neighbour is another record there
	c.settleIn(dirty)
}

// leave takes c out of everything that a layer has of those it serves. It reports
// whether c owed output.
func (c *conn) leave(l *Layer) (dirty bool) {
	if l.last == c {
		l.last = nil
	}
	l.timers.remove(c)
	if dirty = c.flags&flagDirty != 0; dirty {
		i := slices.Index(l.dirty, c)
		l.dirty = slices.Delete(l.dirty, i, i+1)
		c.flags &^= flagDirty
	}
	if s := c.s; s.queued {
		// Not by deletion: dispatch may be going through the list.
		l.raised[slices.Index(l.raised, s)] = nil
		s.queued = false
	}
	if r := c.ooo; r != nil {
		l.ooo.leave(r)
	}
	if c.log != nil {
		l.holes -= c.log.holes
	}
	l.pool.Give(c.memory())
	return dirty
}

// settleIn enters c in its new layer.
func (c *conn) settleIn(dirty bool) {
	l := c.l
	l.pool.Give(-c.memory())
	if c.log != nil {
		l.holes += c.log.holes
	}
	if r := c.ooo; r != nil {
		l.ooo.enter(r)
	}
	for _, at := range c.timers {
		if at != 0 {
			l.timers.arm(c, at)
		}
	}
	if c.s.events != 0 {
		c.s.raise(c.s.events)
	}
	if dirty {
		l.markDirty(c)
	}
	l.net.Wake()
}

// memory is the bytes of all chunks that the connection has.
func (c *conn) memory() int {
	n := c.sq.mem + c.rq.mem
	if c.ooo != nil {
		n += c.ooo.mem
	}
	return n
}

// homeTimer has a timer that is due, and not for a guest to run, wait until the
// connection is at home. It reports whether it does.
func (c *conn) homeTimer(i int) bool {
	if c.l.askHome == nil {
		return false
	}
	switch i {
	case timerDelack, timerPace:
		return false
	case timerRexmt:
		if c.flags&(flagReoTimer|flagProbeTimer) != 0 && c.flags&flagWinProbe == 0 && c.sndUna != c.sndNxt {
			return false
		}
	}
	c.l.askHome(c.s)
	return true
}

// homeSoon is how long a timer waits for its connection to be fetched before it
// asks again.
const homeSoon = clockGrain
