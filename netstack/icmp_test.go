package netstack

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

var priv = sockopt.Privilege{NetBindService: true}

func TestEchoIsAnswered(t *testing.T) {
	b := newBench(t)
	b.know()
	p := b.one("IPv4", b.send(build(eth4(), ip4(1, "10.87.0.1", "10.87.0.2"), echo4(7, 9), raw("abcde"))))
	r := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if r.TypeCode != layers.CreateICMPv4TypeCode(0, 0) || r.Id != 7 || r.Seq != 9 || string(r.Payload) != "abcde" {
		t.Errorf("%v", p)
	}
	ping6 := func(dst string) []frame {
		mac := macB
		if d := netip.MustParseAddr(dst); d.IsMulticast() {
			mac = wire.MulticastMAC(d)
		}
		return b.send(build(ether(mac, layers.EthernetTypeIPv6), ip6(58, "fd87::1", dst),
			&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}, &layers.ICMPv6Echo{Identifier: 7, SeqNumber: 9}, raw("abcde")))
	}
	for _, dst := range []string{"fd87::2", "ff02::1"} {
		p = b.one(dst, ping6(dst))
		if e, ok := p.Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo); !ok || e.Identifier != 7 || e.SeqNumber != 9 || p.NetworkLayer().(*layers.IPv6).SrcIP.String() != "fd87::2" {
			t.Errorf("%v", p)
		}
	}
}

func TestLargeEchoIsFragmentedBothWays(t *testing.T) {
	w := newWorld(t)
	data := string(filler(5000))
	// a asks as if it had a ping: the request is cut by its own output.
	w.a.in = inbound{}
	w.a.sendICMP(&icmpOut{src: addrA, dst: addrB, h: wire.ICMP{Type: wire.ICMP4Echo, Rest: 5}}, []byte(data), nil)
	w.settle()
	if w.b.Counters().ICMP4.InEchos != 1 || w.a.Counters().ICMP4.InOthers != 1 || w.a.Counters().IPv4.ReasmOKs != 1 {
		t.Errorf("%+v %+v", w.a.Counters().ICMP4, w.a.Counters().IPv4)
	}
	decode(t, w.ba.log)
}

