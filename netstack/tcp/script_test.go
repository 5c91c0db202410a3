package tcp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Scripts drive one socket segment by segment. Sequence numbers are relative:
// ours to our ISS, the peer's to 10000. A line is one of
//
//	< S. seq 0 ack 1 len 10 win 1000 mss 1460 ws 7 ts 5 0 sack 1-10 urg 1 sackok
//	                     the peer sends this (flags: S F R P U and . for ACK)
//	> . seq 1 ack 11     the socket must have sent exactly this as its next
//	                     segment; only the fields that are named are compared
//	> none               and nothing else
//	+40ms                time passes
//	VERB ARGS            a call or a check, see verbs below
//
// The text after # is a comment.
type script struct {
	t    *testing.T
	n    *fakeNet
	l    *Layer
	s    *Socket // the socket under test
	lst  *Socket
	line string
	num  int

	events Events
	got    int
	room   int // bytes that the owner takes, -1: all
	out    []sent
	lport  uint16
	rport  uint16
	iss    uint32
	known  bool // iss is
	tsBase uint32
	tsOK   bool
}

const peerISS = 10000

type sent struct {
	h   wire.TCP
	len int
	gso int
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
	testLocal  = netip.MustParseAddr("10.0.0.1")
	testRemote = netip.MustParseAddr("10.0.0.2")
)

func (n *fakeNet) Now() time.Duration               { return n.now }
func (n *fakeNet) Rand32() uint32                   { n.rand = n.rand*1664525 + 1013904223; return n.rand }
func (n *fakeNet) Secret() *[32]byte                { return &n.secret }
func (n *fakeNet) IsLocal(addr netip.Addr) bool     { return addr == testLocal || addr.IsLoopback() }
func (n *fakeNet) Wake()                            {}
func (n *fakeNet) Unreachable(_ *Rx, e errno.Errno) { n.unreachable = append(n.unreachable, e) }

func (n *fakeNet) Route(_, dst netip.Addr, _ int) (Path, error) {
	if dst == netip.MustParseAddr("203.0.113.1") {
		return Path{}, errno.ENETUNREACH
	}
	src := testLocal
	if dst.Is6() {
		src = netip.MustParseAddr("fd00::1")
	}
	return Path{Src: src, Dst: dst, MTU: n.mtu, GSOMax: n.gso, Link: 1}, nil
}

func (n *fakeNet) Transmit(_ *Path, h *wire.TCP, payload [][]byte, gso int) {
	size := 0
	for _, p := range payload {
		size += len(p)
	}
	s := n.script
	if !s.known && h.Flags&wire.TCPSyn != 0 {
		s.iss, s.known = h.Seq, true
		s.lport = h.SrcPort
	}
	if h.HasTS && !s.tsOK {
		s.tsBase, s.tsOK = h.TSVal, true
	}
	s.out = append(s.out, sent{*h, size, gso})
}

// Deliver and Event make the script the owner of the socket.
func (s *script) Deliver(p []byte) int {
	n := len(p)
	if s.room >= 0 {
		n = min(n, s.room)
		s.room -= n
	}
	s.got += n
	return n
}

func (s *script) Event(ev Events) { s.events |= ev }

var noPrivilege sockopt.Privilege

func testTunables(t testing.TB, set map[string]string) (*sockopt.Profile, *sockopt.Tunables) {
	t.Helper()
	profile, err := sockopt.ProfileByName("linux")
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

func newScript(t *testing.T, tunables map[string]string) *script {
	t.Helper()
	s := &script{t: t, room: -1, rport: 5000}
	s.n = &fakeNet{now: time.Hour, mtu: 1500, gso: 65000, script: s}
	profile, tun := testTunables(t, tunables)
	s.l = NewLayer(s.n, &s.n.pool, profile, tun)
	s.s = s.l.NewSocket(afInet, s)
	return s
}

// prologues bring the socket under test into a state in which stories begin.
var prologues = map[string]string{
	"established": "connect\n> S seq 0\n< S. seq 0 ack 1 win 65535 mss 1460\n> . seq 1 ack 1\nevent connected writable",
	"sack":        "connect\n> S seq 0\n< S. seq 0 ack 1 win 65535 mss 1460 sackok\n> . seq 1 ack 1\nevent connected writable",
	"timestamps":  "connect\n> S seq 0\n< S. seq 0 ack 1 win 65535 mss 1460 ts 100 0\n> . seq 1 ack 1\nevent connected writable",
	"accepted":    "listen 5\n< S seq 0 win 65535 mss 1460\n> S. seq 0 ack 1\n< . seq 1 ack 1 win 65535\naccept",
}

// story runs a script; the first line may be "from NAME" with a prologue and
// "with NAME=VALUE…" sets tunables.
func story(t *testing.T, text string) *script {
	t.Helper()
	tunables := map[string]string{}
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "with":
			for _, w := range words[1:] {
				k, v, _ := strings.Cut(w, "=")
				tunables[k] = strings.ReplaceAll(v, ",", " ")
			}
		case words[0] == "from":
			lines = append(lines, strings.Split(prologues[words[1]], "\n")...)
		default:
			lines = append(lines, line)
		}
	}
	s := newScript(t, tunables)
	for i, line := range lines {
		s.num, s.line = i+1, line
		s.step(line)
	}
	s.l.Flush()
	s.line = "end"
	if len(s.out) > 0 {
		s.fail("sent beyond the script: %s", s.show(s.out[0]))
	}
	return s
}

