package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// tcp_strong_iss of illumos: 0 counts seconds and connections, 1 takes random steps
// besides, 2 is RFC 6528.
func TestStrongISS(t *testing.T) {
	k, other := makeTuple(testLocal, testRemote, 1, 2), makeTuple(testLocal, testRemote, 3, 4)
	s := newScript(t, map[string]string{"tcp_strong_iss": "0"})
	first := s.l.isn(&k)
	if d := s.l.isn(&other) - first; d != weakConn {
		t.Errorf("0: the next connection is at %d", d)
	}
	s.n.now += 3 * time.Second
	if d := s.l.isn(&k) - first; d != 2*weakConn+3*weakSecond {
		t.Errorf("0: after 3 s at %d", d)
	}

	s = newScript(t, map[string]string{"tcp_strong_iss": "1"})
	steps := make(map[uint32]bool)
	for last, i := s.l.isn(&k), 0; i < 20; i++ {
		next := s.l.isn(&k)
		if d := next - last; d < weakConn || d >= 2*weakConn {
			t.Errorf("1: a step of %d", d)
		}
		steps[next-last] = true
		last = next
	}
	if len(steps) < 15 {
		t.Errorf("1: %d different steps of 20", len(steps))
	}

	s = newScript(t, nil)
	if first, again := s.l.isn(&k), s.l.isn(&k); first != again || first-s.l.isn(&other) == weakConn {
		t.Error("2: it is a counter")
	}
}

// tcp_min_rtt_wlen: the least round trip grows old.
func TestMinRTTWindow(t *testing.T) {
	for value, want := range map[string]time.Duration{"300": 10 * ms, "2": 30 * ms, "0": 30 * ms} {
		s := story(t, "with tcp_min_rtt_wlen="+value+"\nfrom far")
		c := s.s.conn
		c.minRTT = 0
		at := c.now()
		c.leastRTT(10*ms, at)
		c.leastRTT(20*ms, at)
		if value != "0" && c.minRTT != 10*ms {
			t.Errorf("%s s: %v at once", value, c.minRTT)
		}
		if c.leastRTT(30*ms, at+3*time.Second); c.minRTT != want {
			t.Errorf("%s s: %v after 3 s, want %v", value, c.minRTT, want)
		}
	}
}

// tcp_pacing_ss_ratio and tcp_pacing_ca_ratio are percent of the window.
func TestPacingRatios(t *testing.T) {
	s := story(t, "with tcp_pacing_ss_ratio=300 tcp_pacing_ca_ratio=110 functions_default=rack\nfrom far")
	c := s.s.conn
	c.cwnd, c.srtt, c.ssthresh = 100_000, 100*ms, maxCwnd
	if r := c.paceRate(); r != 3_000_000 {
		t.Errorf("slow start at %d", r)
	}
	c.ssthresh = 50_000
	if r := c.paceRate(); r != 1_100_000 {
		t.Errorf("congestion avoidance at %d", r)
	}
	if err := s.l.profile.ChangeTunables(map[string]string{"tcp_pacing_ca_ratio": "0"}); err != nil {
		t.Fatal(err)
	}
	if r := c.paceRate(); r != 0 {
		t.Errorf("0 paces at %d", r)
	}
}

// tcp_min_tso_segs and tcp_tso_rtt_log: what leaves at once while paced.
func TestPacedBursts(t *testing.T) {
	for _, c := range []struct {
		set  string
		rtt  time.Duration
		rate uint64
		want uint32
	}{
		{"tcp_min_tso_segs=2", 100 * ms, 1e6, 2 * 1460},
		{"tcp_min_tso_segs=5", 100 * ms, 1e6, 5 * 1460},
		{"tcp_min_tso_segs=2", 100 * ms, 1e7, 10_000},
		{"tcp_tso_rtt_log=9", 100 * time.Microsecond, 1e6, maxQuantum},
		{"tcp_tso_rtt_log=9", 1100 * time.Microsecond, 1e7, 10_000 + 65000/4},
		{"tcp_tso_rtt_log=9", 100 * ms, 1e7, 10_000},
		{"tcp_tso_rtt_log=255", 100 * ms, 1e7, maxQuantum},
	} {
		s := story(t, "with "+c.set+"\nfrom far\ngso 65000")
		k := s.s.conn
		k.path.GSOMax, k.minRTT = 65000, c.rtt
		if got := k.paceBurst(c.rate); got != min(c.want, maxQuantum) && !(c.want == maxQuantum && got > 65000) {
			t.Errorf("%s, %v: %d bytes at once, want %d", c.set, c.rtt, got, c.want)
		}
	}
}

// tcp_tso_win_divisor: the part of the window that does not wait to grow.
func TestWindowPart(t *testing.T) {
	for value, want := range map[string]uint32{"0": 3 * 1460, "1": 90_000, "3": 30_000, "255": 90_000 / 255} {
		s := story(t, "with tcp_tso_win_divisor="+value+"\nfrom far\nsetcwnd 90000")
		if got := s.s.conn.windowPart(); got != want {
			t.Errorf("%s: %d bytes, want %d", value, got, want)
		}
	}
}

