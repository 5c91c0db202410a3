package tcp

import (
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
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
