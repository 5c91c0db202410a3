package netstack

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const levelIP, optIPOptions = 0, 4

// ipOptionBench is a bench with a route to everybody by way of the test, and a
// neighbour 10.87.0.9 at the same place.
func ipOptionBench(t *testing.T) *bench {
	b := newBench(t)
	mustNot(t, b.s.AddRoute(Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: addrA, Link: 1}))
	b.know()
	b.s.confirmed(b.s.newNeighbour(b.s.links[0], netip.MustParseAddr("10.87.0.9")), macA)
	return b
}

func give(t *testing.T, b *bench, s sockopt.Target, options string) {
	t.Helper()
	_, err := b.s.profile.Set(s, levelIP, optIPOptions, []byte(options), sockopt.Privilege{NetRaw: true})
	mustNot(t, err)
}

// parsed4 is the header of a frame, and what is behind it.
func parsed4(t *testing.T, f frame) (h wire.IPv4, body []byte) {
	t.Helper()
	body, err := wire.ParseIPv4(f.data[wire.EthernetLen:], &h)
	mustNot(t, err)
	return h, body
}

// TestProgramsIPOptions: RFC 9293 section 3.9.2.1, MUST-51 and MUST-52: a program
// gives options and a source route before it connects, and its route comes before
// any other.
func TestProgramsIPOptions(t *testing.T) {
	b := ipOptionBench(t)
	s := b.s.NewTCP(2, nil)
	give(t, b, s, "\x83\x0b\x04\x0a\x57\x00\x09\xcb\x00\x71\x07"+"\x07\x07\x04\x00\x00\x00\x00"+"\x44\x0c\x05\x01"+"\x00\x00\x00\x00\x00\x00\x00\x00")
	if err := s.Connect(ap("198.51.100.9:80")); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	got := b.after(1)
	if len(got) != 1 {
		t.Fatalf("%d frames", len(got))
	}
	ip, seg := parsed4(t, got[0])
	// The stack's clock stands at 2 s + 1 ns; the first bit says that nobody knows midnight.
	want := "\x83\x0b\x04\xcb\x00\x71\x07\xc6\x33\x64\x09" + "\x07\x07\x08\x0a\x57\x00\x02" + "\x44\x0c\x0d\x01" + "\x0a\x57\x00\x02" + "\x80\x00\x0b\xb8" + "\x00\x00"
	if ip.Dst != netip.MustParseAddr("10.87.0.9") || string(ip.Options) != want {
		t.Errorf("to %v with %x, want %x", ip.Dst, ip.Options, want)
	}
	if !wire.TransportChecksumOK(addrB, netip.MustParseAddr("198.51.100.9"), wire.ProtoTCP, seg) {
		t.Error("wrong checksum")
	}
	if s.RemoteAddr() != ap("198.51.100.9:80") {
		t.Errorf("the peer is %v", s.RemoteAddr())
	}
}

// TestIPOptionsMayChange: a connection takes what is given while it lives, and its
// segments shrink by it.
func TestIPOptionsMayChange(t *testing.T) {
	w := newWorld(t)
	l := w.b.NewTCP(2, nil)
	mustNot(t, l.Bind(ap("10.87.0.2:80"), 0, priv))
	mustNot(t, l.Listen(8))
	c := w.a.NewTCP(2, nil)
	if err := c.Connect(ap("10.87.0.2:80")); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	w.settle()
	full := c.MSS()
	set := func(options string) {
		t.Helper()
		_, err := w.a.profile.Set(c, levelIP, optIPOptions, []byte(options), priv)
		mustNot(t, err)
	}
	set(strings.Repeat("\x01", 38))
	if got := c.MSS(); got != full-40 {
		t.Errorf("MSS %d, was %d", got, full)
	}
	w.ab.log = nil
	if c.Write(filler(5000)) != 5000 {
		t.Fatal("no room")
	}
	w.settle()
	for _, f := range w.ab.log {
		if h, _ := parsed4(t, f); h.TotalLen > 1500 || len(h.Options) != 40 {
			t.Errorf("a segment of %d bytes, %d of them options", h.TotalLen, len(h.Options))
		}
	}
	set("")
	if got := c.MSS(); got != full {
		t.Errorf("MSS %d without options, was %d", got, full)
	}
}

