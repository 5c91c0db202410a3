package netstack

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// recorder is a forwarder that keeps what it is offered.
type recorder struct {
	got    []ForwardPacket
	refuse bool
}

func (r *recorder) Packet(p *ForwardPacket) bool {
	c := *p
	c.Data = append([]byte(nil), p.Data...)
	r.got = append(r.got, c)
	return !r.refuse
}

// newInner is a stack at macB with a transparent link to the test, which is
// 10.87.0.1 and fd87::1 at macA.
func newInner(t *testing.T) (*bench, *recorder) {
	b := newBench(t, func(c *LinkConfig) {
		c.Addrs, c.Transparent, c.PeerMAC = nil, true, macA
		c.Peers = []netip.Addr{addrA, ipA6}
	})
	r := &recorder{}
	b.s.SetForwarder(r)
	return b, r
}

func TestTransparentLinkConfig(t *testing.T) {
	for want, edit := range map[string]func(*LinkConfig){
		`link "x": Peers or PeerMAC on a link that is not Transparent`:                    func(c *LinkConfig) { c.Transparent = false },
		`link "x": 1 Addrs; accepted: none on a transparent link`:                         func(c *LinkConfig) { c.Addrs = prefixes("10.87.0.9/24") },
		`link "x": PeerMAC 00:00:00:00:00:00; accepted: a unicast address other than MAC`: func(c *LinkConfig) { c.PeerMAC = wire.MAC{} },
		`link "x": PeerMAC 02:00:0a:57:00:02; accepted: a unicast address other than MAC`: func(c *LinkConfig) { c.PeerMAC = macB },
		`link "x": 0 Peers; accepted: 1..64`:                                              func(c *LinkConfig) { c.Peers = nil },
		`link "x": peer 224.0.0.1; accepted: a unicast address`:                           func(c *LinkConfig) { c.Peers = []netip.Addr{wire.AllHosts4} },
		`link "x": peer ::ffff:1.2.3.4; accepted: a unicast address`:                      func(c *LinkConfig) { c.Peers = []netip.Addr{netip.MustParseAddr("::ffff:1.2.3.4")} },
		`link "x": MTU 1000 with peer fd87::1; IPv6 needs 1280`:                           func(c *LinkConfig) { c.MTU = 1000 },
	} {
		c := LinkConfig{Name: "x", MAC: macB, MTU: 1500, Sink: &cable{}, Transparent: true, PeerMAC: macA, Peers: []netip.Addr{ipA6}}
		edit(&c)
		if _, err := New(Config{}).AddLink(c); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	b, _ := newInner(t)
	if _, err := b.s.AddLink(LinkConfig{Name: "y", MAC: macB, MTU: 1500, Sink: &cable{}, Transparent: true, PeerMAC: macA, Peers: []netip.Addr{ipA6}}); err == nil {
		t.Error("two transparent links")
	}
	if b, _ := newInner(t); len(b.out.log) != 0 || len(b.s.LinkAddrs(1)) != 0 {
		t.Error("a transparent link announces something")
	}
}

// TestProxyARP: who the peer asks for is at the link's own address, except for
// the peer itself.
func TestProxyARP(t *testing.T) {
	const answerFor9 = "02000a570001 02000a570002 0806 0001 0800 06 04 0002 02000a570002 0a570009 02000a570001 0a570001"
	for _, c := range []struct{ name, f, want string }{
		{"a neighbour", "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570001 000000000000 0a570009", answerFor9},
		{"asked again, by unicast", "02000a570002 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570001 02000a570002 0a570009", answerFor9},
		{"an address off the prefix", "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570001 000000000000 08080808",
			"02000a570001 02000a570002 0806 0001 0800 06 04 0002 02000a570002 08080808 02000a570001 0a570001"},
		{"a probe for another address", "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 00000000 000000000000 0a570009",
			"02000a570001 02000a570002 0806 0001 0800 06 04 0002 02000a570002 0a570009 02000a570001 00000000"},
		{"a probe for its own", "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 00000000 000000000000 0a570001", ""},
		{"an announcement", "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570001 000000000000 0a570001", ""},
		{"an announcement by reply", "ffffffffffff 02000a570001 0806 0001 0800 06 04 0002 02000a570001 0a570001 ffffffffffff 0a570001", ""},
		{"a group", "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570001 000000000000 e0000001", ""},
	} {
		b, _ := newInner(t)
		got := b.send(unhex(c.f))
		if c.want == "" {
			b.quiet(c.name, got)
		} else if len(got) != 1 || !bytes.Equal(got[0].data, unhex(c.want)) {
			t.Errorf("%s: %v", c.name, got)
		}
		if n := b.s.Counters().Transparent; n != (TransparentCounters{}) {
			t.Errorf("%s: %+v", c.name, n)
		}
		if len(b.s.neigh.list) != 0 {
			t.Errorf("%s: learned", c.name)
		}
	}
}

func TestProxyND(t *testing.T) {
	for _, c := range []struct {
		name     string
		f        []byte
		to, from string // of the advertisement, "" for none
	}{
		{"a neighbour", nd(255, "fd87::1", "ff02::1:ff00:9", 135, 0, "fd87::9", &macA), "fd87::1", "fd87::9"},
		{"a link-local router", nd(255, "fd87::1", "ff02::1:ff00:1", 135, 0, "fe80::1", &macA), "fd87::1", "fe80::1"},
		{"its own address is free", nd(255, "::", "ff02::1:ff00:1", 135, 0, "fd87::1", nil), "", ""},
		{"another's is not", nd(255, "::", "ff02::1:ff00:9", 135, 0, "fd87::9", nil), "ff02::1", "fd87::9"},
		{"an announcement", nd(255, "fd87::1", "ff02::1", 136, wire.NDOverride, "fd87::1", &macA), "", ""},
		{"from afar", nd(254, "fd87::1", "ff02::1:ff00:9", 135, 0, "fd87::9", &macA), "", ""},
	} {
		b, _ := newInner(t)
		got := b.send(c.f)
		if n := b.s.Counters().Transparent; n != (TransparentCounters{}) {
			t.Errorf("%s: %+v", c.name, n)
		}
		if c.to == "" {
			b.quiet(c.name, got)
			continue
		}
		p := b.one(c.name, got)
		ip := p.NetworkLayer().(*layers.IPv6)
		a := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
		if ip.DstIP.String() != c.to || a.TargetAddress.String() != c.from || ip.HopLimit != 255 || !bytes.Equal(a.Options[0].Data, macB[:]) {
			t.Errorf("%s: %v", c.name, p)
		}
	}
}

// TestPeerSpeaksForItself: what the peer must not send is dropped, counted and
// shown to nobody.
func TestPeerSpeaksForItself(t *testing.T) {
	other := wire.MAC{2, 0, 10, 87, 0, 0xee}
	udpOf := func(src, dst string) []byte {
		return build(eth4(), ip4(17, src, dst), udpHdr(1, 2), raw("x"))
	}
	udp6Of := func(src, dst string) []byte {
		return build(eth6(), ip6(17, src, dst), udpHdr(1, 2), raw("x"))
	}
	icmp4 := func(typ uint8) []byte {
		return build(eth4(), ip4(1, "10.87.0.1", "10.87.0.9"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, 0)}, raw("01234567890123456789"))
	}
	mac, src, claims, router := TransparentCounters{SpoofedMACs: 1}, TransparentCounters{SpoofedSources: 1}, TransparentCounters{FalseClaims: 1}, TransparentCounters{RouterMessages: 1}
	stolen := udpOf("10.87.0.1", "10.87.0.9")
	copy(stolen[6:], other[:])
	for _, c := range []struct {
		name string
		f    []byte
		want TransparentCounters
	}{
		{"another MAC", stolen, mac},
		{"ARP from another MAC", unhex("ffffffffffff 02000a5700ee 0806 0001 0800 06 04 0001 02000a570001 0a570001 000000000000 0a570009"), mac},
		{"another source", udpOf("10.87.0.3", "10.87.0.9"), src},
		{"no source", udpOf("0.0.0.0", "255.255.255.255"), src},
		{"loopback source", udpOf("127.0.0.1", "10.87.0.9"), src},
		{"another IPv6 source", udp6Of("fd87::3", "fd87::9"), src},
		{"another link-local source", udp6Of("fe80::3", "fd87::9"), src},
		{"no IPv6 source", udp6Of("::", "ff02::1"), src},
		{"TCP from elsewhere", build(eth4(), ip4(6, "10.87.0.3", "10.87.0.9"), &layers.TCP{SYN: true, SrcPort: 1, DstPort: 2}), src},
		{"ARP for another", unhex("ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570009 000000000000 0a570009"), claims},
		{"ARP reply for the gateway", unhex("02000a570002 02000a570001 0806 0001 0800 06 04 0002 02000a570001 0a570009 02000a570002 0a570002"), claims},
		{"ARP with another MAC inside", unhex("ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a5700ee 0a570001 000000000000 0a570009"), claims},
		{"advertisement for another", nd(255, "fd87::1", "ff02::1", 136, wire.NDOverride, "fd87::9", &macA), claims},
		{"advertisement of another MAC", nd(255, "fd87::1", "ff02::1", 136, wire.NDOverride, "fd87::1", &other), claims},
		{"solicitation with another MAC", nd(255, "fd87::1", "ff02::1:ff00:9", 135, 0, "fd87::9", &other), claims},
		{"redirect", icmp4(5), router},
		{"router advertisement", icmp4(9), router},
		{"IPv6 router advertisement", nd(255, "fd87::1", "ff02::1", 134, 0, "fd87::1", nil), router},
		{"IPv6 redirect", nd(255, "fd87::1", "ff02::1", 137, 0, "fd87::1", nil), router},
		{"router renumbering", nd(255, "fd87::1", "ff02::1", 138, 0, "fd87::1", nil), router},
		{"inverse solicitation", nd(255, "fd87::1", "ff02::1", 141, 0, "fd87::1", nil), router},
		{"multicast router advertisement", nd(1, "fd87::1", "fd87::9", 151, 0, "fd87::1", nil), router},
		{"listener query", nd(1, "fd87::1", "ff02::1", 130, 0, "fd87::1", nil), router},
		{"membership query", build(eth4(), ip4(2, "10.87.0.1", "224.0.0.1"), raw("\x11\x00\xee\xff\x00\x00\x00\x00")), router},
		{"to itself", udpOf("10.87.0.1", "10.87.0.1"), TransparentCounters{}},
		{"to loopback", udpOf("10.87.0.1", "127.0.0.1"), TransparentCounters{}},
		{"to nobody", udpOf("10.87.0.1", "0.0.0.0"), TransparentCounters{}},
		{"to the future", udpOf("10.87.0.1", "240.0.0.1"), TransparentCounters{}},
		{"to IPv6 loopback", udp6Of("fd87::1", "::1"), TransparentCounters{}},
		{"to a mapped address", udp6Of("fd87::1", "::ffff:10.0.0.1"), TransparentCounters{}},
		{"to the interface", udp6Of("fd87::1", "ff01::1"), TransparentCounters{}},
	} {
		b, r := newInner(t)
		b.s.TCP().SetOffer(func(*tcp.Pending) bool { t.Errorf("%s: offered", c.name); return false })
		b.quiet(c.name, b.send(c.f))
		if got := b.s.Counters().Transparent; got != c.want || len(r.got) != 0 {
			t.Errorf("%s: %+v, %d offered", c.name, got, len(r.got))
		}
	}
}

