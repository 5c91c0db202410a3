package engine

import (
	"bytes"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack/buf"
)

// pairOf is a stream with a pair of its own and nothing else of an engine.
func pairOf(t *testing.T) (s *stream, p int) {
	t.Helper()
	end, p, e := hostlink.NewPair(hostlink.PairStream, true)
	if e != 0 {
		t.Fatal(e)
	}
	t.Cleanup(func() {
		hostlink.CloseFD(p)
		if s.fd >= 0 {
			hostlink.CloseFD(s.fd)
		}
	})
	s = &stream{phase: phaseConnected}
	s.eng = &engine{spare: &buf.Chunk{B: make([]byte, 0, buf.LargeSize)}}
	s.fd = end
	return s, p
}

func takeAll(t *testing.T, p int) (b []byte) {
	t.Helper()
	room := make([]byte, 1<<16)
	for {
		n, e := hostlink.Recv(p, room, 0)
		if e != 0 || n == 0 {
			return b
		}
		b = append(b, room[:n]...)
	}
}

// TestInterruptedCallLosesNothing: what a call took and nobody heard of comes first
// again, for native reads, too, with the urgent byte in its place.
func TestInterruptedCallLosesNothing(t *testing.T) {
	s, p := pairOf(t)
	for _, part := range []string{"taken ", "rest", "!", "behind"} {
		extra := 0
		if part == "!" {
			extra = abi.MSG_OOB
		}
		if n, e := hostlink.Send(s.fd, []byte(part), extra); e != 0 || n != len(part) {
			t.Fatal(n, e)
		}
	}
	b, e := s.read(p, 6, 17, 0)
	if e != 0 || string(b) != "taken " {
		t.Fatalf("%q, %v", b, e)
	}
	s.giveBack(p, b)
	if s.kept() != 0 || s.returned != nil {
		t.Errorf("the engine keeps %d bytes", s.kept())
	}
	room := make([]byte, 100)
	n, _ := hostlink.Recv(p, room, 0)
	if got := string(room[:n]); got != "taken rest" {
		t.Errorf("before the mark: %q", got)
	}
	if !hostlink.AtMark(p) {
		t.Error("the mark is lost")
	}
	if n, e := hostlink.Recv(p, room, abi.MSG_OOB); e != 0 || string(room[:n]) != "!" {
		t.Errorf("urgent: %q, %v", room[:n], e)
	}
	if got := takeAll(t, p); string(got) != "behind" {
		t.Errorf("behind it: %q", got)
	}
}

// TestInterruptedCallOnAFullPair: a pair that was full takes what was in it again.
func TestInterruptedCallOnAFullPair(t *testing.T) {
	s, p := pairOf(t)
	hostlink.SetSendBuffer(s.fd, 30000)
	var sent []byte
	for i := 0; ; i++ {
		part := bytes.Repeat([]byte{byte(i)}, 700+i)
		n, e := hostlink.Send(s.fd, part, 0)
		sent = append(sent, part[:n]...)
		if e != 0 || n < len(part) {
			break
		}
	}
	b, e := s.read(p, 1000, len(sent), 0)
	if e != 0 || len(b) != 1000 {
		t.Fatal(len(b), e)
	}
	s.giveBack(p, b)
	if !s.sendBack() || !bytes.Equal(takeAll(t, p), sent) {
		t.Error("not what was sent")
	}
}

// TestInterruptedCallAfterTheEnd: nothing can be sent to P any more, so the engine
// keeps the bytes for its own calls.
func TestInterruptedCallAfterTheEnd(t *testing.T) {
	s, p := pairOf(t)
	hostlink.Send(s.fd, []byte("the last words"), 0)
	hostlink.ShutdownFD(s.fd, abi.SHUT_WR)
	s.eofSent = true
	b, _ := s.read(p, 4, 14, 0)
	s.giveBack(p, b)
	if s.kept() != 4 || !s.receives(0) {
		t.Fatalf("%d bytes are kept", s.kept())
	}
	if b, _ := s.read(p, 2, 14, abi.MSG_PEEK); string(b) != "th" {
		t.Errorf("peek: %q", b)
	}
	if b, _ := s.read(p, 100, 14, abi.MSG_PEEK); string(b) != "the last words" {
		t.Errorf("peek at all: %q", b)
	}
	b, _ = s.read(p, 7, 14, 0)
	if string(b) != "the las" {
		t.Errorf("a call gets %q of both", b)
	}
	s.giveBack(p, b)
	b, _ = s.read(p, 3, 14, 0)
	if string(b) != "the" {
		t.Errorf("%q", b)
	}
	s.giveBack(p, b)
	var got []byte
	for range 20 {
		b, e := s.read(p, 100, s.kept()+hostlink.QueuedIn(p), 0)
		if e != 0 || len(b) == 0 {
			break
		}
		got = append(got, b...)
	}
	if string(got) != "the last words" || s.kept() != 0 {
		t.Errorf("%q, %d kept", got, s.kept())
	}
}
