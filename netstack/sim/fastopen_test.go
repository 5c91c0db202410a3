package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// fastWorld is a pair whose second connection may use Fast Open.
func fastWorld(t *testing.T, seed uint64, way Way) (*pair, error) {
	w := New(seed)
	set := map[string]string{"tcp_fastopen": "1027"} // client, server, all listeners
	p := &pair{w: w, a: w.HostWith(set, "10.0.0.1"), b: w.HostWith(set, "10.0.0.2")}
	w.Join(p.a, p.b, way)
	for i := range 3 {
		client := Program{Name: "client", Key: 1, PeerKey: 2, ToSend: 20_000 * i, Expect: 30_000}
		server := Program{Name: "server", Key: 2, PeerKey: 1, ToSend: 30_000, Expect: 20_000 * i}
		p.client = &client
		addr := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), uint16(80+i))
		var err error
		if p.server, err = p.b.Listen(addr.String(), 16, func() *Program { s := server; return &s }); err != nil {
			t.Fatal(err)
		}
		client.H = p.a
		client.S = p.a.TCP.NewSocket(2, &client)
		client.S.Options().SetRare(func(r *sockopt.Rare) { r.FastOpenConnect = true })
		if i == 0 {
			client.ToSend, server.Expect = 100, 100
		}
		if err := client.S.Connect(addr); err != nil && err != errno.EINPROGRESS {
			t.Fatal(err)
		}
		if err := p.check(time.Hour); err != nil {
			return p, err
		}
	}
	return p, nil
}

// TestFastOpenThroughMiddleboxes: whatever is done to SYNs on the way, every byte
// arrives once, and Fast Open is used where nothing is in its way.
func TestFastOpenThroughMiddleboxes(t *testing.T) {
	for _, c := range []struct {
		name   string
		boxes  []Box
		active bool // a SYN carries text
		taken  bool // and the server takes it
	}{
		{"nothing", nil, true, true},
		{"strips the option", []Box{StripOptions(OptFastOpen)}, false, false},
		{"cuts the text", []Box{CutSynData}, true, false},
		{"drops SYNs with text", []Box{DropSynData}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := fastWorld(t, 1, Way{Delay: 10 * time.Millisecond, Boxes: c.boxes})
			if err != nil {
				t.Fatal(err)
			}
			a := p.a.TCP.Counters()
			if n := a.FastOpenActive; (n > 0) != c.active || (n > a.FastOpenActiveFail) != c.taken {
				t.Errorf("%d SYNs with text, %d of no use", n, a.FastOpenActiveFail)
			}
		})
	}
}

// TestFastOpenOverBadLines: the same where packets are lost, late and doubled.
func TestFastOpenOverBadLines(t *testing.T) {
	boxes := []Box{nil, StripOptions(OptFastOpen), CutSynData, DropSynData}
	for seed := range uint64(60) {
		way := Way{Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 100, Duplicate: 50}
		if b := boxes[seed%4]; b != nil {
			way.Boxes = []Box{b}
		}
		if _, err := fastWorld(t, seed+1, way); err != nil {
			t.Errorf("seed %d: %v", seed+1, err)
		}
	}
}