// packetOf is the IP packet in a frame, which may be padded.
func packetOf(f []byte) []byte {
	if be16(f[12:]) == wire.EtherIPv4 {
		return f[14 : 14+int(be16(f[16:]))]
	}
	return f[14 : 54+int(be16(f[18:]))]
}

// TestPeerPacketsAreOffered as they are, whoever they are for.
func TestPeerPacketsAreOffered(t *testing.T) {
	ll := wire.LinkLocal(macA).String()
	toGroup := func(f []byte, dst string) []byte {
		m := wire.MulticastMAC(netip.MustParseAddr(dst))
		copy(f, m[:])
		return f
	}
	toAll := func(f []byte) []byte { copy(f, wire.Broadcast[:]); return f }
	quote := build(ip4(17, "10.87.0.9", "10.87.0.1"), udpHdr(1, 2), raw("x"))
	for _, c := range []struct {
		name  string
		f     []byte
		group bool
	}{
		{"UDP", build(eth4(), ip4(17, "10.87.0.1", "8.8.8.8"), udpHdr(9, 53), raw("question")), false},
		{"UDP over IPv6", build(eth6(), ip6(17, "fd87::1", "2001:db8::1"), udpHdr(9, 53), raw("question")), false},
		{"link-local", build(eth6(), ip6(17, ll, "fe80::9"), udpHdr(9, 53), raw("question")), false},
		{"an echo request", build(eth4(), ip4(1, "10.87.0.1", "8.8.8.8"), echo4(1, 2), raw("x")), false},
		{"an IPv6 echo request", build(eth6(), ip6(58, "fd87::1", "fd87::9"), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}, raw("\x00\x01\x00\x02x")), false},
		{"an error about UDP", build(eth4(), ip4(1, "10.87.0.1", "10.87.0.9"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, raw(string(quote))), false},
		{"SCTP", build(eth4(), ip4(132, "10.87.0.1", "10.87.0.9"), raw("0123456789")), false},
		{"the last hop", func() []byte {
			p := ip4(17, "10.87.0.1", "8.8.8.8")
			p.TTL = 1
			return build(eth4(), p, udpHdr(9, 33434))
		}(), false},
		{"a wrong checksum", func() []byte { f := udpFrame(false, 10); f[45] ^= 1; copy(f[30:], []byte{8, 8, 8, 8}); return fix(f) }(), false},
		{"multicast", toGroup(build(eth4(), ip4(17, "10.87.0.1", "224.0.0.251"), udpHdr(5353, 5353), raw("mdns")), "224.0.0.251"), true},
		{"IPv6 multicast", toGroup(build(eth6(), ip6(17, "fd87::1", "ff02::fb"), udpHdr(5353, 5353), raw("mdns")), "ff02::fb"), true},
		{"a listener report", toGroup(build(eth6(), ip6(58, ll, "ff02::16"), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(143, 0)}, raw("\x00\x00\x00\x00")), "ff02::16"), true},
		{"broadcast", toAll(build(eth4(), ip4(17, "10.87.0.1", "255.255.255.255"), udpHdr(68, 67), raw("x"))), true},
		{"directed broadcast", toAll(build(eth4(), ip4(17, "10.87.0.1", "10.87.0.255"), udpHdr(68, 67), raw("x"))), true},
	} {
		b, r := newInner(t)
		b.quiet(c.name, b.send(append(c.f, 0, 0, 0))) // with padding
		if len(r.got) != 1 || !bytes.Equal(r.got[0].Data, packetOf(c.f)) || r.got[0].Group != c.group || r.got[0].Link != 1 || r.got[0].NeedsCsum {
			t.Errorf("%s: %+v", c.name, r.got)
		}
	}
}

