package tcp

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// farNet reaches everything by a router.
type farNet struct{ *fakeNet }

func (n farNet) Route(src, dst netip.Addr, link int) (Path, error) {
	p, err := n.fakeNet.Route(src, dst, link)
	p.Gateway = true
	return p, err
}

func TestDontRoute(t *testing.T) {
	s := newScript(t, nil)
	s.l.net = farNet{s.n}
	s.step("option SO_DONTROUTE 1")
	if err := s.s.Connect(netip.AddrPortFrom(testRemote, 80)); err != errno.ENETUNREACH {
		t.Errorf("connect through a router: %v", err)
	}
	for _, line := range strings.Split("listen 5\n< S seq 0 mss 1460\n> none\noption SO_DONTROUTE 0\n< S seq 0 mss 1460\n> S. ack 1", "\n") {
		s.line = line
		s.step(line)
	}
}

// TestMaxSegRaised: a congestion window counted in small segments must hold one
// of the larger ones that the program allows later.
func TestMaxSegRaised(t *testing.T) {
	s := newScript(t, nil)
	s.s.opts.MaxSeg = 88
	s.steps("connect", "> S seq 0 mss 88", "< S. seq 0 ack 1 win 65535 mss 1460", "> . seq 1 ack 1", "mss 88", "setcwnd 176")
	s.s.opts.MaxSeg = 1460
	s.s.Changed(sockopt.MaxSeg)
	s.steps("write 10000", "> . seq 1 len 1460")
}
