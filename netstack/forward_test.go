package netstack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newOuter is an ordinary stack, 10.87.0.2 and fd87::2, with a forwarder.
func newOuter(t *testing.T, edit ...func(*LinkConfig)) (*bench, *recorder) {
	b := newBench(t, edit...)
	b.know()
	r := &recorder{}
	b.s.SetForwarder(r)
	return b, r
}

// TestWhatASocketDoesNotTake is offered, and nothing else is.
func TestWhatASocketDoesNotTake(t *testing.T) {
	group := func(f []byte, dst string) []byte {
		m := wire.MulticastMAC(netip.MustParseAddr(dst))
		copy(f, m[:])
		return f
	}
	icmp4 := func(typ, code uint8, body string) []byte {
		return build(eth4(), ip4(1, "10.87.0.1", "10.87.0.2"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code)}, raw(body))
	}
	icmp6 := func(dst string, typ, code uint8, body string) []byte {
		return build(eth6(), ip6(58, "fd87::1", dst), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, code)}, raw(body))
	}
	udpQuote := string(build(ip4(17, "10.87.0.2", "10.87.0.1"), udpHdr(5, 6), raw("x")))
	echoQuote := string(build(ip4(1, "10.87.0.2", "10.87.0.1"), echo4(1, 2), raw("x")))
	tcpQuote := string(build(ip4(6, "10.87.0.2", "10.87.0.1"), &layers.TCP{SrcPort: 5, DstPort: 6}))
	farQuote := string(build(ip4(17, "10.87.0.9", "10.87.0.1"), udpHdr(5, 6), raw("x")))
	quote6 := "\x00\x00\x05\x00" + string(build(ip6(17, "fd87::2", "fd87::1"), udpHdr(5, 6), raw("x")))
	for _, c := range []struct {
		name    string
		f       []byte
		offered bool
		answers int
	}{
		{"UDP without a socket", build(eth4(), ip4(17, "10.87.0.1", "10.87.0.2"), udpHdr(1, 9), raw("x")), true, 0},
		{"UDP with one", udpFrame(false, 10), false, 0},
		{"IPv6 UDP without a socket", build(eth6(), ip6(17, "fd87::1", "fd87::2"), udpHdr(1, 9), raw("x")), true, 0},
		{"IPv6 UDP with one", udpFrame(true, 10), false, 0},
		{"a wrong checksum", func() []byte {
			f := build(eth6(), ip6(17, "fd87::1", "fd87::2"), udpHdr(1, 9), raw("x"))
			f[60] ^= 1
			return f
		}(), false, 0},
		{"an echo request", icmp4(8, 0, "x"), false, 1},
		{"an IPv6 echo request", icmp6("fd87::2", 128, 0, "\x00\x01\x00\x02x"), false, 1},
		{"an echo reply", icmp4(0, 0, "x"), true, 0},
		{"an IPv6 echo reply", icmp6("fd87::2", 129, 0, "\x00\x01\x00\x02x"), true, 0},
		{"an echo request to all", group(icmp6("ff02::1", 128, 0, "\x00\x01\x00\x02x"), "ff02::1"), false, 1},
		{"an error about forwarded UDP", icmp4(3, 3, udpQuote), true, 0},
		{"an error about a forwarded echo", icmp4(11, 0, echoQuote), true, 0},
		{"too big about forwarded UDP", icmp6("fd87::2", 2, 0, quote6), true, 0},
		{"an error about TCP", icmp4(3, 3, tcpQuote), false, 0},
		{"an error about somebody else", icmp4(3, 3, farQuote), false, 0},
		{"an error about nothing", icmp4(3, 3, ""), false, 0},
		{"a redirect", icmp4(5, 1, udpQuote), false, 0},
		{"a router advertisement", nd(255, "fd87::1", "ff02::1", 134, 0, "fd87::1", nil), false, 0},
		{"a solicitation", nd(255, "fd87::1", "ff02::1:ff00:2", 135, 0, "fd87::2", &macA), false, 1},
		{"a solicitation for another", nd(255, "fd87::1", "ff02::1:ff00:9", 135, 0, "fd87::9", &macA), false, 0},
		{"router renumbering", nd(255, "fd87::1", "ff02::1", 138, 0, "fd87::1", nil), false, 0},
		{"a router advertisement to another group", nd(255, "fd87::1", "ff02::5", 134, 0, "fd87::1", nil), false, 0},
		{"a redirect to a group", group(build(eth4(), ip4(1, "10.87.0.1", "224.0.0.5"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(5, 0)}, raw("01234567")), "224.0.0.5"), false, 0},
		{"SCTP", build(eth4(), ip4(132, "10.87.0.1", "10.87.0.2"), raw("0123456789")), true, 0},
		{"IPv6 SCTP", build(eth6(), ip6(132, "fd87::1", "fd87::2"), raw("0123456789")), true, 0},
		{"TCP", build(eth4(), ip4(6, "10.87.0.1", "10.87.0.2"), &layers.TCP{SYN: true, SrcPort: 1, DstPort: 2}), false, 1},
		{"TCP to a group", group(build(eth4(), ip4(6, "10.87.0.1", "224.0.0.5"), &layers.TCP{SYN: true, SrcPort: 1, DstPort: 2}), "224.0.0.5"), false, 0},
		{"a group that nobody here joined", group(build(eth4(), ip4(17, "10.87.0.1", "224.0.0.251"), udpHdr(1, 7777), raw("x")), "224.0.0.251"), true, 0},
		{"an IPv6 group that nobody here joined", group(build(eth6(), ip6(17, "fd87::1", "ff02::fb"), udpHdr(1, 7777), raw("x")), "ff02::fb"), true, 0},
		{"a broadcast that a socket takes too", func() []byte {
			f := build(eth4(), ip4(17, "10.87.0.1", "10.87.0.255"), udpHdr(1, 7777), raw("x"))
			copy(f, wire.Broadcast[:])
			return f
		}(), true, 0},
		{"to another host", build(eth4(), ip4(17, "10.87.0.1", "10.87.0.9"), udpHdr(1, 9), raw("x")), false, 0},
		{"from a spoofed source", build(eth4(), ip4(17, "10.87.0.2", "10.87.0.2"), udpHdr(1, 9), raw("x")), false, 0},
	} {
		b, r := newOuter(t)
		mustNot(t, b.s.NewUDP(10, &udpApp{}).Bind(ap("[::]:7777"), 0, priv))
		got := b.send(c.f)
		if (len(r.got) == 1) != c.offered || len(r.got) > 1 || len(got) != c.answers {
			t.Errorf("%s: offered %d, answered %d", c.name, len(r.got), len(got))
		} else if c.offered && !bytes.Equal(r.got[0].Data, packetOf(c.f)) {
			t.Errorf("%s: offered %x", c.name, r.got[0].Data)
		}
	}
	// What is refused is answered as ever.
	b, r := newOuter(t)
	r.refuse = true
	p := b.one("refused", b.send(build(eth4(), ip4(17, "10.87.0.1", "10.87.0.2"), udpHdr(1, 9), raw("x"))))
	if p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4).TypeCode != layers.CreateICMPv4TypeCode(3, 3) {
		t.Error(p)
	}
	// Looped packets are nobody else's.
	b, r = newOuter(t)
	app := &udpApp{}
	u := b.s.NewUDP(2, app)
	mustNot(t, u.Connect(ap("10.87.0.2:9")))
	mustNot(t, u.SendTo([]byte("x"), netip.AddrPort{}))
	b.s.Flush()
	if len(r.got) != 0 {
		t.Error("a looped packet was offered")
	}
}

