package netstack

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// null takes frames and forgets them.
type null struct {
	frames int
	last   []byte // copy of the last frame's headers
}

func (n *null) Transmit(f *TxFrame) {
	n.frames++
	n.last = append(n.last[:0], f.Buf[VnetRoom:]...)
}

// quietApp takes everything and keeps nothing.
type quietApp struct{ bytes int }

func (a *quietApp) Deliver(p []byte) int { a.bytes += len(p); return len(p) }
func (a *quietApp) Event(ev tcp.Events)  {}

type quietUDP struct{ udpApp }

func (q *quietUDP) Deliver(netip.AddrPort, netip.Addr, udp.Marks, []byte) bool { return true }

func flat(tb testing.TB, tso bool) (*Stack, *null) {
	s, n := New(Config{}), &null{}
	_, err := s.AddLink(LinkConfig{Name: "eth0", MAC: macB, MTU: 1500, Addrs: prefixes("10.87.0.2/24", "fd87::2/64"), Sink: n, TxChecksum: tso, TSO: tso})
	if err != nil {
		tb.Fatal(err)
	}
	s.Advance(time.Second)
	s.Flush()
	for _, a := range []netip.Addr{addrA, ipA6} {
		nb := s.newNeighbour(s.links[0], a)
		nb.mac, nb.state = macA, neighPermanent // however long the benchmark runs
	}
	return s, n
}

// udpFrame is what 10.87.0.1:1234 or fd87::1 sends to port 7777.
func udpFrame(v6 bool, n int) []byte {
	h := wire.UDP{SrcPort: 1234, DstPort: 7777, Length: uint16(8 + n)}
	d := append(h.AppendTo(nil), filler(n)...)
	src, dst, typ := addrA, addrB, uint16(wire.EtherIPv4)
	if v6 {
		src, dst, typ = ipA6, ipB6, wire.EtherIPv6
	}
	ck := wire.TransportChecksum(src, dst, wire.ProtoUDP, d)
	d[6], d[7] = byte(ck>>8), byte(ck)
	e := wire.Ethernet{Dst: macB, Src: macA, Type: typ}
	b := e.AppendTo(nil)
	if v6 {
		ip := wire.IPv6{NextHeader: wire.ProtoUDP, HopLimit: 64, PayloadLen: len(d), Src: src, Dst: dst}
		b = ip.AppendTo(b)
	} else {
		ip := wire.IPv4{TTL: 64, Protocol: wire.ProtoUDP, TotalLen: 20 + len(d), Src: src, Dst: dst}
		b = ip.AppendTo(b)
	}
	return append(b, d...)
}

// Each path gives a function that moves one packet.
func udpIn(tb testing.TB, v6 bool) func() {
	s, _ := flat(tb, false)
	if err := s.NewUDP(10, &quietUDP{}).Bind(ap("[::]:7777"), 0, priv); err != nil {
		tb.Fatal(err)
	}
	f := RxFrame{Data: udpFrame(v6, 1000)}
	return func() {
		s.Input(1, &f)
		if s.UDP().Counters().InErrors != 0 {
			tb.Fatal("refused")
		}
	}
}

func udpOut(tb testing.TB, to string, connected bool) func() {
	s, n := flat(tb, false)
	domain := 10
	if ap(to).Addr().Is4() {
		domain = 2
	}
	u := s.NewUDP(domain, &quietUDP{})
	dst := ap(to)
	if connected {
		if err := u.Connect(dst); err != nil {
			tb.Fatal(err)
		}
		dst = netip.AddrPort{}
	}
	data := filler(1000)
	return func() {
		before := n.frames
		if err := u.SendTo(data, dst); err != nil || n.frames != before+1 {
			tb.Fatal(err, n.frames)
		}
	}
}

// tcpPeer plays the other end of one connection to port 80 of a stack.
type tcpPeer struct {
	s        *Stack
	n        *null
	seq, ack uint32
	frame    []byte
	rx       RxFrame
	app      *quietApp
	sock     *tcp.Socket
}

func newPeer(tb testing.TB, tso bool) *tcpPeer {
	s, n := flat(tb, tso)
	p := &tcpPeer{s: s, n: n, seq: 1000, app: &quietApp{}, frame: make([]byte, 0, 70000)}
	ls := s.NewTCP(2, nil)
	if err := ls.Bind(ap("10.87.0.2:80"), 0, priv); err != nil {
		tb.Fatal(err)
	}
	if err := ls.Listen(1); err != nil {
		tb.Fatal(err)
	}
	p.send(wire.TCPSyn, nil, 1460)
	p.seq++
	p.learn(tb)
	p.send(wire.TCPAck, nil, 0)
	var err error
	if p.sock, err = ls.Accept(); err != nil {
		tb.Fatal(err)
	}
	p.sock.SetOwner(p.app)
	p.sock.Resume()
	return p
}

