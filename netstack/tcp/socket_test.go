package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestBindErrors(t *testing.T) {
	root := sockopt.Privilege{NetBindService: true}
	for _, c := range []struct {
		name   string
		domain int
		addr   string
		priv   sockopt.Privilege
		want   error
	}{
		{"an address of ours", afInet, "10.0.0.1:8080", noPrivilege, nil},
		{"any", afInet, "0.0.0.0:8080", noPrivilege, nil},
		{"a port of the stack's choice", afInet, "0.0.0.0:0", noPrivilege, nil},
		{"not ours", afInet, "10.0.0.9:8080", noPrivilege, errno.EADDRNOTAVAIL},
		{"privileged", afInet, "0.0.0.0:80", noPrivilege, errno.EACCES},
		{"the last privileged", afInet, "0.0.0.0:1023", noPrivilege, errno.EACCES},
		{"the first that is not", afInet, "0.0.0.0:1024", noPrivilege, nil},
		{"privileged with the capability", afInet, "0.0.0.0:80", root, nil},
		{"IPv6 on AF_INET", afInet, "[::]:8080", noPrivilege, errno.EAFNOSUPPORT},
		{"IPv4 on AF_INET6", afInet6, "10.0.0.1:8080", noPrivilege, errno.EAFNOSUPPORT},
		{"mapped", afInet6, "[::ffff:10.0.0.1]:8080", noPrivilege, nil},
		{"taken", afInet, "0.0.0.0:7000", noPrivilege, errno.EADDRINUSE},
		{"taken by a dual-stack socket", afInet6, "[::]:7000", noPrivilege, errno.EADDRINUSE},
	} {
		s := newScript(t, nil)
		other := s.l.NewSocket(afInet6, s)
		if err := other.Bind(addrPort("[::]:7000"), 0, noPrivilege); err != nil {
			t.Fatal(err)
		}
		if err := s.l.NewSocket(c.domain, s).Bind(addrPort(c.addr), 0, c.priv); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	s := newScript(t, nil)
	if err := s.s.Bind(addrPort("0.0.0.0:7001"), 0, noPrivilege); err != nil {
		t.Fatal(err)
	}
	if err := s.s.Bind(addrPort("0.0.0.0:7002"), 0, noPrivilege); err != errno.EINVAL {
		t.Errorf("bound twice: %v", err)
	}
	late := s.l.NewSocket(afInet, s)
	late.opts.BindNoPort = true
	if err := late.Bind(addrPort("10.0.0.1:0"), 0, noPrivilege); err != nil {
		t.Fatal(err)
	}
	if err := late.Bind(addrPort("10.0.0.1:0"), 0, noPrivilege); err != errno.EINVAL {
		t.Errorf("bound twice without a port: %v", err)
	}
}

func TestConnectErrors(t *testing.T) {
	for _, profile := range sockopt.ProfileNames() {
		t.Run(profile, func(t *testing.T) { connectErrors(t, profile) })
	}
}

func connectErrors(t *testing.T, profile string) {
	s := newScriptWith(t, setting{profile: profile, mtu: 1500})
	multicast := errno.ENETUNREACH
	if profile == "freebsd" { // tcp(4), ERRORS
		multicast = errno.EAFNOSUPPORT
	}
	for _, c := range []struct {
		name   string
		domain int
		addr   string
		want   errno.Errno
	}{
		{"no route", afInet, "203.0.113.1:80", errno.ENETUNREACH},
		{"multicast", afInet, "224.0.0.1:80", multicast},
		{"IPv6 on AF_INET", afInet, "[fd00::2]:80", errno.EAFNOSUPPORT},
		{"IPv4 on AF_INET6", afInet6, "10.0.0.2:80", errno.EAFNOSUPPORT},
		{"mapped", afInet6, "[::ffff:10.0.0.2]:80", errno.EINPROGRESS},
	} {
		if err := s.l.NewSocket(c.domain, s).Connect(addrPort(c.addr)); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	only := s.l.NewSocket(afInet6, s)
	only.opts.V6Only = true
	if err := only.Connect(addrPort("[::ffff:10.0.0.2]:80")); err != errno.ENETUNREACH {
		t.Errorf("mapped on an IPv6-only socket: %v", err)
	}
	s.step("skip")
	s.step("forget")
	s.step("connect")
	s.l.Flush()
	if err := s.s.Connect(addrPort("10.0.0.2:80")); err != errno.EALREADY {
		t.Errorf("while connecting: %v", err)
	}
	s.step("> S seq 0")
	s.step("< S. seq 0 ack 1")
	if err := s.s.Connect(addrPort("10.0.0.2:80")); err != errno.EISCONN {
		t.Errorf("when connected: %v", err)
	}
	if err := s.s.Listen(1); err != errno.EINVAL {
		t.Errorf("listen when connected: %v", err)
	}
}

func TestAddressesOfDualStackSockets(t *testing.T) {
	s := newScript(t, nil)
	s.lst = s.l.NewSocket(afInet6, s)
	if err := s.lst.Bind(addrPort("[::]:8080"), 0, noPrivilege); err != nil {
		t.Fatal(err)
	}
	if err := s.lst.Listen(5); err != nil {
		t.Fatal(err)
	}
	s.lport = 8080
	s.step("< S seq 0")
	s.step("> S. seq 0 ack 1")
	s.step("< . seq 1 ack 1")
	s.step("accept")
	if got := s.s.LocalAddr(); got != addrPort("[::ffff:10.0.0.1]:8080") {
		t.Errorf("local address %v", got)
	}
	if got := s.s.RemoteAddr(); got != addrPort("[::ffff:10.0.0.2]:5000") {
		t.Errorf("remote address %v", got)
	}
	if got := s.lst.LocalAddr(); got != addrPort("[::]:8080") {
		t.Errorf("listener's address %v", got)
	}
}

func TestListenerChoice(t *testing.T) {
	s := newScript(t, nil)
	listen := func(domain int, addr string, tune func(*sockopt.Options)) *Socket {
		k := s.l.NewSocket(domain, s)
		tune(&k.opts)
		if err := k.Bind(addrPort(addr), 0, noPrivilege); err != nil {
			t.Fatal(addr, err)
		}
		if err := k.Listen(5); err != nil {
			t.Fatal(addr, err)
		}
		return k
	}
	none := func(*sockopt.Options) {}
	v6 := listen(afInet6, "[::]:8081", func(o *sockopt.Options) { o.V6Only = true })
	any4 := listen(afInet, "0.0.0.0:8081", none)
	exact := listen(afInet, "127.0.0.1:8082", none)
	dual := listen(afInet6, "[::]:8083", none)
	only6 := listen(afInet6, "[::]:8085", func(o *sockopt.Options) { o.V6Only = true })
	mapped := listen(afInet6, "[::ffff:0.0.0.0]:8086", none)
	shared := func(o *sockopt.Options) { o.ReusePort = true }
	both := listen(afInet6, "[::]:8087", shared)
	own4 := listen(afInet, "0.0.0.0:8087", shared)
	listen(afInet, "10.0.0.1:8088", shared)
	onLink := listen(afInet, "0.0.0.0:8088", func(o *sockopt.Options) { o.ReusePort, o.BindToIf = true, 1 })
	listen(afInet, "10.0.0.1:8089", func(o *sockopt.Options) { o.BindToIf = 2 })
	for _, c := range []struct {
		dst  string
		port uint16
		want *Socket
	}{
		{"10.0.0.1", 8081, any4}, {"fd00::1", 8081, v6}, {"127.0.0.1", 8082, exact}, {"10.0.0.1", 8082, nil},
		{"10.0.0.1", 8083, dual}, {"fd00::1", 8083, dual}, {"10.0.0.1", 8084, nil},
		{"10.0.0.1", 8085, nil}, {"fd00::1", 8085, only6}, {"10.0.0.1", 8086, mapped}, {"fd00::1", 8086, nil},
		{"10.0.0.1", 8087, own4}, {"fd00::1", 8087, both}, {"fd00::1", 8082, nil}, {"10.0.0.1", 8088, onLink},
		{"10.0.0.1", 8089, nil},
	} {
		dst := netip.MustParseAddr(c.dst)
		k := makeTuple(dst, testRemote, c.port, 5)
		got := s.l.findListener(&k, dst, 1)
		if got == nil && c.want == nil {
			continue
		}
		if got == nil || got.s != c.want {
			t.Errorf("%s port %d: wrong listener", c.dst, c.port)
		}
	}
}

func TestReusePortSpreads(t *testing.T) {
	s := newScript(t, nil)
	counts := map[*listener]int{}
	for range 4 {
		k := s.l.NewSocket(afInet, s)
		k.opts.ReusePort = true
		if err := k.Bind(addrPort("0.0.0.0:90"), 7, sockopt.Privilege{NetBindService: true}); err != nil {
			t.Fatal(err)
		}
		if err := k.Listen(5); err != nil {
			t.Fatal(err)
		}
	}
	for p := range uint16(4000) {
		k := makeTuple(testLocal, testRemote, 90, p)
		counts[s.l.findListener(&k, testLocal, 1)]++
	}
	for _, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("a listener of four got %d of 4000", n)
		}
	}
}

