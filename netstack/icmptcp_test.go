package netstack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A dial is a connection attempt of a bench, with the packet of its SYN.
type dial struct {
	b   *bench
	s   *tcp.Socket
	app *tcpApp
	syn []byte
}

func newDial(t *testing.T, profile string, v6 bool) *dial {
	d := &dial{b: benchOf(t, profile), app: &tcpApp{}}
	d.b.after(2 * time.Second) // everything is announced
	d.b.out.log = nil
	d.b.know()
	domain, to := 2, ap("10.87.0.1:9")
	if v6 {
		domain, to = 10, ap("[fd87::1]:9")
	}
	d.s = d.b.s.NewTCP(domain, d.app)
	if err := d.s.Connect(to); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	d.b.s.Flush()
	d.b.one("SYN", d.b.out.log) // with a good checksum: RFC 9293 section 3.1, MUST-2
	d.syn = append([]byte(nil), d.b.out.log[0].data[wire.EthernetLen:]...)
	return d
}

// icmp is an ICMP message of the peer that quotes packet.
func (d *dial) icmp(typ, code uint8, rest uint32, packet []byte) []byte {
	if packet[0]>>4 == 4 {
		return build(eth4(), ip4(1, "10.87.0.1", "10.87.0.2"), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, code),
			Id: uint16(rest >> 16), Seq: uint16(rest)}, raw(string(packet[:28])))
	}
	m := append([]byte{typ, code, 0, 0, byte(rest >> 24), byte(rest >> 16), byte(rest >> 8), byte(rest)}, packet[:60]...)
	ck := wire.TransportChecksum(ipA6, ipB6, wire.ProtoICMP6, m)
	m[2], m[3] = byte(ck>>8), byte(ck)
	return build(eth6(), ip6(58, "fd87::1", "fd87::2"), raw(string(m)))
}

// answer is the peer's SYN-ACK.
func (d *dial) answer(t *testing.T) {
	var h wire.TCP
	if _, err := wire.ParseTCP(d.syn[wire.IPv4MinHeader:], &h); err != nil {
		t.Fatal(err)
	}
	ip := ip4(6, "10.87.0.1", "10.87.0.2")
	s := &layers.TCP{SrcPort: 9, DstPort: layers.TCPPort(h.SrcPort), Seq: 1000, Ack: h.Seq + 1, SYN: true, ACK: true, Window: 60000}
	mustNot(t, s.SetNetworkLayerForChecksum(ip))
	d.b.send(build(eth4(), ip, s))
	if d.app.events&tcp.EventConnected == 0 {
		t.Fatal("not connected")
	}
}

// icmpMeanings is what Linux makes of each ICMP message about a connect: RFC 1122
// section 4.2.3.9 and RFC 4443 in the errno of ip(7) and its kernel's tables.
var icmpMeanings = []struct {
	v6        bool
	typ, code uint8
	rest      uint32
	want      errno.Errno // 0: the connect goes on
}{
	{false, 3, 0, 0, errno.ENETUNREACH},
	{false, 3, 1, 0, errno.EHOSTUNREACH},
	{false, 3, 2, 0, errno.ENOPROTOOPT},
	{false, 3, 3, 0, errno.ECONNREFUSED},
	{false, 3, 4, 1000, 0}, // the SYN fits any path
	{false, 3, 5, 0, errno.EOPNOTSUPP},
	{false, 3, 6, 0, errno.ENETUNREACH},
	{false, 3, 7, 0, errno.EHOSTDOWN},
	{false, 3, 8, 0, errno.ENONET},
	{false, 3, 9, 0, errno.ENETUNREACH},
	{false, 3, 10, 0, errno.EHOSTUNREACH},
	{false, 3, 11, 0, errno.ENETUNREACH},
	{false, 3, 12, 0, errno.EHOSTUNREACH},
	{false, 3, 13, 0, errno.EHOSTUNREACH},
	{false, 3, 14, 0, errno.EHOSTUNREACH},
	{false, 3, 15, 0, errno.EHOSTUNREACH},
	{false, 3, 16, 0, 0},
	{false, 4, 0, 0, 0}, // source quench: RFC 9293 section 3.9.2.2, MUST-55
	{false, 5, 1, 0, 0}, // redirect
	{false, 11, 0, 0, errno.EHOSTUNREACH},
	{false, 12, 0, 0, errno.EPROTO},
	{true, 1, 0, 0, errno.ENETUNREACH},
	{true, 1, 1, 0, errno.EACCES},
	{true, 1, 2, 0, errno.EHOSTUNREACH},
	{true, 1, 3, 0, errno.EHOSTUNREACH},
	{true, 1, 4, 0, errno.ECONNREFUSED},
	{true, 1, 5, 0, errno.EACCES},
	{true, 1, 6, 0, errno.EACCES},
	{true, 1, 7, 0, errno.EPROTO},
	{true, 2, 0, 1300, 0},
	{true, 2, 0, 1000, 0}, // below what any link has
	{true, 3, 0, 0, errno.EHOSTUNREACH},
	{true, 4, 1, 0, errno.EPROTO},
	{true, 100, 0, 0, errno.EPROTO}, // unknown, but an error: RFC 4443 section 2.4(a), MUST
	{true, 200, 0, 0, 0},            // no error
}