// TestFragmentsTravelWhole: a datagram in pieces is offered in one, and Forward
// makes the same pieces of it again, to the byte.
func TestFragmentsTravelWhole(t *testing.T) {
	// Behind hop-by-hop and routing headers, and with options of both kinds.
	headers6 := func(frames [][]byte) [][]byte {
		for i, f := range frames {
			hbh := []byte{wire.ProtoFragment, 0, 1, 4, 0, 0, 0, 0}
			g := append(append(append([]byte(nil), f[:54]...), hbh...), f[54:]...)
			g[20] = wire.ProtoHopByHop
			binary.BigEndian.PutUint16(g[18:], be16(g[18:])+8)
			frames[i] = g
		}
		return frames
	}
	options4 := func(frames [][]byte) [][]byte {
		for i, f := range frames {
			opts := []byte{0x94, 4, 0, 0, 0x44, 4, 5, 0} // router alert is copied, time stamp is not
			if i > 0 {
				opts = []byte{0x94, 4, 0, 0, 1, 1, 1, 1}
			}
			g := append(append(append([]byte(nil), f[:34]...), opts...), f[34:]...)
			g[14] = 0x47
			binary.BigEndian.PutUint16(g[16:], be16(g[16:])+8)
			frames[i] = fix(g)
		}
		return frames
	}
	df := func(frames [][]byte) [][]byte {
		for i, f := range frames {
			f[20] |= 0x40
			frames[i] = fix(f)
		}
		return frames
	}
	for name, frames := range map[string][][]byte{
		"IPv4":              cutUp(false, 7, 400, filler(3000)),
		"IPv4 with options": options4(cutUp(false, 7, 400, filler(3000))),
		"IPv4 with DF":      df(cutUp(false, 7, 400, filler(3000))),
		"IPv6":              cutUp(true, 7, 400, filler(3000)),
		"IPv6 with headers": headers6(cutUp(true, 7, 400, filler(3000))),
	} {
		from, r := newOuter(t)
		for i := range frames {
			from.send(frames[(i+2)%len(frames)]) // out of order
		}
		if len(r.got) != 1 {
			t.Errorf("%s: %d offered", name, len(r.got))
			continue
		}
		p := &r.got[0]
		decode(t, []frame{{data: frameOf(p.Data)}})
		to, _ := newInnerOf(t, "10.87.0.2", "fd87::2")
		mustNot(t, to.s.Forward(p))
		if len(to.out.log) != len(frames) {
			t.Errorf("%s: %d fragments, want %d", name, len(to.out.log), len(frames))
			continue
		}
		for i, f := range to.out.log {
			if !bytes.Equal(f.data[14:], frames[i][14:]) {
				t.Errorf("%s: fragment %d:\n%x, want\n%x", name, i, f.data[14:], frames[i][14:])
			}
		}
	}
}

