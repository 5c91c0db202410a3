package tcp

import (
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
)

// arrived is when byte n came, in ms from the first time that was noted; -1: not
// known.
func arrived(s *script, n, read uint64, began time.Duration) int {
	at, ok := s.s.ArrivedBy(n, read)
	if !ok {
		return -1
	}
	return int((at - began) / time.Millisecond)
}

// TestArrivalsAreNoted: a byte has the time of its segment, also when it waited for
// an earlier one or in the receive queue, and none if it came before anybody asked.
func TestArrivalsAreNoted(t *testing.T) {
	s := story(t, "from established\ntake 0\n< . seq 1 ack 1 len 10")
	s.s.Options().SetRare(func(r *sockopt.Rare) { r.Stamp = sockopt.StampNano })
	began := s.n.now
	s.steps("< . seq 11 ack 1 len 10", "+5ms", "< . seq 31 ack 1 len 10", "+5ms", "< . seq 21 ack 1 len 10", "+5ms", "< . seq 41 ack 1 len 10")
	if s.s.Received() != 50 {
		t.Fatalf("%d bytes", s.s.Received())
	}
	for _, c := range []struct{ n, at int }{{1, -1}, {10, -1}, {11, 0}, {20, 0}, {21, 10}, {40, 10}, {41, 15}, {50, 15}, {51, -1}} {
		if got := arrived(s, uint64(c.n), 0, began); got != c.at {
			t.Errorf("byte %d came at %d ms, want %d", c.n, got, c.at)
		}
	}
	if got := arrived(s, 20, 20, began); got != 0 {
		t.Errorf("byte 20 came at %d ms", got)
	}
	if got := arrived(s, 20, 20, began); got != -1 {
		t.Errorf("byte 20 is remembered after it was read: %d ms", got)
	}
	if got := arrived(s, 41, 20, began); got != 15 {
		t.Errorf("byte 41 came at %d ms", got)
	}
}

// TestArrivalsAreBounded: with more segments than places the newest share one.
func TestArrivalsAreBounded(t *testing.T) {
	s := story(t, "from established")
	s.s.Options().SetRare(func(r *sockopt.Rare) { r.Stamp = sockopt.StampNano })
	c := s.s.conn
	for i := range 3 * maxArrivals {
		c.bytesRcvd++
		s.n.now = time.Duration(i+1) * time.Second
		c.noteArrival(1)
	}
	if n := len(c.rare.arrivals); n != maxArrivals {
		t.Errorf("%d entries", n)
	}
	for n, want := range map[uint64]time.Duration{1: 1, maxArrivals - 1: maxArrivals - 1, maxArrivals: 3 * maxArrivals, 3 * maxArrivals: 3 * maxArrivals} {
		if at, ok := s.s.ArrivedBy(n, 0); !ok || at != want*time.Second {
			t.Errorf("byte %d: %v, %v", n, at, ok)
		}
	}
}