func TestPortStaysTakenByAcceptedConnections(t *testing.T) {
	s := story(t, "from accepted")
	s.lst.Close()
	bind := func(reuse bool) error {
		k := s.l.NewSocket(afInet, s)
		k.opts.ReuseAddr = reuse
		err := k.Bind(netip.AddrPortFrom(testLocal, 80), 0, sockopt.Privilege{NetBindService: true})
		k.Close()
		return err
	}
	if err := bind(false); err != errno.EADDRINUSE {
		t.Errorf("with a connection left: %v", err)
	}
	s.s.Abort()
	if err := bind(false); err != nil {
		t.Errorf("with none left: %v", err)
	}
}

func TestSocketsListsEveryState(t *testing.T) {
	s := story(t, `
		from accepted
		closew
		> F. seq 1
		< F. seq 1 ack 2
		> . seq 2
		< S seq 0 port 9
		skip
		< S seq 0 port 10
		skip
		use b
		forget
		< S seq 0
		> S. seq 0
		< . seq 1 ack 1
		accept
		use c
		forget
		< S seq 0
		> S. seq 0
		< . seq 1 ack 1
		accept
		use d
		forget
		< S seq 0
		> S. seq 0
		< . seq 1 ack 1
		accept
		closew
		> F. seq 1
		< F. seq 1 ack 2
		> . seq 2`)
	seen := map[State]int{}
	for k := range s.l.Sockets {
		seen[k.State()]++
		var i sockopt.TCPInfo
		k.Info(&i)
		if k.Connected() != (k.State() == StateEstablished || k.State() == StateTimeWait) {
			t.Errorf("%v: connected %v", k.State(), k.Connected())
		}
		if State(i.State) != k.State() || !k.LocalAddr().IsValid() {
			t.Errorf("%v: info says %d, address %v", k.State(), i.State, k.LocalAddr())
		}
	}
	for most := 1; most <= 7; most++ {
		n := 0
		s.l.Sockets(func(*Socket) bool { n++; return n < most })
		if n != most {
			t.Errorf("%d sockets were shown to who wanted %d", n, most)
		}
	}
	if seen[StateListen] != 1 || seen[StateTimeWait] != 2 || seen[StateSynReceived] != 2 || seen[StateEstablished] != 2 || len(seen) != 4 {
		t.Errorf("%v", seen)
	}
}

