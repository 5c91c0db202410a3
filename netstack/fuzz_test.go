package netstack

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// FuzzInput feeds a whole stack with frames: b is a list of them, each with two
// bytes of length and one of flags in front. The stack has sockets of all kinds,
// and must neither panic nor keep memory beyond its bounds.
func FuzzInput(f *testing.F) {
	pack := func(flags byte, frames ...[]byte) (b []byte) {
		for _, x := range frames {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(x))), flags)
			b = append(b, x...)
		}
		return b
	}
	syn := build(eth4(), ip4(6, "10.87.0.1", "10.87.0.2"), &layers.TCP{SrcPort: 9, DstPort: 80, SYN: true, Window: 99})
	f.Add(pack(0, unhex(arpAsk), unhex(arpReply), unhex(arpForged)))
	f.Add(pack(0, cutUp(false, 1, 40, filler(100))...))
	f.Add(pack(0, cutUp(true, 1, 40, filler(100))...))
	f.Add(pack(0, nd(255, "fd87::1", "ff02::1:ff00:2", 135, 0, "fd87::2", &macA), syn, udpFrame(true, 9), udpFrame(false, 9)))
	f.Add(pack(1, syn, build(eth4(), ip4(1, "10.87.0.1", "10.87.0.2"), echo4(1, 2), raw("x"))))
	f.Add(pack(1, tooBig(udpFrame(false, 100)[14:], 1000), tooBig(udpFrame(true, 100)[14:], 1290)))
	f.Add(pack(3, build(eth4(), ip4(6, "10.87.0.1", "10.87.0.2"), &layers.TCP{SrcPort: 9, DstPort: 80, ACK: true}, raw(string(filler(3000))))))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, sink := New(Config{Seed: [32]byte{3}}), &null{}
		_, err := s.AddLink(LinkConfig{Name: "eth0", MAC: macB, MTU: 1500, Addrs: prefixes("10.87.0.2/24", "fd87::2/64"), Sink: sink})
		mustNot(t, err)
		mustNot(t, s.NewUDP(10, &udpApp{}).Bind(ap("[::]:7777"), 0, priv))
		peer := s.NewUDP(2, &udpApp{})
		mustNot(t, peer.Connect(ap("10.87.0.1:1234")))
		ls := s.NewTCP(10, nil)
		mustNot(t, ls.Bind(ap("[::]:80"), 0, priv))
		mustNot(t, ls.Listen(4))
		_ = s.NewTCP(2, &tcpApp{}).Connect(ap("10.87.0.1:80"))
		now := time.Second
		for len(b) >= 3 {
			n, flags := int(binary.BigEndian.Uint16(b)), b[2]
			b = b[3:]
			n = min(n, len(b))
			x := RxFrame{Data: fix(append([]byte(nil), b[:n]...)), CsumValid: flags&1 != 0}
			if flags&2 != 0 {
				x.GSOType, x.GSOSize = wire.GSOTCP4, 1000
			}
			b = b[n:]
			s.Input(1, &x)
			_ = peer.SendTo([]byte("x"), netip.AddrPort{})
			now += time.Duration(flags>>4) * 100 * time.Millisecond
			s.Advance(now)
			s.Flush()
		}
		if used := s.reasm.used + s.neigh.held; used > reasmMaxBytes+maxHeldTotal {
			t.Fatalf("%d bytes held", used)
		}
		if len(s.neigh.list) != len(s.neigh.byKey) || len(s.reasm.list) != len(s.reasm.byKey) || len(s.pmtu.order) != len(s.pmtu.byDst) {
			t.Fatal("a table and its index differ")
		}
		// Everything that waits for something else gives up in the end.
		for range 10 {
			now += 60 * time.Second
			s.Advance(now)
			s.Flush()
		}
		if s.reasm.used != 0 || s.neigh.held != 0 {
			t.Fatalf("%d bytes of fragments and %d of queues for ever", s.reasm.used, s.neigh.held)
		}
	})
}

// fix gives a frame the IPv4 checksum that lets the fuzzer get past it.
func fix(b []byte) []byte {
	if len(b) < 34 || be16(b[12:]) != wire.EtherIPv4 {
		return b
	}
	ip := b[14:min(14+int(b[14]&15)*4, len(b))]
	if len(ip) >= 20 {
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], wire.Checksum(ip, 0))
	}
	return b
}
