package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func association(src, dst string, sport, dport uint16, key string) Association {
	return Association{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), SrcPort: sport, DstPort: dport, Key: []byte(key)}
}

// ask is one request of opKeys.
func (e *engine) askKeys(verb string, a Association) response {
	return e.keys(&request{Op: opKeys, Keys: &keyRequest{verb, a}})
}

func TestAssociationRequests(t *testing.T) {
	e := bare(t)
	a := association("10.0.0.2", "10.0.0.1", 0, 179, "a key")
	for _, bad := range []*request{{}, {Keys: &keyRequest{}}, {Keys: &keyRequest{Verb: "steal"}}} {
		if r := e.keys(bad); !strings.Contains(r.Error, "accepted") {
			t.Errorf("%+v", r)
		}
	}
	steps := []struct {
		verb string
		a    Association
		want string // of the error
	}{
		{keyGet, a, "no association"}, {keyDelete, a, "no association"},
		{keyAdd, Association{}, "accepted"}, {keyAdd, association("10.0.0.2", "fd00::1", 0, 0, "k"), "accepted"},
		{keyAdd, association("10.0.0.2", "10.0.0.1", 0, 0, strings.Repeat("k", 81)), "accepted"},
		{keyAdd, a, ""}, {keyAdd, a, "delete it first"}, {keyGet, association("10.0.0.2", "10.0.0.1", 0, 0, ""), "no association"},
		{keyAdd, association("fd00::2", "fd00::1", 0, 0, "six"), ""},
	}
	for _, s := range steps {
		if r := e.askKeys(s.verb, s.a); (r.Error == "") != (s.want == "") || !strings.Contains(r.Error, s.want) {
			t.Errorf("%s %+v: %q, want %q", s.verb, s.a, r.Error, s.want)
		}
	}
	if r := e.askKeys(keyGet, a); len(r.Keys) != 1 || string(r.Keys[0].Key) != "a key" {
		t.Errorf("%+v", r)
	}
	r := e.askKeys(keyList, Association{})
	if len(r.Keys) != 2 || r.Keys[0].DstPort != 179 || len(r.Dropped) < 6 {
		t.Errorf("%+v", r)
	}
	if _, ok := r.Dropped["AuthNoKeyOut"]; !ok {
		t.Errorf("counters: %v", r.Dropped)
	}
	e.askKeys(keyFlush, Association{})
	if r := e.askKeys(keyList, Association{}); len(r.Keys) != 0 {
		t.Errorf("after flush: %+v", r)
	}
}

