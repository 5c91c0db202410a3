package engine

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"golang.org/x/sys/unix"
)

// dialFrom connects from a namespace by the kernel's sockets.
func dialFrom(ns, addr string) (c net.Conn, err error) {
	e := hostlink.InNetNS(ns, func() error {
		c, err = net.DialTimeout("tcp", addr, patience)
		return nil
	})
	if err == nil {
		err = e
	}
	return c, err
}

// eventually asks the engine until its status is as wanted.
func (s *sandbox) eventually(what string, ok func(*Status) bool) {
	s.t.Helper()
	c := s.client()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		st, err := c.Status()
		if err != nil {
			s.t.Fatal(err)
		}
		if ok(&st) {
			return
		}
	}
	s.t.Fatalf("never: %s", what)
}

// TestInlineBound fills the inline path: one connection more waits until there is
// room again, and none is kept after its end.
func TestInlineBound(t *testing.T) {
	const bound = 4
	s := newSandbox(t, func(c *Config) { c.MaxSockets = bound })
	var l net.Listener
	inNS(t, s.host, func() (err error) {
		l, err = net.Listen("tcp", "10.98.0.1:7000")
		return err
	})
	defer func() { _ = l.Close() }()
	accepted := make(chan net.Conn, 2*bound)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	var held []net.Conn
	for range bound {
		c, err := dialFrom(s.ns, "10.98.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	type result struct {
		c   net.Conn
		err error
	}
	more := make(chan result, 1)
	go func() {
		c, err := dialFrom(s.ns, "10.98.0.1:7000")
		more <- result{c, err}
	}()
	s.eventually("a connection is dropped", func(st *Status) bool { return st.Inline.Dropped > 0 && st.Inline.Connections == bound })
	select {
	case r := <-more:
		t.Fatalf("one more than %d: %v", bound, r.err)
	default:
	}
	_ = held[0].Close()
	_ = (<-accepted).Close()
	r := <-more
	if r.err != nil {
		t.Fatalf("after one has ended: %v", r.err)
	}
	for _, c := range append(held[1:], r.c) {
		_ = c.Close()
	}
	for range bound {
		_ = (<-accepted).Close()
	}
	s.eventually("all are gone", func(st *Status) bool { return st.Inline.Connections == 0 })
}

// TestInlineOff drops what comes out of the interface.
func TestInlineOff(t *testing.T) {
	off := false
	s := newSandbox(t, func(c *Config) { c.Inline = &off })
	inNS(t, s.ns, func() error {
		c, err := net.Dial("udp", "10.98.0.1:9")
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("x"))
		_ = c.Close()
		return err
	})
	s.eventually("a frame from the interface", func(st *Status) bool { return st.Links[1].RxFrames > 0 })
	if st, err := s.client().Status(); err != nil || st.Inline != nil || st.Links[1].TxFrames != 0 {
		t.Errorf("status %+v, %v", st, err)
	}
}

