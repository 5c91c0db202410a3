package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestMayReuse is the tunable tcp_tw_reuse, tcp(7): 0 nobody, 1 everybody, 2 over
// loopback; in any case with timestamps that have moved on.
func TestMayReuse(t *testing.T) {
	s := newScript(t, nil)
	for _, x := range []struct {
		reuse     int32
		ts, local bool
		age       time.Duration
		want      bool
	}{
		{0, true, true, time.Minute, false},
		{1, true, false, time.Minute, true},
		{1, false, false, time.Minute, false},
		{1, true, false, time.Second, false},
		{1, true, false, time.Second + 1, true},
		{2, true, false, time.Minute, false},
		{2, true, true, time.Minute, true},
		{2, false, true, time.Minute, false},
	} {
		s.l.tun.TwReuse = x.reuse
		if got := s.l.mayReuse(&timeWait{ts: x.ts, local: x.local, since: s.n.now - x.age}); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

// TestPortInTimeWait: SO_REUSEPORT is for sockets of one user (socket(7)), but what
// remains of one in TIME-WAIT keeps no other user out, as on Linux.
func TestPortInTimeWait(t *testing.T) {
	at := netip.MustParseAddrPort("10.0.0.1:4000")
	bind := func(s *script, uid uint32) error {
		s.s.opts.ReusePort = true
		return s.s.Bind(at, uid, sockopt.Privilege{})
	}
	s := newScript(t, nil)
	if err := bind(s, 1); err != nil {
		t.Fatal(err)
	}
	s.steps("connect", "> S seq 0", "< S. seq 0 ack 1", "> . seq 1 ack 1", "use b")
	if err := bind(s, 2); err != errno.EADDRINUSE {
		t.Errorf("another user's port: %v", err)
	}
	s.steps("use a", "closew", "> F. seq 1", "< F. seq 1 ack 2", "> . seq 2 ack 2", "waits 1", "use b")
	if err := bind(s, 2); err != nil {
		t.Errorf("a port in TIME-WAIT: %v", err)
	}
}