func (s *script) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("line %d: %s: %s", s.num, s.line, fmt.Sprintf(format, args...))
}

func (s *script) step(line string) {
	s.t.Helper()
	words := strings.Fields(line)
	switch {
	case words[0] == "<":
		s.input(words[1:])
	case words[0] == ">":
		s.expect(words[1:])
	case line[0] == '+':
		d, err := time.ParseDuration(line[1:])
		if err != nil {
			s.fail("%v", err)
		}
		s.pass(d)
	default:
		verb := verbs[words[0]]
		if verb == nil {
			s.fail("unknown verb")
		}
		verb(s, words[1:])
	}
}

func (s *script) pass(d time.Duration) {
	end := s.n.now + d
	s.l.Flush()
	for {
		at, ok := s.l.Deadline()
		if !ok || at > end {
			break
		}
		s.n.now = max(s.n.now, at)
		s.l.Advance()
		s.l.Flush()
	}
	s.n.now = end
}

var flagLetters = map[rune]wire.TCPFlags{
	'S': wire.TCPSyn, 'F': wire.TCPFin, 'R': wire.TCPRst, 'P': wire.TCPPsh, 'U': wire.TCPUrg, '.': wire.TCPAck, '0': 0,
}

func (s *script) number(w string) int {
	n, err := strconv.Atoi(w)
	if err != nil {
		s.fail("%v", err)
	}
	return n
}

func (s *script) flags(w string) (f wire.TCPFlags) {
	for _, r := range w {
		b, ok := flagLetters[r]
		if !ok {
			s.fail("flag %c", r)
		}
		f |= b
	}
	return f
}

// input builds the peer's segment and hands it in.
func (s *script) input(words []string) {
	rx := Rx{Src: testRemote, Dst: testLocal, Link: 1, TTL: 64}
	h := &rx.Header
	*h = wire.TCP{SrcPort: s.rport, DstPort: s.lport, WScale: -1, Flags: s.flags(words[0]), Seq: peerISS, Window: 65535}
	for i := 1; i < len(words); i++ {
		arg := func() int { i++; return s.number(words[i]) }
		switch words[i] {
		case "seq":
			h.Seq = peerISS + uint32(arg())
		case "ack":
			h.Ack = s.iss + uint32(arg())
		case "len":
			rx.Payload = make([]byte, arg())
		case "gso":
			rx.GSOSize = arg()
		case "win":
			h.Window = uint16(arg())
		case "mss":
			h.MSS = uint16(arg())
		case "ws":
			h.WScale = int8(arg())
		case "urg":
			h.Urgent = uint16(arg())
		case "sackok":
			h.SACKPermitted = true
		case "port":
			h.SrcPort = uint16(arg())
		case "to":
			h.DstPort = uint16(arg())
		case "ts":
			h.HasTS = true
			h.TSVal = uint32(arg())
			if e := arg(); e != 0 {
				h.TSEcr = s.tsBase + uint32(e)
			} else if s.tsOK {
				h.TSEcr = s.tsBase
			}
		case "sack":
			i++
			for _, b := range strings.Split(words[i], ",") {
				l, r, _ := strings.Cut(b, "-")
				h.SACK[h.NSACK] = wire.SACKBlock{Left: s.iss + uint32(s.number(l)), Right: s.iss + uint32(s.number(r))}
				h.NSACK++
			}
		default:
			s.fail("word %q", words[i])
		}
	}
	s.l.Input(&rx)
}

