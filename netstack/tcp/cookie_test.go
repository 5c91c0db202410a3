package tcp

import (
	"strings"
	"testing"
)

// flooded is a listener whose only half-open connection is somebody who never
// answers.
const flooded = `
	listen 0
	< S seq 0 port 1
	> S. seq 0 ack 1
	half 1
	forget
	`

func TestCookiesKeepOptionsInTheTimestamp(t *testing.T) {
	for _, c := range []struct {
		offer string
		scale uint8
		flags connFlags
	}{
		{"ws 9 sackok", 9, flagTS | flagSACK | flagWScale},
		{"ws 0", 0, flagTS | flagWScale},
		{"sackok", 0, flagTS | flagSACK},
		{"", 0, flagTS},
	} {
		s := story(t, flooded+`
			port 2
			< S seq 0 mss 1460 ts 100 0 `+c.offer+`
			> S. seq 0 ack 1 ts ecr 100
			+30ms
			< . seq 1 ack 1 ts 130 0
			queue 1
			accept
			mss 1448
			write 10
			> P. seq 1 len 10 ts ecr 130`)
		const all = flagTS | flagSACK | flagWScale
		if got := s.s.conn.flags & all; got != c.flags || s.s.conn.sndScale != c.scale {
			t.Errorf("%q: flags %b, want %b, scale %d", c.offer, got, c.flags, s.s.conn.sndScale)
		}
		if out := s.s.conn.rcvScale; (out != 0) != (c.flags&flagWScale != 0) {
			t.Errorf("%q: our scale is %d", c.offer, out)
		}
	}
}

// TestFloodKeepsNobodyOut: SYNs from everywhere take bounded memory, and who
// means it connects.
func TestFloodKeepsNobodyOut(t *testing.T) {
	s := story(t, "listen 64")
	for i := range 20000 {
		s.rport = uint16(i + 1000)
		s.step("< S seq 7")
	}
	s.step("skip")
	if n := len(s.l.half); n > 66 || s.l.counters.SyncookiesSent < 19000 {
		t.Errorf("%d records, %d cookies", n, s.l.counters.SyncookiesSent)
	}
	s.step("port 500")
	s.step("forget")
	s.step("< S seq 0")
	s.step("> S. seq 0 ack 1")
	s.step("< . seq 1 ack 1")
	s.step("queue 1")
}

func TestCookieWaitsForRoomToAccept(t *testing.T) {
	s := story(t, "listen 0\n< S seq 0 port 1\n> S. seq 0 ack 1")
	first := s.iss
	for _, line := range []string{"forget", "port 2", "< S seq 0", "> S. seq 0 ack 1"} {
		s.step(line)
	}
	cookie := s.iss
	s.iss = first
	s.step("< . seq 1 ack 1 port 1")
	s.step("queue 1")
	s.iss = cookie
	s.step("< . seq 1 ack 1")
	s.step("> none")
	s.step("half 0")
	listener := s.lst
	s.step("accept")
	s.lst = listener
	s.step("< P. seq 1 ack 1 len 5")
	s.step("queue 1")
}

// TestCookieOutlivesALaterRecord: a late copy of the SYN found room for a record,
// whose SYN-ACK has another number, and the peer had answered the cookie.
func TestCookieOutlivesALaterRecord(t *testing.T) {
	for _, first := range []string{
		"< . seq 1 ack 1",
		"< P. seq 1 ack 1 len 5",
		"< P. seq 6 ack 1 len 5\n> none\n< P. seq 1 ack 1 len 5", // what overtakes it is not refused
	} {
		s := story(t, flooded+"port 2\n< S seq 0\n> S. seq 0 ack 1")
		cookie := s.iss
		for _, line := range []string{"< R seq 1 port 1", "half 0", "forget", "< S seq 0", "> S. seq 0 ack 1", "half 1"} {
			s.step(line)
		}
		if s.iss == cookie {
			t.Fatal("the record has the cookie's number: the test tests nothing")
		}
		s.iss = cookie
		for _, line := range append(strings.Split(first, "\n"), "half 0", "queue 1", "counter SyncookiesRecv 1", "accept", "state ESTAB") {
			s.step(line)
		}
	}
}

func TestCookieStampIsNotAhead(t *testing.T) {
	for _, o := range []synOptions{{wscale: 14, sack: true}, {wscale: -1}, {wscale: 0}} {
		for now := uint32(1 << 20); now < 1<<20+64; now++ {
			if ts := o.stamp(now); ts > now || now-ts > 2*cookieStamp {
				t.Errorf("%+v at %d: %d", o, now, ts)
			}
		}
	}
}

// TestCookieHasAKnownMSS: the numbers behind the last of the table are nobody's
// cookie, however well they are made.
func TestCookieHasAKnownMSS(t *testing.T) {
	s := newScript(t, nil)
	k := makeTuple(testLocal, testRemote, 80, 5000)
	for i := range len(cookieMSS) + 2 {
		iss := s.l.cookie(&k, peerISS, cookieCount(s.n.now), i)
		if mss, ok := s.l.checkCookie(&k, iss, peerISS); ok != (i < len(cookieMSS)) || ok && mss != i {
			t.Errorf("%d: %d, %v", i, mss, ok)
		}
	}
}
