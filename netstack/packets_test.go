package netstack

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// A bench is one stack with one link, fed and watched by the test. The test is
// the host 10.87.0.1 and fd87::1 at macA; the stack is 10.87.0.2 and fd87::2.
type bench struct {
	t   *testing.T
	s   *Stack
	out *cable
	now time.Duration
}

func newBench(t *testing.T, edit ...func(*LinkConfig)) *bench {
	b := freshBench(t, edit...)
	b.after(2 * time.Second) // everything is announced
	b.out.log = nil
	return b
}

func freshBench(t *testing.T, edit ...func(*LinkConfig)) *bench { return benchOf(t, "linux", edit...) }

// benchOf is a fresh bench of a profile.
func benchOf(t *testing.T, profile string, edit ...func(*LinkConfig)) *bench {
	p, err := sockopt.ProfileByName(profile)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, s: New(Config{Seed: [32]byte{7}, Profile: p}), out: &cable{}, now: time.Second}
	c := LinkConfig{Name: "eth0", MAC: macB, MTU: 1500, Addrs: prefixes("10.87.0.2/24", "fd87::2/64"), Sink: b.out}
	for _, e := range edit {
		e(&c)
	}
	if _, err := b.s.AddLink(c); err != nil {
		t.Fatal(err)
	}
	b.s.Advance(b.now)
	b.s.Flush()
	b.out.log = nil
	return b
}

// send lets the stack receive a frame and returns what it sends back.
func (b *bench) send(f []byte) []frame { return b.sendRx(&RxFrame{Data: f}) }

func (b *bench) sendRx(f *RxFrame) []frame {
	b.out.log = nil
	b.s.Input(1, f)
	b.s.Flush()
	return b.out.log
}

// after moves the clock, at each deadline on the way, and returns what is sent.
func (b *bench) after(d time.Duration) []frame {
	b.out.log = nil
	end := b.now + d
	for b.now < end {
		b.now = end
		if at, ok := b.s.Deadline(); ok && at < end {
			b.now = max(at, 1)
		}
		b.s.Advance(b.now)
		b.s.Flush()
	}
	return b.out.log
}

// know makes the neighbour 10.87.0.1 and fd87::1 reachable at macA.
func (b *bench) know() {
	l := b.s.links[0]
	for _, a := range []netip.Addr{addrA, ipA6} {
		b.s.confirmed(b.s.newNeighbour(l, a), macA)
	}
}

func (b *bench) quiet(what string, got []frame) {
	b.t.Helper()
	if len(got) != 0 {
		b.t.Errorf("%s: answered by %s", what, gopacket.NewPacket(got[0].data, layers.LayerTypeEthernet, gopacket.Default))
	}
}

// one expects a single frame and has gopacket verify it.
func (b *bench) one(what string, got []frame) gopacket.Packet {
	b.t.Helper()
	if len(got) != 1 {
		b.t.Fatalf("%s: %d frames, want 1", what, len(got))
	}
	return decode(b.t, got)[0]
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "", ":", "").Replace(s))
	if err != nil {
		panic(err)
	}
	return b
}

// build puts layers together, lengths and checksums filled in by gopacket.
func build(parts ...gopacket.SerializableLayer) []byte {
	var ip gopacket.NetworkLayer
	for _, p := range parts {
		switch l := p.(type) {
		case *layers.IPv4:
			ip = l
		case *layers.IPv6:
			ip = l
		case interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}:
			_ = l.SetNetworkLayerForChecksum(ip)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func ether(dst wire.MAC, typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: macA[:], DstMAC: append([]byte(nil), dst[:]...), EthernetType: typ}
}

func eth4() *layers.Ethernet { return ether(macB, layers.EthernetTypeIPv4) }
func eth6() *layers.Ethernet { return ether(macB, layers.EthernetTypeIPv6) }

func ip4(proto layers.IPProtocol, src, dst string) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Id: 77, Protocol: proto, SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice()}
}

func ip6(next layers.IPProtocol, src, dst string) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice()}
}

func udpHdr(src, dst uint16) *layers.UDP {
	return &layers.UDP{SrcPort: layers.UDPPort(src), DstPort: layers.UDPPort(dst)}
}

func echo4(id, seq uint16) *layers.ICMPv4 {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: id, Seq: seq}
}

func raw(b string) gopacket.Payload { return gopacket.Payload(b) }
