package tcp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// bindLayer is a layer of the profile on a net of its own.
func bindLayer(t *testing.T, profile string) (*Layer, *quietNet) {
	t.Helper()
	p, err := sockopt.ProfileByName(profile)
	if err != nil {
		t.Fatal(err)
	}
	n := &quietNet{fakeNet: fakeNet{now: time.Hour, mtu: 1500}}
	return NewLayer(n, &n.pool, p, p.Tunables), n
}

// systemNames are the columns of the tables below.
var systemNames = []string{"linux", "illumos", "omnios", "freebsd", "sortix", "cxux"}

// bySystem reads a row of errors; "ok" is none.
func bySystem(t *testing.T, row string) map[string]error {
	names := map[string]error{
		"ok": nil, "EINVAL": errno.EINVAL, "EADDRNOTAVAIL": errno.EADDRNOTAVAIL, "EADDRINUSE": errno.EADDRINUSE,
		"EAFNOSUPPORT": errno.EAFNOSUPPORT, "EAGAIN": errno.EAGAIN, "EACCES": errno.EACCES,
	}
	words := strings.Fields(row)
	if len(words) != len(systemNames) {
		t.Fatalf("%d columns: %s", len(words), row)
	}
	want := make(map[string]error)
	for i, name := range systemNames {
		e, ok := names[words[i]]
		if !ok {
			t.Fatalf("error %s", words[i])
		}
		want[name] = e
	}
	return want
}

func TestBindToEveryKindOfAddress(t *testing.T) {
	for _, c := range []struct {
		what   string
		domain int
		v6only bool
		addr   string
		errors string
		//                                linux   illumos       omnios        freebsd       sortix        cxux
	}{
		{"any", afInet, false, "0.0.0.0:1024", "ok      ok            ok            ok            ok            ok"},
		{"an interface's", afInet, false, "10.0.0.1:1024", "ok      ok            ok            ok            ok            ok"},
		{"loopback", afInet, false, "127.0.0.1:1024", "ok      ok            ok            ok            ok            ok"},
		{"nobody's", afInet, false, "10.0.0.9:1024", "EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL"},
		{"an interface's broadcast", afInet, false, "10.0.0.255:1024", "ok EADDRNOTAVAIL EADDRNOTAVAIL ok            ok            ok"},
		{"broadcast", afInet, false, "255.255.255.255:1024", "ok EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL ok          EADDRNOTAVAIL"},
		{"multicast", afInet, false, "224.0.0.251:1024", "ok      EADDRNOTAVAIL EADDRNOTAVAIL EAFNOSUPPORT EADDRNOTAVAIL EADDRNOTAVAIL"},
		{"IPv6 multicast", afInet6, false, "[ff0e::1]:1024", "EINVAL EADDRNOTAVAIL EADDRNOTAVAIL EAFNOSUPPORT EADDRNOTAVAIL EADDRNOTAVAIL"},
		{"mapped", afInet6, false, "[::ffff:10.0.0.1]:1024", "ok   ok            ok            ok            ok            ok"},
		{"mapped, IPV6_V6ONLY", afInet6, true, "[::ffff:10.0.0.1]:1024", "EINVAL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL"},
		{"reserved", afInet, false, "10.0.0.1:1023", "EACCES  EACCES        EACCES        EACCES        EACCES        EACCES"},
	} {
		for name, want := range bySystem(t, c.errors) {
			l, _ := bindLayer(t, name)
			s := l.NewSocket(c.domain, nil)
			s.opts.V6Only = c.v6only
			err := s.Bind(addrPort(c.addr), 1000, noPrivilege)
			if err != want {
				t.Errorf("%s: %s: %v, want %v", name, c.what, err, want)
			}
			if err == nil && s.LocalAddr() != addrPort(c.addr) || err != nil && s.claim != nil {
				t.Errorf("%s: %s: bound to %v, claim %v", name, c.what, s.LocalAddr(), s.claim)
			}
		}
	}
}

// Ports that take a privilege begin where the tunable says; the capability gives
// all of them.
func TestReservedPorts(t *testing.T) {
	for _, name := range systemNames {
		l, _ := bindLayer(t, name)
		at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(testLocal, port) }
		if err := l.NewSocket(afInet, nil).Bind(at(80), 1000, sockopt.Privilege{NetBindService: true}); err != nil {
			t.Errorf("%s: with the capability: %v", name, err)
		}
		if err := l.NewSocket(afInet, nil).Bind(at(81), 0, sockopt.Privilege{NetAdmin: true, NetRaw: true}); err != errno.EACCES {
			t.Errorf("%s: with other capabilities: %v", name, err)
		}
		l.tun.UnprivilegedPortStart = 82
		for port, want := range map[uint16]error{81: errno.EACCES, 82: nil} {
			if err := l.NewSocket(afInet, nil).Bind(at(port), 1000, noPrivilege); err != want {
				t.Errorf("%s: port %d: %v, want %v", name, port, err, want)
			}
		}
	}
}

