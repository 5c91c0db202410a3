package tcp

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// synFrom is a SYN with every option.
func synFrom(src netip.Addr, port, to uint16) *Rx {
	return &Rx{Src: src, Dst: testLocal, Link: 1, TTL: 64, Header: wire.TCP{SrcPort: port, DstPort: to, Seq: 7, Flags: wire.TCPSyn,
		Window: 65535, MSS: 1460, WScale: 7, SACKPermitted: true, HasTS: true, TSVal: 1}}
}

// flooder is a layer with many listeners and the given tunables.
func flooder(t *testing.T, set map[string]string) (*quietNet, *Layer) {
	n := &quietNet{fakeNet: fakeNet{now: time.Hour, mtu: 1500}}
	p, tun := testTunables(t, set)
	l := NewLayer(n, &n.pool, p, tun)
	for port := range uint16(20) {
		s := l.NewSocket(afInet, nil)
		if err := s.Bind(netip.AddrPortFrom(testLocal, 8000+port), 0, sockopt.Privilege{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(4096); err != nil {
			t.Fatal(err)
		}
	}
	return n, l
}

// source is one of many hosts.
func source(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(1 + i>>16), byte(i >> 8), byte(i)})
}

// TestSynCacheIsBoundedInBytes: however many listeners there are, half-open
// connections take no more than the tunable says, with and without cookies.
func TestSynCacheIsBoundedInBytes(t *testing.T) {
	for _, cookies := range []string{"0", "1"} {
		const bound = 1 << 20
		_, l := flooder(t, map[string]string{"tcp_syncookies": cookies, "syn_cache_bytes": "1048576", "tcp_max_syn_backlog": "4096"})
		heap := func() int {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int(m.HeapAlloc)
		}
		before := heap()
		for i := range 30000 {
			l.Input(synFrom(source(i), 1000, 8000+uint16(i%20)))
		}
		if took := heap() - before; took > bound {
			t.Errorf("cookies %s: %d bytes", cookies, took)
		}
		if n := len(l.half); n != bound/halfOpenCost {
			t.Errorf("cookies %s: %d records", cookies, n)
		}
		if sent := l.counters.SyncookiesSent; (sent > 20000) != (cookies == "1") {
			t.Errorf("cookies %s: %d sent", cookies, sent)
		}
		if err := l.Audit(); err != nil {
			t.Error(err)
		}
		runtime.KeepAlive(l)
	}
}

// TestSynCacheGivesUpTheUnanswered: the SYN-ACK that was repeated goes before the
// one that was not, and a handshake that waits for the program goes last.
func TestSynCacheGivesUpTheUnanswered(t *testing.T) {
	n, l := flooder(t, map[string]string{"tcp_syncookies": "0", "syn_cache_bytes": "20480"}) // 32 records
	port := func(i uint16) *halfOpen { return l.half[makeTuple(testLocal, source(int(i)), 8000, 1000)] }
	enter := func(i uint16) { l.Input(synFrom(source(int(i)), 1000, 8000)) }
	l.listeners[8000][0].s.opts.DeferAccept = time.Hour
	enter(0)
	third := synFrom(source(0), 1000, 8000)
	third.Header = wire.TCP{SrcPort: 1000, DstPort: 8000, Seq: 8, Ack: n.last.Seq + 1, Flags: wire.TCPAck, WScale: -1, HasTS: true, TSVal: 2, TSEcr: n.last.TSVal}
	l.Input(third)
	enter(1)
	n.now += 1100 * time.Millisecond
	l.Advance()
	for i := uint16(2); i < 32; i++ {
		enter(i)
	}
	if !port(0).acked || port(1).tries != 1 || len(l.half) != 32 {
		t.Fatal(port(0).acked, port(1).tries, len(l.half))
	}
	enter(32)
	if port(1) != nil || port(2) == nil {
		t.Error("the repeated one was kept")
	}
	enter(33)
	if port(2) != nil || port(3) == nil {
		t.Error("the oldest was kept")
	}
	for i := uint16(34); i < 200; i++ {
		enter(i)
	}
	if port(0) == nil || len(l.half) != 32 || l.counters.SynCacheEvictions != 168 {
		t.Errorf("%v, %d records, %d given up", port(0), len(l.half), l.counters.SynCacheEvictions)
	}
}

// TestOneSourceHasAShare: who floods from one address, or one network of IPv6,
// leaves room for others.
func TestOneSourceHasAShare(t *testing.T) {
	_, l := flooder(t, map[string]string{"tcp_syncookies": "0", "syn_cache_bytes": "81920"}) // 128 records
	first := source(1)
	for i := range uint16(1000) {
		l.Input(synFrom(first, 1000+i, 8000+i%20))
	}
	if n := len(l.half); n != 32 {
		t.Errorf("%d records of one source", n)
	}
	l.Input(synFrom(source(2), 1, 8000))
	if len(l.half) != 33 {
		t.Error("nobody else has room")
	}
	a, b := netip.MustParseAddr("2001:db8:0:1::1"), netip.MustParseAddr("2001:db8:0:1::ffff:2")
	if l.synSource(a) != l.synSource(b) {
		t.Error("two addresses of a network")
	}
}

// TestListenerClosesInOrder: a listener refuses those who wait in an order that
// a replay repeats.
func TestListenerClosesInOrder(t *testing.T) {
	n := &orderNet{quietNet: quietNet{fakeNet: fakeNet{now: time.Hour, mtu: 1500}}}
	l := testLayer(t, n, &n.pool)
	s := l.NewSocket(afInet, nil)
	s.Bind(netip.AddrPortFrom(testLocal, 8000), 0, sockopt.Privilege{})
	s.Listen(100)
	for i := range uint16(50) {
		l.Input(synFrom(testRemote, 1000+i, 8000))
	}
	n.ports = nil
	s.Close()
	for i, p := range n.ports {
		if p != 1000+uint16(i) {
			t.Fatal(n.ports)
		}
	}
	if len(n.ports) != 50 || len(l.half) != 0 {
		t.Error(n.ports, len(l.half))
	}
}

// orderNet records who is written to.
type orderNet struct {
	quietNet
	ports []uint16
}

func (n *orderNet) Transmit(p *Path, h *wire.TCP, _ [][]byte, _ int) {
	n.ports = append(n.ports, h.DstPort)
}

// TestSynCacheOfThoseWhoWait: where all have completed the handshake the oldest of
// them makes room.
func TestSynCacheOfThoseWhoWait(t *testing.T) {
	n, l := flooder(t, map[string]string{"tcp_syncookies": "0", "syn_cache_bytes": "20480"}) // 32 records
	l.listeners[8000][0].s.opts.DeferAccept = time.Hour
	for i := range 32 {
		l.Input(synFrom(source(i), 1000, 8000))
		third := synFrom(source(i), 1000, 8000)
		third.Header = wire.TCP{SrcPort: 1000, DstPort: 8000, Seq: 8, Ack: n.last.Seq + 1, Flags: wire.TCPAck, WScale: -1, HasTS: true, TSVal: 2, TSEcr: n.last.TSVal}
		l.Input(third)
	}
	l.Input(synFrom(source(40), 1000, 8000))
	at := func(i int) *halfOpen { return l.half[makeTuple(testLocal, source(i), 8000, 1000)] }
	if at(0) != nil || at(1) == nil || at(40) == nil || len(l.half) != 32 {
		t.Errorf("%d records, the first %v, the last %v", len(l.half), at(0), at(40))
	}
}
