package tcp

import (
	"fmt"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// What a peer, or somebody who pretends to be one, must not be able to do.

// TestCrumbsDoNotFillMemory: bytes that arrive one by one, every second of them
// ahead of its turn, take the memory of bytes and not of chunks.
func TestCrumbsDoNotFillMemory(t *testing.T) {
	s := story(t, "from sack\ntake 0")
	rx := &Rx{Src: testRemote, Dst: testLocal}
	send := func(seq, n int) {
		rx.Payload = make([]byte, n)
		rx.Header = wire.TCP{SrcPort: s.rport, DstPort: s.lport, Seq: peerISS + uint32(seq), Ack: s.iss + 1, Flags: wire.TCPAck, Window: 1000, WScale: -1}
		s.l.Input(rx)
	}
	at := 1
	for at+512 < 60000 {
		for i := range 100 {
			send(at+2*i+1, 1)
		}
		for i := range 100 {
			send(at+2*i, 1)
		}
		at += 200
	}
	if unread := s.s.Unread(); unread != at-1 {
		t.Fatalf("%d bytes unread, sent %d", unread, at-1)
	}
	if held := s.n.pool.InUse(); held > 4*at {
		t.Errorf("%d bytes of memory for %d received", held, at)
	}
	s.step(fmt.Sprintf("take %d", at))
	s.step("resume")
	s.step(fmt.Sprintf("got %d", at-1))
	s.s.Abort()
	if held := s.n.pool.InUse(); held != 0 {
		t.Errorf("%d bytes left", held)
	}
}
