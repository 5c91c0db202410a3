package tcp

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func netAddr(s *script) netip.AddrPort { return netip.AddrPortFrom(s.remote, s.rport) }

// TestFastOpenCookies: a cookie is bound to both addresses and the key.
func TestFastOpenCookies(t *testing.T) {
	s := newScript(t, nil)
	k := makeTuple(testLocal, testRemote, 1, 2)
	other := makeTuple(testLocal, netip.MustParseAddr("10.0.0.3"), 1, 2)
	ports := makeTuple(testLocal, testRemote, 3, 4)
	c, _ := s.l.fastCookie("", 0, &k)
	check := func(what string, k *tuple, good, old bool) {
		t.Helper()
		if g, o := s.l.checkFastCookie("", k, c[:]); g != good || o != old {
			t.Errorf("%s: good %v, old %v", what, g, o)
		}
	}
	check("itself", &k, true, false)
	check("other ports", &ports, true, false)
	check("another source", &other, false, false)
	s.l.SetFastOpenKeys(&[16]byte{1}, nil)
	check("another key", &k, false, false)
	c, _ = s.l.fastCookie("", 0, &k)
	s.l.SetFastOpenKeys(&[16]byte{2}, &[16]byte{1})
	check("the key before", &k, true, true)
	s.l.SetFastOpenKeys(&[16]byte{3}, &[16]byte{2})
	check("the key before that", &k, false, false)
	if ok, _ := s.l.checkFastCookie("", &k, nil); ok {
		t.Error("no cookie is good")
	}
}

// TestFastOpenPeersAreBounded: a program that connects everywhere keeps no more
// than the newest cookies.
func TestFastOpenPeersAreBounded(t *testing.T) {
	var f fastState
	for i := range 3 * maxFastPeers {
		f.peer(source(i)).size = 8
	}
	if len(f.peers) != maxFastPeers || len(f.order) != maxFastPeers {
		t.Errorf("%d entries, %d in order", len(f.peers), len(f.order))
	}
	if f.peers[source(3*maxFastPeers-1)] == nil || f.peers[source(0)] != nil {
		t.Error("the newest went, or the oldest stayed")
	}
}

// TestFastOpenFlood: SYNs with good cookies take no more connections than the
// queue allows, and the others fall back.
func TestFastOpenFlood(t *testing.T) {
	s := story(t, "with tcp_fastopen=2\nlisten 1000\nfastopen 16")
	for i := range 2000 { // those beyond the backlog get SYN cookies
		s.rport = uint16(1000 + i)
		s.step("< S seq 0 len 1000 fo")
	}
	s.step("skip")
	if n := len(s.l.conns); n != 16 {
		t.Errorf("%d connections", n)
	}
	if held := s.n.pool.InUse(); held > 16*4096 {
		t.Errorf("%d bytes held", held)
	}
	if s.l.counters.FastOpenListenOverflow != 1001 || len(s.l.half) != 1001 {
		t.Errorf("%d overflows, %d half-open", s.l.counters.FastOpenListenOverflow, len(s.l.half))
	}
	if err := s.l.Audit(); err != nil {
		t.Error(err)
	}
	s.lst.Close()
	if len(s.l.conns) != 0 || s.n.pool.InUse() != 0 {
		t.Errorf("%d connections, %d bytes after the listener closed", len(s.l.conns), s.n.pool.InUse())
	}
}

// TestFastOpenPauseDoubles: Linux's tcp_fastopen_blackhole_timeout_sec.
func TestFastOpenPauseDoubles(t *testing.T) {
	s := story(t, "with tcp_fastopen_blackhole_timeout_sec=60")
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 64, 64} {
		s.l.pauseFastOpen()
		if got := s.l.fast.pausedUntil - s.n.now; got != want*time.Minute {
			t.Errorf("%v, want %v", got, want*time.Minute)
		}
	}
}

// TestFastOpenSynSizes: what a SYN carries fits the peer's last MSS and the path.
func TestFastOpenSynSizes(t *testing.T) {
	for _, c := range []struct {
		mss, mtu int
		want     string
	}{{1460, 1500, "1420"}, {1000, 1500, "960"}, {1460, 1000, "920"}} {
		s := story(t, fmt.Sprintf("mtu %d", c.mtu))
		p := s.l.fast.peer(testRemote)
		p.mss, p.size = uint16(c.mss), 8
		s.steps("connectdata 5000", "> S seq 0 len "+c.want)
	}
}

