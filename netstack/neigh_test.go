package netstack

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const (
	arpAsk    = "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570001 000000000000 0a570002"
	arpAnswer = "02000a570001 02000a570002 0806 0001 0800 06 04 0002 02000a570002 0a570002 02000a570001 0a570001"
	// The host 10.87.0.1 answers the stack's question.
	arpReply = "02000a570002 02000a570001 0806 0001 0800 06 04 0002 02000a570001 0a570001 02000a570002 0a570002"
	// Another station answers for it.
	arpForged = "02000a570002 02000a5700ee 0806 0001 0800 06 04 0002 02000a5700ee 0a570001 02000a570002 0a570002"
	// What the stack asks.
	arpQuestion = "ffffffffffff 02000a570002 0806 0001 0800 06 04 0001 02000a570002 0a570002 000000000000 0a570001"
)

func state(b *bench, a netip.Addr) (neighState, wire.MAC) {
	n := b.s.neigh.byKey[neighKey{1, a}]
	if n == nil {
		return neighNone, wire.MAC{}
	}
	return n.state, n.mac
}

func TestARPRequestIsAnsweredAndLearned(t *testing.T) {
	b := newBench(t)
	got := b.send(unhex(arpAsk))
	if len(got) != 1 || !bytes.Equal(got[0].data, unhex(arpAnswer)) {
		t.Fatalf("answer %v", got)
	}
	if st, mac := state(b, addrA); st != neighStale || mac != macA {
		t.Errorf("neighbour: state %d at %v", st, mac)
	}
}

func TestARPWhatIsNotBelieved(t *testing.T) {
	for name, f := range map[string]string{
		"unsolicited reply":        arpReply,
		"request for another host": "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570001 000000000000 0a570009",
		"gratuitous":               "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570001 000000000000 0a570001",
		"off-link sender":          "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 08080808 000000000000 0a570002",
		"group hardware address":   "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 01000a570001 0a570001 000000000000 0a570002",
		"broadcast address":        "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a5700ff 000000000000 0a570002",
		"probe":                    "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 00000000 000000000000 0a570002",
		"short":                    "ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 0a570001 000000000000 0a5700",
		"not Ethernet":             "ffffffffffff 02000a570001 0806 0006 0800 06 04 0001 02000a570001 0a570001 000000000000 0a570002",
	} {
		b := newBench(t)
		b.send(unhex(f))
		if len(b.s.neigh.list) != 0 {
			t.Errorf("%s was learned", name)
		}
	}
}

func TestARPProbeIsAnswered(t *testing.T) {
	b := newBench(t)
	p := b.one("probe", b.send(unhex("ffffffffffff 02000a570001 0806 0001 0800 06 04 0001 02000a570001 00000000 000000000000 0a570002")))
	if a := p.Layer(layers.LayerTypeARP).(*layers.ARP); a.Operation != 2 || !bytes.Equal(a.SourceHwAddress, macB[:]) {
		t.Errorf("%v", p)
	}
}

func TestARPAddressIsDefended(t *testing.T) {
	claim := unhex("ffffffffffff 02000a5700ee 0806 0001 0800 06 04 0001 02000a5700ee 0a570002 000000000000 0a570002")
	b := newBench(t)
	want := unhex("ffffffffffff 02000a570002 0806 0001 0800 06 04 0001 02000a570002 0a570002 000000000000 0a570002")
	if got := b.send(claim); len(got) != 1 || !bytes.Equal(got[0].data, want) {
		t.Fatalf("answer %v", got)
	}
	b.quiet("a second claim at once", b.send(claim))
	b.after(defendInterval)
	if got := b.send(claim); len(got) != 1 {
		t.Errorf("a claim later: %d frames", len(got))
	}
}

func TestIncompleteNeighbourReply(t *testing.T) {
	b := newBench(t)
	b.out.log = nil
	s := b.s.NewUDP(2, &udpApp{})
	for _, p := range []string{"one", "two", "three"} {
		mustNot(t, s.SendTo([]byte(p), ap("10.87.0.1:9")))
	}
	if len(b.out.log) != 1 || !bytes.Equal(b.out.log[0].data, unhex(arpQuestion)) {
		t.Fatalf("asked %v", b.out.log)
	}
	got := decode(t, b.send(unhex(arpReply)))
	if len(got) != 3 || string(got[0].ApplicationLayer().Payload()) != "one" || string(got[2].ApplicationLayer().Payload()) != "three" {
		t.Fatalf("after the reply: %d frames %v", len(got), got)
	}
	if st, _ := state(b, addrA); st != neighReachable {
		t.Errorf("state %d", st)
	}
	if b.s.Pool().InUse() != 0 || b.s.neigh.held != 0 {
		t.Errorf("%d bytes in use, %d held", b.s.Pool().InUse(), b.s.neigh.held)
	}
}

