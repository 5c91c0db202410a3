package engine

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
	"golang.org/x/sys/unix"
)

// bare is an engine without links and without programs.
func bare(t testing.TB) *engine {
	t.Helper()
	e := &engine{cfg: Config{Profile: "linux"}, log: slog.New(slog.DiscardHandler), ifindex: map[string]int{}}
	e.socks.max = 64
	var err error
	if e.poll, err = hostlink.NewPoller(pollerBatch); err != nil {
		t.Fatal(err)
	}
	if e.journal, err = newJournal(1024); err != nil {
		t.Fatal(err)
	}
	if err = e.makeStack(); err != nil {
		t.Fatal(err)
	}
	if err = e.openHelper(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range e.socks.byFD {
			if s != nil {
				s.closeE()
			}
		}
		e.close()
	})
	return e
}

// succeed lets a new engine take over from one in the same process, whose
// descriptor table stands for the keeper's, and ends the old one.
func succeed(t testing.TB, old *engine) (*engine, *adoption) {
	t.Helper()
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer hostlink.CloseFD(self)
	e := bare(t)
	a := e.adopt(legacy{keeper: self, journal: old.journal.mem.FD()})
	for _, s := range old.socks.byFD {
		if s != nil {
			s.closeE()
		}
	}
	return e, a
}

func (e *engine) mustStream(t testing.TB) (*stream, int) {
	t.Helper()
	s, p, no := e.newStream(sockopt.AFInet, true, nil)
	if no != 0 {
		t.Fatal(no)
	}
	t.Cleanup(func() { hostlink.CloseFD(p) })
	s.record()
	return s, p
}

func (e *engine) mustDgram(t testing.TB) (*dgram, int) {
	t.Helper()
	d, p, no := e.newDgram(sockopt.AFInet, true)
	if no != 0 {
		t.Fatal(no)
	}
	t.Cleanup(func() { hostlink.CloseFD(p) })
	d.record()
	return d, p
}

// revents is what poll(2) reports for fd now.
func revents(t testing.TB, fd int) int16 {
	t.Helper()
	list := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT}}
	if _, err := unix.Poll(list, 0); err != nil {
		t.Fatal(err)
	}
	return list[0].Revents
}

func TestJournalHoldsWhatWasAgreed(t *testing.T) {
	e := bare(t)
	s, _ := e.mustStream(t)
	s.phase, s.bound, s.agree().backlog, s.uid = phaseListening, true, 17, 1000
	s.agree().at = netip.MustParseAddrPort("10.98.0.2:80")
	s.keep(abi.SOL_SOCKET, unix.SO_REUSEADDR, []byte{1, 0, 0, 0})
	s.keep(unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("reno"))
	s.keep(abi.SOL_SOCKET, unix.SO_REUSEADDR, []byte{0, 0, 0, 0})
	s.keep(unix.IPPROTO_TCP, unix.TCP_CONGESTION, make([]byte, maxOptKept+1)) // too long
	k := &ties{mem: e.journal.mem, table: innerTies}
	x1 := tie{netip.MustParseAddrPort("10.98.0.2:80"), netip.MustParseAddrPort("10.98.0.1:5000")}
	x2 := tie{netip.MustParseAddrPort("[fd98::2]:80"), netip.MustParseAddrPort("[fd98::1]:5000")}
	first := k.Enter(x1.local, x1.peer)
	k.Enter(x2.local, x2.peer)
	k.Strike(first)
	d, _ := e.mustDgram(t)
	d.rdShut = true
	d.agree().peer = netip.MustParseAddrPort("[fd98::1]:53")
	d.domain = sockopt.AFInet6
	d.record()
	gone, _ := e.mustStream(t)
	gone.closeE()

	r, ok := openJournal(e.journal.mem.FD())
	if !ok {
		t.Fatal("the journal cannot be read")
	}
	if got := r.ties(innerTies); len(got) != 1 || got[0] != x2 || len(r.ties(outerTies)) != 0 {
		t.Errorf("connections: %v", got)
	}
	list := r.relics()
	if len(list) != 2 {
		t.Fatalf("%d relics, want 2: %+v", len(list), list)
	}
	slices.SortFunc(list, func(a, b relic) int { return int(a.kind) - int(b.kind) })
	x := list[0]
	if x.fd != s.fd || x.phase != phaseListening || x.backlog != 17 || x.uid != 1000 || x.at != s.dealt().at ||
		x.cookie != s.cookie || x.inode != s.inode || x.flags != flagBound || x.filled != s.filled || x.peer.IsValid() {
		t.Errorf("stream: %+v", x)
	}
	// In the order in which the values that count were set.
	if len(x.settings) != 2 || x.settings[1].val[0] != 0 || !bytes.HasPrefix(x.settings[0].val[:], []byte("reno")) || x.settings[0].len != 4 {
		t.Errorf("settings: %+v", x.settings)
	}
	if y := list[1]; y.peer != d.dealt().peer || y.at.IsValid() || y.flags != flagRdShut || y.domain != sockopt.AFInet6 {
		t.Errorf("dgram: %+v", y)
	}
}

