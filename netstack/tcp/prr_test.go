package tcp

import "testing"

// TestPRRLeavesOwnWindowsAlone holds that recovery sets no window for bbr, and
// does for others.
func TestPRRLeavesOwnWindowsAlone(t *testing.T) {
	for _, name := range []string{"bbr", "reno"} {
		_, c := logConn(t)
		c.cc = newCongestion(name)
		send(c, 30*1448, 1)
		c.prrStart()
		c.cwnd, c.ssthresh = 29*1448, 15*1448
		c.prrAck(1448, false)
		if own := c.cwnd == 29*1448; own != c.cc.info().ownWindow {
			t.Errorf("%s: the window is %d", name, c.cwnd)
		}
	}
}

// TestPRRWindow is RFC 9937 section 6.2 in figures: 30 segments were in flight
// when recovery began, two of them are lost.
func TestPRRWindow(t *testing.T) {
	const mss = 1448
	for _, x := range []struct {
		name            string
		ssthresh, acked uint32 // in bytes
		out             uint32 // sent since recovery began
		safe            bool
		want            uint32 // what may be sent now
	}{
		{"in proportion", 15 * mss, 4 * mss, mss, false, mss},
		{"in proportion, rounded up", 15*mss - 1, 4 * mss, mss, false, mss},
		{"in proportion, to the byte", 15*mss - 10, 4 * mss, mss, false, mss - 1},
		{"all of it was sent", 15 * mss, 2 * mss, mss, false, 0},
		{"the fast retransmit", 15 * mss, 0, 0, false, mss},
		{"at the target", 28 * mss, 10 * mss, mss, true, 0},
		{"below the target", 29 * mss, 2 * mss, 3 * mss, true, mss},
		{"far below it", 40 * mss, 2 * mss, 3 * mss, false, 2 * mss},
		{"far below it, with progress", 40 * mss, 2 * mss, 3 * mss, true, 3 * mss},
		{"far below it, with arrears", 40 * mss, 5 * mss, 2 * mss, false, 5 * mss},
	} {
		_, c := logConn(t)
		c.cc = newCongestion("reno")
		send(c, 30*mss, 1)
		c.prrStart()
		c.markBelow(c.sndUna+2*mss, true)
		c.ssthresh = x.ssthresh
		c.prrSent(x.out)
		c.prrAck(x.acked, x.safe)
		if got := c.cwnd - 28*mss; got != x.want {
			t.Errorf("%s: %d, want %d", x.name, got, x.want)
		}
	}
}
