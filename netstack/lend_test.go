package netstack

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A lending world has a stack that lends (b) and a guest of it on the same wire:
// frames to b come to either, and go to the other as the engine's loops do it.
type lending struct {
	*world
	guest    *Stack
	r        *rand.Rand
	sock     *tcp.Socket
	asked    bool
	stranded int
	visits   int
	fetches  int
}

func newLending(t *testing.T, seed uint64) *lending {
	l := &lending{world: newWorld(t, offload), r: rand.New(rand.NewPCG(seed, 7))}
	l.guest = l.b.NewGuest([32]byte{3}, 2, func(*tcp.Socket) { l.asked = true })
	l.b.SetLender(l, 2, func() { l.stranded++ })
	_, err := l.guest.AddLink(LinkConfig{Name: "eth0", MAC: macB, MTU: 1500, Addrs: prefixes("10.87.0.2/24", "fd87::2/64"), TxChecksum: true, TSO: true, Sink: l.ba})
	mustNot(t, err)
	return l
}

// Visit implements tcp.Lender.
func (l *lending) Visit(s *tcp.Socket, rx *tcp.Rx) {
	l.visits++
	l.guest.Advance(l.now)
	l.guest.TCP().Input(rx)
}

// Fetch implements tcp.Lender.
func (l *lending) Fetch(s *tcp.Socket) { l.fetches++; l.b.Fetch(s, l.guest) }

// step carries what is on the wire, each frame to whoever the kernel might have
// chosen, and moves the clock to the next deadline or by d.
func (l *lending) step(d time.Duration) {
	for range 1000 {
		l.a.Flush()
		l.b.Flush()
		l.guest.Flush()
		if l.asked && l.sock != nil && l.sock.Lent() {
			l.Fetch(l.sock)
			l.b.Flush()
		}
		l.asked = false
		if len(l.ab.frames)+len(l.ba.frames) == 0 {
			break
		}
		carry(l.ba, l.a)
		list := l.ab.frames
		l.ab.frames = nil
		for _, f := range list {
			rx := &RxFrame{Data: f.data, NeedsCsum: f.tx.NeedsCsum, GSOType: f.tx.GSOType, GSOSize: f.tx.GSOSize}
			if l.r.IntN(2) == 0 && l.guest.Serves(1, rx) {
				l.guest.Input(1, rx)
			} else {
				l.b.Input(1, rx)
			}
		}
	}
	next := l.now + d
	for _, s := range []*Stack{l.a, l.b, l.guest} {
		if at, ok := s.Deadline(); ok {
			next = min(next, at)
		}
	}
	l.now = max(l.now, next)
	for _, s := range []*Stack{l.a, l.b, l.guest} {
		s.Advance(l.now)
	}
}

func (l *lending) audit() {
	l.t.Helper()
	l.a.Flush()
	l.b.Flush()
	l.guest.Flush()
	for _, s := range []*Stack{l.a, l.b, l.guest} {
		if err := s.TCP().Audit(); err != nil {
			l.t.Fatal(err)
		}
	}
}

// connect makes a connection from a to b and returns both ends, b's with an owner.
func (l *lending) connect(to string, here, there tcp.Owner) *tcp.Socket {
	l.t.Helper()
	lst := l.b.NewTCP(10, nil)
	mustNot(l.t, lst.Bind(netip.AddrPortFrom(netip.IPv6Unspecified(), 80), 0, priv))
	mustNot(l.t, lst.Listen(8))
	c := l.a.NewTCP(10, here)
	if a := ap(to); a.Addr().Is4() {
		c = l.a.NewTCP(2, here)
	}
	_ = c.Connect(ap(to))
	s, err := lst.Accept()
	for i := 0; err != nil; i++ {
		if i == 1000 {
			l.t.Fatal(err)
		}
		l.step(100 * time.Millisecond)
		s, err = lst.Accept()
	}
	s.SetOwner(there)
	s.Resume()
	l.sock = s
	return c
}

