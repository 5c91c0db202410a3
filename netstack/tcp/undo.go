package tcp

// Taking back a reduction that no loss had caused, but reordering or a delay:
// RFC 3708 (D-SACKs tell), RFC 4015 section 3 (the response).

// beginUndo remembers the window before a reduction.
func (c *conn) beginUndo() {
	c.priorCwnd, c.priorSsthresh, c.undoBytes = c.cwnd, c.ssthresh, 0
	c.flags |= flagMayUndo
}

// retransmitted counts what the peer will report if it had it already.
func (c *conn) retransmitted(n uint32) {
	if c.caState != caOpen {
		c.undoBytes += n
	}
}

// dsackSeen takes the report of n bytes that arrived twice. Once everything
// retransmitted since the reduction was needless, so was the reduction.
func (c *conn) dsackSeen(n uint32) {
	if c.flags&flagMayUndo == 0 || c.undoBytes == 0 {
		return
	}
	c.undoBytes -= min(n, c.undoBytes)
	if c.undoBytes > 0 {
		return
	}
	c.l.counters.Undos++
	c.flags &^= flagMayUndo
	c.undoReduction(c.now())
	c.l.markDirty(c)
}