func (s *script) show(o sent) string {
	var f strings.Builder
	for _, r := range "SFRPU." {
		if o.h.Flags&flagLetters[r] != 0 {
			f.WriteRune(r)
		}
	}
	text := fmt.Sprintf("%s seq %d len %d win %d", &f, o.h.Seq-s.iss, o.len, o.h.Window)
	if o.h.Flags&wire.TCPAck != 0 {
		text += fmt.Sprintf(" ack %d", o.h.Ack-peerISS)
	}
	if o.h.Flags&wire.TCPSyn != 0 {
		text += fmt.Sprintf(" mss %d ws %d sackok %v", o.h.MSS, o.h.WScale, o.h.SACKPermitted)
	}
	if o.h.HasTS {
		text += fmt.Sprintf(" ts %d ecr %d", o.h.TSVal-s.tsBase, o.h.TSEcr)
	}
	for _, b := range o.h.SACK[:o.h.NSACK] {
		text += fmt.Sprintf(" sack %d-%d", b.Left-peerISS, b.Right-peerISS)
	}
	return text
}

// expect compares the next segment sent. "len" is 0 unless it is named.
func (s *script) expect(words []string) {
	s.l.Flush()
	if words[0] == "none" {
		if len(s.out) > 0 {
			s.fail("sent %s", s.show(s.out[0]))
		}
		return
	}
	if len(s.out) == 0 {
		s.fail("nothing was sent")
	}
	o := s.out[0]
	s.out = s.out[1:]
	h := &o.h
	size := 0
	check := func(what string, got, want int) {
		if got != want {
			s.fail("%s is %d, want %d, in %s", what, got, want, s.show(o))
		}
	}
	if f := s.flags(words[0]); h.Flags != f {
		s.fail("flags %s, want %s, in %s", h.Flags, f, s.show(o))
	}
	for i := 1; i < len(words); i++ {
		arg := func() int { i++; return s.number(words[i]) }
		switch words[i] {
		case "seq":
			check("seq", int(int32(h.Seq-s.iss)), arg())
		case "rawseq":
			check("seq", int(h.Seq), arg())
		case "ack":
			check("ack", int(int32(h.Ack-peerISS)), arg())
		case "len":
			size = arg()
		case "gso":
			check("gso", o.gso, arg())
		case "win":
			check("win", int(h.Window), arg())
		case "mss":
			check("mss", int(h.MSS), arg())
		case "ws":
			check("ws", int(h.WScale), arg())
		case "urg":
			check("urg", int(h.Urgent), arg())
		case "sackok":
			if !h.SACKPermitted {
				s.fail("no SACK-permitted in %s", s.show(o))
			}
		case "nots":
			if h.HasTS {
				s.fail("timestamp in %s", s.show(o))
			}
		case "ts":
			if !h.HasTS {
				s.fail("no timestamp in %s", s.show(o))
			}
		case "ecr":
			check("tsecr", int(h.TSEcr), arg())
		case "sack":
			i++
			var have []string
			for _, b := range h.SACK[:h.NSACK] {
				have = append(have, fmt.Sprintf("%d-%d", b.Left-peerISS, b.Right-peerISS))
			}
			if got := strings.Join(have, ","); got != words[i] {
				s.fail("sack %q in %s", got, s.show(o))
			}
		default:
			s.fail("word %q", words[i])
		}
	}
	check("len", o.len, size)
}

var eventNames = map[string]Events{
	"connected": EventConnected, "acceptable": EventAcceptable, "writable": EventWritable, "eof": EventEOF,
	"error": EventError, "urgent": EventUrgent, "closed": EventClosed, "none": 0,
}