// TestLend moves text both ways over a line that loses frames, while the connection
// goes back and forth between the two stacks of its host.
func TestLend(t *testing.T) {
	const size = 200 << 10
	moves := 0
	for seed := range uint64(24) {
		l := newLending(t, seed)
		lose := rand.New(rand.NewPCG(seed, 9))
		if seed%3 != 0 {
			l.ab.drop = func(frame) bool { return lose.IntN(30) == 0 }
			l.ba.drop = l.ab.drop
		}
		here, there := &tcpApp{}, &tcpApp{}
		c := l.connect([]string{"10.87.0.2:80", "[fd87::2]:80"}[seed%2], here, there)
		out, back := filler(size), filler(size+1)
		done := func() bool { return len(here.data) == len(back) && len(there.data) == size }
		for i, sent, answered := 0, 0, 0; !done(); i++ {
			if i == 20000 {
				t.Fatalf("seed %d: %d and %d bytes have arrived", seed, len(there.data), len(here.data))
			}
			sent += c.Write(out[sent:min(size, sent+1+l.r.IntN(20000))])
			answered += l.sock.Write(back[answered:min(len(back), answered+1+l.r.IntN(20000))])
			switch l.b.Flush(); {
			case l.r.IntN(3) > 0:
			case l.sock.Lent():
				l.Fetch(l.sock)
			case l.b.Lend(l.sock, l.guest):
				moves++
			}
			l.audit()
			l.step(time.Duration(1+l.r.IntN(5)) * time.Millisecond)
		}
		if !bytes.Equal(there.data, out) || !bytes.Equal(here.data, back) {
			t.Fatalf("seed %d: other bytes have arrived", seed)
		}
		if l.b.Lend(l.sock, l.guest) && !l.sock.Lent() {
			t.Fatalf("seed %d: lent and not lent", seed)
		}
		c.Close() // the FIN brings it home
		for range 200 {
			l.step(100 * time.Millisecond)
		}
		if there.events&tcp.EventEOF == 0 || l.sock.Lent() || l.sock.State() != tcp.StateCloseWait {
			t.Fatalf("seed %d: events %b, %v, lent %v", seed, there.events, l.sock.State(), l.sock.Lent())
		}
		l.sock.Close()
		for range 200 {
			l.step(time.Second)
		}
		l.audit()
		if n := l.guest.TCP().Guests(); n != 0 {
			t.Fatalf("seed %d: the guest has %d connections", seed, n)
		}
		if n, m := l.b.Pool().InUse(), l.guest.Pool().InUse(); n != 0 || m != 0 {
			t.Fatalf("seed %d: %d and %d bytes are in use", seed, n, m)
		}
	}
	if moves < 100 {
		t.Errorf("the connections were lent %d times", moves)
	}
}

// TestLentEnds has what ends or endangers a connection happen at home.
func TestLentEnds(t *testing.T) {
	start := func(t *testing.T) (*lending, *tcp.Socket, *tcpApp) {
		l := newLending(t, 1)
		there := &tcpApp{}
		c := l.connect("10.87.0.2:80", &tcpApp{}, there)
		if l.b.Flush(); !l.b.Lend(l.sock, l.guest) {
			t.Fatal("not lent")
		}
		return l, c, there
	}
	t.Run("reset", func(t *testing.T) {
		l, c, there := start(t)
		c.Abort()
		l.step(time.Millisecond)
		l.step(time.Millisecond)
		if l.fetches != 1 || there.events&tcp.EventError == 0 || l.sock.State() != tcp.StateClosed {
			t.Errorf("%d fetches, events %b, %v", l.fetches, there.events, l.sock.State())
		}
	})
	t.Run("silence", func(t *testing.T) {
		l, _, there := start(t)
		l.ba.drop = func(frame) bool { return true }
		l.sock.Write([]byte("lost"))
		for range 2000 {
			l.step(time.Minute)
			if l.sock.Lent() && l.guest.TCP().Counters().Timeouts > 0 {
				t.Fatal("a timeout of a guest")
			}
		}
		if l.fetches != 1 || there.events&tcp.EventError == 0 {
			t.Errorf("%d fetches, events %b", l.fetches, there.events)
		}
	})
	t.Run("ICMP", func(t *testing.T) {
		l, _, _ := start(t)
		here, there := l.sock.LocalAddr(), l.sock.RemoteAddr()
		quoted := binary.BigEndian.AppendUint16(nil, here.Port())
		quoted = binary.BigEndian.AppendUint16(quoted, there.Port())
		l.b.TCP().ICMP(here.Addr().Unmap(), there.Addr().Unmap(), append(quoted, 0, 0, 0, 0), tcp.ICMPError{MTU: 1000})
		if l.fetches != 1 || l.sock.Lent() {
			t.Errorf("%d fetches, lent %v", l.fetches, l.sock.Lent())
		}
	})
	t.Run("wrong queue", func(t *testing.T) {
		l, c, there := start(t)
		l.visits = 0
		for n := 0; l.visits == 0; n++ {
			if n == 100 {
				t.Fatal("no segment came to the stack that lends")
			}
			c.Write([]byte("x"))
			l.step(time.Millisecond)
		}
		for range 100 {
			l.step(time.Second)
		}
		if !l.sock.Lent() || l.fetches != 0 || len(there.data) == 0 || l.sock.Unread() != 0 {
			t.Errorf("lent %v, %d fetches, %d bytes", l.sock.Lent(), l.fetches, len(there.data))
		}
	})
	t.Run("memory", func(t *testing.T) {
		l, _, _ := start(t)
		writes := func(most int32) int {
			l.b.tun.TCPMem.Default, l.b.tun.TCPMem.Max = most, most
			l.b.Retune()
			return l.sock.Write(filler(20000))
		}
		if n := writes(1 << 20); n != 20000 {
			t.Errorf("%d bytes were queued", n)
		}
		if n := writes(2); n != 0 {
			t.Errorf("%d bytes were queued with a bound that the guest has passed", n)
		}
	})
	t.Run("neighbour", func(t *testing.T) {
		l, _, _ := start(t)
		n := l.b.neigh.byKey[neighKey{1, addrA}]
		l.b.confirmed(n, n.mac)
		if l.stranded != 0 {
			t.Error("stranded by a neighbour that is where it was")
		}
		l.b.confirmed(n, wire.MAC{2, 9, 9, 9, 9, 9})
		if l.stranded != 1 {
			t.Errorf("stranded %d times by a neighbour that has moved", l.stranded)
		}
	})
}
