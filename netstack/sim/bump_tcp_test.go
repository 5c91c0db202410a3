package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

var calm = Way{Delay: time.Millisecond}

// both calls f for a connection out of A and one into it, over IPv4 and IPv6.
func both(t *testing.T, f func(t *testing.T, w *bump, from, to *netstack.Stack, addr string)) {
	for _, c := range []struct {
		name, addr string
		in         bool
	}{{"out4", farB + ":80", false}, {"out6", "[" + farB6 + "]:80", false}, {"near6", "[" + addrB6 + "]:80", false}, {"in4", addrA + ":80", true}, {"in6", "[" + addrA6 + "]:80", true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newBump(t, 1, Way{Delay: 10 * time.Microsecond}, calm)
			if c.in {
				f(t, w, w.b, w.a, c.addr)
			} else {
				f(t, w, w.a, w.b, c.addr)
			}
			if err := w.clean(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBumpSeeds moves both streams of several connections through two lossy
// lines: every byte arrives once and in order, both ends close in order, and
// nothing is left.
func TestBumpSeeds(t *testing.T) {
	seeds := uint64(120)
	if testing.Short() {
		seeds = 20
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		if err := bumpSeed(t, seed); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func bumpSeed(t *testing.T, seed uint64) error {
	r := &Rand{state: seed * 77}
	far := Way{Delay: time.Duration(1+r.Intn(20)) * time.Millisecond, Loss: r.Intn(40), Reorder: r.Intn(60), Duplicate: r.Intn(40)}
	near := Way{Delay: 20 * time.Microsecond, Loss: r.Intn(5), Duplicate: r.Intn(20)}
	w := newBump(t, seed, near, far)
	var all []*app
	var vs []*listening
	for i := range 4 {
		there, back := r.Intn(300_000), r.Intn(300_000)
		server := func() *app {
			a := &app{key: 2, peerKey: 1, toSend: back, limit: -1, urgentAt: -1}
			all = append(all, a)
			return a
		}
		c := &app{key: 1, peerKey: 2, toSend: there, limit: -1, urgentAt: -1}
		from, to, addr := w.a, w.b, []string{farB, "[" + farB6 + "]"}[r.Intn(2)]
		if r.Intn(2) == 0 {
			from, to, addr = w.b, w.a, []string{addrA, "[" + addrA6 + "]"}[r.Intn(2)]
		}
		addr = fmt.Sprintf("%s:%d", addr, 80+i)
		vs = append(vs, w.listen(to, addr, server))
		all = append(all, w.connect(from, addr, c))
	}
	w.run(time.Hour, func() bool {
		for _, a := range all {
			if !a.closed {
				return false
			}
		}
		return len(all) == 8
	})
	if len(all) != 8 {
		return fmt.Errorf("%d ends instead of 8", len(all))
	}
	for _, v := range vs {
		v.s.Close()
		sent, got := 0, 0
		for _, a := range all {
			sent, got = sent+a.sent, got+a.got
		}
		if sent != got {
			return fmt.Errorf("%d bytes sent, %d received", sent, got)
		}
	}
	for i, a := range all {
		if a.bad != nil || a.err != 0 || !a.eof || a.sent != a.toSend {
			return fmt.Errorf("end %d: %v, %v, end of file %v, %d of %d sent, %d received", i, a.bad, a.err, a.eof, a.sent, a.toSend, a.got)
		}
		a.s.Close()
	}
	return w.clean()
}

func TestBumpRefuses(t *testing.T) {
	both(t, func(t *testing.T, w *bump, from, to *netstack.Stack, addr string) {
		c := w.connect(from, addr, &app{limit: -1, urgentAt: -1})
		start := w.now
		w.run(time.Minute, func() bool { return c.closed })
		if c.err != errno.ECONNREFUSED || w.now-start > 10*time.Millisecond {
			t.Errorf("%v after %v", c.err, w.now-start)
		}
	})
}

// TestBumpUnreachable: nobody has the address, which the outer stack finds out.
func TestBumpUnreachable(t *testing.T) {
	w := newBump(t, 1, Way{Delay: 10 * time.Microsecond}, calm)
	c := w.connect(w.a, "10.0.0.77:80", &app{limit: -1, urgentAt: -1})
	w.run(time.Minute, func() bool { return c.closed })
	if c.err != errno.EHOSTUNREACH {
		t.Error(c.err)
	}
	if err := w.clean(); err != nil {
		t.Error(err)
	}
}

func TestBumpHalfCloses(t *testing.T) {
	both(t, func(t *testing.T, w *bump, from, to *netstack.Stack, addr string) {
		v := w.listen(to, addr, func() *app { return &app{key: 2, peerKey: 1, limit: -1, urgentAt: -1, keep: true} })
		defer v.s.Close()
		c := w.connect(from, addr, &app{key: 1, peerKey: 2, toSend: 1000, limit: -1, urgentAt: -1})
		w.run(time.Second, nil)
		if len(v.apps) != 1 || !v.apps[0].eof || v.apps[0].got != 1000 || c.eof || c.closed {
			t.Fatalf("%d accepted; client: end of file %v, closed %v", len(v.apps), c.eof, c.closed)
		}
		s := v.apps[0]
		s.toSend, s.keep = 5000, false
		s.pump()
		w.run(time.Second, nil)
		if c.got != 5000 || !c.eof || c.bad != nil || c.err != 0 || !s.closed {
			t.Errorf("client: %d bytes, end of file %v, %v, %v", c.got, c.eof, c.bad, c.err)
		}
	})
}

func TestBumpResets(t *testing.T) {
	both(t, func(t *testing.T, w *bump, from, to *netstack.Stack, addr string) {
		v := w.listen(to, addr, func() *app { return &app{key: 2, peerKey: 1, limit: -1, urgentAt: -1, keep: true} })
		defer v.s.Close()
		for _, server := range []bool{true, false} {
			c := w.connect(from, addr, &app{key: 1, peerKey: 2, toSend: 1000, limit: -1, urgentAt: -1, keep: true})
			w.run(time.Second, nil)
			s := v.apps[len(v.apps)-1]
			doomed, other := c, s
			if server {
				doomed, other = s, c
			}
			doomed.s.Abort()
			w.run(time.Second, nil)
			if other.err != errno.ECONNRESET || !other.closed {
				t.Errorf("server aborts %v: %v", server, other.err)
			}
		}
	})
}

func TestBumpCarriesUrgentData(t *testing.T) {
	both(t, func(t *testing.T, w *bump, from, to *netstack.Stack, addr string) {
		v := w.listen(to, addr, func() *app { return &app{key: 2, peerKey: 1, limit: -1, urgentAt: -1} })
		defer v.s.Close()
		c := w.connect(from, addr, &app{key: 1, peerKey: 2, toSend: 3000, limit: -1, urgentAt: 1234})
		w.run(time.Second, nil)
		s := v.apps[0]
		if s.got != 3000 || s.bad != nil || len(s.urgent) != 1 || s.urgent[0] != 1234 || !c.closed {
			t.Errorf("%d bytes, %v, urgent at %v", s.got, s.bad, s.urgent)
		}
	})
}

// TestBumpPushesBack: who does not read stops the sender at the other end, with
// bounded memory in between, and reads on from where it stopped.
func TestBumpPushesBack(t *testing.T) {
	both(t, func(t *testing.T, w *bump, from, to *netstack.Stack, addr string) {
		const size = 60 << 20
		v := w.listen(to, addr, func() *app { return &app{key: 2, peerKey: 1, limit: 1000, urgentAt: -1} })
		defer v.s.Close()
		c := w.connect(from, addr, &app{key: 1, peerKey: 2, toSend: size, limit: -1, urgentAt: -1})
		w.run(time.Minute, nil)
		s := v.apps[0]
		sent := c.sent
		w.run(time.Minute, nil)
		held := w.inner.Pool().InUse() + w.outer.Pool().InUse()
		if s.got != 1000 || c.sent != sent || sent > size/2 || held > 16<<20 {
			t.Fatalf("%d read, %d then %d sent, %d bytes held", s.got, sent, c.sent, held)
		}
		s.limit = -1
		s.s.Resume()
		w.run(time.Hour, func() bool { return c.closed && s.closed })
		if s.got != size || s.bad != nil || !s.eof || c.err != 0 {
			t.Errorf("%d bytes, %v, %v", s.got, s.bad, c.err)
		}
	})
}

// TestBumpReusesPorts: the client comes back from the same port at once, whatever
// the stacks between remember of the last time.
func TestBumpReusesPorts(t *testing.T) {
	w := newBump(t, 1, Way{Delay: 10 * time.Microsecond}, calm)
	v := w.listen(w.a, addrA+":80", func() *app { return &app{key: 2, peerKey: 1, toSend: 10, limit: -1, urgentAt: -1} })
	for i := range 5 {
		c := &app{key: 1, peerKey: 2, toSend: 10, limit: -1, urgentAt: -1}
		c.w, c.s = w, w.b.NewTCP(2, c)
		if err := c.s.ConnectFrom(addrPort(addrB+":4000"), addrPort(addrA+":80")); err != errno.EINPROGRESS {
			t.Fatal(err)
		}
		w.run(time.Minute, func() bool { return c.closed })
		if c.err != 0 || c.got != 10 || !c.eof {
			t.Fatalf("round %d: %v, %d bytes", i, c.err, c.got)
		}
		c.s.Close()
		w.run(70*time.Second, nil) // B's own TIME-WAIT
	}
	v.s.Close()
	if err := w.clean(); err != nil {
		t.Error(err)
	}
}

// TestBumpSurvivesAFlood: SYNs from addresses that never answer fill every table
// and no more, and clients get through, at once where a port is known to be open.
// Then all is forgotten.
func TestBumpSurvivesAFlood(t *testing.T) {
	for _, known := range []bool{false, true} {
		surviveFlood(t, known)
	}
}

func surviveFlood(t *testing.T, known bool) {
	w := newBump(t, 1, Way{Delay: 10 * time.Microsecond}, calm)
	v := w.listen(w.a, addrA+":80", func() *app { return &app{key: 2, peerKey: 1, toSend: 10, limit: -1, urgentAt: -1} })
	if known {
		c := w.connect(w.b, addrA+":80", &app{key: 1, peerKey: 2, toSend: 10, limit: -1, urgentAt: -1})
		w.run(time.Second, nil)
		c.s.Close()
	}
	stop := false
	var flood func()
	flood = func() {
		for range 40 {
			w.outer.Input(1, &netstack.RxFrame{Data: spoofedSYN(&w.rng), CsumValid: true})
		}
		if !stop {
			w.after(10*time.Millisecond, flood)
		}
	}
	flood()
	w.run(2*time.Second, nil)
	var cs []*app
	for range 20 {
		cs = append(cs, w.connect(w.b, addrA+":80", &app{key: 1, peerKey: 2, toSend: 10, limit: -1, urgentAt: -1}))
	}
	patience := 8 * time.Second
	if known {
		patience = 500 * time.Millisecond // no SYN is sent twice
	}
	w.run(patience, nil)
	stop = true
	ok := 0
	for _, c := range cs {
		if c.got == 10 && c.err == 0 {
			ok++
		}
		c.s.Close()
	}
	if ok != len(cs) {
		t.Errorf("known %v: %d of %d clients were served", known, ok, len(cs))
	}
	n := 0
	for range w.outer.TCP().Sockets {
		n++
	}
	if n > 2*tcp.MaxEmbryos || w.outer.TCP().PendingLen() > tcp.MaxPending {
		t.Errorf("%d sockets, %d offers", n, w.outer.TCP().PendingLen())
	}
	v.s.Close()
	for _, a := range v.apps {
		a.s.Close()
	}
	if err := w.clean(); err != nil {
		t.Error(err)
	}
}