// tcp_fastopen_key: the first makes cookies, the second is still good; without one
// the stack has its own.
func TestFastOpenKeyTunable(t *testing.T) {
	s := newScript(t, map[string]string{"tcp_fastopen_key": "1-0-0-0"})
	k := makeTuple(testLocal, testRemote, 80, 2)
	cookie, _ := s.l.fastCookie("", 0, &k)
	byHand := newScript(t, nil)
	own, _ := byHand.l.fastCookie("", 0, &k)
	byHand.l.SetFastOpenKeys(&[16]byte{1}, nil)
	if same, _ := byHand.l.fastCookie("", 0, &k); same != cookie || own == cookie {
		t.Errorf("%x with the key, %x by hand, %x without", cookie, same, own)
	}
	for _, c := range []struct {
		value     string
		good, old bool
	}{{"2-0-0-0,1-0-0-0", true, true}, {"1-0-0-0,2-0-0-0", true, false}, {"2-0-0-0", false, false}, {"0-0-0-0", false, false}} {
		if err := s.l.profile.ChangeTunables(map[string]string{"tcp_fastopen_key": c.value}); err != nil {
			t.Fatal(err)
		}
		s.l.Retune()
		if good, old := s.l.checkFastCookie("", &k, cookie[:]); good != c.good || old != c.old {
			t.Errorf("%s: good %v, old %v", c.value, good, old)
		}
	}
}

// tcp_migrate_req: who waits at a listener that closes goes to another one of the
// same address, user and option, if there is one.
func TestMigrateReq(t *testing.T) {
	for _, c := range []struct {
		name     string
		value    string
		uid      uint32
		at       string
		reuse    bool
		migrates bool
	}{
		{"on", "1", 7, "10.0.0.1:80", true, true},
		{"off", "0", 7, "10.0.0.1:80", true, false},
		{"wildcard", "1", 7, "0.0.0.0:80", true, false},
		{"none", "1", 7, "10.0.0.1:81", true, false},
	} {
		s := newScript(t, map[string]string{"tcp_migrate_req": c.value})
		listen := func(at string, uid uint32) *Socket {
			l := s.l.NewSocket(afInet, s.flow)
			l.opts.ReusePort = c.reuse
			if err := l.Bind(addrPort(at), uid, sockopt.Privilege{NetBindService: true}); err != nil {
				t.Fatal(err)
			}
			if err := l.Listen(5); err != nil {
				t.Fatal(err)
			}
			return l
		}
		first := listen("10.0.0.1:80", 7)
		syn := func(port uint16) *Rx {
			rx := &Rx{Src: testRemote, Dst: testLocal, Link: 1, TTL: 64,
				Header: wire.TCP{SrcPort: port, DstPort: 80, Seq: peerISS, Flags: wire.TCPSyn, Window: 1000, MSS: 1000, WScale: -1}}
			s.l.Input(rx)
			s.l.Flush()
			return rx
		}
		finish := func(rx *Rx) {
			k := makeTuple(testLocal, testRemote, 80, rx.Header.SrcPort)
			h := s.l.half[k]
			if h == nil {
				return
			}
			rx.Header = wire.TCP{SrcPort: rx.Header.SrcPort, DstPort: 80, Seq: peerISS + 1, Ack: h.iss + 1, Flags: wire.TCPAck, Window: 1000, WScale: -1}
			s.l.Input(rx)
		}
		done, half := syn(6000), syn(6001)
		finish(done)
		if first.AcceptQueueLen() != 1 || first.lst.half != 1 {
			t.Fatalf("%d wait, %d are half open", first.AcceptQueueLen(), first.lst.half)
		}
		second := listen(c.at, c.uid)
		first.Close()
		if got := second.AcceptQueueLen() == 1 && second.lst.half == 1; got != c.migrates {
			t.Errorf("%s: %d wait, %d are half open", c.name, second.AcceptQueueLen(), second.lst.half)
		}
		finish(half)
		want := 0
		if c.migrates {
			want = 2
		}
		if n := second.AcceptQueueLen(); n != want {
			t.Errorf("%s: %d can be accepted, want %d", c.name, n, want)
		}
		for range want {
			k, err := second.Accept()
			if err != nil || k.State() != StateEstablished || k.RemoteAddr().Addr() != testRemote {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// tcp_min_anonpriv_port of illumos is the least that TCP_ANONPRIVBIND chooses.
func TestMinAnonPrivPort(t *testing.T) {
	l, _ := bindLayer(t, "illumos")
	if err := l.profile.ChangeTunables(map[string]string{"tcp_min_anonpriv_port": "1022"}); err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint16]bool)
	for range 3 {
		s := l.NewSocket(afInet, nil)
		s.opts.SetRare(func(r *sockopt.Rare) { r.AnonPrivBind = true })
		if err := s.Bind(netip.MustParseAddrPort("0.0.0.0:0"), 0, noPrivilege); err != nil && err != errno.EADDRNOTAVAIL {
			t.Fatal(err)
		}
		seen[s.port()] = true
	}
	if !seen[1022] || !seen[1023] || !seen[0] || len(seen) != 3 {
		t.Errorf("ports %v", seen)
	}
}

// tcp_tso_win_divisor: a piece that is a small part of the window waits for more
// acknowledgements.
func TestWindowPartWaits(t *testing.T) {
	for value, want := range map[string]uint32{"2": 0, "255": 10 * 1460} {
		s := story(t, "with tcp_tso_win_divisor="+value+"\nfrom sack\ngso 65000")
		c := s.s.conn
		c.path.GSOMax = 65000
		c.cwnd, c.sndWnd = 40*1460, 1<<20
		s.s.Write(patterned(0, 60*1460))
		s.steps("skip")
		if c.sndNxt-c.sndUna != 40*1460 {
			t.Fatalf("%d bytes are out", c.sndNxt-c.sndUna)
		}
		c.cwnd += 10 * 1460
		if n, _ := c.sendable(); n != want {
			t.Errorf("%s: %d bytes, want %d", value, n, want)
		}
	}
}
