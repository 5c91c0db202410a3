package tli

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// A world is two stacks on one wire, in virtual time, with a provider each.
type world struct {
	t      *testing.T
	stacks [2]*netstack.Stack
	wires  [2]*cable // frames from each
	p      [2]*Provider
	now    time.Duration
	ports  uint16            // of connected
	told   map[*Endpoint]int // calls of Notify
}

type cable struct{ frames []frame }

type frame struct {
	data    []byte
	csum    bool
	gsoType uint8
	gsoSize uint16
}

func (c *cable) Transmit(f *netstack.TxFrame) {
	data := append([]byte(nil), f.Buf[netstack.VnetRoom:]...)
	for _, p := range f.Payload {
		data = append(data, p...)
	}
	c.frames = append(c.frames, frame{data, f.NeedsCsum, f.GSOType, f.GSOSize})
}

var addrs = [2]string{"10.0.0.1", "10.0.0.2"}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, "linux")
}

// newWorldOf is a world whose systems are those of a profile.
func newWorldOf(t *testing.T, name string) *world {
	t.Helper()
	w := &world{t: t, now: time.Second, told: map[*Endpoint]int{}}
	for i := range w.stacks {
		profile, err := sockopt.ProfileByName(name)
		if err != nil {
			t.Fatal(err)
		}
		w.wires[i] = &cable{}
		w.stacks[i] = netstack.New(netstack.Config{Seed: [32]byte{byte(i + 1)}, Profile: profile})
		v6 := []string{"fd00::1/64", "fd00::2/64"}[i]
		_, err = w.stacks[i].AddLink(netstack.LinkConfig{
			Name: "eth0", MAC: wire.MAC{2, 0, 0, 0, 0, byte(i + 1)}, MTU: 1500, Sink: w.wires[i],
			Addrs: []netip.Prefix{netip.MustParsePrefix(addrs[i] + "/24"), netip.MustParsePrefix(v6)},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.stacks[i].Advance(w.now)
		w.p[i] = &Provider{Stack: w.stacks[i], Profile: profile, Notify: func(e *Endpoint) { w.told[e]++ }}
	}
	w.wait(2 * time.Second)
	return w
}

// settle carries frames until both stacks are quiet.
func (w *world) settle() {
	w.t.Helper()
	for range 10000 {
		for _, s := range w.stacks {
			s.Flush()
		}
		if len(w.wires[0].frames)+len(w.wires[1].frames) == 0 {
			return
		}
		for i, c := range w.wires {
			list := c.frames
			c.frames = nil
			for _, f := range list {
				w.stacks[1-i].Input(1, &netstack.RxFrame{Data: f.data, NeedsCsum: f.csum, GSOType: f.gsoType, GSOSize: f.gsoSize})
			}
		}
	}
	w.t.Fatal("the stacks do not come to rest")
}

// wait moves the clock, stopping at every deadline.
func (w *world) wait(d time.Duration) {
	w.t.Helper()
	end := w.now + d
	for {
		w.settle()
		next := end
		for _, s := range w.stacks {
			if at, ok := s.Deadline(); ok && at < next {
				next = at
			}
		}
		w.now = max(next, w.now)
		for _, s := range w.stacks {
			s.Advance(w.now)
		}
		if next == end {
			w.settle()
			return
		}
	}
}

func (w *world) open(i int) *Endpoint {
	w.t.Helper()
	e, info, err := w.p[i].Open("/dev/tcp")
	if err != nil || info.ServType != TCOTSOrd || e.State() != TUnbnd {
		w.t.Fatalf("open: %+v, %v, %v", info, err, e.State())
	}
	return e
}

// bound opens an endpoint and binds it; port 0 is any.
func (w *world) bound(i int, port uint16, qlen int) *Endpoint {
	w.t.Helper()
	e := w.open(i)
	ret, err := e.Bind(Bind{netip.AddrPortFrom(netip.MustParseAddr(addrs[i]), port), qlen})
	if err != nil || ret.Qlen != qlen || ret.Addr.Port() == 0 || port != 0 && ret.Addr.Port() != port {
		w.t.Fatalf("bind: %+v, %v", ret, err)
	}
	w.in(e, TIdle)
	return e
}

// connected are two endpoints with a connection; the second was accepted.
func (w *world) connected() (a, b *Endpoint) {
	w.t.Helper()
	w.ports++
	l := w.bound(1, 10000+w.ports, 1)
	a, b = w.calling(l)
	w.accept(l, b)
	w.want("listener", l.Unbind(), nil)
	w.want("listener", l.Close(), nil)
	return a, b
}

// calling is an endpoint whose call waits at l, and one for l to take it on.
func (w *world) calling(l *Endpoint) (a, b *Endpoint) {
	w.t.Helper()
	a = w.bound(0, 0, 0)
	w.want("connect", a.Connect(l.local), TNODATA)
	w.in(a, TOutCon)
	w.settle()
	w.look(a, TConnect)
	call, err := a.RcvConnect()
	w.want("rcvconnect", err, nil)
	if call.Addr != l.local {
		w.t.Errorf("connected to %v", call.Addr)
	}
	w.in(a, TDataXfer)
	return a, w.open(1)
}

func (w *world) accept(l, b *Endpoint) {
	w.t.Helper()
	w.look(l, TListen)
	call, err := l.Listen()
	w.want("listen", err, nil)
	w.in(l, TInCon)
	w.want("accept", l.Accept(b, call.Sequence), nil)
	w.in(b, TDataXfer)
}

func (w *world) want(what string, err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) || err != nil && want == nil {
		w.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (w *world) in(e *Endpoint, s State) {
	w.t.Helper()
	if got, err := e.Sync(); e.State() != s || s != TUninit && (got != s || err != nil) {
		w.t.Errorf("in %v, want %v", e.State(), s)
	}
}

func (w *world) look(e *Endpoint, want Look) {
	w.t.Helper()
	if got := e.Look(); got != want {
		w.t.Errorf("event %#x, want %#x", int(got), int(want))
	}
}

// moves sends text from one endpoint to the other.
func (w *world) moves(from, to *Endpoint, text string) {
	w.t.Helper()
	n, err := from.Snd([]byte(text), 0)
	w.want("snd", err, nil)
	w.settle()
	w.look(to, TData)
	b := make([]byte, 100)
	got, flags, err := to.Rcv(b)
	w.want("rcv", err, nil)
	if n != len(text) || string(b[:got]) != text || flags != 0 {
		w.t.Errorf("sent %d of %q, received %q, flags %#x", n, text, b[:got], flags)
	}
}
