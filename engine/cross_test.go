package engine

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func TestShownAddrs(t *testing.T) {
	own := []netip.Prefix{netip.MustParsePrefix("10.87.0.2/24"), netip.MustParsePrefix("fd87::2/64")}
	for _, c := range []struct {
		at     string
		domain int
		v6only bool
		want   string
	}{
		{"0.0.0.0:53", sockopt.AFInet, false, "[127.0.0.1:53 10.87.0.2:53]"},
		{"[::]:53", sockopt.AFInet6, false, "[127.0.0.1:53 [::1]:53 10.87.0.2:53 [fd87::2]:53]"},
		{"[::]:53", sockopt.AFInet6, true, "[[::1]:53 [fd87::2]:53]"},
		{"[::ffff:0.0.0.0]:53", sockopt.AFInet6, false, "[127.0.0.1:53 10.87.0.2:53]"},
		{"[::ffff:127.0.0.1]:53", sockopt.AFInet6, false, "[127.0.0.1:53]"},
		{"127.0.0.53:53", sockopt.AFInet, false, "[127.0.0.53:53]"},
		{"[::1]:53", sockopt.AFInet6, false, "[[::1]:53]"},
		{"10.87.0.2:53", sockopt.AFInet, false, "[10.87.0.2:53]"},
		{"[fd87::2]:53", sockopt.AFInet6, false, "[[fd87::2]:53]"},
		{"10.87.0.255:53", sockopt.AFInet, false, "[]"}, // broadcast
		{"224.0.0.251:53", sockopt.AFInet, false, "[]"},
		{"[fe80::1%eth0]:53", sockopt.AFInet6, false, "[]"},
	} {
		for range 2 { // nothing of the first call is left in the table of loopbacks
			if got := fmt.Sprint(shownAddrs(netip.MustParseAddrPort(c.at), c.domain, c.v6only, own)); got != c.want {
				t.Errorf("%s: %s, want %s", c.at, got, c.want)
			}
		}
	}
}

// packet4 and packet6 are datagrams to port 53, with n bytes of options or
// extension header.
func packet4(n int) []byte {
	b := make([]byte, 20+n+8)
	b[0], b[9] = byte(0x40|(20+n)/4), wire.ProtoUDP
	copy(b[16:], []byte{10, 87, 0, 2})
	b[20+n+3] = 53
	return b
}

func packet6(n int) []byte {
	b := make([]byte, 40+n+8)
	b[0], b[6] = 0x60, wire.ProtoUDP
	if n > 0 {
		b[6], b[40], b[41] = wire.ProtoDstOpts, wire.ProtoUDP, byte(n/8-1)
	}
	a := netip.MustParseAddr("fd87::2").As16()
	copy(b[24:], a[:])
	b[40+n+3] = 53
	return b
}

func TestUDPDestination(t *testing.T) {
	for want, packets := range map[string][][]byte{
		"10.87.0.2:53":     {packet4(0), packet4(8)},
		"[fd87::2]:53":     {packet6(0), packet6(8), packet6(16)},
		"invalid AddrPort": {nil, {0x45}, {0x60}, make([]byte, 60)},
	} {
		for _, b := range packets {
			if got, ok := udpDestination(b); got.String() != want || ok != got.IsValid() {
				t.Errorf("% x: %v, %v; want %s", b, got, ok, want)
			}
			for n := range b {
				if got, ok := udpDestination(b[:n]); ok {
					t.Errorf("cut to %d of %d: %v", n, len(b), got)
				}
			}
		}
	}
	tcp := packet4(0)
	tcp[9] = wire.ProtoTCP
	if _, ok := udpDestination(tcp); ok {
		t.Error("TCP")
	}
}

