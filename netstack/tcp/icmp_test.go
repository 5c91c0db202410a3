package tcp

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestICMPIsBelieved: the path MTU of a destination is learnt only from an error
// about a packet that a connection has under way and whose program listens to
// such errors (RFC 5927 section 7, ip(7)).
func TestICMPIsBelieved(t *testing.T) {
	const sent = "from established\nwrite 10\n> P. seq 1 len 10"
	soft, hard, big := ICMPError{Errno: errno.EHOSTUNREACH}, ICMPError{Errno: errno.ECONNREFUSED, Hard: true}, ICMPError{MTU: 1400}
	for name, c := range map[string]struct {
		script string
		seq    uint32
		length int // of what is quoted
		e      ICMPError
		want   bool
	}{
		"soft":                          {sent, 1, 8, soft, true},
		"hard":                          {sent, 1, 8, hard, true},
		"too big":                       {sent, 1, 8, big, true},
		"cut short":                     {sent, 1, 7, big, false},
		"acknowledged":                  {sent, 0, 8, big, false},
		"not sent":                      {sent, 11, 8, big, false},
		"nobody's":                      {"listen 5", 1, 8, big, false},
		"a half-open connection's":      {"listen 5\n< S seq 0\n> S. seq 0", 0, 8, soft, false},
		"one that is given up":          {"listen 5\n< S seq 0\n> S. seq 0", 0, 8, hard, false},
		"a program that knows better":   {"option IP_MTU_DISCOVER 4\n" + sent, 1, 8, big, false},
		"one that knows better, a soft": {"option IP_MTU_DISCOVER 4\n" + sent, 1, 8, soft, true},
		"a SYN":                         {"connect\n> S seq 0", 0, 8, soft, true},
	} {
		s := story(t, c.script)
		var q [8]byte
		binary.BigEndian.PutUint16(q[:], s.lport)
		binary.BigEndian.PutUint16(q[2:], s.rport)
		binary.BigEndian.PutUint32(q[4:], s.iss+c.seq)
		if got := s.l.ICMP(testLocal, testRemote, q[:c.length], c.e); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// errorAbout delivers an ICMP error about the segment with sequence number seq of
// the script's own count.
func errorAbout(s *script, seq uint32, e ICMPError, text ...byte) bool {
	var q [8]byte
	binary.BigEndian.PutUint16(q[:], s.lport)
	binary.BigEndian.PutUint16(q[2:], s.rport)
	binary.BigEndian.PutUint32(q[4:], s.iss+seq)
	return s.l.ICMP(testLocal, testRemote, append(q[:], text...), e)
}

// TestErrorsOnRequest: with IP_RECVERR a connection's program hears of an error at
// once, and the connection goes on (ip(7), tcp(7)); without, SO_ERROR has it, once.
func TestErrorsOnRequest(t *testing.T) {
	for _, every := range []bool{false, true} {
		s := story(t, "from established\nwrite 10\n> P. seq 1 len 10")
		s.s.Options().RecvErr = every
		s.s.Options().RecvErr6 = !every // the other family's
		s.events = 0
		if !errorAbout(s, 1, ICMPError{Errno: errno.EHOSTUNREACH}) {
			t.Fatal("not believed")
		}
		s.l.Flush()
		if told := s.events&EventNotice != 0; told != every {
			t.Errorf("IP_RECVERR %v: told %v", every, told)
		}
		if every {
			if e := s.s.TakePending(); e != errno.EHOSTUNREACH {
				t.Errorf("the next call has %v", e)
			}
		} else if e := s.s.TakePending(); e != 0 {
			t.Errorf("the next call has %v without IP_RECVERR", e)
		} else if e := s.s.TakeError(); e != errno.EHOSTUNREACH {
			t.Errorf("SO_ERROR %v", e)
		}
		if e := s.s.TakeError(); e != 0 || s.s.State() != StateEstablished || s.events&EventError != 0 || s.s.FirstError() != nil {
			t.Errorf("IP_RECVERR %v: afterwards %v, %v", every, e, s.s.State())
		}
	}
}

// TestRefusalIsQueued: what ends an attempt to connect waits in the error queue,
// with or without IP_RECVERR, and is bounded.
func TestRefusalIsQueued(t *testing.T) {
	s := story(t, "connect\n> S seq 0")
	e := ICMPError{Errno: errno.EHOSTUNREACH, Type: 3, Code: 1, From: netip.MustParseAddr("10.9.9.9"), TTL: 61, TOS: 4}
	errorAbout(s, 0, e, make([]byte, 2*maxQueuedText)...)
	q := s.s.FirstError()
	if q == nil {
		t.Fatal("nothing queued")
	}
	if q.Errno != e.Errno || q.Type != 3 || q.Code != 1 || q.Offender != e.From || q.At != testLocal || q.To != netip.AddrPortFrom(testRemote, s.rport) || q.TTL != 61 || q.TOS != 4 {
		t.Errorf("%+v", q)
	}
	if len(q.Text) != maxQueuedText || binary.BigEndian.Uint32(q.Text[4:]) != s.iss {
		t.Errorf("%d bytes of text", len(q.Text))
	}
	s.s.DropError()
	if s.s.FirstError() != nil {
		t.Error("still there")
	}
	if e := s.s.TakeError(); e != errno.EHOSTUNREACH {
		t.Errorf("SO_ERROR %v", e)
	}
}

var _ sockopt.Known = (*Socket)(nil)

// TestCookies: no two sockets have one, and what is accepted has one of its own.
func TestCookies(t *testing.T) {
	s := story(t, "listen 5\n< S seq 0\n> S. seq 0\n< . seq 1 ack 1")
	lst := s.lst
	first := lst.Cookie()
	child, err := lst.Accept()
	if err != nil {
		t.Fatal(err)
	}
	other := s.l.NewSocket(sockopt.AFInet, nil)
	seen := map[uint64]bool{0: true}
	for _, c := range []uint64{first, child.Cookie(), other.Cookie()} {
		if seen[c] {
			t.Errorf("%d again", c)
		}
		seen[c] = true
	}
	if lst.Cookie() != first {
		t.Error("not stable")
	}
	var inherited sockopt.Options
	s.l.profile.Inherit(&inherited, lst.Options())
	if c := inherited.Rare().Cookie; c != 0 {
		t.Errorf("%d is inherited", c)
	}
	other.SetCookie(99)
	if other.Cookie() != 99 {
		t.Error("SetCookie does nothing")
	}
}
