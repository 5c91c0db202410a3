package tcp

import (
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// TestTimestampOffset: RFC 7323 section 7.1: a peer's timestamps tell nothing of
// another's, and RFC 6191 wants those of its next connection to go on.
func TestTimestampOffset(t *testing.T) {
	s := newScript(t, nil)
	a := makeTuple(testLocal, testRemote, 1, 2)
	b := makeTuple(testLocal, testRemote, 3, 4)
	c := makeTuple(testLocal, netip.MustParseAddr("10.0.0.3"), 1, 2)
	if s.l.tsOffset(&a) != s.l.tsOffset(&b) {
		t.Error("two connections to one host have different clocks")
	}
	if s.l.tsOffset(&a) == s.l.tsOffset(&c) {
		t.Error("two hosts see one clock")
	}
	was := s.l.tsOffset(&a)
	s.n.secret[0]++
	if s.l.tsOffset(&a) == was {
		t.Error("the clock does not depend on the secret")
	}
}

// TestMSSCountsIPOptions: RFC 9293 section 3.7.1, MUST-16, and RFC 6691: what IP
// options take is not the payload's.
func TestMSSCountsIPOptions(t *testing.T) {
	s := story(t, "listen 5")
	route := []byte{131, 7, 8, 203, 0, 113, 7, 0}
	rx := &Rx{Src: testRemote, Dst: testLocal, Link: 1, TTL: 64, IPOptions: route,
		Header: wire.TCP{SrcPort: s.rport, DstPort: 80, Seq: peerISS, Flags: wire.TCPSyn, Window: 1000, MSS: 1000, WScale: -1}}
	s.l.Input(rx)
	s.l.Flush()
	if len(s.out) != 1 {
		t.Fatalf("%d segments", len(s.out))
	}
	rx.Header = wire.TCP{SrcPort: s.rport, DstPort: 80, Seq: peerISS + 1, Ack: s.out[0].h.Seq + 1, Flags: wire.TCPAck, Window: 1000, WScale: -1}
	s.l.Input(rx)
	k, err := s.lst.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got := k.MSS(); got != 1000-len(route) {
		t.Errorf("MSS %d over a route of %d bytes", got, len(route))
	}
}

// TestEverySYNACKHasItsISN: RFC 6528 section 3 is for both sides, whoever answers
// for this stack.
func TestEverySYNACKHasItsISN(t *testing.T) {
	listening, offering := story(t, "listen 50"), newOffering(t)
	for port := uint16(5000); port < 5016; port++ {
		k := makeTuple(testLocal, testRemote, 80, port)
		listening.rport = port
		listening.steps("< S seq 0")
		listening.l.Flush()
		offering.syn(port, 10)
		offering.accept(offering.got[len(offering.got)-1], nil)
		for _, s := range []*script{listening, offering.s} {
			if h := s.out[len(s.out)-1].h; h.Seq != s.l.isn(&k) {
				t.Errorf("port %d: %d, want %d", port, h.Seq, s.l.isn(&k))
			}
		}
	}
}