func TestISNFollowsTheClockAndTheTuple(t *testing.T) {
	s := newScript(t, nil)
	k1 := makeTuple(testLocal, testRemote, 1, 2)
	k2 := makeTuple(testLocal, testRemote, 1, 3)
	a, b := s.l.isn(&k1), s.l.isn(&k2)
	if a == b {
		t.Error("two tuples have one number")
	}
	s.n.now += isnTick * 1000
	if got := s.l.isn(&k1); got != a+1000 {
		t.Errorf("after 4 ms the number moved by %d", got-a)
	}
	s.n.secret[0]++
	if s.l.isn(&k1) == a+1000 {
		t.Error("the number does not depend on the secret")
	}
}

func TestReassemblyIsBounded(t *testing.T) {
	s := story(t, "from sack")
	rx := &Rx{Src: testRemote, Dst: testLocal, Payload: make([]byte, 1)}
	for i := range 30000 {
		rx.Header = wire.TCP{SrcPort: s.rport, DstPort: s.lport, Seq: peerISS + 3 + uint32(i)*2, Ack: s.iss + 1, Flags: wire.TCPAck, Window: 1000, WScale: -1}
		s.l.Input(rx)
	}
	if held := s.n.pool.InUse(); held > 1<<20 || held != s.l.ooo.bytes {
		t.Errorf("%d bytes held for 30,000 stray ones, %d counted", held, s.l.ooo.bytes)
	}
	if s.l.counters.ReasmDrops == 0 {
		t.Error("nothing was dropped")
	}
	s.s.Abort()
	if s.n.pool.InUse() != 0 || s.l.ooo.bytes != 0 {
		t.Errorf("%d bytes left", s.n.pool.InUse())
	}
}