// TestFastOpenOptionBounds: RFC 7413 section 4.1.1, cookies of 4 to 16 bytes, an
// even number.
func TestFastOpenOptionBounds(t *testing.T) {
	for n := range 20 {
		b := (&wire.TCP{Flags: wire.TCPSyn, WScale: -1, Extra: wire.AppendOption(nil, wire.OptFastOpen, make([]byte, n))}).AppendTo(nil)
		var h wire.TCP
		if _, err := wire.ParseTCP(b, &h); err != nil {
			t.Fatal(err)
		}
		want := n == 0 || n >= 4 && n <= 16 && n%2 == 0
		if c, ok := h.FastOpen(); ok != want || ok && len(c) != n {
			t.Errorf("%d bytes: %v, %v", n, c, ok)
		}
	}
}

// TestFastOpenKeyRotation: a cookie of the key before is good, and the peer gets
// a new one with the SYN-ACK.
func TestFastOpenKeyRotation(t *testing.T) {
	s := story(t, "with tcp_fastopen=2\nlisten 5\nfastopen 5\nfastkey 1")
	old := hex.EncodeToString(s.fastCookie())
	s.steps("fastkey 2 1", "< S seq 0 len 10 opt "+old, "> S. seq 0 ack 11 fo", "< . seq 11 ack 1", "queue 1",
		"forget", "port 77", "fastkey 3 2", "< S seq 0 len 10 opt "+old, "> S. seq 0 ack 1 fo", "half 1")
}

// TestFastOpenListenerKeys: cookies of a listener with keys of its own are made
// with those, and the second is good for cookies from before a rotation; the
// stack's are not.
func TestFastOpenListenerKeys(t *testing.T) {
	s := story(t, "with tcp_fastopen=2\nlisten 5\nfastopen 5\nfastkey 1")
	stacks := hex.EncodeToString(s.fastCookie())
	s.steps("listenerkey 9", "< S seq 0 len 10 opt "+stacks, "> S. seq 0 ack 1 fo", "half 1")
	s = story(t, "with tcp_fastopen=2\nlisten 5\nfastopen 5\nlistenerkey 8")
	old := hex.EncodeToString(s.fastCookie())
	s.steps("listenerkey 9 8", "< S seq 0 len 10 opt "+old, "> S. seq 0 ack 11 fo", "< . seq 11 ack 1", "queue 1")
}

func TestFastOpenSettings(t *testing.T) {
	s := newScript(t, map[string]string{"tcp_fastopen": "0"})
	if err := s.set(tcpFastOpen, -1); err != errno.EINVAL {
		t.Error(err)
	}
	if err := s.set(tcpFastOpen, 0); err != nil {
		t.Error(err)
	}
	if err := s.set(tcpFastOpenConnect, 1); err != errno.EOPNOTSUPP {
		t.Error(err)
	}
	if _, err := s.s.ConnectWithData(netAddr(s), nil); err != errno.EOPNOTSUPP {
		t.Error(err)
	}
	s = story(t, "connect\nskip")
	for _, option := range []int{tcpFastOpen, tcpFastOpenNoCookie} {
		if err := s.set(option, 1); err != errno.EINVAL {
			t.Errorf("option %d while connecting: %v", option, err)
		}
	}
}

// TestFastOpenSettingsOfUsedSockets: a socket that has a connection has begun
// without them, and one that listens opens nothing.
func TestFastOpenSettingsOfUsedSockets(t *testing.T) {
	for story, want := range map[*script][3]error{
		story(t, "listen 5"):                    {nil, errno.EINVAL, nil},
		story(t, "connect\n> S"):                {errno.EINVAL, errno.EINVAL, errno.EINVAL},
		story(t, "with tcp_fastopen=1\nport 1"): {nil, nil, nil},
	} {
		got := [3]error{story.set(tcpFastOpen, 1), story.set(tcpFastOpenConnect, 1), story.set(tcpFastOpenNoCookie, 1)}
		if got != want {
			t.Errorf("%v: %v, want %v", story.s.State(), got, want)
		}
	}
}

// TestFastOpenWithoutSecondKey: what stands in the place of the second key's
// cookie when there is none is not a cookie.
func TestFastOpenWithoutSecondKey(t *testing.T) {
	s := story(t, "fastkey 1")
	k := makeTuple(s.local, s.remote, 0, 0)
	if good, _ := s.l.checkFastCookie("", &k, make([]byte, fastCookieLen)); good {
		t.Error("a cookie of zeros is good")
	}
}
