package netstack

import (
	"bytes"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func TestLargestDatagramIsFragmentedAndReassembled(t *testing.T) {
	for _, c := range []struct {
		to     string
		domain int
		most   int
	}{{"10.87.0.2:7777", 2, udp.MaxPayload4}, {"[::ffff:10.87.0.2]:7777", 10, udp.MaxPayload4}, {"[fd87::2]:7777", 10, udp.MaxPayload6}} {
		for _, opts := range [][]option{nil, {offload}} {
			w := newWorld(t, opts...)
			server := &udpApp{}
			mustNot(t, w.b.NewUDP(c.domain, server).Bind(ap(c.to), 0, priv))
			s := w.a.NewUDP(c.domain, &udpApp{})
			data := filler(c.most)
			mustNot(t, s.SendTo(data, ap(c.to)))
			if err := s.SendTo(filler(c.most+1), ap(c.to)); err != errno.EMSGSIZE {
				t.Errorf("%s: %d bytes: %v", c.to, c.most+1, err)
			}
			w.settle()
			if len(server.data) != 1 || !bytes.Equal(server.data[0], data) {
				t.Fatalf("%s: %d datagrams, drops %+v", c.to, len(server.data), w.b.Counters())
			}
			for _, f := range w.ab.log {
				if len(f.data) > 14+1500 || f.tx.NeedsCsum {
					t.Fatalf("%s: frame of %d bytes, checksum unfinished %v", c.to, len(f.data), f.tx.NeedsCsum)
				}
			}
			decode(t, w.ab.log)
			if n := w.b.Pool().InUse() + w.a.Pool().InUse(); n != 0 {
				t.Errorf("%s: %d bytes leaked", c.to, n)
			}
		}
	}
}

// cutUp makes the IP fragments, of size bytes each, of a UDP datagram to the
// stack's port 7777.
func cutUp(v6 bool, id uint32, size int, payload []byte) (frames [][]byte) {
	h := wire.UDP{SrcPort: 1234, DstPort: 7777, Length: uint16(8 + len(payload))}
	d := append(h.AppendTo(nil), payload...)
	src, dst := addrA, addrB
	if v6 {
		src, dst = ipA6, ipB6
	}
	ck := wire.TransportChecksum(src, dst, wire.ProtoUDP, d)
	d[6], d[7] = byte(ck>>8), byte(ck)
	for off := 0; off < len(d); off += size {
		frames = append(frames, piece(v6, id, off, off+size < len(d), d[off:min(off+size, len(d))], 0))
	}
	return frames
}

// piece is one fragment.
func piece(v6 bool, id uint32, off int, more bool, data []byte, tos uint8) []byte {
	if v6 {
		f := wire.Fragment6{NextHeader: wire.ProtoUDP, Offset: uint16(off), More: more, ID: id}
		h := wire.IPv6{NextHeader: wire.ProtoFragment, HopLimit: 64, TrafficClass: tos, PayloadLen: 8 + len(data), Src: ipA6, Dst: ipB6}
		e := wire.Ethernet{Dst: macB, Src: macA, Type: wire.EtherIPv6}
		return append(f.AppendTo(h.AppendTo(e.AppendTo(nil))), data...)
	}
	h := wire.IPv4{TTL: 64, Protocol: wire.ProtoUDP, TOS: tos, ID: uint16(id), FragOff: uint16(off), MF: more, TotalLen: 20 + len(data), Src: addrA, Dst: addrB}
	e := wire.Ethernet{Dst: macB, Src: macA, Type: wire.EtherIPv4}
	return append(h.AppendTo(e.AppendTo(nil)), data...)
}

func reasmBench(t *testing.T) (*bench, *udpApp) {
	b := newBench(t)
	b.know()
	app := &udpApp{}
	mustNot(t, b.s.NewUDP(10, app).Bind(ap("[::]:7777"), 0, priv))
	return b, app
}

func TestFragmentsInAnyOrder(t *testing.T) {
	data := filler(300)
	for _, v6 := range []bool{false, true} {
		n := len(cutUp(v6, 1, 40, data))
		for shift := range n {
			for _, step := range []int{1, 3, 5, 7} {
				if n%step == 0 && step != 1 {
					continue
				}
				b, app := reasmBench(t)
				frames := cutUp(v6, 9, 40, data)
				for i := range frames {
					f := frames[(shift+i*step)%n]
					b.quiet("fragment", b.send(f))
					b.quiet("the same again", b.send(f))
				}
				// The last duplicate starts a datagram of its own.
				if len(app.data) != 1 || !bytes.Equal(app.data[0], data) {
					t.Fatalf("v6 %v, shift %d, step %d: %d datagrams", v6, shift, step, len(app.data))
				}
			}
		}
	}
}

func TestOverlappingFragmentsSpoilTheDatagram(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for name, bad := range map[string][]byte{
			"before":         piece(v6, 9, 32, true, filler(16), 0),
			"inside, other":  piece(v6, 9, 48, true, filler(8), 0),
			"around":         piece(v6, 9, 32, true, filler(64), 0),
			"second end":     piece(v6, 9, 400, false, filler(9), 0),
			"beyond the end": piece(v6, 9, 480, true, filler(80), 0),
		} {
			b, app := reasmBench(t)
			frames := cutUp(v6, 9, 40, filler(300))
			b.send(frames[1])
			b.send(frames[len(frames)-1])
			b.send(bad)
			for i, f := range frames {
				if i != 1 && i != len(frames)-1 {
					b.quiet(name, b.send(f))
				}
			}
			if len(app.data) != 0 {
				t.Errorf("v6 %v: %s: delivered", v6, name)
			}
			if b.s.Pool().InUse() != 0 {
				t.Errorf("v6 %v: %s: keeps memory", v6, name)
			}
			b.quiet(name+" after the timeout", b.after(2*time.Minute))
			// The identification works again afterwards.
			for _, f := range frames {
				b.send(f)
			}
			if len(app.data) != 1 {
				t.Errorf("v6 %v: %s: not forgotten", v6, name)
			}
		}
	}
}