// TestEveryICMPErrorHasItsErrno: a connect ends with the error that the message
// stands for, or goes on.
func TestEveryICMPErrorHasItsErrno(t *testing.T) {
	for _, profile := range []string{"linux", "sortix"} {
		t.Run(profile, func(t *testing.T) { everyICMPError(t, profile) })
	}
}

func everyICMPError(t *testing.T, profile string) {
	for _, c := range icmpMeanings {
		d := newDial(t, profile, c.v6)
		d.b.quiet("ICMP", d.b.send(d.icmp(c.typ, c.code, c.rest, d.syn)))
		if e := d.s.TakeError(); e != c.want {
			t.Errorf("IPv6 %v, type %d code %d: %v, want %v", c.v6, c.typ, c.code, e, c.want)
		}
		if ended := d.app.events&tcp.EventError != 0; ended != (c.want != 0) {
			t.Errorf("IPv6 %v, type %d code %d: ended %v", c.v6, c.typ, c.code, ended)
		}
	}
}

// TestNoICMPErrorEndsAConnection: RFC 9293 section 3.9.2.2, MUST-55 and MUST-56,
// and RFC 5927 section 5.2: once established nothing of that ends it, and source
// quench does not even slow it down.
func TestNoICMPErrorEndsAConnection(t *testing.T) {
	for _, c := range icmpMeanings {
		if c.v6 || c.typ == 3 && c.code == 4 {
			continue
		}
		d := newDial(t, "linux", false)
		d.answer(t)
		d.b.out.log = nil
		d.s.Write(filler(100))
		d.b.s.Flush()
		packet := append([]byte(nil), d.b.out.log[0].data[wire.EthernetLen:]...)
		var before, after sockopt.TCPInfo
		d.s.Info(&before)
		d.b.quiet("ICMP", d.b.send(d.icmp(c.typ, c.code, c.rest, packet)))
		d.s.Info(&after)
		if d.app.events&(tcp.EventError|tcp.EventClosed) != 0 || !d.s.Connected() {
			t.Errorf("type %d code %d ended the connection", c.typ, c.code)
		}
		if before.SndCwnd != after.SndCwnd || before.SndMSS != after.SndMSS {
			t.Errorf("type %d code %d: window %d, then %d", c.typ, c.code, before.SndCwnd, after.SndCwnd)
		}
	}
}