// TestStrictRouteNeedsANeighbour: RFC 791 section 3.1: nothing comes between the
// hosts of a strict route.
func TestStrictRouteNeedsANeighbour(t *testing.T) {
	b := ipOptionBench(t)
	far, near := "\x89\x07\x04\xcb\x00\x71\x07", "\x89\x07\x04\x0a\x57\x00\x09"
	for _, c := range []struct {
		route    string
		tcp, udp error
	}{{far, errno.EHOSTUNREACH, errno.ENETUNREACH}, {near, errno.EINPROGRESS, nil}} {
		s, u := b.s.NewTCP(2, nil), b.s.NewUDP(2, &udpApp{})
		give(t, b, s, c.route)
		give(t, b, u, c.route)
		if err := s.Connect(ap("198.51.100.9:80")); err != c.tcp {
			t.Errorf("%x: TCP: %v", c.route, err)
		}
		if err := u.SendTo([]byte("x"), ap("198.51.100.9:80")); err != c.udp {
			t.Errorf("%x: UDP: %v", c.route, err)
		}
	}
}

// TestDatagramsWithIPOptions: the options are in each fragment that must have them
// (RFC 791 section 3.1, the copied flag), and what they take is not the payload's.
func TestDatagramsWithIPOptions(t *testing.T) {
	b := ipOptionBench(t)
	u := b.s.NewUDP(2, &udpApp{})
	give(t, b, u, "\x94\x04\x00\x00"+"\x07\x07\x04\x00\x00\x00\x00"+"\x83\x07\x04\x0a\x57\x00\x09")
	data := filler(3000)
	mustNot(t, u.SendTo(data, ap("198.51.100.9:80")))
	got := b.out.log
	if len(got) != 3 {
		t.Fatalf("%d frames", len(got))
	}
	route := "\x83\x07\x04\xc6\x33\x64\x09\x00\x00"
	first, later := "\x94\x04\x00\x00"+"\x07\x07\x08\x0a\x57\x00\x02"+route, "\x94\x04\x00\x00"+"\x01\x01\x01\x01\x01\x01\x01"+route
	var whole []byte
	for i, f := range got {
		h, body := parsed4(t, f)
		want := first
		if i > 0 {
			want = later
		}
		if h.TotalLen > 1500 || h.Dst != netip.MustParseAddr("10.87.0.9") || string(h.Options) != want {
			t.Errorf("fragment %d of %d bytes to %v with %x", i, h.TotalLen, h.Dst, h.Options)
		}
		whole = append(whole, body...)
	}
	if !bytes.Equal(whole[wire.UDPLen:], data) || !wire.TransportChecksumOK(addrB, netip.MustParseAddr("198.51.100.9"), wire.ProtoUDP, whole) {
		t.Error("the datagram is not what was sent")
	}
	if err := u.SendTo(filler(65507-19), ap("198.51.100.9:80")); err != errno.EMSGSIZE {
		t.Errorf("one byte too many: %v", err)
	}
	mustNot(t, u.SendTo(filler(65507-20), ap("198.51.100.9:80")))
	if err := u.SendTo([]byte("x"), ap("0.0.0.0:80")); err != errno.EINVAL {
		t.Errorf("over a route to nobody: %v", err)
	}
	give(t, b, u, "")
	b.out.log = nil
	mustNot(t, u.SendTo([]byte("x"), ap("198.51.100.9:80")))
	if got := b.out.log; len(got) != 1 || len(got[0].data) != wire.EthernetLen+wire.IPv4MinHeader+wire.UDPLen+1 {
		t.Errorf("without options again: %d frames", len(got))
	}
}

// TestAcceptedConnectionShowsItsRoute: getsockopt gives the way back as a program
// would give it, whatever the listener has.
func TestAcceptedConnectionShowsItsRoute(t *testing.T) {
	b := routedBench(t, "1")
	l := b.s.NewTCP(2, nil)
	mustNot(t, l.Bind(ap("10.87.0.2:8080"), 0, priv))
	give(t, b, l, "\x01\x01\x01\x01")
	mustNot(t, l.Listen(8))
	syn := b.send(routedSYN(8080, 12))
	if len(syn) != 1 {
		t.Fatalf("%d answers", len(syn))
	}
	var h wire.TCP
	_, seg := parsed4(t, syn[0])
	_, err := wire.ParseTCP(seg, &h)
	mustNot(t, err)
	ip := ip4(6, "198.51.100.9", "10.87.0.2")
	b.send(build(eth4(), ip, &layers.TCP{SrcPort: 4000, DstPort: 8080, Seq: 1001, Ack: h.Seq + 1, ACK: true, Window: 1000}))
	c, err := l.Accept()
	mustNot(t, err)
	got, err := b.s.profile.Get(c, levelIP, optIPOptions, 60)
	mustNot(t, err)
	if want := []byte{131, 11, 4, 10, 87, 0, 1, 203, 0, 113, 7, 0}; !bytes.Equal(got, want) {
		t.Errorf("it shows %v, want %v", got, want)
	}
}
