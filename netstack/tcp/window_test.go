package tcp

import (
	"fmt"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// arrive is n bytes of text in order, in segments of 1460, with d between them.
func (s *script) arrive(from, n int, d time.Duration) {
	for at := from; at < from+n; at += 1460 {
		s.n.now += d
		s.step(fmt.Sprintf("< . seq %d ack 1 len %d", at, min(1460, from+n-at)))
		s.step("skip")
	}
}

// TestReceiveBufferGrows: it doubles when half of it came within two round trips
// or the patience that a busy machine needs, up to tcp_rmem's limit (tcp(7),
// tcp_moderate_rcvbuf), unless the program chose the size or memory is short.
func TestReceiveBufferGrows(t *testing.T) {
	const start = 131072
	for name, c := range map[string]struct {
		script string
		first  time.Duration // before the first of two segments of half a buffer
		do     func(s *script)
		want   int
	}{
		"fast":           {"from established", 0, nil, 2 * start},
		"just in time":   {"from established", tunePatience, nil, 2 * start},
		"too slow":       {"from established", tunePatience + 1, nil, start},
		"far":            {"from far", 200 * time.Millisecond, nil, 2 * start},
		"far, and slow":  {"from far", 200*time.Millisecond + 1, nil, start},
		"not to grow":    {"with tcp_moderate_rcvbuf=0\nfrom established", 0, nil, start},
		"chosen":         {"rcvbuf 131072\nfrom established", 0, nil, start},
		"at the limit":   {"with tcp_rmem=4096,131072,200000\nfrom established", 0, nil, 200000},
		"over the limit": {"with tcp_rmem=4096,131072,131072\nfrom established", 0, nil, start},
		"no memory":      {"from established", 0, func(s *script) { s.exhaust() }, start},
	} {
		s := story(t, c.script)
		if c.do != nil {
			c.do(s)
		}
		s.n.now += c.first
		s.arrive(1, start/2, 0)
		s.steps(fmt.Sprintf("info RcvSpace %d", c.want))
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestReceiveBufferWaitsForHalf: less than half a buffer says nothing yet.
func TestReceiveBufferWaitsForHalf(t *testing.T) {
	s := story(t, "from established")
	s.arrive(1, 65535, 0)
	s.steps("info RcvSpace 131072", "< . seq 65536 ack 1 len 1", "info RcvSpace 262144", "skip")
}

// TestRoundTripOfWindows: a receiver that timed nothing of its own takes the time
// in which a window was filled, the least one, unless the sender had a rest.
func TestRoundTripOfWindows(t *testing.T) {
	s := story(t, "from established")
	c := s.s.conn
	for i, step := range []struct {
		after time.Duration
		bytes uint32 // that arrive
		more  uint32 // by which the window's right edge moves
		want  time.Duration
	}{
		{0, 0, 0, 0}, // the clock starts, with 65535 bytes offered
		{50 * time.Millisecond, 65535, 65535, 0},
		{30 * time.Millisecond, 1, 0, 80 * time.Millisecond}, // beyond what was offered then
		{99 * time.Millisecond, 65534, 65535, 80 * time.Millisecond},
		{0, 1, 65535, 80 * time.Millisecond},                     // a slower one
		{3 * time.Second, 131070, 131070, 80 * time.Millisecond}, // no round trip at all
		{20 * time.Millisecond, 131071, 131070, 20 * time.Millisecond},
	} {
		s.n.now += step.after
		c.rcvNxt += step.bytes
		c.rcvAdv += step.more
		if got := c.timeWindow(s.n.now); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

// TestSlowWindowIsNoRoundTrip: the first time of all may be that of a sender that
// had nothing to send.
func TestSlowWindowIsNoRoundTrip(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{slowWindow: 0, slowWindow - 1: slowWindow - 1} {
		s := story(t, "from established")
		c := s.s.conn
		c.timeWindow(s.n.now)
		c.rcvNxt = c.rcvAdv + 1
		if got := c.timeWindow(s.n.now + took); got != want {
			t.Errorf("%v: %v, want %v", took, got, want)
		}
	}
}

// TestPiecesAheadAreBounded: in number and in bytes of the layer, besides the bound
// by the window.
func TestPiecesAheadAreBounded(t *testing.T) {
	s := story(t, "rcvbuf 8000000\nfrom sack\ntake 0")
	rx := &Rx{Src: testRemote, Dst: testLocal, Payload: make([]byte, 1)}
	ahead := func(i int) {
		rx.Header = wire.TCP{SrcPort: s.rport, DstPort: s.lport, Seq: peerISS + 3 + 2*uint32(i), Ack: s.iss + 1, Flags: wire.TCPAck, Window: 1000, WScale: -1}
		s.l.Input(rx)
	}
	for i := range maxOOOPieces + 10 {
		ahead(i)
	}
	if n := len(s.s.conn.ooo.pieces); n != maxOOOPieces || s.l.counters.ReasmDrops != 10 {
		t.Errorf("%d pieces, %d drops", n, s.l.counters.ReasmDrops)
	}
	s = story(t, "from sack")
	for _, c := range []struct{ held, drops int }{{maxOOOBytes, 1}, {maxOOOBytes - 1, 0}} {
		s.l.ooo.bytes, s.l.counters.ReasmDrops = c.held, 0
		ahead(c.drops)
		if s.l.counters.ReasmDrops != uint64(c.drops) {
			t.Errorf("with %d bytes held: %d drops", c.held, s.l.counters.ReasmDrops)
		}
	}
}

// TestLongIslandsTakeFewChunks: what arrives behind a gap in one run is held in
// large pieces, not segment by segment.
func TestLongIslandsTakeFewChunks(t *testing.T) {
	s := story(t, "from sack")
	s.arrive(101, 40*1460, 0)
	if n := len(s.s.conn.ooo.pieces); n > 4 {
		t.Errorf("%d pieces for 40 segments", n)
	}
	s.arrive(1, 100, 0)
	s.steps("got 58500", "ooo 0")
}