func TestReassemblyTimeout(t *testing.T) {
	b, _ := reasmBench(t)
	frames := cutUp(false, 9, 40, filler(300))
	b.send(frames[0])
	b.send(frames[3])
	b.quiet("early", b.after(reasmTime4-time.Second))
	p := b.one("IPv4", onlyICMP(b.after(2*time.Second)))
	ic := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if ic.TypeCode != layers.CreateICMPv4TypeCode(11, 1) || !bytes.Equal(ic.Payload, frames[0][14:14+28]) {
		t.Errorf("%v", p)
	}
	b.know()
	frames = cutUp(true, 9, 40, filler(300))
	b.send(frames[0])
	got := onlyICMP(b.after(reasmTime6 + time.Second))
	p = b.one("IPv6", got)
	if q := got[0].data[14+40:]; q[0] != 3 || q[1] != 1 || !bytes.Equal(q[8:8+56], frames[0][14:14+56]) {
		t.Errorf("%v", p)
	}
	// Without the first fragment there is nothing to quote.
	b.send(frames[1])
	b.quiet("no first fragment", onlyICMP(b.after(2*time.Minute)))
	if b.s.Pool().InUse() != 0 || len(b.s.reasm.list) != 0 {
		t.Error("memory kept")
	}
}

// onlyICMP leaves out ARP and neighbour discovery.
func onlyICMP(log []frame) (out []frame) {
	for _, f := range log {
		v4 := be16(f.data[12:]) == wire.EtherIPv4 && f.data[23] == wire.ProtoICMP4
		v6 := be16(f.data[12:]) == wire.EtherIPv6 && f.data[20] == wire.ProtoICMP6 && f.data[54] < 133
		if v4 || v6 {
			out = append(out, f)
		}
	}
	return out
}

func TestReassemblyIsBounded(t *testing.T) {
	b, app := reasmBench(t)
	for i := range 4000 {
		b.send(piece(i%2 == 0, uint32(i), 8*(i%8000), true, filler(1400), 0))
		if used := b.s.Pool().InUse(); used > reasmMaxBytes {
			t.Fatalf("%d bytes after %d", used, i)
		}
	}
	if n := len(b.s.reasm.list); n > reasmMaxDatagrams || n != len(b.s.reasm.byKey) {
		t.Errorf("%d datagrams, %d keys", n, len(b.s.reasm.byKey))
	}
	// Many islands in one datagram.
	for i := range 2 * reasmMaxSpans {
		b.send(piece(false, 60000, 16*i, true, filler(8), 0))
	}
	// An honest datagram still gets through.
	for _, f := range cutUp(false, 60001, 400, filler(3000)) {
		b.send(f)
	}
	if len(app.data) != 1 {
		t.Error("starved")
	}
	b.after(2 * time.Minute)
	if b.s.Pool().InUse() != 0 || b.s.reasm.used != 0 {
		t.Errorf("%d bytes left", b.s.Pool().InUse())
	}
}

func TestFragmentsRefused(t *testing.T) {
	b, app := reasmBench(t)
	// 65535 is the end of the world.
	b.quiet("IPv4 ping of death", b.send(piece(false, 9, 65528, false, filler(100), 0)))
	got := b.send(piece(true, 9, 65528, false, filler(100), 0))
	b.one("IPv6 ping of death", got)
	if m := got[0].data[54:]; m[0] != 4 || m[1] != 0 || m[7] != 42 {
		t.Errorf("answered %x", m[:8])
	}
	b.quiet("IPv4 odd length", b.send(piece(false, 9, 0, true, filler(30), 0)))
	got = b.send(piece(true, 9, 0, true, filler(30), 0))
	b.one("IPv6 odd length", got)
	if m := got[0].data[54:]; m[0] != 4 || m[1] != 0 || m[7] != 4 {
		t.Errorf("answered %x", m[:8])
	}
	b.quiet("empty", b.send(piece(false, 9, 8, true, nil, 0)))
	if len(app.data) != 0 || b.s.Pool().InUse() != 0 {
		t.Error("something was kept")
	}
}

func TestAtomicFragmentIsAPacket(t *testing.T) {
	b, app := reasmBench(t)
	for range 2 { // RFC 6946: never mixed up with others of the same identification
		b.send(cutUp(true, 9, 4000, filler(200))[0])
	}
	if len(app.data) != 2 || len(b.s.reasm.list) != 0 {
		t.Errorf("%d datagrams", len(app.data))
	}
}

func TestCongestionMarkOfFragments(t *testing.T) {
	for _, c := range []struct {
		marks [2]uint8
		want  int
		ecn   uint8
	}{{[2]uint8{2, 3}, 1, 3}, {[2]uint8{2, 2}, 1, 2}, {[2]uint8{0, 3}, 0, 0}, {[2]uint8{0, 0}, 1, 0}} {
		b, app := reasmBench(t)
		frames := cutUp(true, 9, 160, filler(300))
		for i, f := range frames {
			f[15] |= c.marks[i] << 4
			b.send(f)
		}
		if len(app.data) != c.want || c.want == 1 && b.s.rxUDP.TOS != c.ecn {
			t.Errorf("%v: %d datagrams marked %d", c.marks, len(app.data), b.s.rxUDP.TOS)
		}
	}
}
