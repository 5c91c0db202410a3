package engine

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/sockopt"
)

// TestRunsOfDatagrams: with UDP_GRO, what waits is given together as far as it is
// of one sender and size.
func TestRunsOfDatagrams(t *testing.T) {
	type piece struct {
		from byte // last of the port
		n    int
		tos  uint8
	}
	for _, c := range []struct {
		name string
		came []piece
		want [][2]int // bytes, and of each
	}{
		{"one", []piece{{1, 100, 0}}, [][2]int{{100, 0}}},
		{"three and a shorter one", []piece{{1, 100, 0}, {1, 100, 0}, {1, 100, 0}, {1, 7, 0}, {1, 7, 0}}, [][2]int{{307, 100}, {7, 0}}},
		{"a longer one", []piece{{1, 100, 0}, {1, 101, 0}}, [][2]int{{100, 0}, {101, 0}}},
		{"another sender", []piece{{1, 100, 0}, {2, 100, 0}, {2, 100, 0}}, [][2]int{{100, 0}, {200, 100}}},
		{"another mark", []piece{{1, 100, 0}, {1, 100, 3}}, [][2]int{{100, 0}, {100, 0}}},
		{"empty ones", []piece{{1, 0, 0}, {1, 0, 0}, {1, 9, 0}, {1, 0, 0}}, [][2]int{{0, 0}, {0, 0}, {9, 0}, {0, 0}}},
		{"more bytes than IP has", []piece{{1, 30000, 0}, {1, 30000, 0}, {1, 30000, 0}}, [][2]int{{60000, 30000}, {30000, 0}}},
	} {
		e := bare(t)
		d, p := e.mustDgram(t)
		d.udp.Options().SetRare(func(r *sockopt.Rare) { r.UDPGRO = true })
		var sent []byte
		for i, x := range c.came {
			b := bytes.Repeat([]byte{byte(i + 1)}, x.n)
			sent = append(sent, b...)
			from := netip.AddrPortFrom(netip.MustParseAddr("10.98.0.1"), uint16(x.from))
			if !d.Deliver(from, netip.MustParseAddr("10.98.0.2"), udp.Marks{TTL: 64, TOS: x.tos}, b) {
				t.Fatalf("%s: no room", c.name)
			}
		}
		if o, b, no := d.takeRun(p, true); no != 0 || len(b) != c.came[0].n || o.run != 0 {
			t.Errorf("%s: a look shows %d bytes, %v", c.name, len(b), no)
		}
		d.peeked = false // or the first would come alone
		var got []byte
		for i, want := range c.want {
			o, b, no := d.takeRun(p, false)
			if no != 0 || len(b) != want[0] || int(o.run) != want[1] {
				t.Errorf("%s: %d: %d bytes, %d of each, %v, want %v", c.name, i, len(b), o.run, no, want)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%s: the bytes are not those that came", c.name)
		}
	}
}

// TestRunAndAnotherReader: what another thread has read natively is not missed,
// and what was fetched in its place waits for the next call.
func TestRunAndAnotherReader(t *testing.T) {
	e := bare(t)
	d, p := e.mustDgram(t)
	d.udp.Options().SetRare(func(r *sockopt.Rare) { r.UDPGRO = true })
	put := func(n int) {
		from := netip.MustParseAddrPort("10.98.0.1:9")
		if !d.Deliver(from, netip.MustParseAddr("10.98.0.2"), udp.Marks{}, make([]byte, n)) {
			t.Fatal("no room")
		}
	}
	put(100)
	put(100)
	put(50)
	// The call has taken the first when another thread reads the second.
	d.origins.list[1].size = 60
	d.origins.bytes -= 40
	put(30)
	o, b, no := d.takeRun(p, false)
	if no != 0 || len(b) != 100 || o.run != 0 || len(d.stash) != 1 {
		t.Fatalf("%d bytes, %d of each, %v, stash %v", len(b), o.run, no, d.stash)
	}
	if revents(t, p)&1 == 0 {
		t.Error("nothing to read")
	}
	if _, b, no = d.takeRun(p, false); no != 0 || len(b) != 100 || len(d.stash) != 0 {
		t.Errorf("%d bytes, %v", len(b), no)
	}
}

// TestLookedAtIsFetchedAlone: a program that asks for the size first has room for
// what it has seen, and no more.
func TestLookedAtIsFetchedAlone(t *testing.T) {
	e := bare(t)
	d, p := e.mustDgram(t)
	d.udp.Options().SetRare(func(r *sockopt.Rare) { r.UDPGRO = true })
	for range 3 {
		d.Deliver(netip.MustParseAddrPort("10.98.0.1:9"), netip.MustParseAddr("10.98.0.2"), udp.Marks{}, make([]byte, 10))
	}
	for _, c := range []struct {
		look bool
		want int
	}{{true, 10}, {false, 10}, {false, 20}} {
		if _, b, no := d.takeRun(p, c.look); no != 0 || len(b) != c.want {
			t.Errorf("%+v: %d bytes, %v", c, len(b), no)
		}
	}
}
