package netstack

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// expected cuts a super-segment with gopacket: an independent second opinion.
func expected(t *testing.T, super []byte, size int) (out [][]byte) {
	p := gopacket.NewPacket(super, layers.LayerTypeEthernet, gopacket.Default)
	eth := p.LinkLayer().(*layers.Ethernet)
	th := *p.TransportLayer().(*layers.TCP)
	payload := append([]byte(nil), th.Payload...)
	fin, psh, cwr, seq := th.FIN, th.PSH, th.CWR, th.Seq
	for i := 0; len(payload) > 0; i++ {
		n := min(size, len(payload))
		h := th
		h.Seq = seq + uint32(i*size)
		h.FIN, h.PSH, h.CWR = fin && n == len(payload), psh && n == len(payload), cwr && i == 0
		var ip gopacket.SerializableLayer
		switch l := p.NetworkLayer().(type) {
		case *layers.IPv4:
			c := *l
			c.Id += uint16(i)
			ip = &c
			mustNot(t, h.SetNetworkLayerForChecksum(&c))
		case *layers.IPv6:
			c := *l
			ip = &c
			mustNot(t, h.SetNetworkLayerForChecksum(&c))
		}
		buf := gopacket.NewSerializeBuffer()
		mustNot(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, &h, gopacket.Payload(payload[:n])))
		hl := 20
		if eth.EthernetType == layers.EthernetTypeIPv6 {
			hl = 40
		}
		out = append(out, buf.Bytes()[:14+hl+int(th.DataOffset)*4+n]) // without padding
		payload = payload[n:]
	}
	return out
}

func TestSoftwareCutEqualsWhatALinkWouldCut(t *testing.T) {
	data := filler(60000)
	for _, dst := range []string{"10.87.0.1", "fd87::1"} {
		for _, c := range []struct {
			name  string
			flags wire.TCPFlags
			size  int
			noDF  bool
			cuts  []int // lengths of the payload's pieces
		}{
			{"bulk", wire.TCPAck, 1448, false, []int{2048, 2048, 2048, 2048}},
			{"odd pieces", wire.TCPAck | wire.TCPPsh, 1001, false, []int{1, 999, 3, 0, 5001, 7, 1448}},
			{"end", wire.TCPAck | wire.TCPFin | wire.TCPPsh, 1448, false, []int{1448, 1448}},
			{"rest of one byte", wire.TCPAck | wire.TCPFin, 1000, true, []int{1500, 1501}},
			{"largest", wire.TCPAck, 1448, false, []int{60000}},
		} {
			var payload [][]byte
			off := 0
			if dst == "fd87::1" && c.size == 1448 {
				c.size = 1428 // the longer header
			}
			for _, n := range c.cuts {
				payload = append(payload, data[off:off+n])
				off += n
			}
			h := wire.TCP{SrcPort: 80, DstPort: 40000, Seq: 0xfffffff0, Ack: 7, Flags: c.flags, Window: 500, WScale: -1, HasTS: true, TSVal: 1, TSEcr: 2}
			run := func(edit func(*LinkConfig)) []frame {
				b := newBench(t, edit)
				b.know()
				p, err := (*tcpNetwork)(b.s).Route(addrB, addrA, 0)
				if dst == "fd87::1" {
					p, err = (*tcpNetwork)(b.s).Route(ipB6, ipA6, 0)
				}
				mustNot(t, err)
				p.NoDF = c.noDF
				b.out.log = nil
				(*tcpNetwork)(b.s).Transmit(&p, &h, payload, c.size)
				return b.out.log
			}
			whole := run(func(l *LinkConfig) { l.TxChecksum, l.TSO = true, true })
			if len(whole) != 1 || whole[0].tx.GSOSize != uint16(c.size) || !whole[0].tx.NeedsCsum || int(whole[0].tx.HdrLen) != len(whole[0].data)-off {
				t.Fatalf("%s %s: offload gave %d frames, %v", dst, c.name, len(whole), whole)
			}
			want := expected(t, whole[0].data, c.size)
			got := run(func(l *LinkConfig) {})
			if len(got) != len(want) {
				t.Fatalf("%s %s: %d segments, want %d", dst, c.name, len(got), len(want))
			}
			for i := range got {
				if !bytes.Equal(got[i].data, want[i]) {
					t.Errorf("%s %s: segment %d\n got %x\nwant %x", dst, c.name, i, got[i].data[:74], want[i][:74])
				}
			}
			decode(t, got)
			// With checksum offload alone the sums are left to the link.
			half := run(func(l *LinkConfig) { l.TxChecksum = true })
			for i := range half {
				f := &half[i]
				start := int(f.tx.CsumStart)
				ck := wire.Checksum(f.data[start:], 0)
				f.data[start+16], f.data[start+17] = byte(ck>>8), byte(ck)
				if !f.tx.NeedsCsum || !bytes.Equal(f.data, want[i]) {
					t.Errorf("%s %s: half offload, segment %d differs", dst, c.name, i)
				}
			}
		}
	}
}

