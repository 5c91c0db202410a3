package tcp

import (
	"fmt"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// What a peer, or somebody who pretends to be one, must not be able to do.

func TestHostilePeer(t *testing.T) {
	probed := ""
	for range 40 {
		probed += "+60s\nskip\n< . seq 1 ack 1 win 0\n"
	}
	stories(t, map[string]string{
		"a segment with a wrong acknowledgement leaves no timestamp behind": `
			from timestamps
			< . seq 1 ack 90000 len 5 ts 2000000000 0
			> . seq 1 ack 1
			< . seq 1 ack 1 len 5 ts 101 0
			skip
			got 5`,
		"an orphan does not wait for a shut window for ever": `
			from established
			< . seq 1 ack 1 win 0
			write 10
			close
			` + probed + `
			state CLOSED
			skip`,
		"the window scale of the SYN-ACK holds, whatever the listener becomes": `
			listen 5
			< S seq 0 mss 1460 ws 7
			> S. seq 0 ack 1 ws 7
			rcvbuf 32000
			< . seq 1 ack 1
			accept
			< . seq 1 ack 1 len 2920 gso 1460
			> . seq 1 ack 2921 win 250`, // 32,000 bytes in units of 128
		"a SYN for nobody does not end TIME-WAIT": `
			from established
			closew
			> F. seq 1
			< F. seq 1 ack 2
			> . seq 2 ack 2
			waits 1
			< S seq 50000
			> . seq 2 ack 2
			waits 1`,
	})
}

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