// TestInlineRefused tells programs of the sandbox's kernel that there is no
// network for them, by what each protocol has for it, and tells the network the
// same of them.
func TestInlineRefused(t *testing.T) {
	s := newSandbox(t, func(c *Config) { c.RefusePlain = true })
	listen := func(ns, addr string) {
		t.Helper()
		inNS(t, ns, func() error {
			l, err := net.Listen("tcp", addr)
			if err == nil {
				t.Cleanup(func() { _ = l.Close() })
			}
			return err
		})
	}
	listen(s.host, "10.98.0.1:7000")
	listen(s.host, "[fd98::1]:7000")
	listen(s.ns, ":7000")
	for _, c := range []struct{ from, to string }{
		{s.ns, "10.98.0.1:7000"}, {s.ns, "[fd98::1]:7000"}, {s.host, "10.98.0.2:7000"}, {s.host, "[fd98::2]:7000"},
	} {
		conn, err := dialFrom(c.from, c.to)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("to %s: %v", c.to, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	for to, want := range map[string]error{"10.98.0.1:7": syscall.EHOSTUNREACH, "[fd98::1]:7": syscall.EACCES} {
		inNS(t, s.ns, func() error {
			c, err := net.Dial("udp", to)
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			if _, err := c.Write([]byte("x")); err != nil {
				return err
			}
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, want) {
				t.Errorf("UDP to %s: %v", to, err)
			}
			return nil
		})
	}
	s.eventually("four refusals", func(st *Status) bool { return st.Inline.Closed && st.Inline.Denied == 4 })
	if st, err := s.client().Status(); err != nil || st.Inline.Connections+int(st.Inline.Out+st.Inline.In+st.Inline.PacketsOut+st.Inline.PacketsIn) != 0 {
		t.Errorf("something crossed: %+v, %v", st.Inline, err)
	}
}

// TestRefusalsInTheLog: the first at once, and then one line for all of a pause.
func TestRefusalsInTheLog(t *testing.T) {
	var text strings.Builder
	e := &engine{log: slog.New(slog.NewTextHandler(&text, nil))}
	from, to := netip.MustParseAddrPort("10.0.0.2:9"), netip.MustParseAddrPort("10.0.0.9:80")
	for i := range 2*int(refusalPause/time.Second) + 1 {
		e.now = time.Duration(i) * time.Second
		e.refusePlain("TCP", from, to)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], "protocol=TCP from=10.0.0.2:9 to=10.0.0.9:80 refused=1") ||
		!strings.HasSuffix(lines[1], "refused=60") || !strings.HasSuffix(lines[2], "refused=60") || e.inline.stats.Denied != 121 {
		t.Errorf("%d refusals: %q", e.inline.stats.Denied, lines)
	}
}

// What a packet is called, also one that is cut short.
func TestDescribe(t *testing.T) {
	udp4 := (&wire.IPv4{TTL: 1, Protocol: wire.ProtoUDP, TotalLen: wire.IPv4MinHeader, Src: netip.MustParseAddr("10.0.0.2"), Dst: netip.MustParseAddr("10.0.0.9")}).AppendTo(nil)
	icmp6 := (&wire.IPv6{HopLimit: 1, NextHeader: wire.ProtoICMP6, Src: netip.MustParseAddr("fd00::2"), Dst: netip.MustParseAddr("fd00::9")}).AppendTo(nil)
	for _, c := range []struct {
		packet   []byte
		protocol string
		to       netip.AddrPort
	}{
		{udp4, "UDP", netip.MustParseAddrPort("10.0.0.9:0")},
		{icmp6, "ICMP", netip.MustParseAddrPort("[fd00::9]:0")},
		{udp4[:19], "another", netip.AddrPort{}},
		{nil, "another", netip.AddrPort{}},
	} {
		if protocol, _, to := describe(c.packet); protocol != c.protocol || to != c.to {
			t.Errorf("%x: %s to %s", c.packet, protocol, to)
		}
	}
}

// optionsOf are the TCP options that a kernel's connection has agreed on, and the
// size of its segments.
func optionsOf(t *testing.T, c net.Conn) (options, mss int) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if e := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return int(info.Options) & 7, int(info.Snd_mss)
}

// TestInlineInsideIsLinux: what a profile lacks is missing on the wire, and not
// between the sandbox's kernel and the engine, in either direction.
func TestInlineInsideIsLinux(t *testing.T) {
	const all = 1 | 2 | 4 // TCPI_OPT_TIMESTAMPS, _SACK, _WSCALE
	s := newSandbox(t, func(c *Config) { c.Profile = "sortix" })
	for _, way := range []struct{ name, from, to, addr string }{
		{"out", s.ns, s.host, "10.98.0.1:7000"},
		{"in", s.host, s.ns, "10.98.0.2:7000"},
	} {
		t.Run(way.name, func(t *testing.T) {
			var l net.Listener
			inNS(t, way.to, func() (err error) {
				l, err = net.Listen("tcp", way.addr)
				return err
			})
			defer func() { _ = l.Close() }()
			asks, err := dialFrom(way.from, way.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = asks.Close() }()
			answers, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answers.Close() }()
			inside, outside := asks, answers
			if way.name == "in" {
				inside, outside = answers, asks
			}
			if options, mss := optionsOf(t, inside); options != all || mss < 1400 {
				t.Errorf("inside: options %#x, segments of %d bytes", options, mss)
			}
			if options, mss := optionsOf(t, outside); options != 0 || mss > 536 {
				t.Errorf("outside: options %#x, segments of %d bytes", options, mss)
			}
		})
	}
}