func TestNoAnswerToWhatMustNotBeAnswered(t *testing.T) {
	any4 := func(src, dst string) []byte {
		return build(eth4(), ip4(17, src, dst), udpHdr(1000, 2000), raw("x"))
	}
	bcast := func(f []byte) []byte { copy(f, wire.Broadcast[:]); return f }
	badSum := any4("10.87.0.1", "10.87.0.2")
	badSum[42] ^= 1
	noSum6 := build(eth6(), ip6(17, "fd87::1", "fd87::2"), udpHdr(1000, 2000), raw("x"))
	noSum6[14+40+6], noSum6[14+40+7] = 0, 0
	errorAboutError := build(eth4(), ip4(1, "10.87.0.1", "10.87.0.2"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, raw(string(unhex("4500001c000040004001264d0a5700020a57000103030000000000000000"))))
	routed := ip4(17, "10.87.0.1", "10.87.0.2")
	routed.Options = []layers.IPv4Option{{OptionType: 131, OptionLength: 7, OptionData: []byte{4, 10, 87, 0, 9}}}
	for name, f := range map[string][]byte{
		"broadcast echo":           bcast(build(eth4(), ip4(1, "10.87.0.1", "10.87.0.255"), echo4(1, 1))),
		"limited broadcast echo":   bcast(build(eth4(), ip4(1, "10.87.0.1", "255.255.255.255"), echo4(1, 1))),
		"unicast in a broadcast":   bcast(build(eth4(), ip4(1, "10.87.0.1", "10.87.0.2"), echo4(1, 1))),
		"datagram to a broadcast":  bcast(any4("10.87.0.1", "10.87.0.255")),
		"from a broadcast":         any4("10.87.0.255", "10.87.0.2"),
		"from a group":             any4("224.0.0.9", "10.87.0.2"),
		"from loopback":            any4("127.0.0.1", "10.87.0.2"),
		"from ourselves":           any4("10.87.0.2", "10.87.0.2"),
		"from nowhere":             any4("0.0.0.0", "10.87.0.2"),
		"from class E":             any4("250.1.1.1", "10.87.0.2"),
		"to loopback":              any4("10.87.0.1", "127.0.0.1"),
		"to somebody else":         any4("10.87.0.1", "10.87.0.77"),
		"wrong checksum":           badSum,
		"no checksum over IPv6":    noSum6,
		"an error":                 errorAboutError,
		"source route":             build(eth4(), routed, udpHdr(1000, 2000), raw("x")),
		"port 0":                   build(eth4(), ip4(17, "10.87.0.1", "10.87.0.2"), udpHdr(0, 2000), raw("x")),
		"to port 0":                build(eth4(), ip4(17, "10.87.0.1", "10.87.0.2"), udpHdr(1000, 0), raw("x")),
		"IPv6 from a group":        build(eth6(), ip6(17, "ff02::1", "fd87::2"), udpHdr(1, 2)),
		"IPv6 from loopback":       build(eth6(), ip6(17, "::1", "fd87::2"), udpHdr(1, 2)),
		"IPv6 from mapped":         build(eth6(), ip6(17, "::ffff:10.87.0.1", "fd87::2"), udpHdr(1, 2)),
		"IPv6 to loopback":         build(eth6(), ip6(17, "fd87::1", "::1"), udpHdr(1, 2)),
		"IPv6 datagram from none":  build(eth6(), ip6(17, "::", "fd87::2"), udpHdr(1, 2)),
		"IPv6 to a group not ours": build(ether(wire.MulticastMAC(wire.AllRouters), layers.EthernetTypeIPv6), ip6(17, "fd87::1", "ff02::2"), udpHdr(1, 2)),
		"no next header":           build(eth6(), ip6(59, "fd87::1", "fd87::2"), raw("xx")),
		"unknown EtherType":        build(ether(macB, 0x88cc), raw("xx")),
		"VLAN":                     build(ether(macB, 0x8100), raw("xx")),
		"another station":          build(ether(wire.MAC{2, 9}, layers.EthernetTypeIPv4), ip4(1, "10.87.0.1", "10.87.0.2"), echo4(1, 1)),
		"TCP to a broadcast":       bcast(build(eth4(), ip4(6, "10.87.0.1", "10.87.0.255"), &layers.TCP{SrcPort: 1, DstPort: 2, SYN: true})),
	} {
		b := newBench(t)
		b.know()
		app := &udpApp{}
		mustNot(t, b.s.NewUDP(10, app).Bind(ap("[::]:2"), 0, priv))
		b.quiet(name, b.send(f))
		if len(app.data) != 0 {
			t.Errorf("%s was delivered", name)
		}
	}
}

func TestPortUnreachableQuotesTheDatagram(t *testing.T) {
	b := newBench(t)
	b.know()
	for _, f := range [][]byte{
		build(eth4(), ip4(17, "10.87.0.1", "10.87.0.2"), udpHdr(1000, 2000), raw(string(filler(900)))),
		build(eth6(), ip6(17, "fd87::1", "fd87::2"), udpHdr(1000, 2000), raw(string(filler(1400)))),
	} {
		got := b.send(f)
		b.one("datagram", got)
		ip := got[0].data[14:]
		hl, limit := 20, maxError4
		if ip[0]>>4 == 6 {
			hl, limit = 40, maxError6
		}
		quote := ip[hl+8:]
		if want := []byte{3, 3}; hl == 20 && !bytes.Equal(ip[hl:hl+2], want) {
			t.Errorf("type and code %x", ip[hl:hl+2])
		}
		if want := []byte{1, 4}; hl == 40 && !bytes.Equal(ip[hl:hl+2], want) {
			t.Errorf("type and code %x", ip[hl:hl+2])
		}
		if len(ip) != limit || !bytes.Equal(quote, f[14:14+len(quote)]) {
			t.Errorf("%d bytes, want %d with the datagram in them", len(ip), limit)
		}
	}
}

func TestUnknownProtocols(t *testing.T) {
	b := newBench(t)
	b.know()
	got := b.send(build(eth4(), ip4(132, "10.87.0.1", "10.87.0.2"), raw("12345678")))
	b.one("IPv4", got)
	if m := got[0].data[34:]; m[0] != 3 || m[1] != 2 {
		t.Errorf("%x", m)
	}
	got = b.send(build(eth6(), ip6(60, "fd87::1", "fd87::2"), raw("\x84\x00\x01\x04\x00\x00\x00\x0012345678")))
	b.one("IPv6", got)
	if m := got[0].data[54:]; m[0] != 4 || m[1] != 1 || m[7] != 40 {
		t.Errorf("%x", m[:8])
	}
	got = b.send(build(eth6(), ip6(60, "fd87::1", "fd87::2"), raw("\x11\x00\x9e\x04\x00\x00\x00\x0012345678")))
	b.one("IPv6 option", got)
	if m := got[0].data[54:]; m[0] != 4 || m[1] != 2 || m[7] != 42 {
		t.Errorf("%x", m[:8])
	}
	// The same around an ICMPv6 error must not be answered (RFC 4443 section 2.4(e.1)).
	b.quiet("option before an error", b.send(build(eth6(), ip6(60, "fd87::1", "fd87::2"), raw("\x3a\x00\x9e\x04\x00\x00\x00\x00\x01\x04345678"))))
}

// RFC 768: the source port is optional, 0 means that there is none.
func TestDatagramFromPortZero(t *testing.T) {
	b := newBench(t)
	app := &udpApp{}
	mustNot(t, b.s.NewUDP(2, app).Bind(ap("10.87.0.2:2000"), 0, sockopt.Privilege{}))
	b.send(build(eth4(), ip4(17, "10.87.0.1", "10.87.0.2"), udpHdr(0, 2000), raw("x")))
	if len(app.data) != 1 || app.from[0] != ap("10.87.0.1:0") {
		t.Errorf("%q from %v", app.data, app.from)
	}
}

func TestErrorsAreLimited(t *testing.T) {
	b := newBench(t)
	b.know()
	f := build(eth4(), ip4(17, "10.87.0.1", "10.87.0.2"), udpHdr(1000, 2000), raw("x"))
	count := func(n int) (got int) {
		for range n {
			got += len(b.send(f))
		}
		return got
	}
	if got := count(10 * errorBurst); got > errorBurst || got < errorBurst-3 {
		t.Errorf("%d answers at once, want about %d", got, errorBurst)
	}
	b.after(10 * time.Millisecond)
	if got := count(100); got < 5 || got > 10 {
		t.Errorf("%d answers after 10 ms, want about 10", got)
	}
}

func TestICMPErrorReachesTheConnectedSocket(t *testing.T) {
	for _, c := range []struct {
		name       string
		typ, code  uint8
		want       errno.Errno
		unanswered bool
	}{
		{"port", 3, 3, errno.ECONNREFUSED, false},
		{"protocol", 3, 2, errno.ENOPROTOOPT, false},
		{"prohibited", 3, 13, errno.EHOSTUNREACH, false},
		{"host, soft", 3, 1, 0, false},
		{"time exceeded, soft", 11, 0, 0, false},
		{"unknown code", 3, 77, 0, false},
	} {
		b := newBench(t)
		b.know()
		app := &udpApp{}
		s := b.s.NewUDP(2, app)
		mustNot(t, s.Connect(ap("10.87.0.1:9")))
		b.out.log = nil
		mustNot(t, s.SendTo([]byte("hello"), netip.AddrPort{}))
		sent := b.out.log[0].data[14:]
		b.quiet(c.name, b.send(build(eth4(), ip4(1, "10.87.0.1", "10.87.0.2"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(c.typ, c.code)}, raw(string(sent[:28])))))
		if len(app.errs) == 1 != (c.want != 0) || c.want != 0 && app.errs[0] != c.want {
			t.Errorf("%s: errors %v", c.name, app.errs)
		}
		if e := errno.Of(s.SendTo([]byte("again"), netip.AddrPort{})); e != c.want {
			t.Errorf("%s: next send: %v", c.name, e)
		}
		if err := s.SendTo([]byte("again"), netip.AddrPort{}); err != nil {
			t.Errorf("%s: the send after: %v", c.name, err)
		}
	}
}

func TestForgedICMPErrorIsIgnored(t *testing.T) {
	b := newBench(t)
	b.know()
	app := &udpApp{}
	s := b.s.NewUDP(2, app)
	mustNot(t, s.Connect(ap("10.87.0.1:9")))
	b.out.log = nil
	mustNot(t, s.SendTo([]byte("hello"), netip.AddrPort{}))
	sent := append([]byte(nil), b.out.log[0].data[14:]...)
	for name, edit := range map[string]func(q []byte) []byte{
		"another source":      func(q []byte) []byte { q[15]++; return q },
		"another destination": func(q []byte) []byte { q[19]++; return q },
		"another port":        func(q []byte) []byte { q[21]++; return q },
		"another peer port":   func(q []byte) []byte { q[23]++; return q },
		"a later fragment":    func(q []byte) []byte { q[7] = 1; return q },
		"cut":                 func(q []byte) []byte { return q[:27] },
		"another protocol":    func(q []byte) []byte { q[9] = 132; return q },
		"IPv6":                func(q []byte) []byte { q[0] = 0x65; return q },
	} {
		q := edit(append([]byte(nil), sent...))
		b.send(build(eth4(), ip4(1, "10.87.0.1", "10.87.0.2"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, raw(string(q))))
		if len(app.errs) != 0 {
			t.Errorf("%s: %v", name, app.errs)
			app.errs = nil
		}
	}
}

func TestRefusedOverLoopback(t *testing.T) {
	for _, to := range []string{"127.0.0.1:9", "10.87.0.1:9", "[::1]:9", "[fd87::1]:9"} {
		w := newWorld(t)
		app := &udpApp{}
		domain := 2
		if ap(to).Addr().Is6() {
			domain = 10
		}
		s := w.a.NewUDP(domain, app)
		mustNot(t, s.Connect(ap(to)))
		mustNot(t, s.SendTo([]byte("x"), netip.AddrPort{}))
		w.settle()
		if s.TakeError() != errno.ECONNREFUSED || len(app.errs) != 1 {
			t.Errorf("%s: %v", to, app.errs)
		}
	}
}

func TestDatagramBehindExtensionHeadersIsDelivered(t *testing.T) {
	b := newBench(t)
	app := &udpApp{}
	mustNot(t, b.s.NewUDP(10, app).Bind(ap("[::]:7777"), 0, priv))
	plain := udpFrame(true, 20)
	chain := unhex("3c00 0104 00000000  2b00 0104 00000000  2c00 0400 00000000  1100 0000 00000001") // hop-by-hop, destination, routing, atomic fragment
	f := append(append(append([]byte(nil), plain[:54]...), chain...), plain[54:]...)
	f[20] = wire.ProtoHopByHop
	f[19] += byte(len(chain))
	b.quiet("datagram", b.send(f))
	if len(app.data) != 1 || !bytes.Equal(app.data[0], filler(20)) {
		t.Errorf("got %x; %+v", app.data, b.s.Counters().IPv6)
	}
}