func TestIncompleteQueueIsBounded(t *testing.T) {
	b := newBench(t)
	s := b.s.NewUDP(2, &udpApp{})
	for range 10 * maxHeld {
		mustNot(t, s.SendTo(filler(1000), ap("10.87.0.1:9")))
	}
	for i := range 100 {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 87, 0, byte(100 + i)}), 9)
		for range 100 {
			mustNot(t, s.SendTo(filler(1400), a))
		}
	}
	if used := b.s.Pool().InUse(); used > maxHeldTotal {
		t.Errorf("%d bytes queued", used)
	}
	if got := b.send(unhex(arpReply)); len(got) != maxHeld {
		t.Errorf("%d packets waited, want %d", len(got), maxHeld)
	}
	b.after(10 * time.Second)
	if used := b.s.Pool().InUse(); used != 0 || len(b.s.neigh.list) != 1 {
		t.Errorf("%d bytes and %d neighbours left", used, len(b.s.neigh.list))
	}
}

func TestSilentNeighbourFailsConnect(t *testing.T) {
	for _, profile := range sockopt.ProfileNames() {
		t.Run(profile, func(t *testing.T) { silentNeighbour(t, profile) })
	}
}

// silentNeighbour: tcp(4) of Sortix, EHOSTDOWN: "the destination host is not up". A
// router that is silent leaves it unknown whether it is.
func silentNeighbour(t *testing.T, profile string) {
	for _, to := range []string{"10.87.0.1:80", "[::ffff:10.87.0.1]:80", "[fd87::1]:80", "8.8.8.8:80", "[2001:db8::1]:80"} {
		want := errno.EHOSTUNREACH
		b := benchOf(t, profile)
		b.after(2 * time.Second)
		b.out.log = nil
		for dst, via := range map[string]string{"8.8.8.0/24": "10.87.0.1", "2001:db8::/32": "fd87::1"} {
			mustNot(t, b.s.AddRoute(Route{Dst: netip.MustParsePrefix(dst), Gateway: netip.MustParseAddr(via)}))
		}
		if profile == "sortix" && b.s.links[0].onLink(ap(to).Addr().Unmap()) {
			want = errno.EHOSTDOWN
		}
		app := &tcpApp{}
		domain := 10
		if ap(to).Addr().Is4() {
			domain = 2
		}
		s := b.s.NewTCP(domain, app)
		if err := s.Connect(ap(to)); err != errno.EINPROGRESS {
			t.Fatal(err)
		}
		asked := 0
		for range 4 {
			asked += len(b.after(time.Second))
		}
		if asked != maxSolicits-1+1 && asked != maxSolicits {
			t.Errorf("%s: asked %d times", to, asked)
		}
		if e := s.TakeError(); app.events&tcp.EventError == 0 || e != want {
			t.Errorf("%s: events %b, %v, want %v", to, app.events, e, want)
		}
	}
}

// again sends once more as soon as it hears of an error.
type again struct {
	udpApp
	send func()
}

func (a *again) Error(e errno.Errno) { a.udpApp.Error(e); a.send() }

func TestOwnerSendsFromTheErrorOfASilentNeighbour(t *testing.T) {
	b := newBench(t)
	app := &again{}
	s := b.s.NewUDP(2, app)
	s.Options().RecvErr = true
	mustNot(t, s.Connect(ap("10.87.0.1:9")))
	app.send = func() { s.TakeError(); mustNot(t, s.SendTo([]byte("again"), netip.AddrPort{})) }
	mustNot(t, s.SendTo([]byte("once"), netip.AddrPort{}))
	b.after(3500 * time.Millisecond)
	if len(app.errs) != 1 || app.errs[0] != errno.EHOSTUNREACH {
		t.Fatalf("errors %v", app.errs)
	}
	if got := b.send(unhex(arpReply)); len(got) != 1 {
		t.Errorf("%d datagrams after the late answer, want the second", len(got))
	}
	if b.s.Pool().InUse() != 0 || b.s.neigh.held != 0 {
		t.Error("memory kept")
	}
}

