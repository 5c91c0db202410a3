package netstack

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

func datagramOffload(l *LinkConfig) { l.TxChecksum, l.USO = true, true }

// A sending is one datagram of a test.
type sending struct {
	n    int
	port uint16 // 0: 9
	tos  uint8
}

// cutUDP is what the link makes of frames: datagrams as text.
func cutUDP(t *testing.T, log []frame) (list []string) {
	t.Helper()
	for _, p := range decode(t, log) {
		f := log[0]
		log = log[1:]
		u, ok := p.TransportLayer().(*layers.UDP)
		if !ok {
			t.Fatalf("no datagram: %v", p)
		}
		// With DF the identification means nothing (RFC 6864 section 4.1).
		id, step, tos := 0, 0, uint8(0)
		switch ip := p.NetworkLayer().(type) {
		case *layers.IPv4:
			tos = ip.TOS
			if ip.Flags&layers.IPv4DontFragment == 0 {
				id, step = int(ip.Id), 1
			}
		case *layers.IPv6:
			tos = ip.TrafficClass
		}
		if int(u.Length) != 8+len(u.Payload) || !f.tx.NeedsCsum {
			t.Fatalf("length %d with %d bytes, checksum left to the link: %v", u.Length, len(u.Payload), f.tx.NeedsCsum)
		}
		// The field has the pseudo header's sum with the length of all.
		src, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Src().Raw())
		dst, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Dst().Raw())
		if want := wire.PseudoSum(src, dst, wire.ProtoUDP, int(u.Length)); u.Checksum != want {
			t.Errorf("checksum field %#x, want %#x", u.Checksum, want)
		}
		size := len(u.Payload)
		if f.tx.GSOType != wire.GSONone {
			if f.tx.GSOType != wire.GSOUDP || int(f.tx.HdrLen) != len(f.data)-len(u.Payload) || len(u.Payload) <= int(f.tx.GSOSize) {
				t.Fatalf("offload %+v with %d bytes", f.tx, len(u.Payload))
			}
			size = int(f.tx.GSOSize)
		}
		for rest := u.Payload; ; id += step {
			n := min(size, len(rest))
			list = append(list, fmt.Sprintf("%d to %d id %d tos %d: %x", n, u.DstPort, id, tos, bytes.TrimRight(rest[:n], "\x00")))
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
	}
	return list
}

// TestGatheredDatagramsAreTheSame: what is cut from gathered datagrams is what would
// have left without.
func TestGatheredDatagramsAreTheSame(t *testing.T) {
	many := func(n int, s sending) (list []sending) {
		for range n {
			list = append(list, s)
		}
		return list
	}
	for _, c := range []struct {
		name   string
		list   []sending
		frames int
	}{
		{"one", []sending{{n: 100}}, 1},
		{"three", many(3, sending{n: 100}), 1},
		{"and a shorter one", []sending{{n: 100}, {n: 100}, {n: 7}, {n: 7}, {n: 100}}, 3},
		{"a longer one", []sending{{n: 100}, {n: 101}, {n: 101}}, 2},
		{"another port", []sending{{n: 100}, {n: 100, port: 10}, {n: 100, port: 10}, {n: 100}}, 3},
		{"another class", []sending{{n: 100}, {n: 100, tos: 8}, {n: 100, tos: 8}}, 2},
		{"empty ones", []sending{{n: 0}, {n: 0}, {n: 5}, {n: 0}}, 4},
		{"fragments between", []sending{{n: 1000}, {n: 1000}, {n: 3000}, {n: 1000}}, 5},
		{"many", many(150, sending{n: 10}), 3},
		{"as much as IP holds", many(50, sending{n: 1400}), 2},
	} {
		for _, to := range []string{"10.87.0.1", "fd87::1"} {
			for _, df := range []bool{true, false} {
				run := func(gather bool) []frame {
					b := newBench(t, datagramOffload)
					b.know()
					domain := 2
					if to == "fd87::1" {
						domain = 10
					}
					u := b.s.NewUDP(domain, &udpApp{})
					if !df {
						u.Options().MTUDiscover = sockopt.PMTUDiscDont
					}
					if gather {
						b.s.Gather()
						b.s.Gather()
						b.s.EmitGathered() // of the inner one: nothing happens
					}
					for i, s := range c.list {
						if s.port == 0 {
							s.port = 9
						}
						u.Options().TOS, u.Options().TClass = s.tos, s.tos
						p := make([]byte, s.n)
						copy(p, fmt.Sprint(i))
						mustNot(t, u.SendTo(p, netip.AddrPortFrom(netip.MustParseAddr(to), s.port)))
					}
					if gather {
						b.s.EmitGathered()
					}
					if out := b.s.UDP().Counters().OutDatagrams; out != uint64(len(c.list)) {
						t.Errorf("%s: %d were counted", c.name, out)
					}
					if b.s.Pool().InUse() != 0 {
						t.Errorf("%s: memory is kept", c.name)
					}
					return b.out.log
				}
				plain, together := run(false), run(true)
				if len(together) != c.frames {
					t.Errorf("%s to %s: %d frames, want %d", c.name, to, len(together), c.frames)
				}
				if c.name == "fragments between" {
					continue // their order is what counts
				}
				want, got := cutUDP(t, plain), cutUDP(t, together)
				if !slices.Equal(got, want) {
					t.Errorf("%s to %s, DF %v:\n got %v\nwant %v", c.name, to, df, got, want)
				}
			}
		}
	}
}

// TestGatherNeedsALinkThatCuts: without it, over the loopback and to a neighbour that
// is not known, each datagram goes at once.
func TestGatherNeedsALinkThatCuts(t *testing.T) {
	for _, c := range []struct {
		name, to string
		edit     func(*LinkConfig)
		know     bool
	}{
		{"a link that does not cut", "10.87.0.1:9", func(l *LinkConfig) { l.TxChecksum = true }, true},
		{"an unknown neighbour", "10.87.0.1:9", datagramOffload, false},
		{"loopback", "127.0.0.1:9", datagramOffload, true},
	} {
		b := newBench(t, c.edit)
		if c.know {
			b.know()
		}
		app := &udpApp{}
		mustNot(t, b.s.NewUDP(2, app).Bind(ap("127.0.0.1:9"), 0, priv))
		u := b.s.NewUDP(2, &udpApp{})
		b.s.Gather()
		for range 3 {
			mustNot(t, u.SendTo([]byte("x"), ap(c.to)))
		}
		if b.s.gather.n != 0 {
			t.Errorf("%s: %d wait", c.name, b.s.gather.n)
		}
		b.s.EmitGathered()
		b.after(time.Millisecond)
		for _, f := range b.out.log {
			if f.tx.GSOType != wire.GSONone {
				t.Errorf("%s: %+v", c.name, f.tx)
			}
		}
	}
}

// TestOthersDoNotOvertake: what cannot be gathered goes behind what waits.
func TestOthersDoNotOvertake(t *testing.T) {
	b := newBench(t, datagramOffload)
	b.know()
	u := b.s.NewUDP(2, &udpApp{})
	b.s.Gather()
	mustNot(t, u.SendTo([]byte("first"), ap("10.87.0.1:9")))
	mustNot(t, u.SendTo(make([]byte, 3000), ap("10.87.0.1:9"))) // fragments
	b.s.EmitGathered()
	if len(b.out.log) < 2 || !bytes.HasSuffix(b.out.log[0].data, []byte("first")) {
		t.Errorf("%d frames", len(b.out.log))
	}
}
