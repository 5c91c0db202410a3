package tcp

import (
	"slices"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestFunctionBlockNames holds the table against what the tunable takes.
func TestFunctionBlockNames(t *testing.T) {
	profile, tun := testTunables(t, nil)
	for _, row := range profile.TunableTable() {
		if row.Short == "functions_default" && !slices.Equal(row.Words, FunctionBlocks()) {
			t.Errorf("the tunable takes %v, the stack has %v", row.Words, FunctionBlocks())
		}
	}
	if tun.FunctionsDefault != FunctionBlocks()[0] {
		t.Error(tun.FunctionsDefault)
	}
	for _, name := range FunctionBlocks() {
		_, tun := testTunables(t, map[string]string{"functions_default": name})
		n := &quietNet{fakeNet: fakeNet{now: time.Hour, mtu: 1500}}
		l := NewLayer(n, &n.pool, profile, tun)
		if got := l.NewSocket(afInet, nil).FunctionBlock(); got != name {
			t.Errorf("%s, want %s", got, name)
		}
	}
}

func TestSetFunctionBlock(t *testing.T) {
	_, _, s, _ := benchConn(t)
	c := s.conn
	for _, name := range []string{"", "bbr", "Default", "rack\x00"} {
		if err := s.SetFunctionBlock(name); err != errno.ENOENT {
			t.Errorf("%q: %v", name, err)
		}
	}
	set := func(name string, want error) {
		t.Helper()
		before := s.FunctionBlock()
		if err := s.SetFunctionBlock(name); err != want {
			t.Fatalf("%s: %v", name, err)
		}
		if want != nil {
			name = before
		}
		if s.FunctionBlock() != name || s.conn.block.name != name {
			t.Fatalf("%s is set, want %s", s.FunctionBlock(), name)
		}
	}
	set("rack", nil)
	set("classic", nil)
	set("default", nil)
	c.caState = caRecovery
	set("classic", errno.EINVAL) // what is lost was found by time
	set("rack", nil)             // the same way of finding it
	c.caState = caOpen
	set("classic", nil)
	c.flags &^= flagSACK
	set("rack", errno.EINVAL) // nothing to find it from
	set("default", errno.EINVAL)
	c.flags |= flagSACK
	s.Abort()
	if err := s.SetFunctionBlock("rack"); err != errno.EINVAL {
		t.Errorf("after the end: %v", err)
	}
}

// TestSetFunctionBlockWhileConnecting: what the peer will agree to is not known
// yet, so every block may be chosen.
func TestSetFunctionBlockWhileConnecting(t *testing.T) {
	s := story(t, "connect\n> S seq 0").s
	for _, name := range []string{"classic", "rack", "default"} {
		if err := s.SetFunctionBlock(name); err != nil || s.FunctionBlock() != name {
			t.Errorf("%s: %v, %s is set", name, err, s.FunctionBlock())
		}
	}
}

// TestWindowRate: a window over a round trip, with room to double in slow start
// and what recovery leads to while it lasts.
func TestWindowRate(t *testing.T) {
	_, c := logConn(t)
	c.srtt = 100 * time.Millisecond
	for _, x := range []struct {
		name           string
		state          caState
		cwnd, ssthresh uint32
		want           uint64 // bytes in a second
	}{
		{"slow start", caOpen, 100000, maxCwnd, 2000000},
		{"slow start again", caOpen, 100000, 200000, 2000000},
		{"congestion avoidance", caOpen, 100000, 50000, 1200000},
		{"recovery", caRecovery, 50000, 100000, 1200000},
		{"recovery, still above", caRecovery, 150000, 100000, 1800000},
		{"recovery without a threshold", caRecovery, 100000, maxCwnd, 2000000},
	} {
		c.caState, c.cwnd, c.ssthresh = x.state, x.cwnd, x.ssthresh
		if got := c.windowRate(); got != x.want {
			t.Errorf("%s: %d, want %d", x.name, got, x.want)
		}
	}
}

// TestFunctionBlockOfAccepted is the listener's, or the default, by tunable.
func TestFunctionBlockOfAccepted(t *testing.T) {
	for _, inherit := range []string{"0", "1"} {
		s := newScript(t, map[string]string{"functions_inherit_listen_socket_stack": inherit})
		if err := s.s.SetFunctionBlock("rack"); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"listen 5", "< S seq 0 win 65535 mss 1460 sackok", "> S. seq 0 ack 1", "< . seq 1 ack 1 win 65535", "accept"} {
			s.step(line)
		}
		want := map[string]string{"0": "default", "1": "rack"}[inherit]
		if got := s.s.FunctionBlock(); got != want {
			t.Errorf("inherit %s: %s", inherit, got)
		}
	}
}

