package tcp

// Scripts drive sockets segment by segment: testdata/README.md is their manual,
// testdata/*/*.script are run by TestScripts, and tests that need Go besides
// call story.

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

type script struct {
	t *testing.T
	n *fakeNet
	l *Layer
	*flow
	flows []*flow
	line  string
	num   int
	want  string // what the line says behind "=": the result of its call

	began     time.Duration
	md5, ao   string        // what the peer checks with
	tolerance time.Duration // of lines with an instant
	out       []sent
}

// A flow is a socket under test and the peer that it talks to.
type flow struct {
	sc   *script
	name string
	s    *Socket
	lst  *Socket

	events        Events
	got           int
	room          int // bytes that the owner takes, -1: all
	local, remote netip.Addr
	lport, rport  uint16
	iss           uint32
	known         bool // iss is
	tsBase        uint32
	tsOK          bool

	// Every byte of a script's data follows from its place in the stream, so that
	// what is delivered and sent can be checked.
	wrote, before int    // by the present connection; delivered by earlier ones
	fed           bool   // the script has sent text with the pattern
	bad           string // what was wrong
}

const peerISS = 10000

type sent struct {
	h    wire.TCP
	len  int
	gso  int
	tos  uint8
	ttl  uint8
	noDF bool
	at   time.Duration
	f    *flow
}

// fakeNet records what is transmitted.
type fakeNet struct {
	now    time.Duration
	secret [32]byte
	pool   buf.Pool
	script *script
	mtu    int
	gso    int
	rand   uint32

	unreachable []errno.Errno
}

var (
	testLocal     = netip.MustParseAddr("10.0.0.1")
	testRemote    = netip.MustParseAddr("10.0.0.2")
	testBroadcast = netip.MustParseAddr("10.0.0.255")
	testLocal6    = netip.MustParseAddr("fd00::1")
	testRemote6   = netip.MustParseAddr("fd00::2")
)

func (n *fakeNet) Now() time.Duration { return n.now }
func (n *fakeNet) Rand32() uint32     { n.rand = n.rand*1664525 + 1013904223; return n.rand }
func (n *fakeNet) Secret() *[32]byte  { return &n.secret }
func (n *fakeNet) IsLocal(addr netip.Addr) bool {
	return addr == testLocal || addr == testLocal6 || addr.IsLoopback()
}
func (n *fakeNet) IsBroadcast(addr netip.Addr) bool { return addr == testBroadcast }
func (n *fakeNet) Wake()                            {}
func (n *fakeNet) Unreachable(_ *Rx, e errno.Errno) { n.unreachable = append(n.unreachable, e) }

func (n *fakeNet) Route(_, dst netip.Addr, _ int) (Path, error) {
	if dst == netip.MustParseAddr("203.0.113.1") {
		return Path{}, errno.ENETUNREACH
	}
	src := testLocal
	if dst.Is6() {
		src = testLocal6
	}
	return Path{Src: src, Dst: dst, MTU: n.mtu, GSOMax: n.gso, Link: 1}, nil
}

func (n *fakeNet) Transmit(p *Path, h *wire.TCP, payload [][]byte, gso int) {
	s := n.script
	f := s.flowOf(h)
	if !f.known && h.Flags&wire.TCPSyn != 0 {
		f.iss, f.known = h.Seq, true
		f.lport = h.SrcPort
	}
	if h.HasTS && !f.tsOK {
		f.tsBase, f.tsOK = h.TSVal, true
	}
	size := 0
	for _, b := range payload {
		f.checkSent(int(int32(h.Seq-f.iss))-1+size, b)
		size += len(b)
	}
	out := *h
	out.Extra = slices.Clone(h.Extra)
	s.checkSigned(p, h, payload)
	s.out = append(s.out, sent{out, size, gso, p.TOS, p.TTL, p.NoDF, n.now, f})
}

// flowOf is the flow that a segment belongs to.
func (s *script) flowOf(h *wire.TCP) *flow {
	for _, f := range s.flows {
		if f.rport == h.DstPort && (f.lport == h.SrcPort || f.lport == 0) {
			return f
		}
	}
	return s.flow
}

// pattern is byte i of every stream.
func pattern(i int) byte { return byte(i ^ i>>8*7 ^ i>>16*13) }

func patterned(at, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = pattern(at + i)
	}
	return b
}

