package tcp

import (
	"bytes"
	"slices"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

const (
	tcpSaveSYN  = 27
	tcpSavedSYN = 28
)

var rawHeaders = Rx{
	LinkHeader: []byte("link header 14"), IPHeader: []byte("twenty bytes of IPv4"), TCPHeader: []byte("twenty bytes of TCP!"),
}

// accepted makes a connection with a listener that keeps SYNs as asked, from a
// SYN with the raw headers.
func acceptedWith(t *testing.T, save int, raw Rx) (*script, *Socket) {
	s := story(t, "listen 5")
	if err := s.set(tcpSaveSYN, save); err != nil {
		t.Fatal(err)
	}
	rx := raw
	rx.Src, rx.Dst, rx.Link = testRemote, testLocal, 1
	rx.Header = wire.TCP{SrcPort: 1000, DstPort: s.s.port(), Seq: 5, Flags: wire.TCPSyn, Window: 65535, WScale: -1, MSS: 1460}
	s.l.Input(&rx)
	h := s.l.half[makeTuple(testLocal, testRemote, s.s.port(), 1000)]
	if h == nil {
		t.Fatal("no record")
	}
	if s.l.syns.saved != len(h.syn) {
		t.Errorf("%d bytes are accounted for %d", s.l.syns.saved, len(h.syn))
	}
	rx.Header.Seq, rx.Header.Ack, rx.Header.Flags = 6, h.iss+1, wire.TCPAck
	s.l.Input(&rx)
	c, err := s.s.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if s.l.syns.saved != 0 {
		t.Errorf("%d bytes are accounted for nothing", s.l.syns.saved)
	}
	return s, c
}

// TestSavedSYN: what TCP_SAVE_SYN asks for, once.
func TestSavedSYN(t *testing.T) {
	for save, want := range [][]byte{
		nil,
		slices.Concat(rawHeaders.IPHeader, rawHeaders.TCPHeader),
		slices.Concat(rawHeaders.LinkHeader, rawHeaders.IPHeader, rawHeaders.TCPHeader),
	} {
		s, c := acceptedWith(t, save, rawHeaders)
		if len(want) > 0 {
			_, err := s.l.profile.Get(c, protoTCP, tcpSavedSYN, len(want)-1)
			if short, ok := err.(sockopt.NoRoom); !ok || short.Need != len(want) {
				t.Errorf("TCP_SAVE_SYN %d with a byte too few: %v", save, err)
			}
		}
		for _, want := range [][]byte{want, nil} {
			if b, err := s.l.profile.Get(c, protoTCP, tcpSavedSYN, 300); err != nil || !bytes.Equal(b, want) {
				t.Errorf("TCP_SAVE_SYN %d: %q, %v", save, b, err)
			}
		}
	}
}

// TestSavedSYNOfLoopback has a link header of zeros with the type.
func TestSavedSYNOfLoopback(t *testing.T) {
	raw := rawHeaders
	raw.LinkHeader = nil
	s, c := acceptedWith(t, 2, raw)
	want := slices.Concat(make([]byte, 12), []byte{8, 0}, raw.IPHeader, raw.TCPHeader)
	if b, err := s.l.profile.Get(c, protoTCP, tcpSavedSYN, 300); err != nil || !bytes.Equal(b, want) {
		t.Errorf("%q, %v", b, err)
	}
}

// TestLongSYNsAreNotKept: extension headers cannot make a record large.
func TestLongSYNsAreNotKept(t *testing.T) {
	raw := rawHeaders
	raw.IPHeader = make([]byte, 1000)
	s, c := acceptedWith(t, 1, raw)
	if b, err := s.l.profile.Get(c, protoTCP, tcpSavedSYN, 300); err != nil || len(b) != 0 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// TestSavedSYNsCountAgainstTheCache: keeping SYNs leaves room for fewer records.
func TestSavedSYNsCountAgainstTheCache(t *testing.T) {
	s := story(t, "listen 5")
	before := s.l.synRoom()
	s.l.syns.saved = 10 * halfOpenCost
	if n := s.l.synRoom(); n != before-10 {
		t.Errorf("room for %d, before for %d", n, before)
	}
}