// TestISNReseed: RFC 6528 section 3, with the tunable isn_reseed_interval the
// function's secret does not last.
func TestISNReseed(t *testing.T) {
	isns := func(set map[string]string) (early, late uint32) {
		s := newScript(t, set)
		k := makeTuple(testLocal, testRemote, 1000, 2000)
		early = s.l.isn(&k)
		s.n.now += time.Hour
		return early, s.l.isn(&k) - uint32(time.Hour/isnTick)
	}
	if early, late := isns(nil); early != late {
		t.Errorf("without a reseed the hash went from %d to %d", early, late)
	}
	if early, late := isns(map[string]string{"isn_reseed_interval": "1800"}); early == late {
		t.Error("the hash is the same after two intervals")
	}
}

// A connection that takes over from one in TIME-WAIT begins beyond the numbers
// that were used: RFC 9293 section 3.6.1, MAY-2.
func TestReuseOfTimeWaitBeginsBeyondIt(t *testing.T) {
	for name, above := range map[string]uint32{"an older clock": 1000, "the same number": 0, "a clock that went on": ^uint32(999)} {
		s := newScript(t, nil)
		k := makeTuple(testLocal, testRemote, 4000, 5000)
		own := s.l.isn(&k)
		w := &timeWait{key: k, sndNxt: own + above, expires: s.n.now + time.Hour, domain: afInet}
		s.l.waits.byTuple[k] = w
		s.l.waits.link(w)
		s.l.newConn(s.s, Path{Src: testLocal, Dst: testRemote, MTU: 1500}, 4000, 5000).activeOpen()
		if iss := s.s.conn.iss; !seqLT(w.sndNxt, iss) || above>>31 != 0 && iss != own {
			t.Errorf("%s: %d after %d, the clock says %d", name, iss, w.sndNxt, own)
		}
		if len(s.l.waits.byTuple) != 0 {
			t.Errorf("%s: the record is still there", name)
		}
	}
}

// TestListenWithoutBind: a port of the stack's choice at every address, or at the
// one that was bound without a port (listen(2), ip(7)).
func TestListenWithoutBind(t *testing.T) {
	s := newScript(t, map[string]string{"ip_local_port_range": "4000 4001"})
	if err := s.s.Listen(1); err != nil {
		t.Fatal(err)
	}
	if a := s.s.LocalAddr(); !a.Addr().IsUnspecified() || a.Port() < 4000 || a.Port() > 4001 {
		t.Errorf("listens at %v", a)
	}
	late := s.l.NewSocket(afInet, s)
	late.opts.BindNoPort = true
	if err := late.Bind(addrPort("10.0.0.1:0"), 0, noPrivilege); err != nil {
		t.Fatal(err)
	}
	if err := late.Listen(1); err != nil || late.LocalAddr().Addr() != testLocal || late.LocalAddr().Port() == 0 {
		t.Errorf("listens at %v, %v", late.LocalAddr(), err)
	}
	third := s.l.NewSocket(afInet, s)
	if err := third.Listen(1); err != errno.EADDRINUSE || third.State() != StateClosed {
		t.Errorf("without a port left: %v, %v", err, third.State())
	}
}

// TestOneListenerOfTwoCloses: the other one goes on, and the port is held until
// both are gone.
func TestOneListenerOfTwoCloses(t *testing.T) {
	s := newScript(t, nil)
	var both [2]*Socket
	for i, addr := range []string{"10.0.0.1:8080", "127.0.0.1:8080"} {
		both[i] = s.l.NewSocket(afInet, s)
		if err := both[i].Bind(addrPort(addr), 0, noPrivilege); err != nil {
			t.Fatal(err)
		}
		if err := both[i].Listen(5); err != nil {
			t.Fatal(err)
		}
	}
	at := func(dst string) *listener {
		k := makeTuple(netip.MustParseAddr(dst), testRemote, 8080, 5)
		return s.l.findListener(&k, netip.MustParseAddr(dst), 1)
	}
	both[0].Close()
	if at("10.0.0.1") != nil || at("127.0.0.1") == nil {
		t.Error("the wrong one is gone")
	}
	both[1].Close()
	if at("127.0.0.1") != nil || len(s.l.listeners) != 0 {
		t.Errorf("%d ports still have listeners", len(s.l.listeners))
	}
}

// TestPortZero: nobody has that port (RFC 6335 section 6). A stranger gets no
// answer, and the own host is refused.
func TestPortZero(t *testing.T) {
	for _, c := range []struct {
		src, dst uint16
		link     int
		answers  int
	}{{0, 80, 1, 0}, {5000, 0, 1, 0}, {0, 0, 0, 0}, {5000, 81, 1, 1}, {5000, 0, -1, 1}, {0, 81, 0, 0}} {
		s := newScript(t, nil)
		s.l.Input(&Rx{Src: testRemote, Dst: testLocal, Link: c.link, TTL: 64, Header: wire.TCP{
			SrcPort: c.src, DstPort: c.dst, Flags: wire.TCPSyn, WScale: -1,
		}})
		if len(s.out) != c.answers || s.l.counters.InErrs != uint64(1-c.answers) {
			t.Errorf("%d to %d on link %d: %d answers, %d errors", c.src, c.dst, c.link, len(s.out), s.l.counters.InErrs)
		}
	}
}

