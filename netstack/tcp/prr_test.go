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