// TestTCPChecksumIsVerified: RFC 9293 section 3.1, MUST-3.
func TestTCPChecksumIsVerified(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		b := newBench(t)
		b.know()
		l := b.s.NewTCP(10, nil)
		mustNot(t, l.Bind(ap("[::]:80"), 0, priv))
		mustNot(t, l.Listen(8))
		s := &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: 1000, SYN: true, Window: 1000}
		var f []byte
		start := wire.EthernetLen + wire.IPv4MinHeader
		if v6 {
			start = wire.EthernetLen + wire.IPv6Len
			ip := ip6(6, "fd87::1", "fd87::2")
			mustNot(t, s.SetNetworkLayerForChecksum(ip))
			f = build(eth6(), ip, s)
		} else {
			ip := ip4(6, "10.87.0.1", "10.87.0.2")
			mustNot(t, s.SetNetworkLayerForChecksum(ip))
			f = build(eth4(), ip, s)
		}
		for at := start; at < start+wire.TCPMinHeader; at++ {
			bad := append([]byte(nil), f...)
			bad[at] ^= 0x10
			b.quiet("a wrong checksum", b.send(bad))
		}
		if n := b.s.Counters().TCPCsumErrors + b.s.Counters().TCPInErrors; n != wire.TCPMinHeader {
			t.Errorf("%d were counted", n)
		}
		b.one("a good one", b.send(f))
	}
}

// TestIPOptionsAreIgnored: RFC 9293 section 3.9.2, MUST-50: TCP goes on as if an
// option of IP that it does not know were not there.
func TestIPOptionsAreIgnored(t *testing.T) {
	b := newBench(t)
	b.know()
	l := b.s.NewTCP(2, nil)
	mustNot(t, l.Bind(ap("10.87.0.2:80"), 0, priv))
	mustNot(t, l.Listen(8))
	for name, o := range map[string]layers.IPv4Option{
		"unknown":      {OptionType: 30, OptionLength: 4, OptionData: []byte{1, 2}},
		"timestamp":    {OptionType: 68, OptionLength: 8, OptionData: []byte{5, 0, 0, 0, 0, 0}},
		"record route": {OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}},
	} {
		ip := ip4(6, "10.87.0.1", "10.87.0.2")
		ip.Options = []layers.IPv4Option{o, {OptionType: 0}}
		s := &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: 1000, SYN: true, Window: 1000}
		mustNot(t, s.SetNetworkLayerForChecksum(ip))
		got := b.send(build(eth4(), ip, s))
		b.one(name, got)
		var h wire.IPv4
		if _, err := wire.ParseIPv4(got[0].data[wire.EthernetLen:], &h); err != nil || len(h.Options) != 0 {
			t.Errorf("%s: answered with the options %x, %v", name, h.Options, err)
		}
	}
}

// TestConnectionKeepsItsAddress: RFC 9293 section 3.9.1.1, MUST-44 and MUST-45:
// IP chooses the address of the SYN, and all segments have that, whatever becomes
// of the routes.
func TestConnectionKeepsItsAddress(t *testing.T) {
	s, c := twoLinks(t)
	for i, hop := range []string{"10.87.0.1", "10.99.1.1"} {
		s.confirmed(s.newNeighbour(s.links[i], netip.MustParseAddr(hop)), macA)
	}
	k := s.NewTCP(2, &tcpApp{})
	if err := k.Connect(ap("8.8.8.8:80")); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	first := k.LocalAddr()
	if first.Addr() != netip.MustParseAddr("10.87.0.2") {
		t.Fatal(first)
	}
	s.Flush()
	mustNot(t, s.AddRoute(Route{Dst: netip.MustParsePrefix("8.8.8.0/24"), Gateway: netip.MustParseAddr("10.99.1.1")}))
	for _, x := range c {
		x.log = nil
	}
	at, ok := s.Deadline()
	for ok && at < s.now+10e9 && len(c[0].log)+len(c[1].log) < 3 {
		s.Advance(at)
		s.Flush()
		at, ok = s.Deadline()
	}
	seen := 0
	for _, x := range c {
		for _, f := range x.log {
			var h wire.IPv4
			if be16(f.data[12:]) != wire.EtherIPv4 {
				continue
			}
			if _, err := wire.ParseIPv4(f.data[wire.EthernetLen:], &h); err != nil || h.Src != first.Addr() {
				t.Errorf("from %v, %v", h.Src, err)
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("no SYN was sent again")
	}
}