// TestUnknownBindRule: a profile that names none that there is gets Linux's.
func TestUnknownBindRule(t *testing.T) {
	p, tun := testTunables(t, nil)
	p.BindRule = "none"
	l := NewLayer(&fakeNet{}, nil, p, tun)
	for _, want := range []error{nil, errno.EADDRINUSE} {
		if err := l.NewSocket(afInet, nil).Bind(addrPort("10.0.0.1:8080"), 0, noPrivilege); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// TestSocketSaysWhatItIs: what a socket shows of itself in each of its lives.
func TestSocketSaysWhatItIs(t *testing.T) {
	for script, want := range map[string]struct {
		listening, connected bool
		mss, mtu             int
		local, remote        string
	}{
		"":                                     {false, false, 0, 0, "0.0.0.0:0", "invalid AddrPort"},
		"listen 5":                             {true, false, 0, 0, "10.0.0.1:80", "invalid AddrPort"},
		"connect\n> S":                         {false, false, 536, 1500, "10.0.0.1:4000", "10.0.0.2:5000"},
		"from established":                     {false, true, 1460, 1500, "10.0.0.1:4000", "10.0.0.2:5000"},
		"from established\n< R seq 1":          {false, false, 0, 0, "10.0.0.1:4000", "10.0.0.2:5000"},
		"connect\n> S seq 0\n< R. seq 0 ack 1": {false, false, 0, 0, "0.0.0.0:4000", "10.0.0.2:5000"},
	} {
		s := story(t, "with ip_local_port_range=4000,4000\n"+script)
		k := s.s
		if k.Listening() != want.listening || k.Connected() != want.connected || k.MSS() != want.mss || k.PathMTU() != want.mtu ||
			k.LocalAddr().String() != want.local || k.RemoteAddr().String() != want.remote {
			t.Errorf("%q: listening %v, connected %v, MSS %d, MTU %d, %v, %v", script,
				k.Listening(), k.Connected(), k.MSS(), k.PathMTU(), k.LocalAddr(), k.RemoteAddr())
		}
		if _, ok := k.UrgentOffset(); ok || k.Unread() != 0 {
			t.Errorf("%q: something to read", script)
		}
	}
	if a := newScript(t, nil).l.NewSocket(afInet6, nil).LocalAddr(); a != addrPort("[::]:0") {
		t.Errorf("an IPv6 socket is at %v", a)
	}
}

// TestWriteWhereNothingGoes: a socket that cannot send takes nothing, and gives
// the memory back that it is handed.
func TestWriteWhereNothingGoes(t *testing.T) {
	for _, script := range []string{"", "listen 5", "from established\nclosew\n> F. seq 1", "from established\n< R seq 1"} {
		s := story(t, script)
		c := s.n.pool.Get(10)
		c.B = append(c.B, "text"...)
		s.s.WriteChunk(c)
		if n := s.s.Write([]byte("text")) + s.s.WriteUrgent([]byte("text")); n != 0 || s.n.pool.InUse() != 0 {
			t.Errorf("%q: took %d bytes, holds %d", script, n, s.n.pool.InUse())
		}
		s.steps("> none")
	}
	s := story(t, "from established")
	s.s.WriteChunk(s.n.pool.Get(10))
	if s.s.Write(nil) != 0 || s.s.WriteUrgent(nil) != 0 || s.n.pool.InUse() != 0 {
		t.Errorf("%d bytes held for nothing", s.n.pool.InUse())
	}
	c := s.n.pool.Get(10)
	c.B = append(c.B, patterned(0, 4)...)
	s.wrote += 4
	s.s.WriteChunk(c)
	s.steps("> P. seq 1 len 4")
}

// TestStatesHaveNames: all eleven, and no other number is one.
func TestStatesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for s := StateEstablished; s <= StateClosing; s++ {
		seen[s.String()] = true
	}
	if len(seen) != 11 || seen["UNKNOWN"] {
		t.Errorf("%v", seen)
	}
	for _, s := range []State{StateClosing + 1, 255} {
		if s.String() != "UNKNOWN" {
			t.Errorf("%d is %v", s, s)
		}
	}
}