// Beyond them illumos has a list.
func TestExtraPrivilegedPorts(t *testing.T) {
	for _, name := range systemNames {
		l, _ := bindLayer(t, name)
		bind := func(port uint16, priv sockopt.Privilege) error {
			s := l.NewSocket(afInet, nil)
			defer s.Close()
			return s.Bind(netip.AddrPortFrom(testLocal, port), 1000, priv)
		}
		for port := range uint16(6000) {
			if port < 1024 {
				continue
			}
			var want error
			if (name == "illumos" || name == "omnios") && (port == 2049 || port == 4045) {
				want = errno.EACCES
			}
			if err := bind(port, noPrivilege); err != want {
				t.Errorf("%s: port %d: %v, want %v", name, port, err, want)
			}
		}
		if err := bind(2049, sockopt.Privilege{NetBindService: true}); err != nil {
			t.Errorf("%s: with the capability: %v", name, err)
		}
	}
	l, _ := bindLayer(t, "illumos")
	for _, set := range []map[string]string{
		{"tcp_extra_priv_ports_del": "2049"}, {"tcp_extra_priv_ports_add": "6001"}, {"smallest_anon_port": "6000"}, {"largest_anon_port": "6001"},
	} {
		if err := l.profile.ChangeTunables(set); err != nil {
			t.Fatal(err)
		}
	}
	for port, want := range map[uint16]error{2049: nil, 4045: errno.EACCES, 6001: errno.EACCES} {
		if err := l.NewSocket(afInet, nil).Bind(netip.AddrPortFrom(testLocal, port), 1000, noPrivilege); err != want {
			t.Errorf("port %d: %v, want %v", port, err, want)
		}
	}
	if err := l.NewSocket(afInet, nil).Bind(addrPort("10.0.0.1:0"), 1000, noPrivilege); err != nil {
		t.Fatal(err)
	}
	// 6001 is left, and not for those who do not name it.
	if err := l.NewSocket(afInet, nil).Bind(addrPort("10.0.0.1:0"), 1000, noPrivilege); err != errno.EADDRNOTAVAIL {
		t.Errorf("port 0: %v", err)
	}
}

// TestPortZeroOfEverySystem: the port is of the system's range, all of it, and what is
// answered when none is left is the system's.
func TestPortZeroOfEverySystem(t *testing.T) {
	ranges := map[string][2]uint16{
		"linux": {32768, 60999}, "illumos": {32768, 65535}, "omnios": {32768, 65535},
		"freebsd": {10000, 65535}, "sortix": {32768, 60999}, "cxux": {1024, 5000},
	}
	binds := bySystem(t, "EADDRINUSE EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EAGAIN EADDRINUSE")
	connects := bySystem(t, "EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EAGAIN EADDRNOTAVAIL")
	for _, name := range systemNames {
		l, _ := bindLayer(t, name)
		lo, hi := ranges[name][0], ranges[name][1]
		low, high := false, false
		for range 300 {
			s := l.NewSocket(afInet, nil)
			if err := s.Bind(addrPort("10.0.0.1:0"), 1000, noPrivilege); err != nil {
				t.Fatal(err)
			}
			p := s.LocalAddr().Port()
			if p < lo || p > hi {
				t.Errorf("%s: port %d is not of %d..%d", name, p, lo, hi)
			}
			low, high = low || p < lo+(hi-lo)/20, high || p > hi-(hi-lo)/20
			s.Close()
		}
		if !low || !high {
			t.Errorf("%s: 300 ports leave an end of %d..%d out", name, lo, hi)
		}
		l.tun.PortMin, l.tun.PortMax = 2000, 2001
		var err error
		for range 3 {
			err = l.NewSocket(afInet, nil).Bind(addrPort("10.0.0.1:0"), 1000, noPrivilege)
		}
		if err != binds[name] {
			t.Errorf("%s: bind: %v, want %v", name, err, binds[name])
		}
		if err := l.NewSocket(afInet, nil).Listen(1); err != binds[name] {
			t.Errorf("%s: listen: %v, want %v", name, err, binds[name])
		}
		if err := l.NewSocket(afInet, nil).Connect(netip.AddrPortFrom(testRemote, 80)); err != connects[name] {
			t.Errorf("%s: connect: %v, want %v", name, err, connects[name])
		}
	}
}

