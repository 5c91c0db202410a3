package tcp

import (
	"cmp"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// quietNet transmits into nothing.
type quietNet struct {
	fakeNet
	last wire.TCP
	n    int
}

func (n *quietNet) Transmit(_ *Path, h *wire.TCP, _ [][]byte, _ int) { n.last = *h; n.n++ }

// sink takes every byte.
type sink struct{ n int }

func (s *sink) Deliver(p []byte) int { s.n += len(p); return len(p) }
func (s *sink) Event(Events)         {}

// benchConn is an established connection with timestamps and SACK.
func benchConn(t testing.TB) (*quietNet, *Layer, *Socket, *Rx) { return benchECN(t, ecnOff) }

// benchECN is benchConn with ECN of the given kind.
func benchECN(t testing.TB, mode ecnMode) (*quietNet, *Layer, *Socket, *Rx) {
	n := &quietNet{fakeNet: fakeNet{now: time.Hour, mtu: 1500, gso: 65000}}
	p, tun := testTunables(t, map[string]string{"tcp_ecn": [...]string{ecnOff: "5", ecnClassic: "1", ecnAccurate: "3"}[mode]})
	l := NewLayer(n, &n.pool, p, tun)
	s := l.NewSocket(afInet, &sink{})
	if err := s.Connect(netip.AddrPortFrom(testRemote, 80)); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	l.Flush()
	rx := &Rx{Src: testRemote, Dst: testLocal, Link: 1}
	rx.Header = wire.TCP{
		SrcPort: 80, DstPort: n.last.SrcPort, Seq: peerISS, Ack: n.last.Seq + 1, Flags: wire.TCPSyn | wire.TCPAck,
		Window: 65535, WScale: 7, MSS: 1460, SACKPermitted: true, HasTS: true, TSVal: 1, TSEcr: n.last.TSVal,
	}
	rx.Header.Flags |= [...]wire.TCPFlags{ecnOff: 0, ecnClassic: wire.TCPEce, ecnAccurate: handshakeACE[notECT]}[mode]
	l.Input(rx)
	l.Flush()
	if s.State() != StateEstablished || mode != ecnOff && s.conn.ecn.mode != mode {
		t.Fatal(s.State())
	}
	rx.Header.Flags, rx.Header.WScale, rx.Header.MSS, rx.Header.SACKPermitted = wire.TCPAck, -1, 0, false
	rx.Header.Seq++
	s.opts.NoDelay = true
	return n, l, s, rx
}

// received is one turn of input: a segment of size bytes and the flush that
// acknowledges it.
func received(n *quietNet, l *Layer, rx *Rx, p []byte) {
	rx.Payload = p
	l.Input(rx)
	l.Flush()
	rx.Header.Seq += uint32(len(p))
	n.now += time.Microsecond
}

// transferred is one turn of output: bytes written, sent and acknowledged.
func transferred(n *quietNet, l *Layer, s *Socket, rx *Rx, p []byte) {
	s.Write(p)
	l.Flush()
	rx.Payload = nil
	rx.Header.Ack = s.conn.sndNxt
	l.Input(rx)
	l.Flush()
	n.now += time.Microsecond
}

func TestNoAllocationPerSegment(t *testing.T) {
	n, l, s, rx := benchConn(t)
	for _, size := range []int{1, 1448, 1448 * 44} {
		p := make([]byte, size)
		rx.GSOSize = 0
		if size > 1448 {
			rx.GSOSize = 1448
		}
		received(n, l, rx, p)
		if a := testing.AllocsPerRun(1000, func() { received(n, l, rx, p) }); a != 0 {
			t.Errorf("input of %d bytes: %v allocations", size, a)
		}
	}
	rx.GSOSize = 0
	for _, size := range []int{1, 1448, 60000} {
		p := make([]byte, size)
		for range 100 {
			transferred(n, l, s, rx, p)
		}
		if a := testing.AllocsPerRun(1000, func() { transferred(n, l, s, rx, p) }); a != 0 {
			t.Errorf("output of %d bytes: %v allocations", size, a)
		}
	}
	if n.pool.InUse() != 0 {
		t.Errorf("%d bytes of the pool in use", n.pool.InUse())
	}
}

// TestNoAllocationForMarks: marks of every other segment, told of by every
// other acknowledgement, with text both ways.
func TestNoAllocationForMarks(t *testing.T) {
	for mode := ecnClassic; mode <= ecnAccurate; mode++ {
		n, l, s, rx := benchECN(t, mode)
		p := make([]byte, 1448)
		x, cep := 0, uint32(aceFirst)
		turn := func() {
			rx.TOS = []uint8{ect0, ecnCE}[x%2]
			x++
			rx.Header.TSVal++
			rx.Header.Flags = wire.TCPAck
			if mode == ecnAccurate {
				cep += uint32(x % 2)
				rx.Header.Flags |= aceFlags[cep&aceMask]
				rx.Header.AccECN = wire.AccECN{Present: true, N: 2, Fields: [3]uint32{1, (cep - aceFirst) * 1448 & wire.AccECNMask}}
			} else if x%2 == 0 {
				rx.Header.Flags |= wire.TCPEce | wire.TCPCwr
			}
			received(n, l, rx, p)
			transferred(n, l, s, rx, p)
		}
		for range 100 {
			turn()
		}
		if a := testing.AllocsPerRun(1000, turn); a != 0 {
			t.Errorf("ECN %d: %v allocations", mode, a)
		}
		var i sockopt.TCPInfo
		if s.Info(&i); i.ReceivedCE < 500 || i.DeliveredCE < 500 || l.counters.ECNReductions < 10 {
			t.Errorf("ECN %d: %d marks received, %d delivered, %d reductions", mode, i.ReceivedCE, i.DeliveredCE, l.counters.ECNReductions)
		}
	}
}

// TestIdleConnectionIsSmall holds what an established connection costs that has
// talked and fell silent.
func TestIdleConnectionIsSmall(t *testing.T) {
	const conns = 5000
	n := &quietNet{fakeNet: fakeNet{now: time.Hour, mtu: 1500, gso: 65000}}
	l := testLayer(t, n, &n.pool)
	s := l.NewSocket(afInet, &sink{})
	if err := s.Bind(netip.AddrPortFrom(testLocal, 8080), 0, noPrivilege); err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(1000); err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	keep := make([]*Socket, 0, conns)
	owner := &sink{}
	for i := range conns {
		rx := &Rx{Src: testRemote, Dst: testLocal, Link: 1}
		h := &rx.Header
		*h = wire.TCP{SrcPort: uint16(1000 + i), DstPort: 8080, Seq: 5, Flags: wire.TCPSyn, Window: 65535, WScale: 7, MSS: 1460, SACKPermitted: true, HasTS: true, TSVal: 1}
		l.Input(rx)
		h.Flags, h.Seq, h.Ack, h.TSEcr, h.WScale = wire.TCPAck, 6, n.last.Seq+1, n.last.TSVal, -1
		rx.Payload = make([]byte, 10)
		l.Input(rx)
		c, err := s.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.SetOwner(owner)
		c.Resume()
		c.Write(make([]byte, 10))
		l.Flush()
		h.Seq, h.Ack, rx.Payload = 16, n.last.Seq+10, nil
		l.Input(rx)
		l.Flush()
		keep = append(keep, c)
	}
	n.now += time.Minute
	l.Advance()
	l.Flush()
	each := (heap() - before) / conns
	t.Logf("%d bytes for an idle connection", each)
	if each > 1280 {
		t.Errorf("%d bytes for an idle connection", each)
	}
	if n.pool.InUse() != 0 || len(l.timers) != 0 {
		t.Errorf("idle connections hold %d bytes of the pool and %d timers", n.pool.InUse(), len(l.timers))
	}
	runtime.KeepAlive(keep)
}

func BenchmarkInput(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"1448", 1448}, {"62K", 1448 * 43}} {
		b.Run(c.name, func(b *testing.B) {
			n, l, _, rx := benchConn(b)
			p := make([]byte, c.size)
			if c.size > 1448 {
				rx.GSOSize = 1448
			}
			b.ReportAllocs()
			b.SetBytes(int64(c.size))
			for range b.N {
				received(n, l, rx, p)
			}
		})
	}
}

