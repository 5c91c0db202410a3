package tcp

// From RCV.NXT to the owner. Bytes go straight from the frame to the owner and
// are copied only when it does not take them.

import "github.com/tcpcni/tcpcni/netstack/buf"

// direct reports whether text may be offered to the owner at once.
func (c *conn) direct() bool {
	return c.rq.len() == 0 && c.s.owner != nil && c.flags&(flagUrgRcv|flagReadShut|flagDraining) == 0
}

// take accepts p at RCV.NXT. The owner may end the connection meanwhile.
func (c *conn) take(p []byte) {
	c.rcvNxt += uint32(len(p))
	c.bytesRcvd += uint64(len(p))
	c.noteArrival(len(p))
	if c.direct() {
		n := c.s.owner.Deliver(p)
		if c.state == StateClosed {
			return
		}
		n = min(max(n, 0), len(p))
		c.rq.reset(c.rq.end + uint32(n))
		p = p[n:]
	}
	if c.flags&flagReadShut != 0 {
		c.rq.reset(c.rcvNxt) // nobody will read it: acknowledged and dropped
		return
	}
	if len(p) == 0 {
		return
	}
	first := c.rq.len() == 0
	c.rq.write(c.l.pool, p)
	if first && c.flags&flagUrgRcv != 0 {
		c.drain()
	}
}

// takeChunk accepts the bytes of t from skip on at RCV.NXT and takes ownership
// of t. Bytes that fit into the queue's last chunk are copied there, so that the
// queue's memory stays within twice its bytes.
func (c *conn) takeChunk(t *buf.Chunk, skip uint32) {
	if skip == 0 && c.rq.len() > 0 && c.rq.tailRoom() < len(t.B) {
		c.rcvNxt += uint32(len(t.B))
		c.bytesRcvd += uint64(len(t.B))
		c.noteArrival(len(t.B))
		c.rq.push(t)
		return
	}
	c.take(t.B[skip:])
	c.l.pool.Put(t)
}

// drain offers the receive queue to the owner until it has enough.
func (c *conn) drain() {
	if c.flags&flagDraining != 0 {
		return
	}
	c.flags |= flagDraining
	was := c.rq.len()
	for c.rq.len() > 0 && c.s.owner != nil {
		b := c.upToUrgent(c.rq.first())
		n := min(max(c.s.owner.Deliver(b), 0), len(b))
		if c.rq.len() == 0 {
			break // gave the connection up
		}
		c.rq.trim(c.l.pool, c.rq.start+uint32(n))
		c.urgentPassed()
		if n < len(b) {
			break
		}
	}
	c.flags &^= flagDraining
	if c.rq.len() < was {
		c.offerWindow()
	}
	c.tellEOF()
	c.tellClosed()
}

// tellEOF raises EventEOF when the peer's FIN is all that is left.
func (c *conn) tellEOF() {
	if c.flags&(flagFinRcvd|flagEOFTold) == flagFinRcvd && c.rq.len() == 0 {
		c.flags |= flagEOFTold
		c.s.raise(EventEOF)
	}
}

// closeRead discards what is queued and what comes.
func (c *conn) closeRead() {
	c.discardInput()
	c.offerWindow()
	c.tellEOF()
}