func TestReachableNeighbourAges(t *testing.T) {
	b := newBench(t)
	b.know()
	s := b.s.NewUDP(2, &udpApp{})
	send := func() []frame {
		b.out.log = nil
		mustNot(t, s.SendTo([]byte("x"), ap("10.87.0.1:9")))
		return b.out.log
	}
	b.one("reachable", send())
	b.after(reachableTime)
	b.one("stale", send())
	if st, _ := state(b, addrA); st != neighDelay {
		t.Fatalf("state %d, want delay", st)
	}
	got := b.after(delayFirstProbe)
	if len(got) != 1 || !bytes.Equal(got[0].data[:6], macA[:]) || be16(got[0].data[12:]) != wire.EtherARP {
		t.Fatalf("no unicast question: %v", got)
	}
	if st, _ := state(b, addrA); st != neighProbe {
		t.Fatalf("state %d, want probe", st)
	}
	b.send(unhex(arpReply))
	if st, _ := state(b, addrA); st != neighReachable {
		t.Fatalf("state %d, want reachable", st)
	}
	// The same without an answer: back to asking everyone.
	b.after(reachableTime)
	send()
	b.after(delayFirstProbe + 10*time.Second)
	b.out.log = nil
	send()
	if len(b.out.log) != 1 || !bytes.Equal(b.out.log[0].data, unhex(arpQuestion)) {
		t.Errorf("after silence: %v", b.out.log)
	}
}

func TestForgedReplyDoesNotMoveANeighbour(t *testing.T) {
	b := newBench(t)
	b.know()
	question := unhex("02000a570001 02000a570002 0806 0001 0800 06 04 0001 02000a570002 0a570002 000000000000 0a570001")
	if got := b.send(unhex(arpForged)); len(got) != 1 || !bytes.Equal(got[0].data, question) {
		t.Fatalf("the known address was not asked: %v", got)
	}
	b.quiet("again at once", b.send(unhex(arpForged)))
	b.send(unhex(arpReply))
	if st, mac := state(b, addrA); st != neighReachable || mac != macA {
		t.Errorf("after the real answer: state %d at %v", st, mac)
	}
}

func TestNeighbourThatMovedIsFoundAgain(t *testing.T) {
	b := newBench(t)
	b.know()
	b.send(unhex(arpForged))
	b.after(2 * retransTimer)
	s := b.s.NewUDP(2, &udpApp{})
	mustNot(t, s.SendTo([]byte("x"), ap("10.87.0.1:9")))
	if n := len(b.send(unhex(arpForged))); n != 1 {
		t.Errorf("%d frames after the answer to the question to all", n)
	}
	if st, mac := state(b, addrA); st != neighReachable || mac == macA {
		t.Errorf("state %d at %v", st, mac)
	}
}

func TestNeighbourTableUnderAttack(t *testing.T) {
	b := newBench(t, func(c *LinkConfig) { c.Addrs = prefixes("10.0.0.2/8") })
	ask := unhex(arpAsk)
	copy(ask[38:], []byte{10, 0, 0, 2})
	for i := range 5 * maxNeighbours {
		copy(ask[28:], []byte{10, 1, byte(i >> 8), byte(i)})
		b.send(ask)
	}
	if n := len(b.s.neigh.list); n > maxNeighbours || n != len(b.s.neigh.byKey) {
		t.Errorf("%d neighbours, %d keys", n, len(b.s.neigh.byKey))
	}
}

// TestFloodOfStrangers: packets for hosts that do not exist cost neither the
// neighbours in use nor those that are wanted next.
func TestFloodOfStrangers(t *testing.T) {
	b := newBench(t, func(c *LinkConfig) { c.Addrs = prefixes("10.0.0.2/8", "10.87.0.2/24") })
	b.know()
	s := b.s.NewUDP(2, &udpApp{})
	stranger := 0
	flood := func(n int) {
		for range n {
			stranger++
			_ = s.SendTo([]byte("x"), netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(stranger >> 8), byte(stranger)}), 9))
		}
	}
	flood(3 * maxNeighbours)
	if st, mac := state(b, addrA); st == neighNone || mac != macA {
		t.Errorf("the known neighbour is in state %d at %v", st, mac)
	}
	mustNot(t, s.SendTo([]byte("x"), ap("10.87.0.9:9")))
	if st, _ := state(b, netip.MustParseAddr("10.87.0.9")); st != neighIncomplete {
		t.Fatalf("a new neighbour is in state %d", st)
	}
	flood(maxNeighbours / 4)
	if st, _ := state(b, netip.MustParseAddr("10.87.0.9")); st != neighIncomplete {
		t.Errorf("a quarter of the table later it is in state %d", st)
	}
	if n := len(b.s.neigh.list); n > maxNeighbours || n != len(b.s.neigh.byKey) {
		t.Errorf("%d neighbours, %d keys", n, len(b.s.neigh.byKey))
	}
	b.after(time.Minute)
	if n := len(b.s.neigh.list); n != 2 || b.s.Pool().InUse() != 0 {
		t.Errorf("%d neighbours, %d bytes left", n, b.s.Pool().InUse())
	}
}