// newInnerOf has a peer of the given addresses at macA.
func newInnerOf(t *testing.T, peers ...string) (*bench, *recorder) {
	b := newBench(t, func(c *LinkConfig) {
		c.Addrs, c.Transparent, c.PeerMAC = nil, true, macA
		for _, p := range peers {
			c.Peers = append(c.Peers, netip.MustParseAddr(p))
		}
	})
	b.out.log = nil
	r := &recorder{}
	b.s.SetForwarder(r)
	return b, r
}

// TestUnfinishedChecksums survive to a link that finishes them, and are finished
// for one that does not.
func TestUnfinishedChecksums(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, explicit := range []bool{false, true} {
			whole := udpFrame(v6, 1001)
			copy(whole[36:], be(9)) // to port 9; IPv6 below
			l4, src, dst := 34, addrA, addrB
			if v6 {
				whole = udpFrame(true, 1001)
				l4, src, dst = 54, ipA6, ipB6
				copy(whole[56:], be(9))
			}
			copy(whole[l4+6:], be(0))
			ck := wire.TransportChecksum(src, dst, 17, whole[l4:])
			copy(whole[l4+6:], be(ck))
			part := append([]byte(nil), whole...)
			copy(part[l4+6:], be(wire.PseudoSum(src, dst, 17, len(whole)-l4)))
			rx := &RxFrame{Data: part, NeedsCsum: true}
			if explicit {
				rx.CsumStart, rx.CsumOffset = uint16(l4), 6
			}
			from, r := newOuter(t)
			from.sendRx(rx)
			if len(r.got) != 1 || !r.got[0].NeedsCsum || r.got[0].CsumStart != l4-14 || r.got[0].CsumOffset != 6 {
				t.Fatalf("%+v", r.got)
			}
			p := &r.got[0]
			to, _ := newInnerOf(t, "10.87.0.2", "fd87::2")
			mustNot(t, to.s.Forward(p))
			if f := to.out.log[0]; f.tx.NeedsCsum || !bytes.Equal(f.data[14:], whole[14:]) {
				t.Errorf("finished: %x", f.data)
			}
			to.s.links[0].txCsum, to.out.log = true, nil
			mustNot(t, to.s.Forward(p))
			if f := to.out.log[0]; !f.tx.NeedsCsum || int(f.tx.CsumStart) != l4 || f.tx.CsumOffset != 6 || !bytes.Equal(f.data[14:], part[14:]) {
				t.Errorf("unfinished: %+v %x", f.tx, f.data)
			}
			// In fragments it is finished whatever the link can do.
			if !v6 {
				to.s.links[0].mtu, to.out.log = 600, nil
				mustNot(t, to.s.Forward(p))
				var body []byte
				for _, f := range to.out.log {
					body = append(body, f.data[34:]...)
				}
				if len(to.out.log) != 2 || !bytes.Equal(body, whole[34:]) {
					t.Errorf("%d fragments: %x", len(to.out.log), body)
				}
			}
		}
	}
	// Where the sum cannot be, the packet goes nowhere.
	for _, at := range [][2]uint16{{14, 10}, {33, 0}, {34, 5000}, {60000, 6}} {
		f := build(eth4(), ip4(17, "10.87.0.1", "10.87.0.2"), udpHdr(1, 9), raw("x"))
		b, r := newOuter(t)
		b.quiet("bad offsets", b.sendRx(&RxFrame{Data: f, NeedsCsum: true, CsumStart: at[0], CsumOffset: at[1]}))
		if len(r.got) != 0 || b.s.Counters().Forward.Unusable != 1 {
			t.Errorf("%v: offered", at)
		}
	}
	b, r := newOuter(t)
	b.sendRx(&RxFrame{Data: build(eth4(), ip4(132, "10.87.0.1", "10.87.0.2"), raw("0123456789")), NeedsCsum: true})
	if len(r.got) != 0 {
		t.Error("SCTP with a checksum that nobody knows was offered")
	}
}

