package tcp

import (
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// ackOf hands in an acknowledgement of everything below ack, with SACK blocks.
func ackOf(l *Layer, rx *Rx, ack uint32, blocks ...wire.SACKBlock) *rateSample {
	rx.Payload = nil
	h := &rx.Header
	h.Ack = ack
	h.NSACK = uint8(copy(h.SACK[:], blocks))
	l.Input(rx)
	l.Flush()
	return &l.sample.rateSample
}

// TestRateSample sends at 1,448 bytes a millisecond over a path of 10 ms.
func TestRateSample(t *testing.T) {
	n, l, s, rx := benchConn(t)
	c := s.conn
	c.minRTT = 0 // the handshake took no time
	una := c.sndUna
	at := make([]time.Duration, 30)
	acked := 0
	for i := range 30 {
		at[i] = n.now
		s.Write(make([]byte, 1448))
		l.Flush()
		n.now += time.Millisecond
		if i < 9 {
			continue
		}
		acked++
		r := ackOf(l, rx, una+uint32(acked)*1448)
		if r.rtt != 10*time.Millisecond || r.newlyAcked != 1448 || r.newlyLost != 0 || r.ceBytes != 0 {
			t.Fatalf("%+v", r)
		}
		if i < 20 {
			continue // the first flight began at an instant of its own
		}
		if r.interval != 10*time.Millisecond || r.delivered != 14480 || r.rate() != 1448000 {
			t.Errorf("%d bytes in %v", r.delivered, r.interval)
		}
		if r.priorInFlight != 14480 || r.inFlight != 13032 {
			t.Errorf("in flight %d, %d now", r.priorInFlight, r.inFlight)
		}
		if !r.appLimited {
			t.Error("the window was never filled")
		}
	}
	if c.minRTT != 10*time.Millisecond {
		t.Error(c.minRTT)
	}
}

// TestRateSampleOfLoss loses one of three segments: the sample counts what was
// delivered by SACK and what was lost, and a retransmission has no round trip.
func TestRateSampleOfLoss(t *testing.T) {
	n, l, s, rx := benchConn(t)
	una := s.conn.sndUna
	s.Write(make([]byte, 10*1448))
	l.Flush()
	n.now += 10 * time.Millisecond
	r := ackOf(l, rx, una, wire.SACKBlock{Left: una + 1448, Right: una + 10*1448})
	if r.newlyAcked != 9*1448 || r.newlyLost != 1448 || r.delivered != 9*1448 || r.lost != 1448 || r.inFlight != 0 {
		t.Fatalf("%+v", r)
	}
	n.now += 10 * time.Millisecond
	r = ackOf(l, rx, una+10*1448)
	if r.newlyAcked != 1448 || r.rtt != 0 || r.delivered != 1448 || r.lost != 0 {
		t.Fatalf("%+v", r)
	}
	if s.conn.delivered != 10*1448 || s.conn.lostBytes != 1448 {
		t.Error(s.conn.delivered, s.conn.lostBytes)
	}
}

// TestRateSampleAppLimited marks what is sent after the program ran dry, until
// it was delivered.
func TestRateSampleAppLimited(t *testing.T) {
	n, l, s, rx := benchConn(t)
	c := s.conn
	una := c.sndUna
	s.Write(make([]byte, 100))
	l.Flush()
	if c.appLimited == 0 {
		t.Fatal("a hundred bytes fill no window")
	}
	n.now += time.Millisecond
	ackOf(l, rx, una+100)
	una += 100
	s.Write(make([]byte, 40*1448))
	l.Flush() // ten segments of forty: the window is full
	n.now += time.Millisecond
	r := ackOf(l, rx, una+1448)
	if !r.appLimited || c.appLimited != 0 {
		t.Errorf("sample %v, connection %d", r.appLimited, c.appLimited)
	}
	n.now += time.Millisecond
	ackOf(l, rx, una+10*1448)
	n.now += time.Millisecond
	if r = ackOf(l, rx, una+12*1448); r.appLimited {
		t.Error("the network set this rate")
	}
}