// verbs are the calls and checks of scripts.
var verbs = map[string]func(s *script, args []string){
	"connect": func(s *script, _ []string) {
		if err := s.s.Connect(netip.AddrPortFrom(testRemote, s.rport)); err != errno.EINPROGRESS {
			s.fail("%v", err)
		}
	},
	"listen": func(s *script, args []string) {
		s.lport = 80
		s.lst = s.s
		if err := s.s.Bind(netip.AddrPortFrom(testLocal, 80), 0, sockopt.Privilege{NetBindService: true}); err != nil {
			s.fail("%v", err)
		}
		if err := s.s.Listen(s.number(args[0])); err != nil {
			s.fail("%v", err)
		}
	},
	"accept": func(s *script, _ []string) {
		c, err := s.lst.Accept()
		if err != nil {
			s.fail("%v", err)
		}
		s.s, s.events = c, 0
		c.SetOwner(s)
		c.Resume()
	},
	"queue": func(s *script, args []string) { s.same("accept queue", s.lst.AcceptQueueLen(), s.number(args[0])) },
	"half":  func(s *script, args []string) { s.same("half-open", len(s.l.half), s.number(args[0])) },
	"waits": func(s *script, args []string) { s.same("in TIME-WAIT", len(s.l.waits.byTuple), s.number(args[0])) },
	"write": func(s *script, args []string) {
		s.same("written", s.s.Write(make([]byte, s.number(args[0]))), s.number(args[0]))
	},
	"urgent": func(s *script, args []string) { s.s.WriteUrgent(make([]byte, s.number(args[0]))) },
	"ahead": func(s *script, args []string) {
		n, ok := s.s.UrgentOffset()
		s.same("pending", ok, true)
		s.same("ahead", n, s.number(args[0]))
	},
	"closew":  func(s *script, _ []string) { s.s.CloseWrite() },
	"closer":  func(s *script, _ []string) { s.s.CloseRead() },
	"close":   func(s *script, _ []string) { s.s.Close() },
	"abort":   func(s *script, _ []string) { s.s.Abort() },
	"resume":  func(s *script, _ []string) { s.s.Resume() },
	"take":    func(s *script, args []string) { s.room = s.number(args[0]) },
	"got":     func(s *script, args []string) { s.same("delivered", s.got, s.number(args[0])) },
	"unread":  func(s *script, args []string) { s.same("unread", s.s.Unread(), s.number(args[0])) },
	"port":    func(s *script, args []string) { s.rport = uint16(s.number(args[0])) },
	"forget":  func(s *script, _ []string) { s.known, s.out = false, nil },
	"skip":    func(s *script, _ []string) { s.l.Flush(); s.out = nil },
	"nodelay": func(s *script, _ []string) { s.s.opts.NoDelay = true; s.s.Changed(sockopt.NoDelay) },
	"cork":    func(s *script, args []string) { s.s.opts.Cork = args[0] == "on"; s.s.Changed(sockopt.Cork) },
	"keepalive": func(s *script, args []string) {
		o := &s.s.opts
		o.KeepAlive, o.KeepCnt = true, int32(s.number(args[2]))
		o.KeepIdle, o.KeepIntvl = time.Duration(s.number(args[0]))*time.Second, time.Duration(s.number(args[1]))*time.Second
		s.s.Changed(sockopt.KeepAlive)
	},
	"usertimeout": func(s *script, args []string) { s.s.opts.UserTimeout = time.Duration(s.number(args[0])) * time.Second },
	"linger0":     func(s *script, _ []string) { s.s.opts.Linger = sockopt.LingerSetting{On: true} },
	"rcvbuf": func(s *script, args []string) {
		s.s.opts.RcvBuf, s.s.opts.RcvBufLocked = 2*int32(s.number(args[0])), true
	},
	"defer":    func(s *script, args []string) { s.s.opts.DeferAccept = time.Duration(s.number(args[0])) * time.Second },
	"quickack": func(s *script, args []string) { s.s.opts.QuickAck = args[0] == "on"; s.s.Changed(sockopt.QuickAck) },
	"cwnd":     func(s *script, args []string) { s.same("cwnd", int(s.s.conn.cwnd), s.number(args[0])) },
	"setcwnd":  func(s *script, args []string) { s.s.conn.cwnd = uint32(s.number(args[0])) },
	"ssthresh": func(s *script, args []string) { s.same("ssthresh", int(s.s.conn.ssthresh), s.number(args[0])) },
	"mss":      func(s *script, args []string) { s.same("mss", s.s.MSS(), s.number(args[0])) },
	"gso": func(s *script, args []string) {
		s.n.gso = s.number(args[0])
		if s.s.conn != nil {
			s.s.conn.path.GSOMax = s.n.gso
		}
	},
	"state": func(s *script, args []string) { s.l.Flush(); s.same("state", s.s.State().String(), args[0]) },
	"err": func(s *script, args []string) {
		name := "0"
		if s.s.Err() != 0 {
			name = s.s.Err().Name()
		}
		s.same("error", name, args[0])
	},
	"icmp": func(s *script, args []string) {
		// icmp SEQ hard|soft|MTU
		seq := s.iss + uint32(s.number(args[0]))
		q := []byte{byte(s.lport >> 8), byte(s.lport), byte(s.rport >> 8), byte(s.rport), byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq)}
		e := ICMPError{Errno: errno.EHOSTUNREACH}
		switch args[1] {
		case "hard":
			e = ICMPError{Errno: errno.ECONNREFUSED, Hard: true}
		case "soft":
		default:
			e = ICMPError{MTU: s.number(args[1])}
		}
		s.l.ICMP(testLocal, testRemote, q, e)
	},
	"event": func(s *script, args []string) {
		s.l.Flush()
		var want Events
		for _, a := range args {
			e, ok := eventNames[a]
			if !ok {
				s.fail("event %q", a)
			}
			want |= e
		}
		s.same("events", s.events, want)
		s.events = 0
	},
}

func (s *script) same(what string, got, want any) {
	s.t.Helper()
	if got != want {
		s.fail("%s: %v, want %v", what, got, want)
	}
}

// stories runs named scripts as subtests.
func stories(t *testing.T, list map[string]string) {
	for name, text := range list {
		t.Run(name, func(t *testing.T) { story(t, text) })
	}
}