// frameOf is an IP packet in a frame.
func frameOf(packet []byte) []byte {
	h := wire.Ethernet{Dst: macB, Src: macA, Type: wire.EtherIPv4}
	if packet[0]>>4 == 6 {
		h.Type = wire.EtherIPv6
	}
	return append(h.AppendTo(nil), packet...)
}

func be(n uint16) []byte { return []byte{byte(n >> 8), byte(n)} }

func TestForwardRefuses(t *testing.T) {
	udpOf := func(src, dst string, n int) []byte {
		return build(ip4(17, src, dst), udpHdr(1, 2), raw(string(filler(n))))
	}
	noDF, withDF := udpOf("10.87.0.2", "10.87.0.1", 2000), udpOf("10.87.0.2", "10.87.0.1", 2000)
	withDF[6] |= 0x40
	withDF = fix(frameOf(withDF))[14:]
	v6 := build(ip6(17, "fd87::2", "fd87::1"), udpHdr(1, 2), raw(string(filler(2000))))
	small := udpOf("10.87.0.2", "10.87.0.1", 10)
	for _, c := range []struct {
		name string
		p    ForwardPacket
		want error
		mtu  int
	}{
		{"what may be cut", ForwardPacket{Data: noDF}, nil, 0},
		{"what may not", ForwardPacket{Data: withDF}, errno.EMSGSIZE, 1500},
		{"IPv6", ForwardPacket{Data: v6}, errno.EMSGSIZE, 1500},
		{"IPv6 that came in small fragments", ForwardPacket{Data: v6, FragSize: 1300}, nil, 0},
		{"IPv6 that came in large fragments", ForwardPacket{Data: v6, FragSize: 1800}, errno.EMSGSIZE, 1500},
		{"another source", ForwardPacket{Data: udpOf("10.87.0.3", "10.87.0.1", 1)}, errno.EADDRNOTAVAIL, 0},
		{"no source", ForwardPacket{Data: udpOf("0.0.0.0", "10.87.0.1", 1)}, errno.EADDRNOTAVAIL, 0},
		{"loopback source", ForwardPacket{Data: udpOf("127.0.0.1", "10.87.0.1", 1)}, errno.EADDRNOTAVAIL, 0},
		{"no route", ForwardPacket{Data: udpOf("10.87.0.2", "8.8.8.8", 1)}, errno.ENETUNREACH, 0},
		{"to itself", ForwardPacket{Data: udpOf("10.87.0.2", "10.87.0.2", 1)}, errno.EINVAL, 0},
		{"to loopback", ForwardPacket{Data: udpOf("10.87.0.2", "127.0.0.1", 1)}, errno.EINVAL, 0},
		{"unicast by broadcast", ForwardPacket{Data: small, Group: true}, errno.EINVAL, 0},
		{"broadcast", ForwardPacket{Data: udpOf("10.87.0.2", "10.87.0.255", 1), Group: true}, nil, 0},
		{"multicast", ForwardPacket{Data: udpOf("10.87.0.2", "224.0.0.251", 1), Group: true}, nil, 0},
		{"another link", ForwardPacket{Data: small, Link: 9}, errno.ENODEV, 0},
		{"nothing", ForwardPacket{}, errno.EINVAL, 0},
		{"short", ForwardPacket{Data: small[:19]}, errno.EINVAL, 0},
		{"cut off", ForwardPacket{Data: small[:len(small)-1]}, errno.EINVAL, 0},
		{"padded", ForwardPacket{Data: append(append([]byte(nil), small...), 0)}, errno.EINVAL, 0},
		{"a fragment", ForwardPacket{Data: packetOf(cutUp(false, 1, 40, filler(100))[1])}, errno.EINVAL, 0},
		{"an IPv6 fragment", ForwardPacket{Data: packetOf(cutUp(true, 1, 40, filler(100))[1])}, errno.EINVAL, 0},
		{"TCP", ForwardPacket{Data: build(ip4(6, "10.87.0.2", "10.87.0.1"), &layers.TCP{})}, errno.EINVAL, 0},
		{"a sum in the header", ForwardPacket{Data: small, NeedsCsum: true, CsumStart: 10}, errno.EINVAL, 0},
		{"a sum behind the end", ForwardPacket{Data: small, NeedsCsum: true, CsumStart: 20, CsumOffset: 17}, errno.EINVAL, 0},
		{"a sum before the start", ForwardPacket{Data: small, NeedsCsum: true, CsumStart: 22, CsumOffset: -2}, errno.EINVAL, 0},
	} {
		b, _ := newOuter(t)
		b.out.log = nil
		err := b.s.Forward(&c.p)
		if err != c.want || c.p.MTU != c.mtu || (err == nil) == (len(b.out.log) == 0) {
			t.Errorf("%s: %v, MTU %d, %d frames", c.name, err, c.p.MTU, len(b.out.log))
		}
		for _, f := range b.out.log {
			if len(f.data) > 1514 {
				t.Errorf("%s: a frame of %d bytes", c.name, len(f.data))
			}
		}
	}
	inner, _ := newInner(t)
	for _, c := range []struct {
		name     string
		src, dst string
		group    bool
		want     error
	}{
		{"to the peer", "8.8.8.8", "10.87.0.1", false, nil},
		{"multicast", "8.8.8.8", "224.0.0.251", true, nil},
		{"broadcast", "10.87.0.9", "255.255.255.255", true, nil},
		{"directed broadcast", "10.87.0.9", "10.87.0.255", true, nil},
		{"to others", "8.8.8.8", "10.87.0.9", false, errno.ENETUNREACH},
		{"from the peer itself", "10.87.0.1", "10.87.0.1", false, errno.EINVAL},
		{"from loopback", "127.0.0.1", "10.87.0.1", false, errno.EINVAL},
	} {
		if err := inner.s.Forward(&ForwardPacket{Data: udpOf(c.src, c.dst, 1), Group: c.group}); err != c.want {
			t.Errorf("inner: %s: %v", c.name, err)
		}
	}
}

