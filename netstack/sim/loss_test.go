package sim

import (
	"testing"
	"time"
)

// lossyTime runs a bulk transfer over a lossy fast link and returns how long it
// took in virtual time.
func lossyTime(t *testing.T, set map[string]string, way Way, size int) (time.Duration, *pair) {
	t.Helper()
	w := New(7)
	p := &pair{w: w, a: w.HostWith(set, "10.0.0.1"), b: w.HostWith(set, "10.0.0.2")}
	w.Join(p.a, p.b, way)
	start := w.Now()
	p.start(t, "10.0.0.2:80", Program{ToSend: size}, Program{})
	if !w.Run(time.Hour, func() bool { return p.peer() != nil && p.peer().EOF }) {
		t.Fatalf("did not end: got %d", p.peer().Got)
	}
	took := w.Now() - start
	if err := p.check(time.Hour); err != nil {
		t.Fatal(err)
	}
	return took, p
}

// TestLossRecoveryIsFast holds the rates that recovery without timeouts gives;
// a recovery that falls back to timeouts misses them by far.
func TestLossRecoveryIsFast(t *testing.T) {
	lossy := Way{Rate: 1_000_000_000, Delay: 100 * time.Microsecond, Loss: 20, Reorder: 20, Duplicate: 10}
	for _, c := range []struct {
		name string
		set  map[string]string
		most time.Duration
	}{
		{"sack", nil, 8 * time.Second},
		{"newreno", map[string]string{"tcp_sack": "0"}, 60 * time.Second},
	} {
		took, p := lossyTime(t, c.set, lossy, 16<<20)
		n := p.a.TCP.Counters()
		t.Logf("%s: 16 MiB in %v; %d retransmitted, %d fast, %d timeouts, %d lost again", c.name, took, n.RetransSegs, n.FastRetrans, n.Timeouts, n.LostRetransmits)
		if took > c.most {
			t.Errorf("%s: 16 MiB took %v, more than %v", c.name, took, c.most)
		}
	}
}
