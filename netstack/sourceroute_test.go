package netstack

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// routedBench is a bench that takes source routes, with a listener on port 80.
func routedBench(t *testing.T, accept string) *bench {
	b := newBench(t)
	b.know()
	_, err := sockopt.NewTunables(b.s.profile, map[string]string{"net.ipv4.conf.all.accept_source_route": accept})
	mustNot(t, err)
	*b.s.tun = *b.s.profile.Tunables
	l := b.s.NewTCP(2, nil)
	mustNot(t, l.Bind(netip.MustParseAddrPort("10.87.0.2:80"), 0, priv))
	mustNot(t, l.Listen(8))
	return b
}

// routedSYN is a SYN of the far 198.51.100.9 that came over 203.0.113.7 and the
// test's own 10.87.0.1; at is the pointer of the route.
func routedSYN(port uint16, at byte) []byte {
	ip := ip4(6, "198.51.100.9", "10.87.0.2")
	ip.Options = []layers.IPv4Option{{OptionType: 131, OptionLength: 11, OptionData: []byte{at, 203, 0, 113, 7, 10, 87, 0, 1}}, {OptionType: 0}}
	s := &layers.TCP{SrcPort: 4000, DstPort: layers.TCPPort(port), Seq: 1000, SYN: true, Window: 1000,
		Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{0x05, 0xb4}}}}
	if err := s.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	return build(eth4(), ip, s)
}

func TestSourceRouteIsAnsweredBackwards(t *testing.T) {
	b := routedBench(t, "1")
	for port, want := range map[uint16]wire.TCPFlags{80: wire.TCPSyn | wire.TCPAck, 81: wire.TCPRst | wire.TCPAck} {
		got := b.send(routedSYN(port, 12))
		if len(got) != 1 {
			t.Fatalf("port %d: %d answers", port, len(got))
		}
		var ip wire.IPv4
		seg, err := wire.ParseIPv4(got[0].data[wire.EthernetLen:], &ip)
		mustNot(t, err)
		if want := []byte{131, 11, 4, 203, 0, 113, 7, 198, 51, 100, 9, 0}; ip.Dst != addrA || !bytes.Equal(ip.Options, want) {
			t.Errorf("port %d: to %v over %v, want %v", port, ip.Dst, ip.Options, want)
		}
		// The checksum is over the host at the end of the route (RFC 9293 section
		// 3.1), which nobody else checks here.
		var h wire.TCP
		if _, err := wire.ParseTCP(seg, &h); err != nil || h.Flags != want {
			t.Errorf("port %d: flags %v, %v", port, h.Flags, err)
		}
		if !wire.TransportChecksumOK(addrB, netip.MustParseAddr("198.51.100.9"), wire.ProtoTCP, seg) {
			t.Errorf("port %d: wrong checksum", port)
		}
	}
}

func TestSourceRouteIsDropped(t *testing.T) {
	b := routedBench(t, "0")
	b.quiet("a source route without the tunable", b.send(routedSYN(80, 12)))
	b = routedBench(t, "1")
	b.quiet("a source route that goes on from here", b.send(routedSYN(80, 4)))
	b.quiet("one that goes on, to a closed port", b.send(routedSYN(81, 4)))
	routed := ip4(17, "10.87.0.1", "10.87.0.2")
	routed.Options = []layers.IPv4Option{{OptionType: 131, OptionLength: 7, OptionData: []byte{8, 10, 87, 0, 9}}}
	b.quiet("UDP over a source route", b.send(build(eth4(), routed, udpHdr(1000, 2000), raw("x"))))
}

func TestPort0IsNotAnswered(t *testing.T) {
	b := newBench(t)
	b.know()
	for _, ports := range [][2]layers.TCPPort{{0, 80}, {4000, 0}, {0, 0}} {
		ip := ip4(6, "10.87.0.1", "10.87.0.2")
		s := &layers.TCP{SrcPort: ports[0], DstPort: ports[1], Seq: 1000, SYN: true, Window: 1000}
		if err := s.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		before := b.s.TCP().Counters().InErrs
		b.quiet("a SYN with port 0", b.send(build(eth4(), ip, s)))
		if b.s.TCP().Counters().InErrs != before+1 {
			t.Error("a SYN with port 0 was not counted")
		}
	}
}