// TestForwardFollowsThePath: what the stack knows about a path holds for what it
// forwards.
func TestForwardFollowsThePath(t *testing.T) {
	b, _ := newOuter(t)
	b.s.learnPMTU(addrA, 1000)
	data := build(ip4(17, "10.87.0.2", "10.87.0.1"), udpHdr(1, 2), raw(string(filler(1200))))
	data[6] |= 0x40
	p := ForwardPacket{Data: data}
	if err := b.s.Forward(&p); err != errno.EMSGSIZE || p.MTU != 1000 {
		t.Errorf("%v, MTU %d", err, p.MTU)
	}
	b.after(pmtuTime + time.Second)
	b.know()
	if err := b.s.Forward(&p); err != nil {
		t.Errorf("later: %v", err)
	}
}

// TestReject answers the peer as a router on the way would.
func TestReject(t *testing.T) {
	ask := build(eth4(), ip4(17, "10.87.0.1", "8.8.8.8"), udpHdr(9, 53), raw("question"))
	ask6 := build(eth6(), ip6(17, "fd87::1", "fe80::9"), udpHdr(9, 53), raw("question"))
	for e, want := range map[errno.Errno][4]uint8{
		errno.EMSGSIZE: {3, 4, 2, 0}, errno.ENETUNREACH: {3, 0, 1, 0}, errno.EHOSTUNREACH: {3, 1, 1, 3},
		errno.EACCES: {3, 13, 1, 1}, errno.ECONNREFUSED: {3, 3, 1, 4}, errno.EIO: {3, 1, 1, 3},
	} {
		b, r := newInner(t)
		b.send(ask)
		r.got[0].MTU = 1234
		if e == errno.EACCES {
			r.got[0].Link = 0
		}
		b.s.Reject(&r.got[0], e)
		p := b.one("reject", b.out.log)
		m := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if m.TypeCode != layers.CreateICMPv4TypeCode(want[0], want[1]) || !bytes.Equal(m.Payload, packetOf(ask)) || (m.Seq == 1234) != (e == errno.EMSGSIZE) {
			t.Errorf("%v: %v", e, p)
		}
		b.send(ask6)
		r.got[1].MTU = 1300
		b.s.Reject(&r.got[1], e)
		m6 := b.one("reject", b.out.log).Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
		if m6.TypeCode != layers.CreateICMPv6TypeCode(want[2], want[3]) || !bytes.Equal(m6.Payload[4:], packetOf(ask6)) || (be16(m6.Payload[2:]) == 1300) != (e == errno.EMSGSIZE) {
			t.Errorf("%v: %v", e, m6)
		}
	}
	out, or := newOuter(t)
	out.send(build(eth4(), ip4(17, "10.87.0.1", "10.87.0.2"), udpHdr(1, 9), raw("x")))
	or.got[0].Link = 0
	out.s.Reject(&or.got[0], errno.EHOSTUNREACH)
	if m := out.one("reject", out.out.log).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); m.TypeCode != layers.CreateICMPv4TypeCode(3, 1) {
		t.Error(m)
	}
	b, r := newInner(t)
	quote := build(ip4(17, "8.8.8.8", "10.87.0.1"), udpHdr(1, 2), raw("x"))
	b.send(build(eth4(), ip4(1, "10.87.0.1", "8.8.8.8"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, raw(string(quote))))
	b.s.Reject(&r.got[0], errno.EHOSTUNREACH)
	b.quiet("an error about an error", b.out.log)
}

