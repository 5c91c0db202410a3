package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A movingNet has another way than before.
type movingNet struct {
	*fakeNet
	src netip.Addr
	mtu int
	err error
}

func (n *movingNet) Route(_, dst netip.Addr, _ int) (Path, error) {
	return Path{Src: n.src, Dst: dst, MTU: n.mtu, Link: 2}, n.err
}

// TestReroute: RFC 1122 section 4.2.3.5, R1. A way from another address is none
// for a connection (RFC 9293 section 3.9.1.1, MUST-45), and where there is no way
// the one that was there is kept.
func TestReroute(t *testing.T) {
	for _, x := range []struct {
		name string
		net  movingNet
		link int // that the connection uses then
		mtu  int
	}{
		{"another way", movingNet{src: testLocal, mtu: 1400}, 2, 1400},
		{"a wider way", movingNet{src: testLocal, mtu: 9000}, 2, 1500}, // what was learnt is kept
		{"another address", movingNet{src: netip.MustParseAddr("10.0.0.9"), mtu: 1400}, 1, 1500},
		{"no way", movingNet{src: testLocal, mtu: 1400, err: errno.ENETUNREACH}, 1, 1500},
	} {
		s := story(t, "from established")
		x.net.fakeNet = s.n
		s.l.net = &x.net
		c := s.s.conn
		c.reroute()
		if c.path.Link != x.link || c.path.MTU != x.mtu || c.path.Src != testLocal {
			t.Errorf("%s: %+v", x.name, c.path)
		}
	}
}

// TestRetryTime is what tcp(7) says of tcp_retries2: 15 retransmissions are 924.6
// seconds, and what lies beyond the ceiling counts as often as it is reached.
func TestRetryTime(t *testing.T) {
	c := story(t, "from established").s.conn
	for n, want := range map[int32]time.Duration{
		0: 200 * time.Millisecond, 1: 600 * time.Millisecond, 3: 3 * time.Second, 8: 102200 * time.Millisecond,
		9: 204600 * time.Millisecond, 10: 324600 * time.Millisecond, 15: 924600 * time.Millisecond,
	} {
		if got := c.retryTime(n); got != want {
			t.Errorf("%d: %v, want %v", n, got, want)
		}
	}
}
