package tcp

import (
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// lineNet counts what leaves.
type lineNet struct {
	quietNet
	sent int
	last uint32 // acknowledgement number
}

func (n *lineNet) Transmit(p *Path, h *wire.TCP, payload [][]byte, gso int) {
	n.sent++
	n.last = h.Ack
	n.quietNet.Transmit(p, h, payload, gso)
}

// TestLineIsBounded: what waits by TCP_TX_DELAY is bounded, and the latest
// acknowledgement is in it.
func TestLineIsBounded(t *testing.T) {
	q, l, s, _ := benchConn(t)
	n := &lineNet{quietNet: *q}
	l.net = n
	c := s.conn
	s.opts.SetRare(func(r *sockopt.Rare) { r.TxDelay = 1_000_000 })
	s.Changed(sockopt.TxDelay)
	for range 2 * maxLine {
		c.rcvNxt++
		c.sendAck()
	}
	if l.lined != maxLine || n.sent != 0 {
		t.Fatalf("%d wait, %d were sent", l.lined, n.sent)
	}
	n.now += time.Second
	l.Advance()
	if l.lined != 0 || n.sent != maxLine || n.last != c.rcvNxt {
		t.Errorf("%d wait, %d were sent, the last with %d, want %d", l.lined, n.sent, n.last, c.rcvNxt)
	}
	c.sendAck()
	c.destroy()
	if n.now += time.Second; l.lined != 1 {
		t.Errorf("%d wait of a connection that has ended", l.lined)
	}
	l.Advance()
	if _, ok := l.Deadline(); ok || l.lined != 0 || n.sent != maxLine+1 {
		t.Errorf("%d wait after the end, %d were sent", l.lined, n.sent)
	}
}

// TestDelayIsPartOfTheRoundTrip: a delay that is set on a live connection is in
// its estimate at once, so that nothing times out needlessly.
func TestDelayIsPartOfTheRoundTrip(t *testing.T) {
	_, _, s, _ := benchConn(t)
	c := s.conn
	c.srtt, c.rttvar = 20*time.Millisecond, 5*time.Millisecond
	set := func(micros int32) {
		s.opts.SetRare(func(r *sockopt.Rare) { r.TxDelay = micros })
		s.Changed(sockopt.TxDelay)
	}
	set(500_000)
	if c.srtt != 520*time.Millisecond || c.rto < c.srtt+200*time.Millisecond {
		t.Errorf("srtt %v, rto %v", c.srtt, c.rto)
	}
	set(100_000)
	set(0)
	if c.srtt != 20*time.Millisecond || c.line() != nil {
		t.Errorf("srtt %v, line %v", c.srtt, c.line())
	}
}
