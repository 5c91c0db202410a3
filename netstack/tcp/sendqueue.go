package tcp

// What programs have written and the network has not acknowledged.

import "github.com/tcpcni/tcpcni/netstack/buf"

// sendLimit is how many bytes the send queue holds. It is tuned to twice the
// congestion window, so that a window is ready while one is in flight. A size
// that the program chose is doubled in the option, as Linux does for its
// overhead.
func (c *conn) sendLimit() int {
	n := min(max(int(c.s.opts.SndBuf), minSendQueue, 2*int(c.cwnd)), int(c.l.tun.TCPWmem.Max))
	switch {
	case c.s.opts.SndBufLocked:
		n = int(c.s.opts.SndBuf) / 2
	case c.l.pressed():
		n = min(n, max(int(c.s.opts.SndBuf), minSendQueue))
	}
	if c.l.exhausted() {
		n = min(n, exhaustedQueue)
	}
	return n
}

// sendSpace is how many bytes the send queue takes now.
func (c *conn) sendSpace() int {
	return min(c.sendLimit()-c.sq.len(), c.notSentLimit()-int(c.unsent()))
}

// notSentLimit is how many bytes may wait for their first transmission
// (TCP_NOTSENT_LOWAT).
func (c *conn) notSentLimit() int {
	if n := c.s.opts.NotSentLowat; n != 0 {
		return int(n)
	}
	return int(c.l.tun.NotSentLowat)
}

// wakeWriter tells an owner who found no space that there is some: more than
// crumbs, as a wake-up costs more than the few bytes that it would bring.
func (c *conn) wakeWriter() {
	if c.flags&flagWantSpace == 0 || c.sendSpace() <= 0 {
		return
	}
	if limit := c.sendLimit(); limit-c.sq.len() >= limit/4 {
		c.flags &^= flagWantSpace
		c.s.raise(EventWritable)
	}
}

// minSendQueue is what an untuned connection queues: two large chunks, so that
// a writer fills one while the other drains.
const minSendQueue = 2 * buf.LargeSize

// queue appends a copy of p to the send queue.
func (c *conn) queue(p []byte) {
	c.sq.write(c.l.pool, p)
	c.fastGo()
	c.l.markDirty(c)
}

// queueChunk appends t. Chunks that are mostly empty are copied, so that the
// memory held stays within four times the bytes queued.
func (c *conn) queueChunk(t *buf.Chunk) {
	if len(t.B) < cap(t.B)/4 {
		c.queue(t.B)
		c.l.pool.Put(t)
		return
	}
	c.sq.push(t)
	c.fastGo()
	c.l.markDirty(c)
}
