package udp

import (
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// What the stack sends itself and no socket takes is offered, and nothing else.
func TestOffer(t *testing.T) {
	l, _ := newLayer(t)
	s := l.NewSocket(v4, &app{})
	if err := s.Bind(ap("127.0.0.1:53"), 0, sockopt.Privilege{NetBindService: true}); err != nil {
		t.Fatal(err)
	}
	takes, offered := true, 0
	l.SetOffer(func(rx *Rx) bool {
		offered++
		return takes
	})
	for _, c := range []struct {
		port  uint16
		link  int
		takes bool
		there bool
		asked int
	}{
		{53, loopback, true, true, 0}, // a socket has it
		{54, loopback, true, true, 1},
		{54, loopback, false, false, 1},
		{54, 1, true, false, 0}, // from a link
		{54, 0, true, false, 0},
	} {
		takes, offered = c.takes, 0
		noPorts := l.counters.NoPorts
		rx := Rx{Src: netip.MustParseAddr("127.0.0.1"), Dst: netip.MustParseAddr("127.0.0.1"), Link: c.link,
			Header: wire.UDP{SrcPort: 9, DstPort: c.port}}
		if there := l.Input(&rx); there != c.there || offered != c.asked || l.counters.NoPorts-noPorts != truth(!c.there) {
			t.Errorf("%+v: taken %v, offered %d times, %d counted", c, there, offered, l.counters.NoPorts-noPorts)
		}
	}
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func TestBound(t *testing.T) {
	l, _ := newLayer(t)
	bind := func(domain int, at string, v6only bool) *Socket {
		s := l.NewSocket(domain, &app{})
		s.opts.V6Only = v6only
		if err := s.Bind(ap(at), 0, sockopt.Privilege{}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	bind(v4, "0.0.0.0:5001", false)
	bind(v4, "127.0.0.1:5002", false)
	bind(v6, "[::]:5003", false)
	bind(v6, "[::]:5004", true)
	peer := bind(v4, "0.0.0.0:5005", false)
	if err := peer.Connect(ap("10.87.0.1:9")); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]bool{
		"127.0.0.1:5001": true, "10.99.0.2:5001": true, "[::1]:5001": false,
		"127.0.0.1:5002": true, "10.99.0.2:5002": false,
		"127.0.0.1:5003": true, "[::1]:5003": true,
		"127.0.0.1:5004": false, "[::1]:5004": true,
		"10.87.0.2:5005": true, "127.0.0.1:5005": false,
		"127.0.0.1:5006": false,
	} {
		if got := l.Bound(ap(at)); got != want {
			t.Errorf("%s: %v, want %v", at, got, want)
		}
	}
	peer.Close()
	if l.Bound(ap("10.87.0.2:5005")) {
		t.Error("a socket that is closed")
	}
}