func BenchmarkOutput(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"1448", 1448}, {"60K", 60000}} {
		b.Run(c.name, func(b *testing.B) {
			n, l, s, rx := benchConn(b)
			p := make([]byte, c.size)
			for range 100 {
				transferred(n, l, s, rx, p)
			}
			b.ReportAllocs()
			b.SetBytes(int64(c.size))
			for range b.N {
				transferred(n, l, s, rx, p)
			}
		})
	}
}

// BenchmarkExchange is one request and its answer.
func BenchmarkExchange(b *testing.B) {
	n, l, s, rx := benchConn(b)
	p := make([]byte, 1)
	b.ReportAllocs()
	for range b.N {
		rx.Payload = p
		l.Input(rx)
		rx.Header.Seq++
		s.Write(p)
		l.Flush()
		rx.Header.Ack = s.conn.sndNxt
		n.now += time.Microsecond
	}
}

// TestNoAllocationForStrangers: segments to a listener that belong to no
// connection, without keys and with keys, of both kinds and of the database. Who
// floods one that wants signatures must not cost it more than one that does not.
func TestNoAllocationForStrangers(t *testing.T) {
	peers := netip.PrefixFrom(testRemote, 24)
	for name, arm := range map[string]func(l *Layer, s *Socket) error{
		"no keys": func(*Layer, *Socket) error { return nil },
		"MD5":     func(_ *Layer, s *Socket) error { return s.SetMD5Key(peers, []byte("key")) },
		"AO": func(_ *Layer, s *Socket) error {
			for id := range uint8(20) {
				if err := s.AddAOKey(AOKey{Peers: peers, SendID: id, RecvID: id, Key: []byte("key")}); err != nil {
					return err
				}
			}
			return nil
		},
		"the database": func(l *Layer, s *Socket) error {
			s.opts.SetRare(func(r *sockopt.Rare) { r.MD5Sig = true })
			return l.sadb.Add(Association{Selector{Src: testRemote, Dst: testLocal}, []byte("key")})
		},
		"nobody in the database": func(_ *Layer, s *Socket) error {
			s.opts.SetRare(func(r *sockopt.Rare) { r.MD5Sig = true })
			return nil
		},
	} {
		n := &quietNet{fakeNet: fakeNet{now: time.Hour, mtu: 1500, gso: 65000}}
		p, tun := testTunables(t, nil)
		l := NewLayer(n, &n.pool, p, tun)
		s := l.NewSocket(afInet, &sink{})
		if err := s.Bind(netip.AddrPortFrom(testLocal, 80), 0, sockopt.Privilege{NetBindService: true}); err != nil {
			t.Fatal(err)
		}
		if err := cmp.Or(arm(l, s), s.Listen(5)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rx := &Rx{Src: testRemote, Dst: testLocal, Link: 1}
		rx.Header = wire.TCP{SrcPort: 5000, DstPort: 80, Seq: peerISS, Ack: 77, Flags: wire.TCPAck, WScale: -1, Window: 1000}
		input := func() { l.Input(rx); l.Flush() }
		input()
		if a := testing.AllocsPerRun(1000, input); a != 0 {
			t.Errorf("%s: %v allocations for a stranger's segment", name, a)
		}
		if refused := name == "no keys" || name == "nobody in the database"; refused != (n.n > 0) {
			t.Errorf("%s: %d answers", name, n.n)
		}
		if c := l.counters; (n.n > 0) == (c.AuthMissing > 1000) {
			t.Errorf("%s: %d segments without a signature are counted", name, c.AuthMissing)
		}
	}
}