// checkSent compares the payload b from byte at on with what was written.
func (f *flow) checkSent(at int, b []byte) {
	if !f.known || at < 0 || at+len(b) > f.wrote {
		return
	}
	for i := range b {
		if b[i] != pattern(at+i) && f.bad == "" {
			f.bad = fmt.Sprintf("byte %d was sent wrong", at+i+1)
		}
	}
}

// Deliver and Event make the flow the owner of its socket.
func (f *flow) Deliver(p []byte) int {
	n := len(p)
	if f.room >= 0 {
		n = min(n, f.room)
		f.room -= n
	}
	for i := range p[:n] {
		if at := f.got - f.before + i; f.fed && p[i] != pattern(at) && f.bad == "" {
			f.bad = fmt.Sprintf("byte %d was delivered wrong", at+1)
		}
	}
	f.got += n
	return n
}

func (f *flow) Event(ev Events) { f.events |= ev }

// begin notes that the socket has another connection.
func (f *flow) begin() { f.before, f.wrote, f.fed = f.got, 0, false }

var noPrivilege sockopt.Privilege

func testTunables(t testing.TB, set map[string]string) (*sockopt.Profile, *sockopt.Tunables) {
	t.Helper()
	return profileTunables(t, "linux", set)
}

func profileTunables(t testing.TB, name string, set map[string]string) (*sockopt.Profile, *sockopt.Tunables) {
	t.Helper()
	profile, err := sockopt.ProfileByName(name)
	if err != nil {
		t.Fatal(err)
	}
	tun, err := sockopt.NewTunables(profile, set)
	if err != nil {
		t.Fatal(err)
	}
	return profile, tun
}

func testLayer(t testing.TB, n Network, pool *buf.Pool) *Layer {
	p, tun := testTunables(t, nil)
	return NewLayer(n, pool, p, tun)
}

// setting is the header of a script.
type setting struct {
	tunables map[string]string
	profile  string
	v6       bool
	mtu      int
}

func newScript(t *testing.T, tunables map[string]string) *script {
	t.Helper()
	return newScriptWith(t, setting{tunables: tunables, profile: "linux", mtu: 1500})
}

func newScriptWith(t *testing.T, set setting) *script {
	t.Helper()
	s := &script{t: t, tolerance: time.Millisecond}
	s.n = &fakeNet{now: time.Hour, mtu: set.mtu, gso: 65000, script: s}
	s.began = s.n.now
	profile, tun := profileTunables(t, set.profile, set.tunables)
	s.l = NewLayer(s.n, &s.n.pool, profile, tun)
	s.flow = s.newFlow("a", 5000, testLocal, testRemote)
	if set.v6 {
		s.flow.local, s.flow.remote = testLocal6, testRemote6
	}
	s.s = s.l.NewSocket(s.domain(), s.flow)
	return s
}

func (s *script) newFlow(name string, port uint16, local, remote netip.Addr) *flow {
	f := &flow{sc: s, name: name, room: -1, rport: port, local: local, remote: remote}
	s.flows = append(s.flows, f)
	return f
}

func (f *flow) domain() int {
	if f.local.Is6() {
		return afInet6
	}
	return afInet
}

// prologues bring the socket under test into a state in which stories begin.
var prologues = map[string]string{
	"established": "connect\n> S seq 0\n< S. seq 0 ack 1 win 65535 mss 1460\n> . seq 1 ack 1\nevent connected writable",
	"sack":        "connect\n> S seq 0\n< S. seq 0 ack 1 win 65535 mss 1460 sackok\n> . seq 1 ack 1\nevent connected writable",
	"timestamps":  "connect\n> S seq 0\n< S. seq 0 ack 1 win 65535 mss 1460 ts 100 0\n> . seq 1 ack 1\nevent connected writable",
	"far":         "connect\n> S seq 0\n+100ms < S. seq 0 ack 1 win 65535 mss 1460 sackok\n> . seq 1 ack 1\nevent connected writable",
	"far-ts":      "connect\n> S seq 0\n+100ms < S. seq 0 ack 1 win 65535 mss 1472 sackok ts 100 0\n> . seq 1 ack 1\nevent connected writable",
	"far-nosack":  "connect\n> S seq 0\n+100ms < S. seq 0 ack 1 win 65535 mss 1460\n> . seq 1 ack 1\nevent connected writable",
	"accepted":    "listen 5\n< S seq 0 win 65535 mss 1460\n> S. seq 0 ack 1\n< . seq 1 ack 1 win 65535\naccept",
}

