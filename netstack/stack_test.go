package netstack

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func TestUDPBothWaysWithResolution(t *testing.T) {
	for _, c := range []struct{ name, to, local string }{
		{"IPv4", "10.87.0.2:7777", "10.87.0.1"},
		{"IPv6", "[fd87::2]:7777", "fd87::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			domain := 2
			if c.name == "IPv6" {
				domain = 10
			}
			server, client := &udpApp{}, &udpApp{}
			ss := w.b.NewUDP(domain, server)
			mustNot(t, ss.Bind(ap(c.to), 0, sockopt.Privilege{NetBindService: true}))
			cs := w.a.NewUDP(domain, client)
			mustNot(t, cs.SendTo([]byte("question"), ap(c.to)))
			w.settle()
			if len(server.data) != 1 || string(server.data[0]) != "question" || server.from[0].Addr().String() != c.local {
				t.Fatalf("server got %q from %v", server.data, server.from)
			}
			mustNot(t, ss.SendTo([]byte("answer"), server.from[0]))
			w.settle()
			if len(client.data) != 1 || string(client.data[0]) != "answer" || client.from[0] != ap(c.to) {
				t.Fatalf("client got %q from %v", client.data, client.from)
			}
			decode(t, w.ab.log)
			decode(t, w.ba.log)
			if len(w.ab.log) != 2 || len(w.ba.log) != 2 {
				t.Errorf("%d and %d frames, want one question for the address, one datagram each way", len(w.ab.log), len(w.ba.log))
			}
		})
	}
}

// transfer opens a TCP connection from a to b and sends data both ways.
func transfer(t *testing.T, w *world, from, to *Stack, domain int, addr string, n int) {
	t.Helper()
	data := filler(n)
	ls := to.NewTCP(domain, nil)
	mustNot(t, ls.Bind(ap(addr), 0, sockopt.Privilege{}))
	mustNot(t, ls.Listen(8))
	client := &tcpApp{}
	cs := from.NewTCP(domain, client)
	if err := cs.Connect(ap(addr)); err == nil || err.Error() != "operation now in progress" {
		t.Fatalf("Connect: %v", err)
	}
	w.settle()
	if client.events&tcp.EventConnected == 0 {
		t.Fatalf("not connected: events %b, %v", client.events, cs.State())
	}
	srv, err := ls.Accept()
	mustNot(t, err)
	server := &tcpApp{}
	srv.SetOwner(server)
	srv.Resume()
	for left, round := data, 0; len(left) > 0; round++ {
		left = left[cs.Write(left):]
		w.settle()
		if round > 10000 {
			t.Fatal("no progress")
		}
		if len(left) > 0 {
			w.wait(50 * time.Millisecond)
		}
	}
	srv.Write(data[:min(n, 1000)])
	w.wait(time.Second)
	if !bytes.Equal(server.data, data) || !bytes.Equal(client.data, data[:min(n, 1000)]) {
		t.Fatalf("server got %d bytes, client %d", len(server.data), len(client.data))
	}
	cs.Close()
	w.settle()
	if server.events&tcp.EventEOF == 0 {
		t.Errorf("no EOF: %b", server.events)
	}
	srv.Close()
	w.wait(200 * time.Second)
	if n := to.Pool().InUse() + from.Pool().InUse(); n != 0 {
		t.Errorf("%d bytes of chunks leaked", n)
	}
}

func TestTCPTransfer(t *testing.T) {
	for _, c := range []struct {
		name, addr string
		domain     int
		opts       []option
	}{
		{"IPv4Software", "10.87.0.2:8080", 2, nil},
		{"IPv6Software", "[fd87::2]:8080", 10, nil},
		{"IPv4Offload", "10.87.0.2:8080", 2, []option{offload}},
		{"IPv6Offload", "[fd87::2]:8080", 10, []option{offload}},
		{"MTU9000", "10.87.0.2:8080", 2, []option{withMTU(9000)}},
		{"MTU576", "10.87.0.2:8080", 2, []option{withMTU(576)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, append(c.opts, func(a, b *LinkConfig) {
				if a.MTU < 1280 {
					a.Addrs, b.Addrs = a.Addrs[:1], b.Addrs[:1]
				}
			})...)
			transfer(t, w, w.a, w.b, c.domain, c.addr, 1<<20)
			decode(t, w.ab.log)
			decode(t, w.ba.log)
			super := 0
			for _, f := range w.ab.log {
				if f.tx.GSOType != 0 {
					super++
				} else if len(f.data) > 14+1500 && c.name != "MTU9000" {
					t.Fatalf("frame of %d bytes", len(f.data))
				}
			}
			if want := len(c.opts) > 0 && c.name[4:] == "Offload"; (super > 0) != want {
				t.Errorf("%d super-segments", super)
			}
		})
	}
}