// Only single packets to an address that has a crossing are kept from the
// kernel.
func TestCrosses(t *testing.T) {
	c := crossings{}
	if c.crosses(&netstack.ForwardPacket{Data: packet4(0)}) {
		t.Error("there is no crossing")
	}
	c.byAddr = map[netip.AddrPort]*crossing{netip.MustParseAddrPort("10.87.0.2:53"): {}}
	for _, x := range []struct {
		p    netstack.ForwardPacket
		want bool
	}{
		{netstack.ForwardPacket{Data: packet4(0)}, true},
		{netstack.ForwardPacket{Data: packet4(0), Group: true}, false},
		{netstack.ForwardPacket{Data: packet6(0)}, false},
	} {
		if got := c.crosses(&x.p); got != x.want {
			t.Errorf("%+v: %v", x.p, got)
		}
	}
}

// The relay that goes first was idle longest; those that are shown never go, and
// cost no timer.
func TestOldestRelay(t *testing.T) {
	c := crossings{byAddr: map[netip.AddrPort]*crossing{}}
	if _, ok := c.deadline(); ok || c.oldestRelay() != nil {
		t.Error("there is no relay")
	}
	for i := range uint16(9) {
		at := netip.AddrPortFrom(loopbacks[0], 1+i)
		c.byAddr[at] = &crossing{at: at, relay: i%3 == 0, used: time.Duration(100-i) * time.Second}
	}
	c.relays, c.sweep = 3, time.Second
	if x := c.oldestRelay(); x == nil || x.at.Port() != 7 {
		t.Errorf("%+v", x)
	}
	if at, ok := c.deadline(); !ok || at != time.Second || c.shown() != 6 {
		t.Errorf("%v, %v, %d shown", at, ok, c.shown())
	}
}

// crossingEngine is as much of an engine as crossings need.
func crossingEngine(t *testing.T) *engine {
	t.Helper()
	poll, err := hostlink.NewPoller(8)
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{poll: poll, helper: &direct{}, stack: netstack.New(netstack.Config{}), now: time.Hour}
	e.stack.Advance(e.now)
	t.Cleanup(func() {
		for _, x := range e.cross.byAddr {
			e.closeCrossing(x)
		}
		_ = poll.Close()
	})
	return e
}

// An ear is the owner of an intercepted socket: it notes what it hears.
type ear struct {
	texts  []string
	errors []errno.Errno
}

func (e *ear) Deliver(from netip.AddrPort, to netip.Addr, _ udp.Marks, p []byte) bool {
	e.texts = append(e.texts, string(p))
	return true
}

func (e *ear) Error(no errno.Errno) { e.errors = append(e.errors, no) }

// crossingClient makes a socket that is bound to loopback, at a port of its own.
func (e *engine) crossingClient(t *testing.T) (*udp.Socket, *ear) {
	t.Helper()
	heard := new(ear)
	s := e.stack.NewUDP(sockopt.AFInet, heard)
	if err := s.Bind(netip.AddrPortFrom(loopbacks[0], 0), 0, sockopt.Privilege{}); err != nil {
		t.Fatal(err)
	}
	return s, heard
}

// passes offers a datagram of socket s to a port of the kernel's loopback.
func (e *engine) passes(s *udp.Socket, port uint16, text string) bool {
	return e.offeredDatagram(&udp.Rx{
		Src: loopbacks[0], Dst: loopbacks[0], Link: netstack.LoopbackLink, Payload: []byte(text),
		Header: wire.UDP{SrcPort: s.LocalAddr().Port(), DstPort: port},
	})
}

// plainSocket is a plain program's, at a port of the kernel's choice.
func plainSocket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func portOf(c *net.UDPConn) uint16 { return uint16(c.LocalAddr().(*net.UDPAddr).Port) }

