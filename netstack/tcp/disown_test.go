package tcp

import (
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

func TestDisown(t *testing.T) {
	local, remote := netip.AddrPortFrom(testLocal, 80), netip.AddrPortFrom(testRemote, 5000)
	for name, c := range map[string]struct {
		local, remote netip.AddrPort
		sent          int
	}{
		"a peer":               {local, remote, 1},
		"an address of others": {remote, remote, 0},
		"a peer in this stack": {local, local, 0},
		"no port":              {local, netip.AddrPortFrom(testRemote, 0), 0},
		"no way":               {local, netip.MustParseAddrPort("203.0.113.1:1"), 0},
		"nothing":              {netip.AddrPort{}, netip.AddrPort{}, 0},
	} {
		s := newScript(t, nil)
		s.l.Disown(c.local, c.remote)
		if len(s.out) != c.sent {
			t.Fatalf("%s: %d segments, want %d", name, len(s.out), c.sent)
		}
		if c.sent == 0 {
			continue
		}
		if h := s.out[0].h; h.Flags != wire.TCPSyn || h.SrcPort != 80 || h.DstPort != 5000 {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

// Both ends of a connection in one story: the peer's answer to what Disown sends
// brings the reset.
func TestDisownedPeerIsReset(t *testing.T) {
	s := newScript(t, nil)
	s.l.Disown(netip.AddrPortFrom(testLocal, 80), netip.AddrPortFrom(testRemote, 5000))
	probe := s.out[0].h
	// The peer stands at 1000 and expects 2000.
	rx := Rx{Src: testRemote, Dst: testLocal, Header: wire.TCP{
		SrcPort: probe.DstPort, DstPort: probe.SrcPort, Seq: 1000, Ack: 2000, Flags: wire.TCPAck, WScale: -1,
	}}
	s.l.Input(&rx)
	if len(s.out) != 2 {
		t.Fatalf("%d segments, want the reset", len(s.out))
	}
	if h := s.out[1].h; h.Flags != wire.TCPRst || h.Seq != 2000 {
		t.Errorf("answer: %+v, want a RST at 2000", h)
	}
}

// TestSignedConnectionsAreNotInTheLedger: the peer would drop what is not signed.
func TestSignedConnectionsAreNotInTheLedger(t *testing.T) {
	for name, signed := range map[string]bool{"plain": false, "signed": true} {
		s := newScript(t, nil)
		g := &countingLedger{}
		s.l.SetLedger(g)
		c := &conn{l: s.l, s: s.s, path: Path{Src: testLocal, Dst: testRemote}}
		if signed {
			c.auth = &auth{md5: []byte("k")}
		}
		c.enter()
		c.strike()
		if want := map[bool]int{false: 1}[signed]; g.entered != want || g.struck != want {
			t.Errorf("%s: %d entered, %d struck", name, g.entered, g.struck)
		}
	}
}

type countingLedger struct{ entered, struck int }

func (g *countingLedger) Enter(_, _ netip.AddrPort) int32 { g.entered++; return 0 }
func (g *countingLedger) Strike(int32)                    { g.struck++ }

// A book is a ledger that writes everything down.
type book struct {
	full   bool
	stands map[int32][2]netip.AddrPort
	next   int32
}

func (b *book) Enter(local, peer netip.AddrPort) int32 {
	if b.full {
		return -1
	}
	b.stands[b.next] = [2]netip.AddrPort{local, peer}
	b.next++
	return b.next - 1
}

func (b *book) Strike(entry int32) {
	if _, ok := b.stands[entry]; !ok {
		panic("an entry that does not stand")
	}
	delete(b.stands, entry)
}

// TestLedgerHasWhatStands: connections are entered when they are established and
// struck out when they end, and a ledger without room is left alone.
func TestLedgerHasWhatStands(t *testing.T) {
	s := newScript(t, nil)
	b := &book{stands: map[int32][2]netip.AddrPort{}}
	s.l.SetLedger(b)
	s.steps("bind 10.0.0.1:7000", "connect", "> S seq 0")
	if len(b.stands) != 0 {
		t.Errorf("before the handshake: %v", b.stands)
	}
	s.steps("< S. seq 0 ack 1 win 1000", "> . seq 1 ack 1")
	want := [2]netip.AddrPort{addrPort("10.0.0.1:7000"), addrPort("10.0.0.2:5000")}
	if len(b.stands) != 1 || b.stands[0] != want {
		t.Errorf("established: %v", b.stands)
	}
	s.steps("use b", "connect", "> S seq 0", "< S. seq 0 ack 1 win 1000", "> . seq 1 ack 1", "use a", "< R seq 1")
	if len(b.stands) != 1 || b.stands[1][1] != addrPort("10.0.0.2:5001") {
		t.Errorf("after a reset: %v", b.stands)
	}
	b.full = true
	s.steps("use c", "connect", "> S seq 0", "< S. seq 0 ack 1 win 1000", "> . seq 1 ack 1", "< R seq 1", "use b", "< R seq 1")
	if len(b.stands) != 0 {
		t.Errorf("at the end: %v", b.stands)
	}
}
