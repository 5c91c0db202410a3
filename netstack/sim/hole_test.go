package sim

import (
	"testing"
	"time"
)

// TestBlackHole: RFC 4821. A path that comes to drop large packets in silence
// does not stop a connection, and the connection finds what the path takes.
func TestBlackHole(t *testing.T) {
	for _, c := range []struct {
		name    string
		probing string
		mtu     int
		addr    [2]string
		ends    bool
	}{
		{"IPv4", "1", 1300, [2]string{"10.0.0.1", "10.0.0.2"}, true},
		{"IPv4Small", "1", 700, [2]string{"10.0.0.1", "10.0.0.2"}, true},
		{"IPv6", "1", 1380, [2]string{"fd00::1", "fd00::2"}, true},
		{"Always", "2", 1300, [2]string{"10.0.0.1", "10.0.0.2"}, true},
		{"Off", "0", 1300, [2]string{"10.0.0.1", "10.0.0.2"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := New(3)
			set := map[string]string{"tcp_mtu_probing": c.probing, "tcp_mtu_probe_floor": "500"}
			p := &pair{w: w, a: w.HostWith(set, c.addr[0]), b: w.HostWith(set, c.addr[1])}
			w.Join(p.a, p.b, Way{Rate: 100_000_000, Delay: 5 * time.Millisecond})
			to := c.addr[1] + ":80"
			if c.name == "IPv6" {
				to = "[" + c.addr[1] + "]:80"
			}
			p.start(t, to, Program{ToSend: 24 << 20}, Program{})
			if c.probing != "2" && !w.Run(time.Minute, func() bool { return p.peer() != nil && p.peer().Got > 1<<20 }) {
				t.Fatal("no start")
			}
			line := p.a.Lines(c.addr[1])[0]
			line.Boxes = append(line.Boxes, Swallow(c.mtu))
			ended := w.Run(time.Minute, func() bool { return p.peer() != nil && p.peer().EOF })
			if ended != c.ends {
				t.Fatalf("ended: %v, got %d", ended, p.peer().Got)
			}
			n := p.a.TCP.Counters()
			t.Logf("%d probes, %d passed, %d did not; %d suspected, %d smaller, %d none; timeouts %d, reductions %d",
				n.MTUProbes, n.MTUProbeSuccess, n.MTUProbeFail, n.PMTUDBlackholeActivated, n.PMTUDBlackholeMinMSS, n.PMTUDBlackholeFailed, n.Timeouts, n.FastRetrans)
			if !c.ends {
				return
			}
			if err := p.check(time.Hour); err != nil {
				t.Error(err)
			}
			if n.MTUProbeSuccess == 0 || n.MTUProbeFail == 0 {
				t.Error("the search did not go both ways")
			}
			if c.probing == "2" && (n.Timeouts != 0 || n.FastRetrans != 0) {
				t.Errorf("the loss of probes was taken for congestion: %d timeouts, %d recoveries", n.Timeouts, n.FastRetrans)
			}
		})
	}
}
