package tcp

import (
	"encoding/binary"
	"testing"

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