func TestJournalHoldsCallsUnderWay(t *testing.T) {
	e := bare(t)
	var notes []int
	for id := range uint64(3) {
		req, note := e.place()
		*req = hostlink.Notification{ID: id + 1, TID: 7, Nr: abi.SYS_ACCEPT, Args: [6]uint64{3}}
		notes = append(notes, note)
	}
	c := call{eng: e, note: notes[1]}
	c.forget()
	c.forget() // no more
	r, _ := openJournal(e.journal.mem.FD())
	list := r.calls()
	if len(list) != 2 || list[0].ID != 1 || list[1].ID != 3 || list[1].Nr != abi.SYS_ACCEPT || list[1].Args[0] != 3 {
		t.Errorf("calls: %+v", list)
	}
	if _, note := e.place(); note != notes[1] {
		t.Errorf("the place of the call that ended is not used again: %d", note)
	}
}

func TestAdoptFreshSocket(t *testing.T) {
	old := bare(t)
	_, p := old.mustStream(t)
	e, _ := succeed(t, old)
	if got := revents(t, p); got != 0 {
		t.Errorf("poll: %#x, want nothing", got)
	}
	cookie, _ := hostlink.SocketCookie(p)
	s := e.socks.find(cookie)
	if s == nil || s.stream.phase != phaseIdle || s.stream.filled == 0 {
		t.Fatalf("socket: %+v", s)
	}
	// It can become a connection: the filling goes.
	s.stream.open(p)
	if got := revents(t, p); got != unix.POLLOUT {
		t.Errorf("poll of a connection: %#x, want POLLOUT", got)
	}
}

// TCP_FASTOPEN_KEY with two keys, the second of which is still good.
func TestAdoptFastOpenKeys(t *testing.T) {
	old := bare(t)
	s, _ := old.mustStream(t)
	keys := []byte("0123456789abcdeffedcba9876543210")
	s.keep(unix.IPPROTO_TCP, unix.TCP_FASTOPEN_KEY, keys)
	s.phase, s.agree().backlog = phaseListening, 5
	s.record()
	e, _ := succeed(t, old)
	got := e.socks.find(s.cookie)
	if got == nil || got.stream.tcp.Options().Rare().FastOpenKeys != string(keys) {
		t.Errorf("%+v", got)
	}
	if next, _ := succeed(t, e); next.socks.find(s.cookie).stream.tcp.Options().Rare().FastOpenKeys != string(keys) {
		t.Error("the second successor has other keys")
	}
}

func TestAdoptListener(t *testing.T) {
	old := bare(t)
	s, p := old.mustStream(t)
	s.keep(unix.IPPROTO_TCP, unix.TCP_NODELAY, []byte{1, 0, 0, 0})
	if err := s.tcp.Bind(netip.MustParseAddrPort("0.0.0.0:80"), 0, agreed); err != nil {
		t.Fatal(err)
	}
	s.agree().at, s.bound = s.tcp.LocalAddr(), true
	if err := s.tcp.Listen(5); err != nil {
		t.Fatal(err)
	}
	s.phase, s.agree().backlog = phaseListening, 5
	s.record()
	s.showWaiting(p, 3) // connections that die with the engine
	e, _ := succeed(t, old)
	got := e.socks.find(s.cookie)
	if got == nil || !got.stream.tcp.Listening() || got.stream.tcp.LocalAddr() != s.dealt().at || !got.stream.tcp.Options().NoDelay {
		t.Fatalf("listener: %+v", got)
	}
	// This process is no member of a sandbox, so P is not found, and the tokens
	// are counted with the next call.
	got.stream.showWaiting(p, 0)
	if n := hostlink.QueuedIn(p); n != 0 {
		t.Errorf("%d tokens are left", n)
	}
	got.stream.showWaiting(p, 1)
	if n := hostlink.QueuedIn(p); n != 1 {
		t.Errorf("%d tokens for one connection", n)
	}
}

func TestAdoptConnection(t *testing.T) {
	old := bare(t)
	s, p := old.mustStream(t)
	s.open(p)
	s.phase = phaseConnected
	s.record()
	if _, e := hostlink.Send(s.fd, []byte("before"), 0); e != 0 {
		t.Fatal(e)
	}
	if _, e := hostlink.Send(p, []byte("unsent"), 0); e != 0 { // what mourn plants when E is empty
		t.Fatal(e)
	}
	e, a := succeed(t, old)
	if a.lost != 1 {
		t.Errorf("%d connections lost", a.lost)
	}
	var b [16]byte
	if n, no := hostlink.Recv(p, b[:], 0); no != 0 || string(b[:n]) != "before" {
		t.Errorf("first read: %q, %v", b[:n], no)
	}
	tomb := e.socks.find(s.cookie)
	if tomb == nil || tomb.fd >= 0 || tomb.stream.phase != phaseEnded {
		t.Fatalf("tombstone: %+v", tomb)
	}
	if got := tomb.stream.takeError(p); got != errno.ECONNRESET {
		t.Errorf("SO_ERROR: %v", got)
	}
	if _, no := hostlink.Recv(p, b[:], 0); no != 0 {
		t.Errorf("read after SO_ERROR: %v, want the end of file", no)
	}
}