// TestAssociationsOutliveTheEngine: what was added and deleted, in places that
// were used before.
func TestAssociationsOutliveTheEngine(t *testing.T) {
	old := bare(t)
	for i := range 50 {
		if r := old.askKeys(keyAdd, association("10.0.0.2", "10.0.0.1", 0, uint16(i+1), fmt.Sprint("key", i))); r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	for i := range 50 {
		if i%3 != 0 {
			old.askKeys(keyDelete, association("10.0.0.2", "10.0.0.1", 0, uint16(i+1), ""))
		}
	}
	six := association("fd00::2", "fd00::1", 7, 0, strings.Repeat("6", 80))
	old.askKeys(keyAdd, six)
	want := old.askKeys(keyList, Association{}).Keys
	e, _ := succeed(t, old)
	e, _ = succeed(t, e)
	got := e.askKeys(keyList, Association{}).Keys
	if len(want) != 18 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if bytes.Contains(old.journal.b, []byte("key49")) || !bytes.Contains(old.journal.b, []byte("key48")) {
		t.Error("a deleted key is in the journal")
	}
}

// md5Key is the value of TCP_MD5SIG_EXT, number 32.
func md5Key(peers string, key string) []byte {
	p := netip.MustParsePrefix(peers)
	b := make([]byte, 216)
	binary.NativeEndian.PutUint16(b, sockopt.AFInet)
	copy(b[4:], p.Addr().AsSlice())
	b[128], b[129] = 1, byte(p.Bits())
	binary.NativeEndian.PutUint16(b[130:], uint16(len(key)))
	copy(b[136:], key)
	return b
}

// setKey is the engine's part of setsockopt.
func (s *stream) setKey(val []byte) error {
	if err := s.keyRoom(tcpLevel, 32, val); err != nil {
		return err
	}
	row, err := s.eng.profile.Set(s.tcp, tcpLevel, 32, val, sockopt.Privilege{})
	if err == nil && row.Keyed() {
		s.keepKeys(s.tcp)
	}
	return err
}

func keysOf(s *tcp.Socket) string {
	md5, _ := s.SigningKeys()
	var b strings.Builder
	for _, k := range md5 {
		fmt.Fprintf(&b, "%v=%s ", k.Peers, k.Key)
	}
	return b.String()
}

// TestSocketKeysOutliveTheEngine: a listener that goes on without its keys would
// take anybody.
func TestSocketKeysOutliveTheEngine(t *testing.T) {
	old := bare(t)
	s, _ := old.mustStream(t)
	other, _ := old.mustStream(t)
	for _, k := range [][2]string{{"10.0.0.1/32", "one"}, {"10.0.0.0/8", "two"}, {"10.0.0.1/32", "three"}, {"10.1.0.0/16", "four"}, {"10.1.0.0/16", ""}} {
		if err := s.setKey(md5Key(k[0], k[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.setKey(md5Key("10.9.0.0/16", "other")); err != nil {
		t.Fatal(err)
	}
	s.agree().at, s.bound, s.agree().backlog = netip.MustParseAddrPort("0.0.0.0:179"), true, 5
	s.phase = phaseListening
	s.record()
	cookies := []uint64{s.cookie, other.cookie}
	for range 2 {
		old, _ = succeed(t, old)
		for i, want := range []string{"10.0.0.1/32=three 10.0.0.0/8=two ", "10.9.0.0/16=other "} {
			x := old.socks.find(cookies[i])
			if x == nil {
				t.Fatal("a socket is lost")
			}
			if got := keysOf(x.stream.tcp); got != want && got != "10.0.0.0/8=two 10.0.0.1/32=three " {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
	x := old.socks.find(cookies[0]).stream
	used := old.journal.keys.used
	x.closeE()
	if len(old.journal.keys.free) != 2 || used != 3 {
		t.Errorf("%d places of %d are free", len(old.journal.keys.free), used)
	}
}

// TestNoRoomForKeys: a key that could not be kept is refused, and one that is
// taken away needs no room.
func TestNoRoomForKeys(t *testing.T) {
	e := bare(t)
	s, _ := e.mustStream(t)
	for e.journal.keys.left() > 1 {
		if _, ok := e.journal.keys.take(uint32(1 + e.journal.keys.used)); !ok { // to as many users
			t.Fatal("no room")
		}
	}
	if err := s.setKey(md5Key("10.0.0.1/32", "one")); err != nil {
		t.Fatal(err)
	}
	if err := s.setKey(md5Key("10.0.0.2/32", "two")); err != errno.ENOMEM {
		t.Errorf("no room: %v", err)
	}
	if err := s.setKey(md5Key("10.0.0.1/32", "")); err != nil {
		t.Errorf("taking away: %v", err)
	}
	if err := s.setKey(md5Key("10.0.0.2/32", "two")); err != nil {
		t.Errorf("room again: %v", err)
	}
}

// TestKeysOfOneUser: one user of a sandbox cannot leave the others without room
// for a key, what he has is his own to use again, and a successor takes all of it
// in whatever order it finds it.
func TestKeysOfOneUser(t *testing.T) {
	e := bare(t)
	fill := func(uid uint32) (n int) {
		t.Helper()
		for {
			s, _ := e.mustStream(t)
			s.uid = uid
			s.record()
			for i := range 100 {
				switch err := s.setKey(md5Key(fmt.Sprintf("10.0.0.%d/32", i), "key")); err {
				case nil:
					n++
				case errno.ENOMEM:
					return n
				default:
					t.Fatal(err)
				}
			}
		}
	}
	first, second := fill(1000), fill(1001)
	if first != maxKeyNotes/2 || second != maxKeyNotes/4 {
		t.Errorf("one user has %d places of %d, the next %d", first, maxKeyNotes, second)
	}
	e, _ = succeed(t, e)
	if n := maxKeyNotes - e.journal.keys.left(); n != first+second || e.journal.keys.held[1000] != first || e.journal.keys.heirs {
		t.Errorf("the successor has %d places, %d of the first user, %d and %d before", n, e.journal.keys.held[1000], first, second)
	}
	for _, s := range e.socks.byFD {
		if s != nil && s.uid == 1000 {
			s.closeE()
		}
	}
	if n := e.journal.keys.held[1000]; n != 0 {
		t.Errorf("%d places of who has closed all", n)
	}
	if n := fill(1001); n != (maxKeyNotes-second)/2-second/2 {
		t.Errorf("%d more for the other user, who had %d", n, second)
	}
}

// TestBrokenKeyInJournal: whoever took an engine over cannot have its successor
// go on with a listener that has lost a key.
func TestBrokenKeyInJournal(t *testing.T) {
	for name, spoil := range map[string]func(b []byte){
		"another option":   func(b []byte) { binary.NativeEndian.PutUint32(b[keyName:], 1) },
		"cut short":        func(b []byte) { binary.NativeEndian.PutUint32(b[keyLength:], 4) },
		"another family":   func(b []byte) { b[keyValue] = 99 },
		"a key of nothing": func(b []byte) { b[keyValue+130] = 0 },
	} {
		old := bare(t)
		s, _ := old.mustStream(t)
		if err := s.setKey(md5Key("10.0.0.1/32", "one")); err != nil {
			t.Fatal(err)
		}
		s.agree().at, s.bound, s.agree().backlog, s.phase = netip.MustParseAddrPort("0.0.0.0:179"), true, 5, phaseListening
		s.record()
		spoil(old.journal.keyNote(0))
		e, a := succeed(t, old)
		if len(a.listeners) != 0 {
			t.Errorf("%s: the listener goes on", name)
		}
		for s := range e.stack.TCP().Sockets {
			t.Errorf("%s: a socket in %v", name, s.State())
		}
	}
}
