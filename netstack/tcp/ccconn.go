package tcp

// The connection's side of congestion control: what it tells the algorithm, and
// what holds for all of them. RFC 6928 (initial window), RFC 2861 (idle).

import "time"

// initialCwnd is the initial window in bytes: so many segments (RFC 6928 asks for
// ten), or what came before: RFC 3390 section 1, and RFC 5681 section 3.1, whose
// bounds are in segments alone.
func (c *conn) initialCwnd() uint32 {
	mss := uint32(c.mss)
	n := c.l.tun.InitCwnd
	if own := c.s.opts.Rare().InitCwnd; own > 0 {
		n = own
	}
	switch {
	case n > 0:
		return uint32(n) * mss
	case c.l.tun.RFC3390:
		return min(4*mss, max(2*mss, 4380))
	case mss > 2190:
		return 2 * mss
	case mss > 1095:
		return 3 * mss
	}
	return 4 * mss
}

// signal is the layer's signal with the connection as it is now.
func (c *conn) signal(now time.Duration) *ccSignal {
	s := &c.l.sig
	*s = ccSignal{
		now: now, srtt: c.srtt,
		una: c.sndUna, nxt: c.sndNxt, flight: c.sndNxt - c.sndUna,
		mss: uint32(c.mss), burst: c.burst(),
		paced: c.paceRate() != 0, sack: c.flags&flagSACK != 0, delivered: c.delivered,
	}
	return s
}

// startCongestion sets the initial window: RFC 6928 section 2; one segment
// after a lost SYN (RFC 5681 section 3.1).
func (c *conn) startCongestion() {
	c.cwnd = c.initialCwnd()
	if c.flags&flagSynTimeout != 0 {
		c.cwnd = uint32(c.mss)
	}
	c.ssthresh = maxCwnd
	c.recall()
	c.handOver()
}

// handOver starts the algorithm on the window as it is.
func (c *conn) handOver() {
	c.pacing, c.quantum = 0, 0
	s := c.signal(c.now())
	s.seed = uint64(c.tsOffset)<<32 | uint64(c.iss)
	c.cc.start(&c.ccWindow, s)
	c.clampCwnd()
}

// switchCongestion follows TCP_CONGESTION. A connection that lives keeps its
// window and threshold; what the old algorithm had learnt is gone.
func (c *conn) switchCongestion() {
	i := congestionByName(c.s.opts.Congestion)
	if i == nil || c.cc.info() == i {
		return
	}
	owned := c.cc.info().ownWindow
	c.cc = i.make()
	if c.cwnd == 0 {
		return
	}
	c.handOver()
	if owned && !i.ownWindow && c.caState == caRecovery {
		c.reduceForLoss(c.now()) // the recovery that is under way has to lead somewhere
	}
	c.l.markDirty(c)
}

// clampCwnd keeps the window within what has a meaning: one segment can always
// be sent.
func (c *conn) clampCwnd() { c.cwnd = min(max(c.cwnd, uint32(c.mss)), maxCwnd) }

// acknowledged tells the algorithm of an acknowledgement that delivered
// something, acked bytes of it in order. was is the state in which it arrived.
func (c *conn) acknowledged(acked uint32, r *rateSample, was caState, now time.Duration) {
	if acked == 0 && r.newlyAcked == 0 {
		return
	}
	c.rated(r)
	s := c.signal(now)
	s.acked, s.rate = acked, *r
	// The acknowledgement that ends recovery does not enlarge the window that
	// recovery leaves.
	s.afterLoss = was == caLoss && c.caState == caLoss
	s.recovering = c.caState == caRecovery || was != caOpen && !s.afterLoss
	if i := c.cc.info(); c.l.sample.marked && !i.ecn && !i.ownWindow {
		s.recovering = true // RFC 3168 section 6.1.2: no growth on what tells of marks
	}
	s.limited = c.flags&flagCwndLimited != 0 || s.afterLoss
	c.cc.ack(&c.ccWindow, s)
	c.clampCwnd()
	if c.restrained {
		c.restrained = false
		c.appLimited = max(c.delivered+uint64(c.pipe()), 1)
	}
}

// reduceForLoss tells the algorithm that recovery starts.
func (c *conn) reduceForLoss(now time.Duration) {
	c.cc.loss(&c.ccWindow, c.signal(now))
	c.clampCwnd()
	c.noteReduction()
}

// reduceForMarks is for congestion that the network marked: ECE in an
// acknowledgement, once for a window.
func (c *conn) reduceForMarks(now time.Duration) {
	c.cc.ce(&c.ccWindow, c.signal(now))
	c.clampCwnd()
	c.noteReduction()
}

// recovered tells that recovery has ended; from is caRecovery or caLoss.
func (c *conn) recovered(from caState, now time.Duration) {
	s := c.signal(now)
	s.afterLoss, s.undone = from == caLoss, c.flags&flagMayUndo == 0
	c.cc.recovered(&c.ccWindow, s)
	c.clampCwnd()
}

// collapseCwnd is for a retransmission timeout.
func (c *conn) collapseCwnd(now time.Duration) {
	s := c.signal(now)
	s.again = c.backoff > 1
	c.cc.timeout(&c.ccWindow, s)
	c.clampCwnd()
	c.noteReduction()
}

// undoReduction takes back the last one.
func (c *conn) undoReduction(now time.Duration) {
	s := c.signal(now)
	s.priorCwnd, s.priorSsthresh = c.priorCwnd, c.priorSsthresh
	c.cc.undo(&c.ccWindow, s)
	c.clampCwnd()
}

// restartAfterIdle shrinks the window when nothing was sent for longer than
// the timeout: RFC 5681 section 4.1, halved per timeout as RFC 2861 has it.
func (c *conn) restartAfterIdle(now time.Duration) {
	if c.lastSend == 0 || c.sndUna != c.sndNxt || c.unsent() == 0 {
		return
	}
	idle := now - c.lastSend
	own := c.cc.info().ownWindow
	if !own && idle <= c.rto {
		return
	}
	s := c.signal(now)
	s.idle, s.rate.appLimited = idle, c.appLimited != 0
	c.cc.restart(&c.ccWindow, s)
	if own || !c.l.tun.SlowStartAfterIdle {
		return
	}
	restart := min(c.cwnd, c.initialCwnd())
	c.ssthresh = max(c.ssthresh, c.cwnd/4*3)
	for ; idle > c.rto && c.cwnd > restart; idle -= c.rto {
		c.cwnd /= 2
	}
	c.cwnd = max(c.cwnd, restart)
}