// Connections that chose no port share one on systems that tell them apart by
// their peers, and have one each elsewhere.
func TestConnectionsShareAPort(t *testing.T) {
	shares := map[string]bool{"linux": true, "illumos": true, "omnios": true}
	for _, name := range systemNames {
		l, _ := bindLayer(t, name)
		l.tun.PortMin, l.tun.PortMax = 2000, 2000
		if err := l.NewSocket(afInet, nil).Connect(netip.AddrPortFrom(testRemote, 80)); err != errno.EINPROGRESS {
			t.Fatalf("%s: %v", name, err)
		}
		if err := l.NewSocket(afInet, nil).Connect(netip.AddrPortFrom(testRemote, 81)); (err == errno.EINPROGRESS) != shares[name] {
			t.Errorf("%s: a second peer: %v", name, err)
		}
		if err := l.NewSocket(afInet, nil).Connect(netip.AddrPortFrom(testRemote, 80)); err == errno.EINPROGRESS {
			t.Errorf("%s: two connections have one pair of addresses", name)
		}
	}
}

func TestPairOfAddressesTaken(t *testing.T) {
	for name, want := range bySystem(t, "EADDRNOTAVAIL EADDRINUSE EADDRINUSE EADDRINUSE EADDRINUSE EADDRINUSE") {
		l, n := bindLayer(t, name)
		_, child := acceptOne(t, l, n, 8080)
		defer child.Close()
		s := l.NewSocket(afInet, nil)
		s.opts.ReuseAddr, s.opts.ReusePort = true, true
		// Whether it may be bound beside the listener is another matter.
		s.claim, s.bound = s.newClaim(testLocal, 8080), testLocal
		if err := s.Connect(netip.AddrPortFrom(testRemote, 1000)); err != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// A broadcast address never is a source: the interface's stands for it.
func TestConnectFromBroadcastAddress(t *testing.T) {
	for _, name := range []string{"linux", "freebsd", "sortix", "cxux"} {
		l, _ := bindLayer(t, name)
		s := l.NewSocket(afInet, nil)
		if err := s.Bind(addrPort("10.0.0.255:4000"), 0, noPrivilege); err != nil {
			t.Fatal(err)
		}
		if err := s.Connect(netip.AddrPortFrom(testRemote, 80)); err != errno.EINPROGRESS || s.LocalAddr() != netip.AddrPortFrom(testLocal, 4000) {
			t.Errorf("%s: %v, from %v", name, err, s.LocalAddr())
		}
	}
}

// TCP_ANONPRIVBIND: the port is reserved; bind and listen choose it.
func TestAnonymousPrivilegedPort(t *testing.T) {
	l, _ := bindLayer(t, "illumos")
	fresh := func() *Socket {
		s := l.NewSocket(afInet, nil)
		s.opts.SetRare(func(r *sockopt.Rare) { r.AnonPrivBind = true })
		return s
	}
	seen := make(map[uint16]bool)
	for i := range 512 {
		s := fresh()
		err := error(nil)
		if i%2 == 0 {
			err = s.Bind(addrPort("0.0.0.0:0"), 0, noPrivilege)
		} else {
			err = s.Listen(1)
		}
		if p := s.LocalAddr().Port(); err != nil || p < 512 || p > 1023 || seen[p] {
			t.Fatalf("number %d: port %d, %v", i, p, err)
		}
		seen[s.LocalAddr().Port()] = true
	}
	if err := fresh().Bind(addrPort("0.0.0.0:0"), 0, noPrivilege); err != errno.EADDRNOTAVAIL {
		t.Errorf("all are taken: %v", err)
	}
	if err := l.NewSocket(afInet, nil).Bind(addrPort("0.0.0.0:0"), 0, noPrivilege); err != nil {
		t.Errorf("without the option: %v", err)
	}
}

// acceptOne makes a listener on the port with a connection from testRemote:1000.
func acceptOne(t *testing.T, l *Layer, n *quietNet, port uint16) (lst, child *Socket) {
	t.Helper()
	lst = l.NewSocket(afInet, &sink{})
	if err := lst.Bind(netip.AddrPortFrom(testLocal, port), 0, noPrivilege); err != nil {
		t.Fatal(err)
	}
	if err := lst.Listen(1); err != nil {
		t.Fatal(err)
	}
	rx := fromPeer(port)
	rx.Header.Seq, rx.Header.Flags, rx.Header.MSS = 5, wire.TCPSyn, 1460
	l.Input(rx)
	l.Flush()
	rx.Header.Seq, rx.Header.Ack, rx.Header.Flags, rx.Header.MSS = 6, n.last.Seq+1, wire.TCPAck, 0
	l.Input(rx)
	child, err := lst.Accept()
	if err != nil {
		t.Fatal(err)
	}
	child.SetOwner(&sink{})
	child.Resume()
	return lst, child
}

func fromPeer(port uint16) *Rx {
	rx := &Rx{Src: testRemote, Dst: testLocal, Link: 1}
	rx.Header = wire.TCP{SrcPort: 1000, DstPort: port, Window: 65535, WScale: -1}
	return rx
}

// TestPortOfAcceptedConnectionOnIllumos follows an accepted connection through
// its states: what may be bound beside it once its listener is gone.
func TestPortOfAcceptedConnectionOnIllumos(t *testing.T) {
	l, n := bindLayer(t, "illumos")
	lst, child := acceptOne(t, l, n, 8080)
	try := func(when string, reuse, excl bool, want error) {
		t.Helper()
		s := l.NewSocket(afInet, nil)
		s.opts.ReuseAddr, s.opts.ExclBind = reuse, excl
		if err := s.Bind(addrPort("10.0.0.1:8080"), 0, noPrivilege); err != want {
			t.Errorf("%s, SO_REUSEADDR %v, SO_EXCLBIND %v: %v, want %v", when, reuse, excl, err, want)
		}
		s.Close()
	}
	try("listening", true, false, errno.EADDRINUSE)
	lst.Close()
	try("ESTABLISHED", false, false, errno.EADDRINUSE)
	try("ESTABLISHED", true, false, nil)
	try("ESTABLISHED", true, true, errno.EADDRINUSE)

	child.opts.ExclBind = true
	child.Changed(sockopt.ExclBind)
	try("ESTABLISHED with SO_EXCLBIND", true, false, errno.EADDRINUSE)
	child.opts.ExclBind = false
	child.Changed(sockopt.ExclBind)
	try("ESTABLISHED without it again", true, false, nil)

	rx := fromPeer(8080)
	rx.Header.Seq, rx.Header.Ack, rx.Header.Flags = 6, n.last.Seq+1, wire.TCPAck|wire.TCPFin
	l.Input(rx)
	l.Flush()
	if child.State() != StateCloseWait {
		t.Fatal(child.State())
	}
	try("CLOSE-WAIT", false, false, errno.EADDRINUSE)
	try("CLOSE-WAIT", false, true, errno.EADDRINUSE)
	try("CLOSE-WAIT", true, true, nil)
	child.Close()
	l.Flush()
	rx.Header.Seq, rx.Header.Ack, rx.Header.Flags = 7, n.last.Seq+1, wire.TCPAck
	l.Input(rx)
	if len(l.shared) != 0 {
		t.Errorf("%d shared claims are left", len(l.shared))
	}
	try("closed", false, true, nil)
}

// A connection that this side has closed first ends in TIME-WAIT.
func TestPortInTimeWaitOfEverySystem(t *testing.T) {
	// Without SO_REUSEADDR, with it on the new socket, with it on both.
	plain := bySystem(t, "EADDRINUSE EADDRINUSE EADDRINUSE EADDRINUSE EADDRINUSE EADDRINUSE")
	mine := bySystem(t, "EADDRINUSE ok ok ok EADDRINUSE ok")
	both := bySystem(t, "ok ok ok ok EADDRINUSE ok")
	for _, name := range systemNames {
		for _, old := range []bool{false, true} {
			l, n := bindLayer(t, name)
			lst, child := acceptOne(t, l, n, 8080)
			child.opts.ReuseAddr = old
			child.Changed(sockopt.ReuseAddr)
			lst.Close()
			child.Close()
			l.Flush()
			rx := fromPeer(8080)
			rx.Header.Seq, rx.Header.Ack, rx.Header.Flags = 6, n.last.Seq+1, wire.TCPAck|wire.TCPFin
			l.Input(rx)
			l.Flush()
			if len(l.waits.byTuple) != 1 {
				t.Fatalf("%s: %d in TIME-WAIT", name, len(l.waits.byTuple))
			}
			for _, reuse := range []bool{false, true} {
				want := plain[name]
				switch {
				case reuse && old:
					want = both[name]
				case reuse:
					want = mine[name]
				}
				s := l.NewSocket(afInet, nil)
				s.opts.ReuseAddr = reuse
				if err := s.Bind(addrPort("10.0.0.1:8080"), 0, noPrivilege); err != want {
					t.Errorf("%s: TIME-WAIT with SO_REUSEADDR %v, new one with %v: %v, want %v", name, old, reuse, err, want)
				}
				s.Close()
			}
			n.now += 2 * time.Minute
			l.Advance()
			if err := l.NewSocket(afInet, nil).Bind(addrPort("10.0.0.1:8080"), 0, noPrivilege); err != nil || len(l.shared) != 0 {
				t.Errorf("%s: after TIME-WAIT: %v, %d shared claims", name, err, len(l.shared))
			}
		}
	}
}

// Who has no superuser's leave shares with sockets of his own only, where the
// system looks at the owner.
func TestOwnerOfAPort(t *testing.T) {
	for _, c := range []struct {
		name        string
		set         func(*sockopt.Options)
		other, root error // another user; another user with CAP_NET_BIND_SERVICE
	}{
		{"freebsd", func(o *sockopt.Options) { o.ReuseAddr = true }, errno.EADDRINUSE, nil},
		{"sortix", func(o *sockopt.Options) { o.ReuseAddr = true }, errno.EADDRINUSE, nil},
		{"illumos", func(o *sockopt.Options) { o.ReuseAddr = true }, nil, nil},
		{"cxux", func(o *sockopt.Options) { o.ReuseAddr = true }, nil, nil},
		{"linux", func(o *sockopt.Options) { o.ReuseAddr = true }, nil, nil},
		{"linux", func(o *sockopt.Options) { o.ReusePort = true }, errno.EADDRINUSE, errno.EADDRINUSE},
	} {
		for uid, want := range map[uint32][2]error{1000: {nil, nil}, 1001: {c.other, c.root}} {
			for i, priv := range []sockopt.Privilege{{NetAdmin: true}, {NetBindService: true}} {
				l, _ := bindLayer(t, c.name)
				first, second := l.NewSocket(afInet, nil), l.NewSocket(afInet, nil)
				c.set(&first.opts)
				c.set(&second.opts)
				if err := first.Bind(addrPort("0.0.0.0:8080"), 1000, noPrivilege); err != nil {
					t.Fatal(err)
				}
				if err := second.Bind(addrPort("10.0.0.1:8080"), uid, priv); err != want[i] {
					t.Errorf("%s: user %d with %+v beside 1000: %v, want %v", c.name, uid, priv, err, want[i])
				}
			}
		}
	}
}

// A port that the stack chooses belongs to the socket's user.
func TestOwnerOfAChosenPort(t *testing.T) {
	for uid, want := range map[uint32]error{1000: nil, 1001: errno.EADDRINUSE, 0: errno.EADDRINUSE} {
		l, _ := bindLayer(t, "linux")
		first, second := l.NewSocket(afInet, nil), l.NewSocket(afInet, nil)
		first.SetUser(1000)
		first.opts.ReusePort, second.opts.ReusePort = true, true
		if err := first.Listen(1); err != nil {
			t.Fatal(err)
		}
		if err := second.Bind(first.LocalAddr(), uid, noPrivilege); err != want {
			t.Errorf("user %d: %v, want %v", uid, err, want)
		}
	}
}

// Sockets of an engine that has ended get their ports back in any order. On
// illumos the option of the later one made it possible.
func TestAgreedPortsAreGivenBack(t *testing.T) {
	agreed := sockopt.Privilege{Agreed: true}
	l, _ := bindLayer(t, "illumos")
	first, second, third := l.NewSocket(afInet, nil), l.NewSocket(afInet, nil), l.NewSocket(afInet, nil)
	second.opts.ReuseAddr = true
	if err := second.Bind(addrPort("10.0.0.1:8080"), 0, agreed); err != nil {
		t.Fatal(err)
	}
	if err := first.Bind(addrPort("0.0.0.0:8080"), 0, agreed); err != nil {
		t.Errorf("the one that was first: %v", err)
	}
	if err := third.Bind(addrPort("10.0.0.9:8080"), 0, agreed); err != errno.EADDRNOTAVAIL {
		t.Errorf("an address that is gone: %v", err)
	}
	if err := third.Bind(addrPort("127.0.0.1:8080"), 0, noPrivilege); err != errno.EADDRINUSE {
		t.Errorf("a new socket: %v", err)
	}
}
