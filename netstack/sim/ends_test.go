package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// TestEveryConnectionEnds cuts the line, aborts or closes at a random moment.
// Whatever happens both ends come to know in the end, and nothing is left.
func TestEveryConnectionEnds(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		if err := endAtRandom(t, seed); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func endAtRandom(t *testing.T, seed uint64) error {
	p := scene(t, seed+1_000_000)
	r := p.w.Rand()
	p.client.ToSend, p.client.Expect = 300_000, -1
	after := time.Duration(r.Intn(2000)) * time.Millisecond
	what := r.Intn(4)
	p.w.After(after, func() {
		switch what {
		case 0:
			for _, h := range []*Host{p.a, p.b} {
				for _, r := range h.routes {
					r.lines[0].Down(true)
				}
			}
		case 1:
			p.client.S.Abort()
		case 2:
			p.client.S.Close()
		case 3:
			if q := p.peer(); q != nil {
				q.S.Close()
			}
		}
	})
	p.w.Run(3*time.Hour, func() bool { return false })
	p.server.S.Close()
	p.client.S.Close()
	if q := p.peer(); q != nil {
		if q.Bad != nil && q.Expect < 0 {
			return q.Bad
		}
		q.S.Close()
	}
	// An orphan may try on for a quarter of an hour, TIME-WAIT lasts a minute.
	p.w.Run(3*time.Hour, nil)
	if err := p.w.Broken(); err != nil {
		return err
	}
	for i, h := range []*Host{p.a, p.b} {
		for s := range h.TCP.Sockets {
			return fmt.Errorf("host %d: %s is left after cause %d", i, s.State(), what)
		}
		if n := h.Pool.InUse(); n != 0 {
			return fmt.Errorf("host %d: %d bytes left after cause %d", i, n, what)
		}
	}
	return nil
}

func TestSilentPeerTimesOut(t *testing.T) {
	w := New(1)
	p := newPair(t, w, Way{Delay: time.Millisecond}, Program{ToSend: 10_000_000}, Program{})
	w.Run(10*time.Millisecond, nil)
	start := w.Now()
	p.a.Cut("10.0.0.2", true)
	if !w.Run(time.Hour, func() bool { return p.client.Closed }) {
		t.Fatal("never ended")
	}
	if took := w.Now() - start; p.client.Err != errno.ETIMEDOUT || took < 13*time.Minute || took > 20*time.Minute {
		t.Errorf("%v after %v", p.client.Err, took)
	}
}

func TestNobodyHome(t *testing.T) {
	w := New(1)
	a, b := w.Host("10.0.0.1"), w.Host("10.0.0.2")
	w.Join(a, b, Way{Delay: time.Millisecond})
	refused := &Program{Expect: -1}
	if err := a.Connect("10.0.0.2:81", refused); err != nil {
		t.Fatal(err)
	}
	w.Run(time.Second, nil)
	if refused.Err != errno.ECONNREFUSED || !refused.Closed {
		t.Errorf("closed port: %v", refused.Err)
	}
	a.Cut("10.0.0.2", true)
	silent := &Program{Expect: -1}
	if err := a.Connect("10.0.0.2:81", silent); err != nil {
		t.Fatal(err)
	}
	start := w.Now()
	w.Run(time.Hour, func() bool { return silent.Closed })
	if took := w.Now() - start; silent.Err != errno.ETIMEDOUT || took != 127*time.Second {
		t.Errorf("silence: %v after %v", silent.Err, took)
	}
}

func TestSimultaneousOpen(t *testing.T) {
	w := New(1)
	a, b := w.Host("10.0.0.1"), w.Host("10.0.0.2")
	w.Join(a, b, Way{Delay: 10 * time.Millisecond})
	open := func(h *Host, own, peer string, p *Program) {
		p.H, p.S = h, h.TCP.NewSocket(sockopt.AFInet, p)
		if err := p.S.Bind(netip.MustParseAddrPort(own), 0, sockopt.Privilege{}); err != nil {
			t.Fatal(err)
		}
		if err := p.S.Connect(netip.MustParseAddrPort(peer)); err != errno.EINPROGRESS {
			t.Fatal(err)
		}
	}
	x := &Program{Name: "x", Key: 1, PeerKey: 2, ToSend: 50_000, Expect: 70_000}
	y := &Program{Name: "y", Key: 2, PeerKey: 1, ToSend: 70_000, Expect: 50_000}
	open(a, "10.0.0.1:4000", "10.0.0.2:5000", x)
	open(b, "10.0.0.2:5000", "10.0.0.1:4000", y)
	w.Run(time.Minute, func() bool { return x.Closed && y.Closed })
	for _, p := range []*Program{x, y} {
		if p.Bad != nil || p.Err != 0 || p.Got != p.Expect || !p.Closed {
			t.Errorf("%s: %v, %v, got %d of %d", p.Name, p.Bad, p.Err, p.Got, p.Expect)
		}
	}
}

// TestConnectToOneself is the simultaneous open of one socket with itself.
func TestConnectToOneself(t *testing.T) {
	w := New(1)
	a := w.Host("10.0.0.1")
	p := &Program{H: a, Key: 1, PeerKey: 1, ToSend: 50_000, Expect: 50_000}
	p.S = a.TCP.NewSocket(sockopt.AFInet, p)
	self := netip.MustParseAddrPort("10.0.0.1:4000")
	if err := p.S.Bind(self, 0, sockopt.Privilege{}); err != nil {
		t.Fatal(err)
	}
	if err := p.S.Connect(self); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	w.Run(time.Minute, func() bool { return p.Closed })
	if p.Bad != nil || p.Err != 0 || p.Got != p.Expect || !p.EOF {
		t.Errorf("%v, %v, got %d, end of file %v", p.Bad, p.Err, p.Got, p.EOF)
	}
}

// TestLoopback runs both ends in one stack.
func TestLoopback(t *testing.T) {
	w := New(1)
	a := w.Host("10.0.0.1", "fd00::1")
	for _, addr := range []string{"127.0.0.1:80", "10.0.0.1:81", "[::1]:82", "[fd00::1]:83"} {
		v, err := a.Listen(addr, 5, func() *Program {
			return &Program{Name: "server", Key: 2, PeerKey: 1, ToSend: 300_000, Expect: 500_000}
		})
		if err != nil {
			t.Fatal(err)
		}
		c := &Program{Name: "client", Key: 1, PeerKey: 2, ToSend: 500_000, Expect: 300_000}
		if err := a.Connect(addr, c); err != nil {
			t.Fatal(err)
		}
		w.Run(time.Minute, func() bool { return c.Closed && len(v.Accepted) > 0 && v.Accepted[0].Closed })
		for _, p := range []*Program{c, v.Accepted[0]} {
			if p.Bad != nil || p.Err != 0 || p.Got != p.Expect {
				t.Errorf("%s %s: %v, %v, got %d", addr, p.Name, p.Bad, p.Err, p.Got)
			}
			p.S.Close()
		}
	}
}

// TestManyConnections has a thousand at once over a lossy link.
func TestManyConnections(t *testing.T) {
	w := New(3)
	a, b := w.Host("10.0.0.1"), w.Host("10.0.0.2")
	w.Join(a, b, Way{Delay: time.Millisecond, Loss: 20})
	v, err := b.Listen("10.0.0.2:80", 1024, func() *Program {
		return &Program{Name: "server", Key: 2, PeerKey: 1, ToSend: 3000, Expect: 2000}
	})
	if err != nil {
		t.Fatal(err)
	}
	var clients []*Program
	for range 1000 {
		c := &Program{Name: "client", Key: 1, PeerKey: 2, ToSend: 2000, Expect: 3000}
		if err := a.Connect("10.0.0.2:80", c); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	w.Run(time.Hour, func() bool {
		for _, c := range clients {
			if !c.Closed {
				return false
			}
		}
		return true
	})
	for _, p := range append(clients, v.Accepted...) {
		if p.Bad != nil || p.Err != 0 || p.Got != p.Expect {
			t.Fatalf("%s: %v, %v, got %d of %d", p.Name, p.Bad, p.Err, p.Got, p.Expect)
		}
		p.S.Close()
	}
	if len(v.Accepted) != len(clients) {
		t.Errorf("%d accepted", len(v.Accepted))
	}
	v.S.Close()
	w.Run(time.Hour, nil)
	if n := a.Pool.InUse() + b.Pool.InUse(); n != 0 {
		t.Errorf("%d bytes left", n)
	}
}

// TestWindowGrowsWithUse: a fast sender is soon given a window of megabytes.
func TestWindowGrowsWithUse(t *testing.T) {
	w := New(1)
	p := newPair(t, w, Way{Delay: 20 * time.Millisecond}, Program{ToSend: 60 << 20, KeepOpen: true}, Program{KeepOpen: true})
	start := w.Now()
	w.Run(time.Minute, func() bool { return p.peer() != nil && p.peer().Got == 60<<20 })
	var i sockopt.TCPInfo
	p.peer().S.Info(&i)
	if took := w.Now() - start; i.RcvSpace != 6<<20 || took > 2*time.Second {
		t.Errorf("receive buffer of %d bytes; 60 MiB over a round trip of 40 ms took %v", i.RcvSpace, took)
	}
	if p.client.S.State() != tcp.StateEstablished {
		t.Error(p.client.S.State())
	}
}

// TestWindowGrowsWithoutHandshakeSample: the first SYN-ACK is lost, and nothing
// that the receiver sends is ever timed, so only the data shows the round trip.
func TestWindowGrowsWithoutHandshakeSample(t *testing.T) {
	for _, stamps := range []string{"0", "1"} {
		w := New(1)
		set := map[string]string{"tcp_timestamps": stamps}
		p := &pair{w: w, a: w.HostWith(set, "10.0.0.1"), b: w.HostWith(set, "10.0.0.2")}
		w.Join(p.a, p.b, Way{Delay: 50 * time.Millisecond, Rate: 40_000_000})
		p.b.Cut("10.0.0.1", true)
		p.start(t, "10.0.0.2:80", Program{ToSend: 40 << 20, KeepOpen: true}, Program{KeepOpen: true})
		w.Run(500*time.Millisecond, nil)
		p.b.Cut("10.0.0.1", false)
		start := w.Now()
		w.Run(time.Minute, func() bool { return p.peer() != nil && p.peer().Got == 40<<20 })
		var i sockopt.TCPInfo
		p.peer().S.Info(&i)
		if took := w.Now() - start; took > 13*time.Second {
			t.Errorf("timestamps %s: receive buffer of %d bytes; 40 MiB at 40 Mbit/s over 100 ms took %v", stamps, i.RcvSpace, took)
		}
	}
}

// TestCookiesOnly: connections whose handshake left no record at the server, with
// and without timestamps, over links that lose.
func TestCookiesOnly(t *testing.T) {
	for seed := range uint64(100) {
		w := New(seed)
		client := map[string]string{"tcp_timestamps": string(rune('0' + seed&1))}
		p := &pair{w: w, a: w.HostWith(client, "10.0.0.1"), b: w.HostWith(map[string]string{"tcp_syncookies": "2"}, "10.0.0.2")}
		w.Join(p.a, p.b, Way{Delay: 5 * time.Millisecond, Loss: 30, Reorder: 20})
		p.start(t, "10.0.0.2:80", Program{ToSend: 200_000}, Program{ToSend: 100_000})
		if err := p.check(time.Hour); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if c := p.b.TCP.Counters(); c.SyncookiesRecv != 1 {
			t.Errorf("seed %d: %d cookies came back", seed, c.SyncookiesRecv)
		}
	}
}

// TestPathMTUDrops finds a connection through a path that narrows, by the ICMP
// message that says so.
func TestPathMTUDrops(t *testing.T) {
	w := New(1)
	p := newPair(t, w, Way{Delay: time.Millisecond}, Program{ToSend: 5_000_000}, Program{})
	w.Run(5*time.Millisecond, nil)
	p.a.SetMTU("10.0.0.2", 1200)
	p.a.Lines("10.0.0.2")[0].TooBig = true
	if err := p.check(time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := p.a.TCP.Counters().Timeouts; n != 0 {
		t.Errorf("%d timeouts", n)
	}
}
