package tcp

// What a connection has learnt of the way to its peer, for the next one: RFC 9040
// section 8.1 (temporal sharing), in the way of Linux's tcp_metrics. It is off by
// default: one slow hour, or a peer that plays slow, is remembered for as long.

import (
	"net/netip"
	"time"
)

const (
	// maxMetrics is how many destinations a layer remembers.
	maxMetrics = 1024
	// metricsAge is how long, as on Linux.
	metricsAge = time.Hour
)

// A pathMetrics is what is known of a destination; 0: nothing.
type pathMetrics struct {
	srtt, rttvar time.Duration
	at           time.Duration // when the last connection ended
	ssthresh     uint32        // segments
	reordering   uint32        // segments
}

// A metricsTable is bounded: the destination that came first makes room.
type metricsTable struct {
	byPeer map[netip.Addr]*pathMetrics
	order  []netip.Addr
	next   int // in order, once that is full
}

// entry is that of a, made if need be.
func (t *metricsTable) entry(a netip.Addr) *pathMetrics {
	if m := t.byPeer[a]; m != nil {
		return m
	}
	if t.byPeer == nil {
		t.byPeer = make(map[netip.Addr]*pathMetrics)
	}
	if len(t.order) < maxMetrics {
		t.order = append(t.order, a)
	} else {
		delete(t.byPeer, t.order[t.next])
		t.order[t.next] = a
		t.next = (t.next + 1) % maxMetrics
	}
	m := new(pathMetrics)
	t.byPeer[a] = m
	return m
}

// remember is for a connection that ends. One whose peer did not answer any more
// forgets the round trip.
func (c *conn) remember() {
	if c.l.tun.NoMetricsSave || c.flags&flagEstablished == 0 || c.path.Local {
		return
	}
	if c.backoff > 0 || c.srtt == 0 {
		if m := c.l.metrics.byPeer[c.path.Dst]; m != nil {
			m.srtt, m.rttvar = 0, 0
		}
		return
	}
	m := c.l.metrics.entry(c.path.Dst)
	m.at = c.now()
	m.srtt, m.rttvar = slower(m.srtt, c.srtt, 8), slower(m.rttvar, c.rttvar, 4)
	if !c.l.tun.NoSsthreshSave {
		m.ssthresh = c.thresholdToKeep(m.ssthresh)
	}
	if c.rare != nil && c.rare.reordering > uint32(c.l.tun.Reordering) {
		m.reordering = max(m.reordering, c.rare.reordering)
	}
}

// slower takes a longer time at once and a shorter one by a part: to think too
// much of a path does more harm.
func slower(kept, now, part time.Duration) time.Duration {
	if kept <= now {
		return now
	}
	return kept - (kept-now)/part
}

// thresholdToKeep is the slow start threshold, in segments, that the connection
// leaves to the next one, where was is known: a window that was found in congestion
// avoidance; else only more than was thought before.
func (c *conn) thresholdToKeep(was uint32) uint32 {
	mss := uint32(c.mss)
	switch {
	case c.ssthresh >= maxCwnd && was > 0:
		return max(was, c.cwnd/2/mss)
	case c.ssthresh >= maxCwnd:
		return 0
	case !c.slowStart() && c.caState == caOpen:
		return max(c.cwnd/2, c.ssthresh) / mss
	case was > 0:
		return max(was, c.ssthresh/mss)
	}
	return 0
}

// recall gives a connection that begins what is known of its path.
func (c *conn) recall() {
	m := c.l.metrics.byPeer[c.path.Dst]
	if m == nil || c.l.tun.NoMetricsSave || c.now()-m.at > metricsAge {
		return
	}
	mss := uint32(c.mss)
	if m.ssthresh > 0 && !c.l.tun.NoSsthreshSave {
		c.ssthresh = min(max(m.ssthresh, 2), maxCwnd/mss) * mss
	}
	if m.reordering > 0 {
		r := c.cold()
		r.reordering = max(r.reordering, min(m.reordering, uint32(c.l.tun.MaxReordering)))
	}
	if m.srtt > c.srtt {
		// The handshake's packets are small and may have been lucky.
		c.rto = min(max(c.rto, m.srtt+max(2*m.srtt, 4*m.rttvar, c.rtoVarMin()), c.rtoFloor()), c.rtoMax())
	}
}
