package netstack

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func TestBroadcastNeedsPermissionAndReachesThePeer(t *testing.T) {
	for _, to := range []string{"255.255.255.255:7777", "10.87.0.255:7777"} {
		w := newWorld(t)
		got := &udpApp{}
		mustNot(t, w.b.NewUDP(2, got).Bind(ap("0.0.0.0:7777"), 0, priv))
		s := w.a.NewUDP(2, &udpApp{})
		if err := s.SendTo([]byte("x"), ap(to)); err != errno.EACCES {
			t.Errorf("%s without SO_BROADCAST: %v", to, err)
		}
		if err := s.Connect(ap(to)); err != errno.EACCES {
			t.Errorf("connect to %s without SO_BROADCAST: %v", to, err)
		}
		s.Options().Broadcast = true
		mustNot(t, s.SendTo([]byte("x"), ap(to)))
		w.settle()
		if len(got.data) != 1 || got.to[0] != ap(to).Addr() || !bytes.Equal(w.ab.log[0].data[:6], wire.Broadcast[:]) {
			t.Errorf("%s: got %q to %v", to, got.data, got.to)
		}
		decode(t, w.ab.log)
	}
}

func TestMulticastGoesToTheGroup(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		to     string
		domain int
		mac    wire.MAC
		heard  bool
	}{
		{"224.0.0.1:7777", 2, wire.MAC{1, 0, 0x5e, 0, 0, 1}, true},
		{"239.1.2.3:7777", 2, wire.MAC{1, 0, 0x5e, 1, 2, 3}, false},
		{"[ff02::1%eth0]:7777", 10, wire.MAC{0x33, 0x33, 0, 0, 0, 1}, true},
		{"[ff02::fb%eth0]:7777", 10, wire.MAC{0x33, 0x33, 0, 0, 0, 0xfb}, false},
	} {
		got := &udpApp{}
		r := w.b.NewUDP(10, got)
		mustNot(t, r.Bind(ap("[::]:7777"), 0, priv))
		s := w.a.NewUDP(c.domain, &udpApp{})
		w.ab.log = nil
		mustNot(t, s.SendTo([]byte("x"), ap(c.to)))
		w.settle()
		f := w.ab.log[0].data
		if !bytes.Equal(f[:6], c.mac[:]) || len(w.ab.log) != 1 {
			t.Errorf("%s: frame to %x", c.to, f[:6])
		}
		if len(got.data) == 1 != c.heard {
			t.Errorf("%s: got %q", c.to, got.data)
		}
		r.Close()
	}
}

func TestLinkLocalPeersTalk(t *testing.T) {
	w := newWorld(t)
	got, back := &udpApp{}, &udpApp{}
	r := w.b.NewUDP(10, got)
	mustNot(t, r.Bind(ap("[::]:7777"), 0, priv))
	s := w.a.NewUDP(10, back)
	to := wire.LinkLocal(macB).String()
	if err := s.SendTo(nil, ap("["+to+"]:7777")); err != errno.EINVAL {
		t.Errorf("without a zone: %v", err)
	}
	mustNot(t, s.SendTo([]byte("x"), ap("["+to+"%eth0]:7777")))
	w.settle()
	if len(got.data) != 1 || got.from[0].Addr().Zone() != "1" {
		t.Fatalf("got %q from %v", got.data, got.from)
	}
	mustNot(t, r.SendTo([]byte("y"), got.from[0]))
	w.settle()
	if len(back.data) != 1 {
		t.Errorf("no answer")
	}
	mustNot(t, s.Connect(ap("["+to+"%eth0]:7777")))
	mustNot(t, w.a.AddRoute(Route{Dst: prefixes("9.0.0.0/8")[0], Link: 1})) // every path is asked again
	mustNot(t, s.SendTo([]byte("z"), netip.AddrPort{}))
	w.settle()
	if len(got.data) != 2 || s.RemoteAddr().String() != "["+to+"%1]:7777" {
		t.Errorf("connected to %v: %q", s.RemoteAddr(), got.data)
	}
	transfer(t, w, w.a, w.b, 10, "["+to+"%eth0]:8080", 10000)
}