// A relay goes when it was idle for its time, not before; one that was used
// meanwhile has its time again; no relay, no timer.
func TestRelayIdle(t *testing.T) {
	e := crossingEngine(t)
	plain := plainSocket(t)
	a, _ := e.crossingClient(t)
	b, _ := e.crossingClient(t)
	for _, s := range []*udp.Socket{a, b} {
		if !e.passes(s, portOf(plain), "hello") {
			t.Fatal("no way")
		}
	}
	e.now += relayIdle / 2
	e.passes(a, portOf(plain), "again")
	e.sweepRelays()
	if at, ok := e.cross.deadline(); !ok || at != e.now+relayIdle/2 || e.cross.relays != 2 {
		t.Fatalf("%d relays, the next deadline %v, %v", e.cross.relays, at-e.now, ok)
	}
	e.now += relayIdle / 2
	e.sweepRelays()
	if at, ok := e.cross.deadline(); !ok || at != e.now+relayIdle/2 || e.cross.byAddr[a.LocalAddr()] == nil || e.cross.byAddr[b.LocalAddr()] != nil {
		t.Errorf("%d relays, the next deadline %v, %v", e.cross.relays, at-e.now, ok)
	}
	e.now += relayIdle / 2
	e.sweepRelays()
	if _, ok := e.cross.deadline(); ok || len(e.cross.byAddr)+len(e.cross.byPort) != 0 {
		t.Errorf("left: %+v", e.cross.byAddr)
	}
}

// Relays are bounded; the one that was idle longest makes room.
func TestRelaysBounded(t *testing.T) {
	e := crossingEngine(t)
	plain := plainSocket(t)
	var first *udp.Socket
	for i := range maxRelays + 10 {
		s, _ := e.crossingClient(t)
		if first == nil {
			first = s
		}
		e.now += time.Millisecond
		if !e.passes(s, portOf(plain), "hello") {
			t.Fatalf("no way for client %d", i)
		}
	}
	if e.cross.relays != maxRelays || len(e.cross.byAddr) != maxRelays || e.cross.byAddr[first.LocalAddr()] != nil {
		t.Errorf("%d relays of %d crossings", e.cross.relays, len(e.cross.byAddr))
	}
}

// A relay ends with the last socket of its port; one that has sent and is gone
// before its datagram passes leaves none.
func TestRelayEnds(t *testing.T) {
	e := crossingEngine(t)
	plain := plainSocket(t)
	s, _ := e.crossingClient(t)
	at := s.LocalAddr()
	e.passes(s, portOf(plain), "one")
	s.Close()
	e.portReleased(at.Port())
	if len(e.cross.byAddr) != 0 || e.cross.relays != 0 {
		t.Errorf("left: %+v", e.cross.byAddr)
	}
	late := &udp.Rx{Src: loopbacks[0], Dst: loopbacks[0], Payload: []byte("two"), Header: wire.UDP{SrcPort: at.Port(), DstPort: portOf(plain)}}
	if !e.offeredDatagram(late) || len(e.cross.byAddr) != 0 {
		t.Errorf("left after the last word: %+v", e.cross.byAddr)
	}
	for _, want := range []string{"one", "two"} {
		buf := make([]byte, 100)
		n, from, err := plain.ReadFromUDPAddrPort(buf)
		if err != nil || string(buf[:n]) != want || from != at {
			t.Errorf("%q from %v, %v; want %q from %v", buf[:n], from, err, want, at)
		}
	}
}

// Where a plain program has the port of a client, the client's datagrams come
// from another port, and what is sent back there reaches the client.
func TestRelayAtAnotherPort(t *testing.T) {
	e := crossingEngine(t)
	plain, other := plainSocket(t), plainSocket(t)
	heard := new(ear)
	s := e.stack.NewUDP(sockopt.AFInet, heard)
	if err := s.Bind(netip.AddrPortFrom(loopbacks[0], portOf(other)), 0, sockopt.Privilege{}); err != nil {
		t.Fatal(err)
	}
	if !e.passes(s, portOf(plain), "hello") {
		t.Fatal("no way")
	}
	buf := make([]byte, 100)
	_, from, err := plain.ReadFromUDPAddrPort(buf)
	if err != nil || from.Port() == portOf(other) {
		t.Fatalf("from %v, %v", from, err)
	}
	if _, err := plain.WriteToUDPAddrPort([]byte("back"), from); err != nil {
		t.Fatal(err)
	}
	x := e.cross.byAddr[s.LocalAddr()]
	e.crossReady(x.gen, x.fd, hostlink.In)
	if len(heard.texts) != 1 || heard.texts[0] != "back" {
		t.Errorf("heard %q", heard.texts)
	}
}