func TestTCPOverLoopback(t *testing.T) {
	for _, c := range []struct {
		addr   string
		domain int
	}{{"127.0.0.1:99", 2}, {"127.77.0.9:99", 2}, {"[::1]:99", 10}, {"10.87.0.1:99", 2}, {"[::ffff:10.87.0.1]:99", 10}, {"[fd87::1]:99", 10}} {
		t.Run(c.addr, func(t *testing.T) {
			w := newWorld(t)
			w.a.tun.UnprivilegedPortStart = 0
			transfer(t, w, w.a, w.a, c.domain, c.addr, 1<<20)
			if len(w.ab.log) != 0 {
				t.Errorf("%d frames left the stack", len(w.ab.log))
			}
			if w.a.Counters().Loop.Drops != 0 || w.a.Counters().Loop.Packets > 200 {
				t.Errorf("loop: %+v", w.a.Counters().Loop)
			}
		})
	}
}

func TestEqualSeedsGiveEqualFrames(t *testing.T) {
	run := func() (log []frame) {
		w := newWorld(t)
		n := 0
		w.ab.drop = func(frame) bool { n++; return n%13 == 0 }
		transfer(t, w, w.a, w.b, 10, "[fd87::2]:8080", 1<<18)
		return append(w.ab.log, w.ba.log...)
	}
	one, two := run(), run()
	if len(one) != len(two) {
		t.Fatalf("%d and %d frames", len(one), len(two))
	}
	for i := range one {
		if !bytes.Equal(one[i].data, two[i].data) {
			t.Fatalf("frame %d differs", i)
		}
	}
}

// echoApp answers every datagram, for ever.
type echoApp struct {
	s *udp.Socket
	n int
}

func (e *echoApp) Deliver(from netip.AddrPort, _ netip.Addr, _ udp.Marks, p []byte) bool {
	e.n++
	_ = e.s.SendTo(p, from)
	return true
}
func (e *echoApp) Error(errno.Errno) {}

func TestFlushEndsWhenTheLoopbackDoesNot(t *testing.T) {
	s := New(Config{})
	var apps [2]echoApp
	for i := range apps {
		apps[i].s = s.NewUDP(2, &apps[i])
		mustNot(t, apps[i].s.Bind(ap("127.0.0.1:700"+string(rune('0'+i))), 0, sockopt.Privilege{}))
	}
	mustNot(t, apps[0].s.SendTo([]byte("ball"), ap("127.0.0.1:7001")))
	s.Flush()
	if n := apps[0].n + apps[1].n; n == 0 || n > flushPackets {
		t.Errorf("%d datagrams in one Flush", n)
	}
	if at, ok := s.Deadline(); !ok || at > s.Now() {
		t.Error("the rest is not due at once")
	}
}

func TestLoopbackIsBounded(t *testing.T) {
	s := New(Config{})
	app := &udpApp{full: true}
	mustNot(t, s.NewUDP(2, app).Bind(ap("127.0.0.1:7000"), 0, sockopt.Privilege{}))
	u := s.NewUDP(2, app)
	for range 2 * loopMaxPackets {
		mustNot(t, u.SendTo(filler(60), ap("127.0.0.1:7000")))
	}
	if s.loop.count != loopMaxPackets || s.Counters().Loop.Drops != loopMaxPackets {
		t.Errorf("%d queued, %d dropped", s.loop.count, s.Counters().Loop.Drops)
	}
	s.Flush()
	s.Flush()
	for range 1000 {
		mustNot(t, u.SendTo(filler(60000), ap("127.0.0.1:7000")))
	}
	if used := s.Pool().InUse(); used > loopMaxBytes+buf.LargeSize {
		t.Errorf("%d bytes queued", used)
	}
	for range 4 {
		s.Flush()
	}
	if s.Pool().InUse() != 0 {
		t.Error("memory kept")
	}
}
