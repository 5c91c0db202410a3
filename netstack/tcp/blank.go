package tcp

// Blank bytes: text between two sockets of one stack whose bytes the owners hand
// over to each other, outside the stack. Here they are zeros that stand for them:
// sequence numbers, windows, acknowledgements, retransmissions and the order with
// all other text are as ever, and what they stand for is found by their sequence
// numbers.

import "github.com/tcpcni/tcpcni/netstack/buf"

// Peer is the other end, within the stack, of a connection that sends; nil: there is
// none, or nobody has accepted it.
func (s *Socket) Peer() *Socket {
	c := s.live()
	if c == nil || !c.path.Local || c.state != StateEstablished && c.state != StateCloseWait {
		return nil
	}
	p := c.l.conns[makeTuple(c.path.Dst, c.path.Src, c.rport, c.lport)]
	// Of the same ports a connection that has forgotten this one, or was never told
	// of it, expects other bytes.
	if p == nil || p == c || !p.state.rule().synced || p.rcvNxt-c.sndUna > c.sq.end-c.sndUna {
		return nil
	}
	return p.s
}

// WritePlace is the sequence number of the next byte that is written, ReadPlace
// that of the next byte that Deliver offers, also while it does: the two ends of a
// direction count alike. Of a socket that was never connected they are 0.
func (s *Socket) WritePlace() uint32 {
	if s.conn == nil {
		return 0
	}
	return s.conn.sq.end
}

// ReadPlace is described at WritePlace.
func (s *Socket) ReadPlace() uint32 {
	if s.conn == nil {
		return 0
	}
	return s.conn.rq.start
}

// WriteBlank queues n bytes that only the owner of Peer, who has heard of them,
// can make anything of. SendSpace has room for them.
func (s *Socket) WriteBlank(n int) {
	for n > 0 {
		part := min(n, buf.LargeSize)
		s.WriteChunk(s.l.pool.Blank(part))
		n -= part
	}
}

// blank reports whether the queue has blank bytes.
func (q *stream) blank() bool {
	for _, p := range q.pieces[q.head:] {
		if buf.IsBlank(p.c.B) {
			return true
		}
	}
	return false
}