// TestPeerErrorsAboutTCP end with the stack's own connection, or nowhere.
func TestPeerErrorsAboutTCP(t *testing.T) {
	b, r := newInner(t)
	app := &tcpApp{}
	s := b.s.NewTCP(2, app)
	if err := s.ConnectFrom(ap("8.8.8.8:40000"), ap("10.87.0.1:80")); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	b.out.log = nil
	b.s.Flush()
	syn := b.out.log[0].data
	if !bytes.Equal(syn[:6], macA[:]) || !bytes.Equal(syn[26:34], unhex("08080808 0a570001")) {
		t.Fatalf("%x", syn)
	}
	b.send(build(eth4(), ip4(1, "10.87.0.1", "8.8.8.8"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 13)}, raw(string(syn[14:42]))))
	if s.Err() != errno.EHOSTUNREACH || len(r.got) != 0 {
		t.Errorf("%v, %d offered", s.Err(), len(r.got))
	}
	b.send(build(eth4(), ip4(1, "10.87.0.1", "8.8.8.8"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 13)}, raw(string(syn[14:42]))))
	if len(r.got) != 0 {
		t.Error("an error about TCP was offered")
	}
}

// TestNobodyTakesIt: without a forwarder that wants it, the peer hears what a
// host would say, from where its packet went.
func TestNobodyTakesIt(t *testing.T) {
	b, r := newInner(t)
	r.refuse = true
	p := b.one("UDP", b.send(build(eth4(), ip4(17, "10.87.0.1", "8.8.8.8"), udpHdr(9, 53), raw("x"))))
	ip, m := p.NetworkLayer().(*layers.IPv4), p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if ip.SrcIP.String() != "8.8.8.8" || ip.DstIP.String() != "10.87.0.1" || m.TypeCode != layers.CreateICMPv4TypeCode(3, 3) {
		t.Error(p)
	}
	b.quiet("echo", b.send(build(eth4(), ip4(1, "10.87.0.1", "8.8.8.8"), echo4(1, 2), raw("x"))))
	p = b.one("SCTP", b.send(build(eth6(), ip6(132, "fd87::1", "fd87::9"), raw("0123456789"))))
	if p.NetworkLayer().(*layers.IPv6).SrcIP.String() != "fd87::9" {
		t.Error(p)
	}
	if len(r.got) != 3 {
		t.Error(len(r.got))
	}
}

