package tcp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestCMAC: the examples of RFC 4493 section 4.
func TestCMAC(t *testing.T) {
	key := unhex(t, "2b7e151628aed2a6abf7158809cf4f3c")
	message := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for n, want := range map[int]string{
		0:  "bb1d6929e95937287fa37d129b756746",
		16: "070a16b46b4d4144f79bdd9dd04a287c",
		40: "dfa66747de9ae63030ca32611497c827",
		64: "51f0bebf7e3b9d92fc49741779363cfe",
	} {
		if got := cmac(key, message[:n]); hex.EncodeToString(got[:]) != want {
			t.Errorf("%d bytes: %x, want %s", n, got, want)
		}
		for cut := range n { // however it comes
			if got := cmac(key, message[:cut], message[cut:n]); hex.EncodeToString(got[:]) != want {
				t.Errorf("%d bytes in two of %d: %x", n, cut, got)
			}
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// packet takes an IP packet apart.
func packet(t *testing.T, b []byte) *Rx {
	t.Helper()
	rx := &Rx{}
	segment := b[20:]
	if b[0]>>4 == 4 {
		rx.Src, rx.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	} else {
		rx.Src, rx.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		segment = b[40:]
	}
	p, err := wire.ParseTCP(segment, &rx.Header)
	if err != nil {
		t.Fatal(err)
	}
	rx.Payload = p
	return rx
}

// TestAOVectors: the traffic keys and MACs of RFC 9235, as who receives the
// packets checks them.
func TestAOVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/rfc9235.txt")
	if err != nil {
		t.Fatal(err)
	}
	var k AOKey
	var section, alg, options string
	var isn [2]uint32
	n := 0
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		switch line := lines[i]; {
		case line == "", line[0] == '#':
		case line[0] == '=':
			if _, err := fmt.Sscanf(line, "= %s %s %s %x %x", &section, &alg, &options, &isn[0], &isn[1]); err != nil {
				t.Fatal(err)
			}
			k = AOKey{Key: []byte("testvector"), ExcludeOptions: options == "omits"}
			if alg == "cmac" {
				k.Algorithm = AOAES128CMAC
			}
		default:
			n++
			rx := packet(t, unhex(t, line))
			h := &rx.Header
			i++
			what := fmt.Sprintf("section %s, %v from port %d", section, h.Flags, h.SrcPort)
			k.SendID, k.RecvID = 84, 61
			ours, theirs := isn[1], isn[0]
			if h.SrcPort == 179 {
				k.SendID, k.RecvID = k.RecvID, k.SendID
				ours, theirs = theirs, ours
			}
			ctx := aoContext{rx.Src, rx.Dst, h.SrcPort, h.DstPort, theirs, ours}
			if h.Flags&synBits == wire.TCPSyn {
				ctx.dstISN = 0
			}
			if got := hex.EncodeToString(k.trafficKey(&ctx)); got != lines[i] {
				t.Errorf("%s: traffic key %s, want %s", what, got, lines[i])
			}
			a := newAOState([]*aoKey{{k}})
			a.numbers(ours, theirs)
			body, ok := h.Option(wire.OptAO)
			if !ok || !a.check(rx, body) {
				t.Errorf("%s: the MAC does not match", what)
			}
			if len(rx.Payload) > 0 {
				rx.Payload[0] ^= 1
			} else {
				h.Raw[15] ^= 1
			}
			if a.check(rx, body) {
				t.Errorf("%s: a change goes unseen", what)
			}
		}
	}
	if n != 27 {
		t.Errorf("%d packets", n)
	}
}

// TestSequenceNumberExtension: RFC 5925 section 6.2, around each place where
// sequence numbers wrap or may be taken for those of another turn.
func TestSequenceNumberExtension(t *testing.T) {
	for _, isn := range []uint32{0, 1, 1 << 31, 1<<31 - 1, 1<<32 - 1, 1<<32 - 20, 0xc0000000} {
		e := extended{uint64(isn), true}
		at := uint64(isn)
		for range 40 {
			at += 1<<29 + 7
			for _, off := range []int64{0, -1, 1, -1 << 20, 1 << 20, -1<<28 + 1} {
				n := at + uint64(off)
				if n < uint64(isn) {
					continue
				}
				if got := e.at(uint32(n)); got != uint32(n>>32) {
					t.Fatalf("from %#x at %#x, offset %d: %d, want %d", isn, at, off, got, n>>32)
				}
			}
			e.advance(uint32(at))
			e.advance(uint32(at - 1000)) // what is repeated takes nothing back
			if e.high != at {
				t.Fatalf("%#x, want %#x", e.high, at)
			}
		}
	}
}

// TestReplayFromAnotherTurnIsSeen: a segment recorded 2^32 bytes ago has the
// right sequence number and a wrong MAC.
func TestReplayFromAnotherTurnIsSeen(t *testing.T) {
	k := AOKey{Key: []byte("k"), SendID: 1, RecvID: 1}
	a, b := newAOState([]*aoKey{{k}}), newAOState([]*aoKey{{k}})
	a.numbers(10, 20)
	b.numbers(20, 10)
	var l Layer
	h := wire.TCP{SrcPort: 1, DstPort: 2, Seq: 11, Ack: 21, Flags: wire.TCPAck, WScale: -1}
	l.signAO(a, &Path{Src: testLocal, Dst: testRemote}, &h, nil)
	rx := &Rx{Src: testLocal, Dst: testRemote}
	wire.ParseTCP(h.AppendTo(nil), &rx.Header)
	body, _ := rx.Header.Option(wire.OptAO)
	if !b.check(rx, body) {
		t.Fatal("not good at first")
	}
	b.rcv.high += 1 << 32
	if b.check(rx, body) {
		t.Error("good in another turn")
	}
	if k := b.keys[0]; k.good != 1 || k.bad != 1 {
		t.Errorf("the key has %d good segments and %d others", k.good, k.bad)
	}
}

// TestSignaturesAcrossTheWrap: section 6.2, both ends extend sequence numbers as
// the stream goes on, also twice round.
func TestSignaturesAcrossTheWrap(t *testing.T) {
	k := AOKey{Key: []byte("k"), SendID: 1, RecvID: 1}
	a, b := newAOState([]*aoKey{{k}}), newAOState([]*aoKey{{k}})
	a.numbers(10, 20)
	b.numbers(20, 10)
	var l Layer
	seq := uint32(11)
	for i := range 20 {
		h := wire.TCP{SrcPort: 1, DstPort: 2, Seq: seq, Ack: 21, Flags: wire.TCPAck, WScale: -1}
		l.signAO(a, &Path{Src: testLocal, Dst: testRemote}, &h, nil)
		rx := &Rx{Src: testLocal, Dst: testRemote}
		wire.ParseTCP(h.AppendTo(nil), &rx.Header)
		body, _ := rx.Header.Option(wire.OptAO)
		if !b.check(rx, body) {
			t.Fatalf("segment %d, %#x, is not good", i, seq)
		}
		seq += 1 << 29
	}
	if a.snd.high>>32 != 2 || b.rcv.high != a.snd.high {
		t.Errorf("%#x sent, %#x received", a.snd.high, b.rcv.high)
	}
}

// TestInitialNumbersOfTCPAO: each direction counts from its own initial sequence
// number, and traffic keys are made anew when one of them turns out to be another.
func TestInitialNumbersOfTCPAO(t *testing.T) {
	a := newAOState([]*aoKey{{AOKey{Key: []byte("k")}}})
	derive := func() { a.keys[0].send, a.keys[0].recv = []byte("s"), []byte("r") }
	check := func(what string, snd, rcv uint64, kept bool) {
		t.Helper()
		if a.snd != (extended{snd, true}) || a.rcv != (extended{rcv, true}) || (a.keys[0].send != nil) != kept || (a.keys[0].recv != nil) != kept {
			t.Errorf("%s: %+v, %+v, keys %v", what, a.snd, a.rcv, *a.keys[0])
		}
		derive()
	}
	derive()
	a.numbers(10, 0) // our SYN
	check("a SYN", 10, 0, false)
	a.snd.advance(30)
	a.numbers(10, 20) // the peer's
	check("a SYN-ACK", 30, 20, false)
	a.rcv.advance(50)
	a.numbers(10, 20)
	check("the same", 30, 50, true)
	a.numbers(11, 20) // another SYN of ours
	check("another of ours", 11, 50, false)
	b := newAOState([]*aoKey{{AOKey{Key: []byte("k")}}})
	if b.numbers(0, 0); !b.snd.known || !b.rcv.known {
		t.Error("zero is a number as well")
	}
}

// TestBrokenOptionsAreSigned: the message of a header whose options do not parse
// ends with it, and is all of it.
func TestBrokenOptionsAreSigned(t *testing.T) {
	fixed := make([]byte, wire.TCPMinHeader)
	for _, options := range [][]byte{{}, {5}, {1, 5}, {5, 0, 9, 9}, {5, 1, 9, 9}, {5, 9, 1, 1}, {8, 4, 1, 1}, {1, 1, 1, 1}, {0, 5, 5, 5}} {
		header := append(slices.Clone(fixed), options...)
		got := new(AOKey).aoMessage(nil, 0, testLocal, testRemote, header, 0)
		if !bytes.HasSuffix(got, header) {
			t.Errorf("% x: % x", options, got)
		}
	}
}

// TestKeysOfAConnection: which keys a connection uses, as its program sees it.
func TestKeysOfAConnection(t *testing.T) {
	plain := story(t, "from established")
	if _, _, ok := plain.s.AOKeys(); ok || plain.s.SetAOCurrent(1) != errno.ENOTCONN || plain.s.SetAONext(1) != errno.ENOTCONN {
		t.Error("a connection without TCP-AO has keys")
	}
	s := story(t, `
		aokey old 1 2
		aokey new 3 4
		aocheck old,1,2
		connect
		> S seq 0
		< S. seq 0 ack 1 mss 1460 ao old,2,1
		> . seq 1 ack 1
	`)
	if current, next, ok := s.s.AOKeys(); !ok || current != 1 || next != 2 {
		t.Errorf("keys %d and %d, %v", current, next, ok)
	}
	if err := s.s.SetAOCurrent(4); err != errno.ENOENT {
		t.Errorf("no such SendID: %v", err)
	}
	if err := s.s.SetAONext(3); err != errno.ENOENT {
		t.Errorf("no such RecvID: %v", err)
	}
	if s.s.SetAOCurrent(3) != nil || s.s.SetAONext(4) != nil {
		t.Error("the second key cannot be chosen")
	}
	if current, next, _ := s.s.AOKeys(); current != 3 || next != 4 {
		t.Errorf("keys %d and %d", current, next)
	}
	states := s.s.AOKeyStates()
	if len(states) != 2 || states[0].SendID != 1 || states[0].Current || states[0].Next || states[0].Good != 1 ||
		states[1].SendID != 3 || !states[1].Current || !states[1].Next || states[1].Good != 0 || states[1].Bad != 0 {
		t.Errorf("%+v", states)
	}
	if states := plain.s.AOKeyStates(); len(states) != 0 {
		t.Errorf("without keys: %+v", states)
	}
}

// TestKeysAreDeletedByAllThatNamesThem: peers and both IDs.
func TestKeysAreDeletedByAllThatNamesThem(t *testing.T) {
	peer, other := netip.MustParsePrefix("10.0.0.2/32"), netip.MustParsePrefix("10.0.0.3/32")
	for _, s := range []*Socket{newScript(t, nil).s, story(t, "from established").s} {
		s.keys = &keyring{ao: []*aoKey{{AOKey{Peers: peer, SendID: 1, RecvID: 2, Key: []byte("k")}}}}
		for _, c := range []struct {
			peers      netip.Prefix
			send, recv uint8
			want       error
		}{{other, 1, 2, errno.ENOENT}, {peer, 2, 2, errno.ENOENT}, {peer, 1, 1, errno.ENOENT}, {peer, 1, 2, nil}, {peer, 1, 2, errno.ENOENT}} {
			if err := s.DeleteAOKey(c.peers, c.send, c.recv); err != c.want {
				t.Errorf("%v %d %d: %v, want %v", c.peers, c.send, c.recv, err, c.want)
			}
		}
	}
}

func TestKeySettings(t *testing.T) {
	s := newScript(t, nil).s
	peer := netip.MustParsePrefix("10.0.0.2/32")
	for _, c := range []struct {
		what string
		err  error
		want errno.Errno
	}{
		{"no prefix", s.SetMD5Key(netip.Prefix{}, []byte("k")), errno.EINVAL},
		{"a long key", s.SetMD5Key(peer, make([]byte, 81)), errno.EINVAL},
		{"nothing to remove", s.SetMD5Key(peer, nil), errno.ENOENT},
		{"no AO key", s.AddAOKey(AOKey{Peers: peer}), errno.EINVAL},
		{"a long AO key", s.AddAOKey(AOKey{Peers: peer, Key: make([]byte, 81)}), errno.EINVAL},
		{"no such algorithm", s.AddAOKey(AOKey{Peers: peer, Key: []byte("k"), Algorithm: 2}), errno.EINVAL},
		{"no AO key to remove", s.DeleteAOKey(peer, 1, 1), errno.ENOENT},
		{"no connection", s.SetAONext(1), errno.ENOTCONN},
		{"the longest key", s.SetMD5Key(peer, make([]byte, 80)), 0},
		{"the longest AO key", s.AddAOKey(AOKey{Peers: peer, Key: make([]byte, 80)}), 0},
		{"its removal", s.SetMD5Key(peer, nil), 0},
		{"its removal", s.DeleteAOKey(peer, 0, 0), 0},
	} {
		if c.err != c.want && (c.err != nil || c.want != 0) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
	for i := range MaxKeys {
		p := netip.PrefixFrom(source(i), 32)
		if err := s.SetMD5Key(p, []byte("k")); err != nil {
			t.Fatal(err)
		}
		if err := s.AddAOKey(AOKey{Peers: p, Key: []byte("k")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetMD5Key(peer, []byte("k")); err != errno.ENOMEM {
		t.Error(err)
	}
	if err := s.AddAOKey(AOKey{Peers: peer, Key: []byte("k")}); err != errno.ENOMEM {
		t.Error(err)
	}
	for mapped, want := range map[string]string{"::ffff:10.9.9.9/128": "10.9.9.9/32", "::ffff:10.9.9.9/96": "0.0.0.0/0", "::ffff:10.9.9.9/95": ""} {
		if p, ok := keyPrefix(netip.MustParsePrefix(mapped)); ok != (want != "") || ok && p != netip.MustParsePrefix(want) {
			t.Errorf("%s: %v %v, want %q", mapped, p, ok, want)
		}
	}
}