// A refusal reaches the connected socket that the datagram was from, at once,
// and does not keep the next datagram from being sent.
func TestCrossingRefused(t *testing.T) {
	e := crossingEngine(t)
	plain, gone := plainSocket(t), plainSocket(t)
	nobody := portOf(gone)
	_ = gone.Close()
	s, heard := e.crossingClient(t)
	if err := s.Connect(netip.AddrPortFrom(loopbacks[0], nobody)); err != nil {
		t.Fatal(err)
	}
	if !e.passes(s, nobody, "x") || len(heard.errors) != 1 || heard.errors[0] != errno.ECONNREFUSED || s.TakeError() != errno.ECONNREFUSED {
		t.Errorf("heard %v", heard.errors)
	}
	if !e.passes(s, portOf(plain), "y") {
		t.Error("no way")
	}
	if n, _, err := plain.ReadFromUDPAddrPort(make([]byte, 100)); n != 1 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// What goes to a crossing never goes there through the kernel, or it would come
// back for ever.
func TestCrossingNoCircle(t *testing.T) {
	e := crossingEngine(t)
	plain := plainSocket(t)
	a, _ := e.crossingClient(t)
	b, _ := e.crossingClient(t)
	e.passes(a, portOf(plain), "x")
	if e.passes(b, a.LocalAddr().Port(), "x") || len(e.cross.byAddr) != 1 {
		t.Errorf("crossings: %+v", e.cross.byAddr)
	}
}

// No datagram is taken from a sender who is not of the sandbox.
func TestCrossingFromElsewhere(t *testing.T) {
	e := crossingEngine(t)
	s, heard := e.crossingClient(t)
	x := &crossing{at: s.LocalAddr()}
	for from, want := range map[string]int{"192.0.2.1:9": 0, "127.0.0.1:9": 1} {
		heard.texts = nil
		e.passIn(x, netip.MustParseAddrPort(from), []byte("x"))
		if len(heard.texts) != want {
			t.Errorf("from %s: %d datagrams, want %d", from, len(heard.texts), want)
		}
	}
}

// Passing a datagram either way allocates nothing.
func TestCrossingAllocatesNothing(t *testing.T) {
	e := crossingEngine(t)
	plain := plainSocket(t)
	s := e.stack.NewUDP(sockopt.AFInet, silent{})
	if err := s.Bind(netip.AddrPortFrom(loopbacks[0], 0), 0, sockopt.Privilege{}); err != nil {
		t.Fatal(err)
	}
	rx := &udp.Rx{Src: loopbacks[0], Dst: loopbacks[0], Payload: make([]byte, 1000), Header: wire.UDP{SrcPort: s.LocalAddr().Port(), DstPort: portOf(plain)}}
	e.offeredDatagram(rx)
	x := e.cross.byAddr[s.LocalAddr()]
	back := new(hostlink.Datagrams)
	if n := testing.AllocsPerRun(100, func() {
		e.offeredDatagram(rx)
		back.Send(x.fd, rx.Payload, s.LocalAddr()) // to itself, as plain programs would
		e.crossReady(x.gen, x.fd, hostlink.In)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if e.inline.stats.Crossed < 200 {
		t.Errorf("%d datagrams crossed", e.inline.stats.Crossed)
	}
}

// silent hears and forgets.
type silent struct{}

func (silent) Deliver(netip.AddrPort, netip.Addr, udp.Marks, []byte) bool { return true }
func (silent) Error(errno.Errno)                                          {}