// TestForwardedToNobody: the neighbour never answers, and the forwarder is given
// the error that the sender's own host would have found.
func TestForwardedToNobody(t *testing.T) {
	for _, c := range []struct {
		data []byte
		from string
		is   gopacket.LayerType
	}{
		{build(ip4(17, "10.87.0.2", "10.87.0.99"), udpHdr(1, 2), raw("x")), "10.87.0.99", layers.LayerTypeICMPv4},
		{build(ip6(17, "fd87::2", "fd87::99"), udpHdr(1, 2), raw("x")), "fd87::99", layers.LayerTypeICMPv6},
	} {
		b, r := newOuter(t)
		mustNot(t, b.s.Forward(&ForwardPacket{Data: c.data}))
		b.after(10 * time.Second)
		if len(r.got) != 1 || r.got[0].Link != 1 {
			t.Fatalf("%+v", r.got)
		}
		first := layers.LayerTypeIPv4
		if c.data[0]>>4 == 6 {
			first = layers.LayerTypeIPv6
		}
		p := gopacket.NewPacket(r.got[0].Data, first, gopacket.Default)
		src, _ := p.NetworkLayer().NetworkFlow().Endpoints()
		if p.Layer(c.is) == nil || src.String() != c.from || !bytes.Contains(r.got[0].Data, c.data) {
			t.Error(p)
		}
		in, _ := newInnerOf(t, "10.87.0.2", "fd87::2")
		mustNot(t, in.s.Forward(&r.got[0]))
	}
}

