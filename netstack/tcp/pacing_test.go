package tcp

import (
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// paceNet notes how much leaves when.
type paceNet struct {
	quietNet
	bytes, largest, most int // in all, in one transmission, at one instant
	at                   time.Duration
	same                 int
}

func (n *paceNet) Transmit(p *Path, h *wire.TCP, payload [][]byte, gso int) {
	size := 0
	for _, b := range payload {
		size += len(b)
	}
	if n.at != n.now {
		n.at, n.same = n.now, 0
	}
	n.bytes += size
	n.same += size
	n.largest, n.most = max(n.largest, size), max(n.most, n.same)
	n.quietNet.Transmit(p, h, payload, gso)
}

// paced runs a bulk sender for d. The timers are late by lag at most. Every
// millisecond everything is acknowledged.
func paced(t *testing.T, rate uint64, d, lag time.Duration) *paceNet {
	t.Helper()
	q, l, s, rx := benchConn(t)
	n := &paceNet{quietNet: *q}
	l.net = n
	c := s.conn
	c.cwnd, c.pacing, c.sndWnd = 1<<28, rate, 1<<28
	rx.Header.Window = 65535
	end := n.now + d
	acked := n.now
	for n.now < end {
		if free := s.SendSpace(); free > 0 {
			s.Write(make([]byte, free))
		}
		l.Flush()
		at, ok := l.Deadline()
		next := acked + time.Millisecond
		if ok && at+lag < next {
			n.now = max(n.now, at+lag)
			l.Advance()
			continue
		}
		n.now, acked = next, next
		c.pacing, c.cwnd = rate, 1<<28
		ackOf(l, rx, c.sndNxt)
		c.pacing, c.cwnd = rate, 1<<28
	}
	checkLog(t, c)
	return n
}

func TestPacingHoldsTheRate(t *testing.T) {
	for _, c := range []struct {
		rate    uint64
		lag     time.Duration
		quantum int
	}{
		{1e6, 0, 2 * 1448},
		{1e6, 500 * time.Microsecond, 2 * 1448}, // a timer that is late
		{1e7, 0, 6 * 1448},                      // a millisecond's worth
		{1e9, 0, 65536 / 1448 * 1448},
	} {
		n := paced(t, c.rate, 200*time.Millisecond, c.lag)
		want := float64(c.rate) / 5
		if got := float64(n.bytes); got < 0.97*want || got > 1.03*want+2*float64(c.quantum) {
			t.Errorf("%d bytes per second, timers %v late: %d bytes in 200 ms", c.rate, c.lag, n.bytes)
		}
		if n.largest > c.quantum {
			t.Errorf("%d bytes per second: %d bytes at once, at most %d", c.rate, n.largest, c.quantum)
		}
		if c.lag == 0 && n.most > c.quantum {
			t.Errorf("%d bytes per second: %d bytes at one instant", c.rate, n.most)
		}
	}
}

// TestPacingQuantum is the algorithm's choice of what leaves at once.
func TestPacingQuantum(t *testing.T) {
	_, _, s, _ := benchConn(t)
	c := s.conn
	c.pacing, c.quantum = 1e6, 10000
	if b := c.burst(); b != 6*1448 {
		t.Error(b)
	}
	c.quantum = 1
	if b := c.burst(); b != 1448 {
		t.Error(b)
	}
	c.pacing, c.quantum = 0, 0
	if b := c.burst(); b != 65000/1448*1448 {
		t.Error(b)
	}
}

// TestPacingOfRetransmissions holds back what is sent again as well.
func TestPacingOfRetransmissions(t *testing.T) {
	n, l, s, rx := benchConn(t)
	c := s.conn
	una := c.sndUna
	s.Write(make([]byte, 10*1448))
	l.Flush()
	n.now += 10 * time.Millisecond
	c.pacing = 1e6
	c.departAt = n.now + 5*time.Millisecond
	ackOf(l, rx, una, wire.SACKBlock{Left: una + 2*1448, Right: una + 10*1448})
	if c.log.lost == 0 {
		t.Fatal("nothing was resent or lost")
	}
	c.pacing = 1e6
	n.now += 5 * time.Millisecond
	l.Advance()
	l.Flush()
	if c.log.lost != 0 {
		t.Error("the timer did not let the retransmission go")
	}
}

// TestPacingAllocatesNothing on the way.
func TestPacingAllocatesNothing(t *testing.T) {
	n, l, s, rx := benchConn(t)
	c := s.conn
	p := make([]byte, 2896)
	run := func() {
		c.pacing = 1e6
		n.now += 3 * time.Millisecond
		l.Advance()
		transferred(n, l, s, rx, p)
	}
	for range 100 {
		run()
	}
	if a := testing.AllocsPerRun(1000, run); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// bulk sends for d of virtual time over a path that acknowledges everything 10 ms
// after it was sent, with the option that limits the rate, and returns the rate
// of the second half in bytes per second.
func bulk(t *testing.T, algorithm string, limit uint64, d time.Duration) float64 {
	t.Helper()
	q, l, s, rx := benchConn(t)
	n := &paceNet{quietNet: *q}
	l.net = n
	c := s.conn
	s.opts.Congestion = algorithm
	c.switchCongestion()
	s.opts.SetRare(func(r *sockopt.Rare) { r.MaxPacing = limit + 1 })
	s.Changed(sockopt.MaxPacingRate)
	began, half, noted := n.now, 0, c.sndNxt
	type flight struct {
		at  time.Duration
		nxt uint32
	}
	var acks []flight
	for n.now < began+d {
		if free := s.SendSpace(); free > 0 {
			s.Write(make([]byte, free))
		}
		l.Flush()
		if c.sndNxt != noted {
			noted = c.sndNxt
			acks = append(acks, flight{n.now + 10*time.Millisecond, noted})
		}
		next := began + d
		if at, ok := l.Deadline(); ok {
			next = min(next, max(at, n.now+time.Microsecond))
		}
		if len(acks) > 0 && acks[0].at <= next {
			n.now = acks[0].at
			rx.Header.TSEcr, rx.Header.Window = uint32((n.now-10*time.Millisecond)/time.Millisecond)+c.tsOffset, 65535
			ackOf(l, rx, acks[0].nxt)
			acks = acks[1:]
		} else {
			n.now = next
			l.Advance()
		}
		if n.now <= began+d/2 {
			half = n.bytes
		}
	}
	return float64(n.bytes-half) / (d / 2).Seconds()
}

// TestMaxPacingRate: SO_MAX_PACING_RATE has a connection paced at no more,
// whether its algorithm paces or not; 0 limits nothing.
func TestMaxPacingRate(t *testing.T) {
	for _, algorithm := range []string{"cubic", "reno", "bbr"} {
		for _, limit := range []uint64{100_000, 2_000_000} {
			least := 0.9
			if algorithm == "bbr" {
				least = 0.75 // it drains the queue that it believes to have made
			}
			if rate := bulk(t, algorithm, limit, 4*time.Second); rate < least*float64(limit) || rate > 1.02*float64(limit) {
				t.Errorf("%s limited to %d bytes/s sends %.0f", algorithm, limit, rate)
			}
		}
	}
	if rate := bulk(t, "cubic", 0, time.Second); rate < 10_000_000 {
		t.Errorf("with 0 %.0f bytes/s", rate)
	}
}

// TestMaxPacingRateIsRaised: what waits by an old limit goes by the new one.
func TestMaxPacingRateIsRaised(t *testing.T) {
	n, l, s, _ := benchConn(t)
	s.opts.SetRare(func(r *sockopt.Rare) { r.MaxPacing = 10 + 1 })
	s.Write(make([]byte, 14_000))
	l.Flush()
	n.now += time.Second
	l.Advance()
	if l.Flush(); s.conn.unsent() < 7_000 { // two segments and a tail loss probe have gone
		t.Fatalf("%d bytes are left at 10 bytes a second", s.conn.unsent())
	}
	s.opts.SetRare(func(r *sockopt.Rare) { r.MaxPacing = 0 })
	s.Changed(sockopt.MaxPacingRate)
	if l.Flush(); s.conn.unsent() != 0 {
		t.Errorf("%d bytes still wait", s.conn.unsent())
	}
}

// TestPacingCredit: what was late by no more than paceCredit is made up for, a
// longer pause is none of the schedule's.
func TestPacingCredit(t *testing.T) {
	for late, want := range map[time.Duration]time.Duration{0: ms, paceCredit: ms - paceCredit, paceCredit + 1: ms} {
		_, _, s, _ := benchConn(t)
		s.conn.pacing, s.conn.departAt = 1e6, time.Hour-late
		if s.conn.departed(1000, time.Hour); s.conn.departAt != time.Hour+want {
			t.Errorf("late by %v: %v", late, s.conn.departAt-time.Hour)
		}
	}
}
