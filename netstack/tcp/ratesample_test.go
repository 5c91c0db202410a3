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

// TestSampleIsOfTheNewest: draft-ietf-ccwg-bbr section 4.1.2.3, of what an
// acknowledgement delivers the newest tells the rate: what was sent last, and of
// what was sent at once the last of it, in whatever order they are looked at.
func TestSampleIsOfTheNewest(t *testing.T) {
	records := []txRecord{
		{sentAt: time.Hour, end: 3000, delivered: 1, inFlight: 10},
		{sentAt: time.Hour + 1, end: 1000, delivered: 2, inFlight: 20},
		{sentAt: time.Hour + 1, end: 2000, delivered: 3, inFlight: 30, flags: recApp},
	}
	for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		_, l, s, _ := benchConn(t)
		s.Write(make([]byte, 1448))
		l.Flush()
		c := s.conn
		c.beginSample(&wire.TCP{})
		for _, i := range order {
			c.deliver(&records[i], 1000, time.Hour+10)
		}
		if s := &l.sample; s.priorDelivered != 3 || s.rateSample.priorInFlight != 30 || !s.appLimited || s.newlyAcked != 3000 {
			t.Errorf("%v: %+v", order, s.rateSample)
		}
	}
}

// TestRateOverARoundTrip: section 4.1.2.3, a rate is that of the longer of both
// times, and not known over less than the least round trip.
func TestRateOverARoundTrip(t *testing.T) {
	for _, c := range []struct{ send, ack, least, want time.Duration }{
		{5 * ms, 10 * ms, 0, 10 * ms}, {10 * ms, 5 * ms, 10 * ms, 10 * ms}, {5 * ms, 10 * ms, 10*ms + 1, 0}, {5 * ms, 10 * ms, 9 * ms, 10 * ms},
	} {
		_, l, s, _ := benchConn(t)
		s.conn.minRTT = c.least
		l.sample = sampling{any: true, rexmt: true, sendElapsed: c.send, ackElapsed: c.ack}
		if r := s.conn.endSample(time.Hour); r.interval != c.want {
			t.Errorf("%+v: %v", c, r.interval)
		}
	}
	if (&rateSample{delivered: 1000}).rate() != 0 {
		t.Error("a rate over no time")
	}
}

// TestBubbleLeaves: section 4.1.2.3, the program limits samples until something is
// delivered that was sent after the path was idle.
func TestBubbleLeaves(t *testing.T) {
	_, _, s, _ := benchConn(t)
	c := s.conn
	c.beginSample(&wire.TCP{})
	for _, n := range []uint64{99, 100, 101} {
		c.delivered, c.appLimited = n, 100
		if c.endSample(time.Hour); (c.appLimited == 0) != (n > 100) {
			t.Errorf("%d of 100 delivered: %d", n, c.appLimited)
		}
	}
}

// TestProgramLeavesThePathIdle: section 4.1.2.4, when less than a segment waits
// and the window has room.
func TestProgramLeavesThePathIdle(t *testing.T) {
	for _, c := range []struct {
		write int
		room  uint32
		want  bool
	}{{1448, 1, true}, {1448, 0, false}, {10*1448 + 1447, 1, true}, {11 * 1448, 1, false}} {
		_, l, s, _ := benchConn(t)
		s.Write(make([]byte, c.write))
		l.Flush()
		k := s.conn
		k.appLimited, k.cwnd = 0, k.pipe()+c.room
		if k.noteAppLimited(); (k.appLimited != 0) != c.want {
			t.Errorf("%+v: %d", c, k.appLimited)
		}
	}
}

// TestLeastRoundTripAges: RFC 8985 section 6.2 step 1, the least counts for five
// minutes from when it was last seen.
func TestLeastRoundTripAges(t *testing.T) {
	_, _, s, _ := benchConn(t)
	k := s.conn
	k.minRTT = 0
	for _, c := range []struct{ at, rtt, want time.Duration }{
		{0, 10 * ms, 10 * ms}, {time.Minute, 20 * ms, 10 * ms}, {2 * time.Minute, 10 * ms, 10 * ms},
		{7 * time.Minute, 20 * ms, 10 * ms}, {7*time.Minute + 1, 20 * ms, 20 * ms}, {8 * time.Minute, 5 * ms, 5 * ms},
	} {
		if k.leastRTT(c.rtt, time.Hour+c.at); k.minRTT != c.want {
			t.Errorf("%+v: %v", c, k.minRTT)
		}
	}
}

// TestEchoOfTimestamps: RFC 7323 section 3.2, an echo counts when timestamps were
// agreed on, and zero is none.
func TestEchoOfTimestamps(t *testing.T) {
	_, l, s, _ := benchConn(t)
	for _, c := range []struct {
		agreed bool
		ecr    uint32
		want   bool
	}{{true, 5, true}, {true, 0, false}, {false, 5, false}} {
		if s.conn.flags &^= flagTS; c.agreed {
			s.conn.flags |= flagTS
		}
		if s.conn.beginSample(&wire.TCP{HasTS: true, TSEcr: c.ecr}); l.sample.hasEcho != c.want {
			t.Errorf("%+v: %v", c, l.sample.hasEcho)
		}
	}
}