// TestSwitchBlockInFlight changes the block with data in flight, in all
// directions: what was lost is still repaired, and pacing starts and ends.
func TestSwitchBlockInFlight(t *testing.T) {
	for _, from := range FunctionBlocks() {
		for _, to := range FunctionBlocks() {
			n, l, s, rx := benchConn(t)
			c := s.conn
			c.minRTT, c.srtt = 10*time.Millisecond, 10*time.Millisecond
			if err := s.SetFunctionBlock(from); err != nil {
				t.Fatal(err)
			}
			una := c.sndUna
			s.Write(make([]byte, 10*1448))
			l.Flush()
			n.now += 10 * time.Millisecond
			// One segment above: too little for any of them to act on at once.
			ackOf(l, rx, una, wire.SACKBlock{Left: una + 1448, Right: una + 2*1448})
			if err := s.SetFunctionBlock(to); err != nil {
				t.Fatal(err)
			}
			for range 100 {
				n.now += 10 * time.Millisecond
				l.Advance()
				l.Flush()
				checkLog(t, c)
			}
			if c.rare == nil || c.rare.retrans == 0 {
				t.Errorf("%s to %s: the loss was never repaired", from, to)
			}
			for range 100 {
				n.now += 10 * time.Millisecond
				l.Advance()
				ackOf(l, rx, c.sndNxt)
			}
			if c.sndUna != una+10*1448 || c.log != nil {
				t.Errorf("%s to %s: %d bytes acknowledged", from, to, c.sndUna-una)
			}
		}
	}
}

// TestRackBlockPaces every algorithm's window over the round trip.
func TestRackBlockPaces(t *testing.T) {
	_, _, s, _ := benchConn(t)
	c := s.conn
	c.srtt, c.cwnd, c.ssthresh = 100*time.Millisecond, 100*1448, 50*1448
	if c.paceRate() != 0 {
		t.Error("the default block paces")
	}
	if err := s.SetFunctionBlock("rack"); err != nil {
		t.Fatal(err)
	}
	if got, want := c.paceRate(), uint64(100*1448*10*12/10); got != want {
		t.Errorf("%d bytes per second, want %d", got, want)
	}
	c.caState, c.cwnd = caRecovery, 1448 // the pipe's
	if got, want := c.paceRate(), uint64(50*1448*10*12/10); got != want {
		t.Errorf("recovery: %d bytes per second, want %d", got, want)
	}
	c.caState, c.cwnd = caOpen, 100*1448
	c.ssthresh = maxCwnd
	if got, want := c.paceRate(), uint64(100*1448*10*2); got != want {
		t.Errorf("slow start: %d bytes per second, want %d", got, want)
	}
	c.cwnd = 1 << 28
	if got := c.burst(); got != 40*1448 {
		t.Errorf("%d bytes at once", got)
	}
	c.pacing = 1e6 // the algorithm's own rate goes first
	if got := c.paceRate(); got != 1e6 {
		t.Error(got)
	}
	c.pacing, c.srtt = 0, 0
	if c.paceRate() != 0 {
		t.Error("a rate without a round trip")
	}
}

// TestReorderWindowPersists is RFC 8985 section 6.2 step 4: sixteen recoveries.
func TestReorderWindowPersists(t *testing.T) {
	_, c := logConn(t)
	c.minRTT, c.srtt = 40*time.Millisecond, 50*time.Millisecond
	send(c, 1448, 1)
	c.flags |= flagReordering
	window := func(want time.Duration) {
		t.Helper()
		if got := c.reorderWindow(); got != want {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	window(10 * time.Millisecond)
	c.updateReorderWindow(true, caOpen)
	window(20 * time.Millisecond)
	c.updateReorderWindow(true, caOpen) // the same round
	window(20 * time.Millisecond)
	for i := range 300 {
		c.sndUna = c.log.dsackRound // the round is over
		c.updateReorderWindow(true, caOpen)
		if i >= 8 {
			window(50 * time.Millisecond) // not beyond the smoothed round trip
		}
	}
	for range 20 {
		c.updateReorderWindow(false, caOpen) // no recovery
		c.caState = caRecovery
		c.updateReorderWindow(false, caRecovery) // not its end
		c.caState = caOpen
	}
	for i := range 16 {
		if c.reoMult == 0 {
			t.Fatalf("after %d recoveries", i)
		}
		c.updateReorderWindow(false, caRecovery)
	}
	window(10 * time.Millisecond)
	c.flags &^= flagReordering
	c.caState = caRecovery
	window(0)
}
