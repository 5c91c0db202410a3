package tcp

import (
	"net/netip"
	"testing"
	"time"
)

// remembered is a stack that has had a connection of 100 ms with a window of 30
// segments and a threshold of 20, on a path that reorders by 7.
func remembered(t *testing.T, with string, change func(c *conn)) *script {
	t.Helper()
	s := story(t, "with "+with+"\nfrom far")
	c := s.s.conn
	c.ssthresh, c.cwnd = 20*1460, 30*1460
	c.cold().reordering = 7
	if change != nil {
		change(c)
	}
	s.steps("again", "skip")
	return s
}

// next opens a connection to the same peer, without any delay.
func (s *script) nextConn() *conn {
	s.steps("connect", "> S seq 0", "< S. seq 0 ack 1 win 65535 mss 1460 sackok", "> . seq 1 ack 1")
	return s.s.conn
}

// tcp_no_metrics_save 0 and tcp_no_ssthresh_metrics_save 0: what a connection has
// learnt of the path is there for the next one.
func TestMetricsAreKept(t *testing.T) {
	const both = "tcp_no_metrics_save=0 tcp_no_ssthresh_metrics_save=0"
	slow := 300*ms + 0
	for _, c := range []struct {
		name, with string
		change     func(c *conn)
		ssthresh   uint32
		rto        time.Duration
		dups       uint32
	}{
		{"both", both, nil, 20 * 1460, slow, 7},
		{"default", "tcp_syn_retries=6", nil, maxCwnd, 200 * ms, 3},
		{"no threshold", "tcp_no_metrics_save=0", nil, maxCwnd, slow, 7},
		{"only the threshold", "tcp_no_ssthresh_metrics_save=0", nil, maxCwnd, 200 * ms, 3},
		{"bounded", both + " tcp_max_reordering=5", nil, 20 * 1460, slow, 5},
		{"half the window is more", both, func(c *conn) { c.cwnd = 60 * 1460 }, 30 * 1460, slow, 7},
		{"slow start never ended", both, func(c *conn) { c.ssthresh = maxCwnd }, maxCwnd, slow, 7},
		{"in slow start again", both, func(c *conn) { c.cwnd = 10 * 1460 }, maxCwnd, slow, 7},
		{"nobody answered", both, func(c *conn) { c.backoff = 3 }, maxCwnd, 200 * ms, 3},
	} {
		s := remembered(t, c.with, c.change)
		k := s.nextConn()
		// The timeout has four times the variation, half of a round trip at first.
		if k.ssthresh != c.ssthresh || k.rto < c.rto || k.rto > c.rto+20*ms || k.dupThresh() != c.dups {
			t.Errorf("%s: threshold %d, timeout %v, %d segments; want %d, %v, %d", c.name, k.ssthresh, k.rto, k.dupThresh(), c.ssthresh, c.rto, c.dups)
		}
	}
}

// Times that grow count at once, others by a part; an hour later nothing does, and
// the switch forgets all.
func TestMetricsAge(t *testing.T) {
	const both = "tcp_no_metrics_save=0 tcp_no_ssthresh_metrics_save=0"
	if got := slower(100*ms, 200*ms, 8); got != 200*ms {
		t.Errorf("a longer time: %v", got)
	}
	if got := slower(200*ms, 120*ms, 8); got != 190*ms {
		t.Errorf("a shorter time: %v", got)
	}
	s := remembered(t, both, nil)
	s.n.now += metricsAge + time.Second
	if k := s.nextConn(); k.ssthresh != maxCwnd || k.dupThresh() != 3 {
		t.Errorf("after an hour: %d, %d", k.ssthresh, k.dupThresh())
	}
	s = remembered(t, both, nil)
	for _, v := range []string{"1", "0"} {
		if err := s.l.profile.ChangeTunables(map[string]string{"tcp_no_metrics_save": v}); err != nil {
			t.Fatal(err)
		}
		s.l.Retune()
	}
	if k := s.nextConn(); k.ssthresh != maxCwnd {
		t.Errorf("after the switch: %d", k.ssthresh)
	}
}

// TestMetricsAreBounded: a program that connects everywhere keeps the newest.
func TestMetricsAreBounded(t *testing.T) {
	var m metricsTable
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range 3 * maxMetrics {
		m.entry(addr(i)).ssthresh = uint32(i)
		m.entry(addr(i))
	}
	if len(m.byPeer) != maxMetrics || len(m.order) != maxMetrics {
		t.Errorf("%d entries, %d in order", len(m.byPeer), len(m.order))
	}
	for i := 2 * maxMetrics; i < 3*maxMetrics; i++ {
		if e := m.byPeer[addr(i)]; e == nil || e.ssthresh != uint32(i) {
			t.Fatalf("number %d is %+v", i, e)
		}
	}
}