func nd(hop uint8, src, dst string, typ uint8, flags uint32, target string, ll *wire.MAC) []byte {
	m := wire.ND{Target: netip.MustParseAddr(target)}
	if ll != nil {
		m.HasLL, m.LL = true, *ll
	}
	d := netip.MustParseAddr(dst)
	body := m.AppendTo(nil, typ, flags)
	ck := wire.TransportChecksum(netip.MustParseAddr(src), d, wire.ProtoICMP6, body)
	body[2], body[3] = byte(ck>>8), byte(ck)
	h := wire.IPv6{NextHeader: wire.ProtoICMP6, HopLimit: hop, PayloadLen: len(body), Src: netip.MustParseAddr(src), Dst: d}
	to := macB
	if d.IsMulticast() {
		to = wire.MulticastMAC(d)
	}
	e := wire.Ethernet{Dst: to, Src: macA, Type: wire.EtherIPv6}
	return append(h.AppendTo(e.AppendTo(nil)), body...)
}

func TestSolicitationIsAnswered(t *testing.T) {
	b := newBench(t)
	p := b.one("solicitation", b.send(nd(255, "fd87::1", "ff02::1:ff00:2", 135, 0, "fd87::2", &macA)))
	a := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	ip := p.NetworkLayer().(*layers.IPv6)
	if !a.Solicited() || !a.Override() || a.Router() || ip.HopLimit != 255 || ip.DstIP.String() != "fd87::1" || !bytes.Equal(a.Options[0].Data, macB[:]) {
		t.Errorf("%v", p)
	}
	if st, mac := state(b, ipA6); st != neighStale || mac != macA {
		t.Errorf("state %d at %v", st, mac)
	}
}

func TestDuplicateAddressDetectionOfOurs(t *testing.T) {
	b := newBench(t)
	p := b.one("probe", b.send(nd(255, "::", "ff02::1:ff00:2", 135, 0, "fd87::2", nil)))
	a := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	if ip := p.NetworkLayer().(*layers.IPv6); a.Solicited() || ip.DstIP.String() != "ff02::1" {
		t.Errorf("%v", p)
	}
}

func TestNDWhatIsNotBelieved(t *testing.T) {
	for name, f := range map[string][]byte{
		"from behind a router":         nd(254, "fd87::1", "ff02::1:ff00:2", 135, 0, "fd87::2", &macA),
		"unsolicited advertisement":    nd(255, "fd87::1", "ff02::1", 136, wire.NDOverride, "fd87::1", &macA),
		"advertisement nobody asked":   nd(255, "fd87::1", "fd87::2", 136, wire.NDSolicited, "fd87::1", &macA),
		"solicited to a group":         nd(255, "fd87::1", "ff02::1", 136, wire.NDSolicited, "fd87::1", &macA),
		"multicast target":             nd(255, "fd87::1", "fd87::2", 135, 0, "ff02::1", &macA),
		"off-link source":              nd(255, "2001:db8::1", "ff02::1:ff00:2", 135, 0, "fd87::2", &macA),
		"solicitation for another one": nd(255, "fd87::1", "ff02::1:ff00:2", 135, 0, "fd87::aa00:2", &macA),
		"unspecified with an address":  nd(255, "::", "ff02::1:ff00:2", 135, 0, "fd87::2", &macA),
	} {
		b := newBench(t)
		b.send(f)
		if len(b.s.neigh.list) != 0 {
			t.Errorf("%s was learned", name)
		}
	}
}

func TestRouterAdvertisementChangesNothing(t *testing.T) {
	b := newBench(t)
	routes := len(b.s.routes.entries)
	ra := build(ether(wire.MulticastMAC(wire.AllNodes), layers.EthernetTypeIPv6),
		&layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: netip.MustParseAddr("fe80::1").AsSlice(), DstIP: wire.AllNodes.AsSlice()},
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(134, 0)},
		&layers.ICMPv6RouterAdvertisement{HopLimit: 1, RouterLifetime: 1800})
	b.quiet("router advertisement", b.send(ra))
	if b.s.Counters().ND.Ignored != 1 || len(b.s.routes.entries) != routes {
		t.Errorf("%+v", b.s.Counters().ND)
	}
}

func TestAddressesAreAnnounced(t *testing.T) {
	s := New(Config{})
	c := &cable{}
	_, err := s.AddLink(LinkConfig{Name: "eth0", MAC: macB, MTU: 1500, Addrs: prefixes("10.87.0.2/24", "fd87::2/64"), Sink: c})
	mustNot(t, err)
	s.Flush()
	s.Flush()
	got := decode(t, c.log)
	if len(got) != 4 {
		t.Fatalf("%d announcements, want IPv4, IPv6, link-local and the listener report", len(got))
	}
	if a := got[1].Layer(layers.LayerTypeARP).(*layers.ARP); !bytes.Equal(a.SourceProtAddress, a.DstProtAddress) {
		t.Errorf("%v", got[1])
	}
}