func TestAdoptDatagrams(t *testing.T) {
	old := bare(t)
	d, p := old.mustDgram(t)
	if err := d.udp.Bind(netip.MustParseAddrPort("127.0.0.1:53"), 0, agreed); err != nil {
		t.Fatal(err)
	}
	d.agree().at = d.udp.LocalAddr()
	to := netip.MustParseAddrPort("127.0.0.1:5353")
	if err := d.udp.Connect(to); err != nil {
		t.Fatal(err)
	}
	d.agree().peer = to
	d.record()
	if !d.enqueue(origin{from: to, size: 4}, []byte("wait")) {
		t.Fatal("no room")
	}
	e, _ := succeed(t, old)
	got := e.socks.find(d.cookie)
	if got == nil || got.dgram.udp.LocalAddr() != d.dealt().at || got.dgram.udp.RemoteAddr() != to {
		t.Fatalf("socket: %+v", got)
	}
	o, payload, no := got.dgram.take(p, false)
	if no != 0 || string(payload) != "wait" || o.from != to {
		t.Errorf("datagram: %q from %v, %v", payload, o.from, no)
	}
}

// What a slot says is about the socket that it names, and nothing else.
func TestAdoptNothingThatDoesNotMatch(t *testing.T) {
	for name, spoil := range map[string]func(b []byte){
		"cookie of E": func(b []byte) { b[slotEnd]++ },
		"kind":        func(b []byte) { b[slotKind] = slotDgram },
		"no kind":     func(b []byte) { b[slotKind] = 9 },
		"phase":       func(b []byte) { b[slotPhase] = 200 },
		"domain":      func(b []byte) { b[slotDomain] = 99 },
		"not valid":   func(b []byte) { b[slotValid] = 0 },
		"one socket":  func(b []byte) { copy(b[slotCookie:slotCookie+8], b[slotEnd:]) },
	} {
		old := bare(t)
		s, _ := old.mustStream(t)
		spoil(old.journal.b[slotAt(s.fd):])
		if e, _ := succeed(t, old); e.socks.live != 0 || len(e.socks.byCookie) != 0 {
			t.Errorf("%s: %d sockets", name, len(e.socks.byCookie))
		}
	}
	// A journal of another version is none.
	old := bare(t)
	old.mustStream(t)
	binary.NativeEndian.PutUint64(old.journal.b, journalMagic+1)
	if e, _ := succeed(t, old); e.socks.live != 0 {
		t.Error("a journal of another version was read")
	}
}

// A call that kills every engine that executes it again is given up.
func TestReissueEnds(t *testing.T) {
	e := bare(t)
	place, note := e.place()
	*place = hostlink.Notification{ID: 7}
	for i := range 2 * maxReissues {
		// Each engine notes what it found with the one before.
		found := *e.journal.mem.Notification(noteAt(note))
		if place, note = e.place(); note == noNote {
			t.Fatal("no place")
		}
		*place = found
		if got, want := e.dare(note), i < maxReissues; got != want {
			t.Errorf("attempt %d: %v, want %v", i+1, got, want)
		}
	}
	e.survived(note)
	if !e.dare(note) {
		t.Error("one that was executed is not tried again")
	}
	if !e.dare(noNote) {
		t.Error("one without a note is not tried")
	}
}

// FuzzJournal gives an engine a journal that somebody has overwritten.
func FuzzJournal(f *testing.F) {
	f.Add(uint32(0), []byte{1}, uint8(2))
	f.Add(uint32(slotPhase), []byte{byte(phaseListening), 2, 1}, uint8(1))
	f.Add(uint32(slotOptions), []byte{255, 255, 255, 255, 1, 2, 3}, uint8(1))
	f.Fuzz(func(t *testing.T, off uint32, junk []byte, where uint8) {
		old := bare(t)
		s, _ := old.mustStream(t)
		s.keep(abi.SOL_SOCKET, unix.SO_REUSEADDR, []byte{1, 0, 0, 0})
		s.agree().at = netip.MustParseAddrPort("0.0.0.0:80")
		s.record()
		d, _ := old.mustDgram(t)
		bases := []int{0, slotAt(s.fd), slotAt(d.fd), optionsAt(old.journal.slots, s.fd), noteAt(0), tieAt(outerTies, 0)}
		at := bases[int(where)%len(bases)] + int(off%slotLen)
		copy(old.journal.b[at:], junk)
		e, a := succeed(t, old)
		if e.socks.live > 2 || len(a.calls) > 0 {
			t.Errorf("%d sockets, %d calls", e.socks.live, len(a.calls))
		}
		a.reissue()
		e.stack.Flush()
	})
}

// What went with a SYN is lost with the engine: the next one must not connect
// again without it.
func TestTextOfASYNIsNotForgotten(t *testing.T) {
	s := stream{phase: phaseConnecting}
	if p := s.durable(); p != phaseConnecting {
		t.Errorf("without text phase %d", p)
	}
	s.early = true
	if p := s.durable(); p != phaseConnected {
		t.Errorf("with text phase %d", p)
	}
}
