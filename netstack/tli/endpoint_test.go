package tli

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func TestOpen(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.p[0].Open("/dev/udp"); err != TBADNAME {
		t.Errorf("/dev/udp: %v", err)
	}
	e, info, err := w.p[0].Open("/dev/tcp6")
	want := Info{Addr: 28, Options: maxOptions, ETSDU: TInfinite, Connect: TInvalid, Discon: TInvalid, ServType: TCOTSOrd}
	if err != nil || info != want {
		t.Errorf("%+v, %v", info, err)
	}
	if got, err := e.GetInfo(); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestConversation is a connection from t_open to t_close with an orderly
// release, and another one on the same endpoints.
func TestConversation(t *testing.T) {
	for _, name := range sockopt.ProfileNames() {
		t.Run(name, func(t *testing.T) { conversation(t, newWorldOf(t, name)) })
	}
}

func conversation(t *testing.T, w *world) {
	l := w.bound(1, 8000, 3)
	if _, err := l.Listen(); err != TNODATA {
		t.Errorf("nobody calls: %v", err)
	}
	for range 2 {
		a, b := w.calling(l)
		w.accept(l, b)
		w.in(l, TIdle)
		if w.told[a] == 0 || w.told[l] == 0 {
			t.Error("nobody was told")
		}
		local, peer, err := b.Addrs()
		if err != nil || local != l.local || peer != a.local {
			t.Errorf("addresses %v %v, %v", local, peer, err)
		}
		w.look(a, 0)
		w.moves(a, b, "a question")
		w.moves(b, a, "an answer")
		if _, _, err := a.Rcv(make([]byte, 1)); err != TNODATA {
			t.Errorf("nothing to receive: %v", err)
		}
		// What is on its way before the release comes before it.
		if _, err := a.Snd([]byte("last words"), TMore); err != nil {
			t.Error(err)
		}
		w.want("sndrel", a.SndRel(), nil)
		w.in(a, TOutRel)
		w.settle()
		w.look(b, TData)
		w.want("rcvrel early", b.RcvRel(), TNOREL)
		got := make([]byte, 4)
		for _, want := range []string{"last", " wor", "ds"} {
			if n, _, err := b.Rcv(got); err != nil || string(got[:n]) != want {
				t.Errorf("%q, %v, want %q", got[:n], err, want)
			}
		}
		w.look(b, TOrdRel)
		if _, _, err := b.Rcv(got); err != TLOOK {
			t.Errorf("behind the end: %v", err)
		}
		if _, err := b.Snd([]byte("x"), 0); err != TLOOK {
			t.Errorf("before the end was taken: %v", err)
		}
		w.want("rcvrel", b.RcvRel(), nil)
		w.in(b, TInRel)
		w.look(b, 0)
		w.moves(b, a, "still here")
		w.want("sndrel", b.SndRel(), nil)
		w.in(b, TIdle)
		w.settle()
		w.look(a, TOrdRel)
		w.want("rcvrel", a.RcvRel(), nil)
		w.in(a, TIdle)
		w.want("unbind", a.Unbind(), nil)
		w.want("close", a.Close(), nil)
		w.want("close", b.Close(), nil)
		if err := b.Close(); err != TBADF {
			t.Errorf("closed twice: %v", err)
		}
	}
	w.want("close", l.Close(), nil)
	w.wait(5 * time.Minute)
	for i, s := range w.stacks {
		for x := range s.TCP().Sockets {
			t.Errorf("stack %d: a socket is left in %v", i, x.State())
		}
	}
}

// TestDisconnects: each way in which a connection ends abruptly.
func TestDisconnects(t *testing.T) {
	w := newWorld(t)
	discon := func(e *Endpoint, want errno.Errno, sequence uint32) {
		t.Helper()
		w.look(e, TDisconnect)
		d, err := e.RcvDis()
		if err != nil || d != (Discon{want, sequence}) {
			t.Errorf("%+v, %v, want %v %d", d, err, want, sequence)
		}
	}

	refused := w.bound(0, 0, 0)
	w.want("connect", refused.Connect(netip.MustParseAddrPort("10.0.0.2:81")), TNODATA)
	w.settle()
	if _, err := refused.RcvConnect(); err != TLOOK {
		t.Errorf("refused: %v", err)
	}
	discon(refused, errno.ECONNREFUSED, 0)
	w.in(refused, TIdle)
	if _, err := refused.RcvDis(); err != TOUTSTATE {
		t.Errorf("again: %v", err)
	}
	w.want("no way", refused.Connect(netip.MustParseAddrPort("192.0.2.1:81")), TNODATA)
	discon(refused, errno.ENETUNREACH, 0)

	a, b := w.connected()
	if _, err := a.RcvDis(); err != TNODIS {
		t.Errorf("no disconnect: %v", err)
	}
	w.want("snddis", a.SndDis(0), nil)
	w.in(a, TIdle)
	w.settle()
	if _, err := b.Snd([]byte("x"), 0); err != TLOOK {
		t.Errorf("snd: %v", err)
	}
	if _, _, err := b.Rcv(make([]byte, 1)); err != TLOOK {
		t.Errorf("rcv: %v", err)
	}
	w.want("sndrel", b.SndRel(), TLOOK)
	w.want("snddis", b.SndDis(0), TLOOK)
	discon(b, errno.ECONNRESET, 0)
	w.in(b, TIdle)

	// An indication that is refused, and two of which one is given up by its peer.
	l := w.bound(1, 8000, 4)
	one, _ := w.calling(l)
	two, _ := w.calling(l)
	three, _ := w.calling(l)
	var seq [3]uint32
	for i := range seq {
		call, err := l.Listen()
		w.want("listen", err, nil)
		seq[i] = call.Sequence
	}
	w.want("no such", l.SndDis(99), TBADSEQ)
	w.want("snddis", l.SndDis(seq[0]), nil)
	w.in(l, TInCon)
	w.settle()
	discon(one, errno.ECONNRESET, 0)
	w.want("snddis", two.SndDis(0), nil)
	w.settle()
	onto := w.open(1)
	w.want("accept", l.Accept(onto, seq[2]), TLOOK)
	if _, err := l.Listen(); err != TLOOK {
		t.Errorf("listen: %v", err)
	}
	discon(l, errno.ECONNRESET, seq[1])
	w.in(l, TInCon)
	w.want("gone", l.Accept(onto, seq[1]), TBADSEQ)
	w.want("accept", l.Accept(onto, seq[2]), nil)
	w.in(l, TIdle)
	w.moves(three, onto, "through")

	// The last one of a listener.
	four, _ := w.calling(l)
	call, _ := l.Listen()
	w.want("snddis", four.SndDis(0), nil)
	w.settle()
	discon(l, errno.ECONNRESET, call.Sequence)
	w.in(l, TIdle)

	// A listener that is closed refuses who waits.
	five, _ := w.calling(l)
	six, _ := w.calling(l)
	if _, err := l.Listen(); err != nil {
		t.Error(err)
	}
	w.want("close", l.Close(), nil)
	w.settle()
	discon(five, errno.ECONNRESET, 0)
	discon(six, errno.ECONNRESET, 0)
}

// TestAccept: where a connection may go.
func TestAccept(t *testing.T) {
	w := newWorld(t)
	l := w.bound(1, 8000, 2)
	if _, err := w.bound(1, 0, 0).Listen(); err != TBADQLEN {
		t.Errorf("without a queue: %v", err)
	}
	w.calling(l)
	call, err := l.Listen()
	w.want("listen", err, nil)
	other := w.bound(1, 8002, 1)
	six, _, err := w.p[1].Open("/dev/tcp6")
	w.want("open", err, nil)
	busy, _ := w.connected()
	closed := w.open(1)
	w.want("close", closed.Close(), nil)
	w.want("another that listens", l.Accept(other, call.Sequence), TRESQLEN)
	w.want("another family", l.Accept(six, call.Sequence), TPROVMISMATCH)
	w.want("another stack", l.Accept(w.open(0), call.Sequence), TPROVMISMATCH)
	w.want("closed", l.Accept(closed, call.Sequence), TBADF)
	w.want("none", l.Accept(nil, call.Sequence), TBADF)
	w.want("another call", l.Accept(w.open(1), call.Sequence+1), TBADSEQ)
	busy.p = l.p
	w.want("in use", l.Accept(busy, call.Sequence), TOUTSTATE)
	busy.p = w.p[0]

	w.calling(l)
	onto := w.bound(1, 0, 0)
	w.want("while another waits", l.Accept(onto, call.Sequence), TLOOK)
	second, err := l.Listen()
	w.want("listen", err, nil)
	if _, err := l.Listen(); err != TQFULL {
		t.Errorf("beyond the queue: %v", err)
	}
	w.want("onto itself with another", l.Accept(l, call.Sequence), TINDOUT)
	w.want("accept", l.Accept(onto, second.Sequence), nil)
	w.in(l, TInCon)
	w.in(onto, TDataXfer)

	// Onto itself: it listens again when the connection has ended.
	w.want("onto itself", l.Accept(l, call.Sequence), nil)
	w.in(l, TDataXfer)
	stranger := w.bound(0, 0, 0)
	w.want("connect", stranger.Connect(netip.MustParseAddrPort("10.0.0.2:8000")), TNODATA)
	w.settle()
	w.look(stranger, TDisconnect)
	w.want("snddis", l.SndDis(0), nil)
	w.in(l, TIdle)
	a, b := w.calling(l)
	w.accept(l, b)
	w.moves(a, b, "again")
}

// TestBind: addresses, and who may have them.
func TestBind(t *testing.T) {
	w := newWorld(t)
	bind := func(at string, qlen int, want error) *Endpoint {
		t.Helper()
		e := w.open(0)
		_, err := e.Bind(Bind{netip.MustParseAddrPort(at), qlen})
		w.want(at, err, want)
		if want != nil {
			w.in(e, TUnbnd)
		}
		return e
	}
	bind("10.0.0.1:80", 0, TACCES)
	bind("10.0.0.9:8080", 0, TNOADDR)
	bind("[fd00::1]:8080", 0, TBADADDR)
	bind("224.0.0.1:8080", 0, TBADADDR)
	first := bind("10.0.0.1:8080", 1, nil)
	bind("10.0.0.1:8080", 0, TADDRBUSY)
	bind("10.0.0.1:8081", 0, nil)
	bind("10.0.0.1:8081", 0, nil) // shared
	again := bind("10.0.0.1:8080", 1, TADDRBUSY)
	if _, err := again.Bind(Bind{}); err != nil { // it is as new
		t.Errorf("after a failure: %v", err)
	}
	any := w.open(0)
	ret, err := any.Bind(Bind{})
	if err != nil || ret.Addr.Port() == 0 || !ret.Addr.Addr().IsUnspecified() {
		t.Errorf("any address: %+v, %v", ret, err)
	}
	ret, err = w.open(0).Bind(Bind{Qlen: 1 << 20})
	if err != nil || ret.Qlen != int(w.p[0].Profile.Tunables.Somaxconn) {
		t.Errorf("a long queue: %+v, %v", ret, err)
	}
	// Who waits stands in the way of unbinding.
	caller := w.bound(1, 0, 0)
	w.want("connect", caller.Connect(first.local), TNODATA)
	w.settle()
	w.want("unbind", first.Unbind(), TLOOK)
	w.want("connect", first.Connect(caller.local), TLOOK)
	w.p[0].Priv.NetBindService = true
	bind("10.0.0.1:80", 0, nil)

	for _, bad := range []string{"10.0.0.2:0", "[fd00::2]:80", "224.0.0.1:80"} {
		w.want(bad, caller.SndDis(0), nil)
		w.want(bad, caller.Connect(netip.MustParseAddrPort(bad)), TBADADDR)
		w.in(caller, TIdle)
		w.want(bad, caller.Connect(netip.MustParseAddrPort("10.0.0.1:8080")), TNODATA)
	}
	w.want("nowhere", w.bound(1, 0, 0).Connect(netip.AddrPort{}), TBADADDR)
}

// TestFlow: TFLOW and T_GODATA, with every byte in its place.
func TestFlow(t *testing.T) {
	w := newWorld(t)
	a, b := w.connected()
	sent, received := 0, 0
	piece := make([]byte, 10000)
	fill := func(at int) {
		for i := range piece {
			piece[i] = byte((at + i) * 7 >> 3)
		}
	}
	for {
		fill(sent)
		n, err := a.Snd(piece, 0)
		sent += n
		if err == TFLOW {
			break
		}
		if err != nil || sent > 64<<20 {
			t.Fatalf("%d bytes, %v", sent, err)
		}
		w.settle()
	}
	w.look(a, 0)
	if _, err := a.Snd([]byte("!"), TExpedited); err != TFLOW {
		t.Errorf("expedited data without room: %v", err)
	}
	for received < sent {
		n, _, err := b.Rcv(piece)
		if err == TNODATA {
			w.wait(time.Second)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range piece[:n] {
			if c != byte((received+i)*7>>3) {
				t.Fatalf("byte %d is wrong", received+i)
			}
		}
		received += n
	}
	w.wait(time.Second)
	w.look(a, TGoData)
	w.look(a, 0)
	w.moves(a, b, "goes on")
	for name, f := range map[string]func() error{
		"an unknown flag":  func() error { _, err := a.Snd([]byte("x"), 4); return err },
		"nothing to send":  func() error { _, err := a.Snd(nil, 0); return err },
		"no room for data": func() error { _, _, err := a.Rcv(nil); return err },
	} {
		if err := f(); err != TBADDATA && err != TBADFLAG {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExpedited(t *testing.T) {
	w := newWorld(t)
	a, b := w.connected()
	for _, s := range []struct {
		text  string
		flags int
	}{{"before", 0}, {"urgen!", TExpedited}, {"after", 0}} {
		if n, err := a.Snd([]byte(s.text), s.flags); err != nil || n != len(s.text) {
			t.Fatal(n, err)
		}
	}
	w.settle()
	for _, want := range []struct {
		look  Look
		text  string
		flags int
	}{{TData, "beforeurgen", 0}, {TExData, "!", TExpedited}, {TData, "after", 0}} {
		w.look(b, want.look)
		buf := make([]byte, 100)
		n, flags, err := b.Rcv(buf)
		if err != nil || string(buf[:n]) != want.text || flags != want.flags {
			t.Errorf("%q, flags %#x, %v; want %q, %#x", buf[:n], flags, err, want.text, want.flags)
		}
	}
}

// otherOptions are what a profile says to options in which it is not Linux: it has
// none such, or refuses what is too much.
var otherOptions = map[string]map[[2]int]int{
	"illumos": {{XTIGeneric, XTIRcvBuf}: TFailure},
	"omnios":  {{XTIGeneric, XTIRcvBuf}: TFailure},
	"freebsd": {{XTIGeneric, XTIRcvBuf}: TFailure},
	"cxux": {
		{XTIGeneric, XTIRcvBuf}: TFailure,
		{InetTCP, TCPKeepAlive}: TNotSupport, {InetTCP, TCPMaxSeg}: TNotSupport,
	},
	"sortix": {
		{XTIGeneric, XTIRcvBuf}: TFailure, {XTIGeneric, XTILinger}: TNotSupport, {InetIP, IPDontRoute}: TNotSupport,
		{InetTCP, TCPKeepAlive}: TNotSupport, {InetTCP, TCPMaxSeg}: TNotSupport, {InetTCP, TCPNoDelay}: TNotSupport,
	},
}

func TestOptMgmt(t *testing.T) {
	for _, name := range sockopt.ProfileNames() {
		t.Run(name, func(t *testing.T) { optMgmt(t, name) })
	}
}

func optMgmt(t *testing.T, profile string) {
	w := newWorldOf(t, profile)
	e := w.open(0)
	word := func(n ...uint32) []byte {
		var b []byte
		for _, v := range n {
			b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
		return b
	}
	one := func(action int, o Option) (Option, int) {
		t.Helper()
		list, status, err := e.OptMgmt(action, []Option{o})
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list[0], status
	}
	for _, c := range []struct {
		name   string
		action int
		o      Option
		status int
		value  []byte
	}{
		{"keep-alive of a new endpoint", TCurrent, Option{Level: InetTCP, Name: TCPKeepAlive}, TSuccess, word(0, 120)},
		{"no delay", TNegotiate, Option{Level: InetTCP, Name: TCPNoDelay, Value: word(1)}, TSuccess, word(1)},
		{"current", TCurrent, Option{Level: InetTCP, Name: TCPNoDelay}, TSuccess, word(1)},
		{"default", TDefault, Option{Level: InetTCP, Name: TCPNoDelay}, TSuccess, word(0)},
		{"check", TCheck, Option{Level: InetTCP, Name: TCPNoDelay, Value: word(0)}, TSuccess, word(0)},
		{"after the check", TCurrent, Option{Level: InetTCP, Name: TCPNoDelay}, TSuccess, word(1)},
		{"keep-alive", TNegotiate, Option{Level: InetTCP, Name: TCPKeepAlive, Value: word(1, 5)}, TSuccess, word(1, 5)},
		{"keep-alive without time", TNegotiate, Option{Level: InetTCP, Name: TCPKeepAlive, Value: word(1, 0)}, TFailure, nil},
		{"a wrong length", TNegotiate, Option{Level: InetTCP, Name: TCPNoDelay, Value: word(1)[:3]}, TFailure, nil},
		{"segment size", TNegotiate, Option{Level: InetTCP, Name: TCPMaxSeg, Value: word(1000)}, TReadOnly, word(536)},
		{"buffer", TNegotiate, Option{Level: XTIGeneric, Name: XTIRcvBuf, Value: word(1 << 30)}, TPartSuccess, nil},
		{"linger", TNegotiate, Option{Level: XTIGeneric, Name: XTILinger, Value: word(1, 7)}, TSuccess, word(1, 7)},
		{"linger is off", TNegotiate, Option{Level: XTIGeneric, Name: XTILinger, Value: word(0, 7)}, TSuccess, word(0, 7)},
		{"linger again", TNegotiate, Option{Level: XTIGeneric, Name: XTILinger, Value: word(1, 7)}, TSuccess, word(1, 7)},
		{"not by routes", TNegotiate, Option{Level: InetIP, Name: IPDontRoute, Value: word(1)}, TSuccess, word(1)},
		{"neither T_YES nor T_NO", TNegotiate, Option{Level: InetIP, Name: IPDontRoute, Value: word(2)}, TPartSuccess, word(1)},
		{"TOS", TNegotiate, Option{Level: InetIP, Name: IPTOS, Value: []byte{0x10}}, TSuccess, []byte{0x10}},
		{"TTL of 0", TNegotiate, Option{Level: InetIP, Name: IPTTL, Value: []byte{0}}, TFailure, nil},
		{"no such option", TCurrent, Option{Level: InetTCP, Name: 77}, TNotSupport, nil},
		{"no such level", TCurrent, Option{Level: 77, Name: TAllOpt}, TNotSupport, nil},
	} {
		if other, ok := otherOptions[profile][[2]int{c.o.Level, c.o.Name}]; ok {
			c.status, c.value = other, nil
		}
		got, status := one(c.action, c.o)
		if got.Status != c.status || status != c.status || c.value != nil && !bytes.Equal(got.Value, c.value) {
			t.Errorf("%s: %+v, %#x; want %#x, %v", c.name, got, status, c.status, c.value)
		}
	}
	has := func(level, name int) bool { return otherOptions[profile][[2]int{level, name}] != TNotSupport }
	delay, keep, linger := has(InetTCP, TCPNoDelay), has(InetTCP, TCPKeepAlive), has(XTIGeneric, XTILinger)
	o := e.sock.Options()
	if o.NoDelay != delay || o.KeepAlive != keep || keep && o.KeepIdle != 5*time.Minute || o.TOS != 0x10 ||
		linger && o.Linger != (sockopt.LingerSetting{On: true, Seconds: 7}) {
		t.Errorf("the socket has %+v", o)
	}
	list, status, err := e.OptMgmt(TCurrent, []Option{{Level: XTIGeneric, Name: TAllOpt}, {Level: InetTCP, Name: 77}})
	if err != nil || len(list) != 7 || status != TNotSupport || list[0].Status != TSuccess {
		t.Errorf("%v, %#x, %v", list, status, err)
	}
	if _, _, err := e.OptMgmt(1, nil); err != TBADFLAG {
		t.Errorf("no action: %v", err)
	}
	if _, _, err := e.OptMgmt(TCurrent, []Option{{Value: make([]byte, maxOptions)}}); err != TBADOPT {
		t.Errorf("too long: %v", err)
	}
	// Options stay when the endpoint gets another socket.
	if _, err := e.Bind(Bind{}); err != nil {
		t.Fatal(err)
	}
	w.want("connect", e.Connect(netip.MustParseAddrPort("10.0.0.2:81")), TNODATA)
	w.settle()
	if _, err := e.RcvDis(); err != nil {
		t.Error(err)
	}
	if got, _ := one(TCurrent, Option{Level: InetTCP, Name: TCPNoDelay}); delay && !bytes.Equal(got.Value, word(1)) {
		t.Errorf("after a connection: %v", got.Value)
	}
}
