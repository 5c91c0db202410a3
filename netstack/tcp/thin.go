package tcp

// Thin streams: TCP_THIN_LINEAR_TIMEOUTS of Linux (tcp-thin.txt of its
// documentation, tcp_retransmit_timer). A stream with few segments in flight has
// no acknowledgements that would show a loss early, and no part in congestion; its
// timeouts need not become longer by each other at once.

const (
	thinSegments = 4 // fewer in flight are thin
	thinTimeouts = 6 // in a row that do not double
)

// thin reports whether the stream is one that Linux calls thin: few segments are
// in flight, and slow start has come to an end.
func (c *conn) thin() bool {
	if c.log == nil || c.ssthresh >= maxCwnd {
		return false
	}
	n := 0
	for _, i := range c.log.order[c.log.off:] {
		if n += max(int(c.log.recs[i].segs), 1); n >= thinSegments {
			return false
		}
	}
	return true
}

// linearTimeout decides, at a timeout that is counted already, whether the next
// one comes after as long as the first.
func (c *conn) linearTimeout() {
	wanted := c.s.opts.Rare().ThinLinear || c.l.tun.ThinLinear
	switch {
	case wanted && c.state == StateEstablished && c.backoff <= thinTimeouts && c.thin():
		c.cold().linear = c.backoff
	case c.rare != nil && c.backoff == 1:
		c.rare.linear = 0 // of an earlier run
	}
}

// doublings is how often the timeout has become twice as long: not for the first
// ones of a SYN as the tunable tcp_syn_linear_timeouts says.
func (c *conn) doublings() uint8 {
	if n := c.l.tun.SynLinear; n != 0 && c.state == StateSynSent {
		return uint8(max(int32(c.backoff)-n, 0))
	}
	if c.rare == nil || c.rare.linear > c.backoff {
		return c.backoff
	}
	return c.backoff - c.rare.linear
}