func TestCWRStaysOnTheFirstSegment(t *testing.T) {
	for _, tso := range []bool{false, true} {
		b := newBench(t, func(l *LinkConfig) { l.TxChecksum, l.TSO = tso, tso })
		b.know()
		p, err := (*tcpNetwork)(b.s).Route(addrB, addrA, 0)
		mustNot(t, err)
		h := wire.TCP{SrcPort: 80, DstPort: 40000, Seq: 1, Flags: wire.TCPAck | wire.TCPCwr | wire.TCPPsh, WScale: -1}
		b.out.log = nil
		(*tcpNetwork)(b.s).Transmit(&p, &h, [][]byte{filler(700), filler(4000)}, 1000)
		total := 0
		for i, f := range b.out.log {
			var g wire.TCP
			body, err := wire.ParseTCP(f.data[34:], &g)
			mustNot(t, err)
			if g.Flags&wire.TCPCwr != 0 != (i == 0) || int(g.Seq) != 1+total || g.Flags&wire.TCPPsh != 0 != (i == len(b.out.log)-1) {
				t.Errorf("TSO %v, frame %d: %+v", tso, i, g)
			}
			total += len(body)
		}
		if total != 4700 {
			t.Errorf("TSO %v: %d bytes", tso, total)
		}
	}
}

func TestSuperSegmentBounds(t *testing.T) {
	b := newBench(t, func(l *LinkConfig) { l.TxChecksum, l.TSO = true, true })
	b.know()
	for _, dst := range []struct{ src, dst string }{{"10.87.0.2", "10.87.0.1"}, {"fd87::2", "fd87::1"}, {"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}} {
		n := (*tcpNetwork)(b.s)
		p, err := n.Route(netip.MustParseAddr(dst.src), netip.MustParseAddr(dst.dst), 0)
		mustNot(t, err)
		h := wire.TCP{SrcPort: 80, DstPort: 40000, WScale: -1, HasTS: true, Flags: wire.TCPAck, NSACK: 3}
		b.out.log = nil
		n.Transmit(&p, &h, [][]byte{filler(p.GSOMax)}, 1400)
		sent := len(b.out.log) + b.s.loop.count
		if sent != 1 {
			t.Errorf("%s: GSOMax %d: %d packets", dst.dst, p.GSOMax, sent)
		}
		n.Transmit(&p, &h, [][]byte{filler(65536)}, 1400)
		if len(b.out.log)+b.s.loop.count != sent {
			t.Errorf("%s: an impossible packet was sent", dst.dst)
		}
		b.s.Flush()
	}
	if b.s.Pool().InUse() != 0 {
		t.Error("leak")
	}
}

func TestMergedSegmentIsPassedWhole(t *testing.T) {
	var rx tcp.Rx
	b := newBench(t)
	b.know()
	f := build(eth4(), ip4(6, "10.87.0.1", "10.87.0.2"), &layers.TCP{SrcPort: 1, DstPort: 2, ACK: true, Window: 9}, raw(string(filler(5000))))
	b.s.Input(1, &RxFrame{Data: f, CsumValid: true, GSOType: wire.GSOTCP4 | wire.GSOECN, GSOSize: 1000})
	if rx = b.s.rxTCP; len(rx.Payload) != 5000 || rx.GSOSize != 1000 {
		t.Errorf("%d bytes in segments of %d", len(rx.Payload), rx.GSOSize)
	}
	// The type must be that of the packet.
	for _, typ := range []uint8{wire.GSOTCP6, 3, 5, 0x7f} {
		before := b.s.Counters().Link.InErrors
		if b.s.Input(1, &RxFrame{Data: f, GSOType: typ, GSOSize: 1000}); b.s.Counters().Link.InErrors != before+1 {
			t.Errorf("type %d was taken", typ)
		}
	}
}
