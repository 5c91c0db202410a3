package tcp

// Urgent data: RFC 9293 section 3.8.5, RFC 6093. As on Linux and BSD the urgent
// pointer points behind the urgent byte, of which there is one; with the tunable
// tcp_stdurg a peer's is read as RFC 1122 section 4.2.2.4 had it, as pointing at
// the byte.

import "github.com/tcpcni/tcpcni/netstack/wire"

// markUrgent makes the last byte of the send queue the urgent one.
func (c *conn) markUrgent() {
	c.cold().sndUp = c.sq.end
	c.flags |= flagUrgSnd | flagForcePush
}

// stampUrgent sets URG on segments that precede the urgent byte's end.
func (c *conn) stampUrgent(h *wire.TCP) {
	if c.flags&flagUrgSnd == 0 || !seqLT(h.Seq, c.rare.sndUp) {
		return
	}
	ahead := c.rare.sndUp - h.Seq
	if ahead > maxUrgent {
		// The pointer cannot say how far: it points as far as it can, and later
		// segments move it on, unless it would mark a byte that was sent already,
		// which the peer may take out of its place.
		if !seqLT(c.sndNxt, h.Seq+maxUrgent) {
			return
		}
		ahead = maxUrgent
	}
	h.Flags |= wire.TCPUrg
	h.Urgent = uint16(ahead)
}

// maxUrgent is the largest urgent pointer.
const maxUrgent = 65535

// urgentInput is the sixth step of section 3.10.7.4: RCV.UP moves forward only.
func (c *conn) urgentInput(h *wire.TCP) {
	if c.l.tun.IgnoreUrgent {
		return
	}
	up := h.Seq + uint32(h.Urgent)
	if c.l.tun.StdUrg {
		up++
	}
	r := c.cold()
	unread := c.rcvNxt - uint32(c.rq.len())
	// A pointer to what was read already says nothing new; one beyond a whole
	// window is nonsense.
	if h.Urgent == 0 && !c.l.tun.StdUrg || !seqLT(unread, up) || up-unread > 1<<30 ||
		c.flags&flagUrgRcv != 0 && seqLEQ(up, r.rcvUp) {
		return
	}
	r.rcvUp = up
	c.flags |= flagUrgRcv
	c.s.raise(EventUrgent)
}

// urgentAhead is how far the urgent byte is from what the owner reads next.
func (c *conn) urgentAhead() (int, bool) {
	if c.flags&flagUrgRcv == 0 {
		return 0, false
	}
	return int(c.rare.rcvUp - 1 - c.rq.start), true
}

// upToUrgent cuts b, the front of the receive queue, so that the urgent byte is
// delivered alone.
func (c *conn) upToUrgent(b []byte) []byte {
	ahead, ok := c.urgentAhead()
	switch {
	case !ok:
		return b
	case ahead == 0:
		return b[:1]
	}
	return b[:min(len(b), ahead)]
}

// urgentPassed forgets the mark once the owner has the byte.
func (c *conn) urgentPassed() {
	if c.flags&flagUrgRcv != 0 && seqLEQ(c.rare.rcvUp, c.rq.start) {
		c.flags &^= flagUrgRcv
	}
}