// TestPeerSYN walks through the verdicts on a SYN to somewhere.
func TestPeerSYN(t *testing.T) {
	syn := build(eth4(), ip4(6, "10.87.0.1", "8.8.8.8"), &layers.TCP{SrcPort: 4000, DstPort: 443, Seq: 1000, SYN: true, Window: 9999})
	syn6 := build(eth6(), ip6(6, "fd87::1", "fe80::9"), &layers.TCP{SrcPort: 4000, DstPort: 443, Seq: 1000, SYN: true, Window: 9999})
	offer := func(f []byte) (*bench, *tcp.Pending) {
		b, _ := newInner(t)
		var p *tcp.Pending
		b.s.TCP().SetOffer(func(q *tcp.Pending) bool { p = q; return true })
		b.quiet("SYN", b.send(f))
		b.quiet("SYN again", b.send(f))
		if p == nil || b.s.TCP().PendingLen() != 1 {
			t.Fatal("not offered once")
		}
		return b, p
	}
	answer := func(b *bench) *layers.TCP {
		b.s.Flush()
		p := b.one("verdict", b.out.log)
		if p.Layer(layers.LayerTypeTCP) == nil {
			t.Fatal(p)
		}
		return p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	}

	b, p := offer(syn)
	if p.Local() != ap("8.8.8.8:443") || p.Remote() != ap("10.87.0.1:4000") || p.Link() != 1 || p.Domain() != 2 || p.TTL() != 64 {
		t.Errorf("%v %v %d", p.Local(), p.Remote(), p.Link())
	}
	p.Refuse()
	if h := answer(b); !h.RST || h.Ack != 1001 || h.SrcPort != 443 || h.DstPort != 4000 {
		t.Error(h)
	}

	b, p = offer(syn6)
	if p.Local() != ap("[fe80::9]:443") {
		t.Error(p.Local())
	}
	app := &tcpApp{}
	s := b.s.NewTCP(p.Domain(), app)
	mustNot(t, p.Accept(s))
	h := answer(b)
	if !h.SYN || !h.ACK || h.Ack != 1001 || h.DstPort != 4000 {
		t.Error(h)
	}
	b.send(build(eth6(), ip6(6, "fd87::1", "fe80::9"), &layers.TCP{SrcPort: 4000, DstPort: 443, Seq: 1001, Ack: h.Seq + 1, ACK: true, Window: 9999}, raw("hello")))
	if s.State() != tcp.StateEstablished || app.events&tcp.EventConnected == 0 || string(app.data) != "hello" {
		t.Errorf("%v, events %b, %q", s.State(), app.events, app.data)
	}

	for e, code := range map[errno.Errno]uint8{errno.ENETUNREACH: 0, errno.EHOSTUNREACH: 1, errno.EACCES: 13, errno.EIO: 1} {
		b, p = offer(syn)
		p.Unreachable(e)
		pkt := b.one("verdict", b.out.log)
		m := pkt.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if m.TypeCode != layers.CreateICMPv4TypeCode(3, code) || pkt.NetworkLayer().(*layers.IPv4).SrcIP.String() != "8.8.8.8" || !bytes.Equal(m.Payload[12:28], syn[26:42]) {
			t.Errorf("%v: %v", e, pkt)
		}
	}
	b, p = offer(syn6)
	p.Unreachable(errno.EACCES)
	if m := b.one("verdict", b.out.log).Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); m.TypeCode != layers.CreateICMPv6TypeCode(1, 1) {
		t.Error(m)
	}
	b, p = offer(syn)
	p.Drop()
	b.quiet("drop", b.after(time.Minute))
	if b.s.TCP().PendingLen() != 0 {
		t.Error("a dropped SYN is left")
	}
}