// TestNoForwarderNoChange: what the counters of a stack without a forwarder say
// about unknown groups stays.
func TestNoForwarderNoChange(t *testing.T) {
	b := newBench(t)
	f := build(eth4(), ip4(17, "10.87.0.1", "224.0.0.251"), udpHdr(1, 2), raw("x"))
	m := wire.MulticastMAC(netip.MustParseAddr("224.0.0.251"))
	copy(f, m[:])
	b.quiet("an unknown group", b.send(f))
	if c := b.s.Counters(); c.Link.InOther != 1 || c.Forward != (ForwardCounters{}) {
		t.Errorf("%+v", c.Forward)
	}
}

// passing is a packet that goes through both stacks of the inline path, out or
// in.
func passing(tb testing.TB, v6, in bool, size int) func() {
	inner, outer := New(Config{}), New(Config{})
	near, far := &null{}, &null{}
	mustAdd := func(s *Stack, c LinkConfig) {
		c.Name, c.MTU = "eth0", 1500
		if _, err := s.AddLink(c); err != nil {
			tb.Fatal(err)
		}
		s.Advance(time.Second)
		s.Flush()
	}
	mustAdd(inner, LinkConfig{MAC: macA, Transparent: true, PeerMAC: macB, Peers: []netip.Addr{addrB, ipB6}, Sink: near, TxChecksum: true})
	mustAdd(outer, LinkConfig{MAC: macB, Addrs: prefixes("10.87.0.2/24", "fd87::2/64"), Sink: far, TxChecksum: true})
	for _, a := range []netip.Addr{addrA, ipA6} {
		nb := outer.newNeighbour(outer.links[0], a)
		nb.mac, nb.state = macA, neighPermanent
	}
	inner.SetForwarder(passTo{outer})
	outer.SetForwarder(passTo{inner})
	inner.TCP().SetOffer(func(*tcp.Pending) bool { return false })
	f := RxFrame{Data: udpFrame(v6, size)}
	s, sink := outer, near
	if !in {
		s, sink = inner, far
		// The answer to it.
		a, b := f.Data[26:30], f.Data[30:34]
		if v6 {
			a, b = f.Data[22:38], f.Data[38:54]
		}
		for i := range a {
			a[i], b[i] = b[i], a[i]
		}
		copy(f.Data, macA[:])
		copy(f.Data[6:], macB[:])
	}
	return func() {
		n := sink.frames
		s.Input(1, &f)
		if sink.frames != n+1 {
			tb.Fatal("did not pass")
		}
	}
}

type passTo struct{ s *Stack }

func (p passTo) Packet(f *ForwardPacket) bool {
	g := *f
	g.Link = 0
	return p.s.Forward(&g) == nil
}

func init() {
	for _, c := range []struct {
		name   string
		v6, in bool
	}{{"ForwardOut4", false, false}, {"ForwardOut6", true, false}, {"ForwardIn4", false, true}, {"ForwardIn6", true, true}} {
		paths = append(paths, struct {
			name string
			make func(tb testing.TB) func()
		}{c.name, func(tb testing.TB) func() { return passing(tb, c.v6, c.in, 1000) }})
	}
}