// header takes the lines that describe the world from the script.
func (set *setting) header(words []string) {
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "profile":
			set.profile = v
		case "ip":
			set.v6 = v == "6"
		case "mtu":
			fmt.Sscan(v, &set.mtu)
		default:
			set.tunables[k] = strings.ReplaceAll(v, ",", " ")
		}
	}
}

// story runs a script.
func story(t *testing.T, text string) *script {
	t.Helper()
	set := setting{tunables: map[string]string{}, profile: "linux", mtu: 1500}
	type numbered struct {
		num  int
		text string
	}
	var lines []numbered
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "with":
			set.header(words)
		case words[0] == "from":
			p, ok := prologues[words[1]]
			if !ok {
				t.Fatalf("line %d: no prologue %q", i+1, words[1])
			}
			for _, l := range strings.Split(p, "\n") {
				lines = append(lines, numbered{i + 1, l})
			}
		default:
			lines = append(lines, numbered{i + 1, line})
		}
	}
	s := newScriptWith(t, set)
	for _, line := range lines {
		s.num, s.line = line.num, line.text
		s.step(line.text)
	}
	s.l.Flush()
	s.line = "end"
	if len(s.out) > 0 {
		s.fail("sent beyond the script: %s", s.show(s.out[0]))
	}
	return s
}

// end takes everything down, and nothing may be left: no memory, no record, no
// timer.
func (s *script) end() {
	s.t.Helper()
	s.line = "after the end"
	for _, f := range s.flows {
		if f.lst != nil {
			f.lst.Close()
		}
		if f.s != nil {
			f.s.Abort()
		}
	}
	s.pass(2 * time.Hour)
	for what, n := range map[string]int{
		"bytes of memory": s.n.pool.InUse(), "bytes out of order": s.l.ooo.bytes, "connections": len(s.l.conns),
		"half-open": len(s.l.half), "in TIME-WAIT": len(s.l.waits.byTuple), "orphans": s.l.orphans,
		"timers": len(s.l.timers), "shared ports": len(s.l.shared),
	} {
		if n != 0 {
			s.fail("%d %s are left", n, what)
		}
	}
}

func (s *script) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("line %d: %s: %s", s.num, s.line, fmt.Sprintf(format, args...))
}

// step runs one line: an instant, a segment, a call, or the first before one of
// the others.
func (s *script) step(line string) {
	s.t.Helper()
	line, s.want, _ = strings.Cut(line, " = ")
	s.want = strings.TrimSpace(s.want)
	words := strings.Fields(line)
	if line[0] == '+' || line[0] == '@' {
		d, err := time.ParseDuration(words[0][1:])
		if err != nil {
			s.fail("%v", err)
		}
		if line[0] == '@' {
			d -= s.n.now - s.began
		}
		words = words[1:]
		if len(words) > 1 && words[0] == ">" && words[1] != "none" {
			s.expectAfter(d, words[1:])
			return
		}
		s.pass(d)
	}
	switch {
	case len(words) == 0:
	case words[0] == "<":
		s.input(words[1:])
	case words[0] == ">":
		s.expect(words[1:])
	default:
		verb := verbs[words[0]]
		if verb == nil {
			s.fail("unknown verb")
		}
		verb(s, words[1:])
	}
	for _, f := range s.flows {
		if f.bad != "" {
			s.fail("%s %s", f.name, f.bad)
		}
	}
}

// pass lets d go by.
func (s *script) pass(d time.Duration) { s.runUntil(s.n.now+d, func() bool { return false }) }

// runUntil runs timers up to the instant end, or until done.
func (s *script) runUntil(end time.Duration, done func() bool) {
	s.l.Flush()
	for !done() {
		at, ok := s.l.Deadline()
		if !ok || at > end {
			s.n.now = max(s.n.now, end)
			return
		}
		s.n.now = max(s.n.now, at)
		s.l.Advance()
		s.l.Flush()
	}
}

// expectAfter is expect for a segment that must be sent when d has passed.
func (s *script) expectAfter(d time.Duration, words []string) {
	s.t.Helper()
	due := s.n.now + d
	s.runUntil(due+s.tolerance, func() bool { return len(s.out) > 0 })
	if len(s.out) > 0 {
		if off := s.out[0].at - due; off > s.tolerance || off < -s.tolerance {
			s.fail("sent at %v instead of %v: %s", s.out[0].at-s.began, due-s.began, s.show(s.out[0]))
		}
	}
	s.expect(words)
}

func (s *script) same(what string, got, want any) {
	s.t.Helper()
	if got != want {
		s.fail("%s: %v, want %v", what, got, want)
	}
}
