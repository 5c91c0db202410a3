package udp

import (
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
)

func TestBindAddressNoPort(t *testing.T) {
	l, g := newLayer(t)
	s := l.NewSocket(v4, &app{})
	s.opts.BindNoPort = true
	if err := s.Bind(ap("10.99.0.2:0"), 0, sockopt.Privilege{}); err != nil || s.LocalAddr() != ap("10.99.0.2:0") {
		t.Fatalf("bound to %v, %v", s.LocalAddr(), err)
	}
	if err := s.SendTo([]byte("x"), ap("10.87.0.1:9")); err != nil {
		t.Fatal(err)
	}
	local := s.LocalAddr()
	if local.Addr() != netip.MustParseAddr("10.99.0.2") || local.Port() < 32768 {
		t.Errorf("the first datagram came from %v", local)
	}
	if want := local.String() + " 10.87.0.1:9 x"; len(g.sent) != 1 || g.sent[0] != want {
		t.Errorf("sent %v, want %s", g.sent, want)
	}
	if s = l.NewSocket(v4, &app{}); s.Bind(ap("10.99.0.2:0"), 0, sockopt.Privilege{}) != nil || s.LocalAddr().Port() == 0 {
		t.Errorf("without the option: %v", s.LocalAddr())
	}
}

func TestLocalPortRange(t *testing.T) {
	l, _ := newLayer(t)
	for range 20 {
		s := l.NewSocket(v4, &app{})
		s.opts.SetRare(func(r *sockopt.Rare) { r.PortMin, r.PortMax = 40000, 40019 })
		if err := s.Bind(ap("0.0.0.0:0"), 0, sockopt.Privilege{}); err != nil {
			t.Fatal(err)
		}
		if p := s.LocalAddr().Port(); p < 40000 || p > 40019 {
			t.Errorf("port %d", p)
		}
	}
}