// learn acknowledges what the stack sent last.
func (p *tcpPeer) learn(tb testing.TB) {
	var h wire.TCP
	if _, err := wire.ParseTCP(p.n.last[34:], &h); err != nil {
		tb.Fatal(err)
	}
	p.ack = h.Seq
	if h.Flags&wire.TCPSyn != 0 {
		p.ack++
	}
}

func (p *tcpPeer) send(flags wire.TCPFlags, payload []byte, mss uint16) {
	h := wire.TCP{SrcPort: 40000, DstPort: 80, Seq: p.seq, Ack: p.ack, Flags: flags, Window: 65535, WScale: -1, MSS: mss}
	if flags&wire.TCPSyn != 0 {
		h.WScale = 10
	}
	e := wire.Ethernet{Dst: macB, Src: macA, Type: wire.EtherIPv4}
	ip := wire.IPv4{TTL: 64, Protocol: wire.ProtoTCP, TotalLen: 20 + h.HeaderLen() + len(payload), Src: addrA, Dst: addrB}
	b := h.AppendTo(ip.AppendTo(e.AppendTo(p.frame[:0])))
	b = append(b, payload...)
	ck := wire.TransportChecksum(addrA, addrB, wire.ProtoTCP, b[34:])
	b[50], b[51] = byte(ck>>8), byte(ck)
	p.rx = RxFrame{Data: b}
	if len(payload) > 1460 {
		p.rx.GSOType, p.rx.GSOSize = wire.GSOTCP4, 1460
	}
	p.s.Input(1, &p.rx)
	p.s.Flush()
	p.seq += uint32(len(payload))
}

func tcpIn(tb testing.TB, size int) func() {
	p := newPeer(tb, true)
	data := filler(size)
	now := time.Second
	return func() {
		now += time.Millisecond
		p.s.Advance(now)
		before := p.app.bytes
		p.send(wire.TCPAck|wire.TCPPsh, data, 0)
		if p.app.bytes != before+size {
			tb.Fatal("not delivered")
		}
	}
}

func tcpOut(tb testing.TB, size int, tso bool) func() {
	p := newPeer(tb, tso)
	data := filler(size)
	now := time.Second
	return func() {
		now += time.Millisecond
		p.s.Advance(now)
		end := p.ack + uint32(size)
		left := data
		for round := 0; p.ack != end; round++ {
			if round > 1000 {
				tb.Fatal("stuck")
			}
			left = left[p.sock.Write(left):]
			p.s.Flush()
			var h wire.TCP
			_, _ = wire.ParseTCP(p.n.last[34:], &h)
			p.ack = p.nextAck(&h)
			p.send(wire.TCPAck, nil, 0)
		}
	}
}

// nextAck acknowledges everything that was written.
func (p *tcpPeer) nextAck(h *wire.TCP) uint32 {
	total := int(be16(p.n.last[16:])) - 20 - int(p.n.last[46]>>4)*4
	return h.Seq + uint32(total)
}

var paths = []struct {
	name string
	make func(tb testing.TB) func()
}{
	{"UDPInput4", func(tb testing.TB) func() { return udpIn(tb, false) }},
	{"UDPInput6", func(tb testing.TB) func() { return udpIn(tb, true) }},
	{"UDPOutput4", func(tb testing.TB) func() { return udpOut(tb, "10.87.0.1:9", false) }},
	{"UDPOutput6", func(tb testing.TB) func() { return udpOut(tb, "[fd87::1]:9", false) }},
	{"UDPOutputMapped", func(tb testing.TB) func() { return udpOut(tb, "[::ffff:10.87.0.1]:9", false) }},
	{"UDPOutputConnected", func(tb testing.TB) func() { return udpOut(tb, "10.87.0.1:9", true) }},
	{"TCPInput1460", func(tb testing.TB) func() { return tcpIn(tb, 1460) }},
	{"TCPInput64K", func(tb testing.TB) func() { return tcpIn(tb, 44*1460) }},
	{"TCPOutput1460", func(tb testing.TB) func() { return tcpOut(tb, 1460, true) }},
	{"TCPOutput64K", func(tb testing.TB) func() { return tcpOut(tb, 44*1460, true) }},
	{"TCPOutput64KSoftware", func(tb testing.TB) func() { return tcpOut(tb, 44*1460, false) }},
}

func TestNoAllocationPerPacket(t *testing.T) {
	for _, p := range paths {
		t.Run(p.name, func(t *testing.T) {
			f := p.make(t)
			for range 100 {
				f() // buffers reach their size
			}
			if n := testing.AllocsPerRun(200, f); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkPath(b *testing.B) {
	for _, p := range paths {
		b.Run(p.name, func(b *testing.B) {
			f := p.make(b)
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}
