package udp

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// ground is a network with 10.87.0.2/24 and fd87::2/64 on link 1 and 10.99.0.2
// on link 2. It keeps what is sent.
type ground struct {
	secret [32]byte
	n      uint32
	gen    uint32
	mtu    int
	err    error // of Transmit
	sent   []string
	last   Sending
}

func (g *ground) Now() time.Duration { return 0 }
func (g *ground) Rand32() uint32     { g.n = g.n*1664525 + 1013904223; return g.n ^ g.n>>15 }
func (g *ground) Secret() *[32]byte  { return &g.secret }
func (g *ground) Fresh(p *Path) bool { return p.Generation == g.gen }
func (g *ground) IsLocal(a netip.Addr) bool {
	return a.IsLoopback() || slices.Contains([]string{"10.87.0.2", "10.99.0.2", "fd87::2"}, a.String())
}
func (g *ground) IsBroadcast(a netip.Addr) bool {
	return a.String() == "255.255.255.255" || a.String() == "10.87.0.255"
}

func (g *ground) Route(src, dst netip.Addr, link int) (Path, error) {
	p := Path{Src: src, Dst: dst, MTU: g.mtu, LinkMTU: 1500, Link: 1, Generation: g.gen, Broadcast: g.IsBroadcast(dst), Multicast: dst.IsMulticast()}
	p.Gateway = dst.String() == "8.8.8.8"
	if src.IsValid() && !g.IsLocal(src) {
		return p, errno.EADDRNOTAVAIL
	}
	if dst.String() == "9.9.9.9" {
		return p, errno.ENETUNREACH
	}
	if !src.IsValid() {
		p.Src = netip.MustParseAddr("10.87.0.2")
		if dst.Is6() {
			p.Src = netip.MustParseAddr("fd87::2")
		}
		if dst.IsLoopback() {
			p.Src = dst
		}
	}
	return p, nil
}

func (g *ground) Transmit(p *Path, h *wire.UDP, b []byte, o *Sending) error {
	g.sent = append(g.sent, fmt.Sprintf("%v %v %s", netip.AddrPortFrom(p.Src, h.SrcPort), netip.AddrPortFrom(p.Dst, h.DstPort), b[:min(len(b), 9)]))
	g.last = *o
	return g.err
}

type app struct {
	got  []string
	errs []errno.Errno
	full bool
}

func (a *app) Deliver(from netip.AddrPort, to netip.Addr, _ Marks, p []byte) bool {
	if !a.full {
		a.got = append(a.got, fmt.Sprintf("%v %v %s", from, to, p))
	}
	return !a.full
}
func (a *app) Error(e errno.Errno) { a.errs = append(a.errs, e) }

func newLayer(t *testing.T) (*Layer, *ground) {
	g := &ground{mtu: 1500, gen: 1, secret: [32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}
	p, err := sockopt.ProfileByName("linux")
	if err != nil {
		t.Fatal(err)
	}
	return NewLayer(g, p, p.Tunables), g
}

func ap(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

func rx(from, to string) *Rx {
	f, d := ap(from), ap(to)
	return &Rx{Src: f.Addr(), Dst: d.Addr(), Link: 1, TTL: 64, Header: wire.UDP{SrcPort: f.Port(), DstPort: d.Port()}, Payload: []byte("data")}
}

const (
	v4 = sockopt.AFInet
	v6 = sockopt.AFInet6
)

func TestBindErrors(t *testing.T) {
	root := sockopt.Privilege{NetBindService: true}
	for _, c := range []struct {
		domain int
		addr   string
		priv   sockopt.Privilege
		want   errno.Errno
	}{
		{v4, "0.0.0.0:7777", sockopt.Privilege{}, 0},
		{v4, "10.87.0.2:7777", sockopt.Privilege{}, 0},
		{v4, "10.87.0.9:7777", sockopt.Privilege{}, errno.EADDRNOTAVAIL},
		{v4, "0.0.0.0:53", sockopt.Privilege{}, errno.EACCES},
		{v4, "0.0.0.0:53", root, 0},
		{v4, "10.87.0.255:7777", root, 0},
		{v4, "224.0.0.5:7777", root, 0},
		{v4, "[fd87::2]:7777", root, errno.EAFNOSUPPORT},
		{v4, "[::ffff:10.87.0.2]:7777", root, errno.EAFNOSUPPORT},
		{v6, "10.87.0.2:7777", root, errno.EAFNOSUPPORT},
		{v6, "[::ffff:10.87.0.2]:7777", root, 0},
		{v6, "[fd87::2]:7777", root, 0},
		{v6, "[fd87::3]:7777", root, errno.EADDRNOTAVAIL},
	} {
		l, _ := newLayer(t)
		s := l.NewSocket(c.domain, nil)
		if err := errno.Of(s.Bind(ap(c.addr), 0, c.priv)); err != c.want {
			t.Errorf("%s: %v, want %v", c.addr, err, c.want)
			continue
		}
		if c.want != 0 {
			continue
		}
		if s.LocalAddr() != ap(c.addr) {
			t.Errorf("%s: bound to %v", c.addr, s.LocalAddr())
		}
		if err := s.Bind(ap(c.addr), 0, root); err != errno.EINVAL {
			t.Errorf("%s again: %v", c.addr, err)
		}
		other := l.NewSocket(c.domain, nil)
		if err := other.Bind(ap(c.addr), 0, root); err != errno.EADDRINUSE {
			t.Errorf("%s by another: %v", c.addr, err)
		}
		s.Close()
		if err := other.Bind(ap(c.addr), 0, root); err != nil {
			t.Errorf("%s after close: %v", c.addr, err)
		}
	}
	l, _ := newLayer(t)
	s := l.NewSocket(v6, nil)
	s.Options().V6Only = true
	if err := s.Bind(ap("[::ffff:10.87.0.2]:7777"), 0, root); err != errno.EINVAL {
		t.Errorf("mapped address on an IPv6-only socket: %v", err)
	}
}

// The socket that fits best gets the datagram, in whatever order they were bound.
func TestDemultiplexing(t *testing.T) {
	type sock struct {
		domain        int
		bind, connect string
		only          bool
		link          int32
	}
	all := map[string]sock{
		"any4":       {v4, "0.0.0.0:7777", "", false, 0},
		"any6":       {v6, "[::]:7777", "", false, 0},
		"only6":      {v6, "[::]:7777", "", true, 0},
		"addr4":      {v4, "10.87.0.2:7777", "", false, 0},
		"mapped":     {v6, "[::ffff:10.99.0.2]:7777", "", false, 0},
		"addr6":      {v6, "[fd87::2]:7777", "", false, 0},
		"peer4":      {v4, "10.87.0.2:7777", "10.87.0.1:9", false, 0},
		"peermapped": {v6, "[::]:7777", "[::ffff:10.87.0.5]:9", false, 0},
		"peer6":      {v6, "[fd87::2]:7777", "[fd87::1]:9", false, 0},
		"link2":      {v4, "0.0.0.0:7777", "", false, 2},
	}
	for _, c := range []struct {
		sockets  []string
		from, to string
		want     string
	}{
		{[]string{"any4", "any6"}, "10.87.0.1:9", "10.87.0.2:7777", "any4"},
		{[]string{"any6"}, "10.87.0.1:9", "10.87.0.2:7777", "any6"},
		{[]string{"only6"}, "10.87.0.1:9", "10.87.0.2:7777", ""},
		{[]string{"only6", "any4"}, "[fd87::1]:9", "[fd87::2]:7777", "only6"},
		{[]string{"any4"}, "[fd87::1]:9", "[fd87::2]:7777", ""},
		{[]string{"any4", "addr4"}, "10.87.0.1:9", "10.87.0.2:7777", "addr4"},
		{[]string{"addr4", "any4"}, "10.87.0.1:9", "127.0.0.1:7777", "any4"},
		{[]string{"any4", "addr4", "peer4"}, "10.87.0.1:9", "10.87.0.2:7777", "peer4"},
		{[]string{"any4", "addr4", "peer4"}, "10.87.0.1:10", "10.87.0.2:7777", "addr4"},
		{[]string{"peer4"}, "10.87.0.1:10", "10.87.0.2:7777", ""},
		{[]string{"any4", "mapped"}, "10.87.0.1:9", "10.99.0.2:7777", "mapped"},
		{[]string{"peermapped", "any4"}, "10.87.0.5:9", "10.87.0.2:7777", "peermapped"},
		{[]string{"any6", "addr6", "peer6"}, "[fd87::1]:9", "[fd87::2]:7777", "peer6"},
		{[]string{"any6", "addr6", "peer6"}, "[fd87::9]:9", "[fd87::2]:7777", "addr6"},
		{[]string{"link2", "any6"}, "10.87.0.1:9", "10.87.0.2:7777", "any6"},
		{[]string{"any4"}, "10.87.0.1:9", "10.87.0.2:7778", ""},
	} {
		for turn := range 2 {
			l, _ := newLayer(t)
			apps := map[string]*app{}
			names := slices.Clone(c.sockets)
			if turn == 1 {
				slices.Reverse(names)
			}
			for _, n := range names {
				d := all[n]
				apps[n] = &app{}
				s := l.NewSocket(d.domain, apps[n])
				s.Options().ReuseAddr, s.Options().V6Only, s.Options().BindToIf = true, d.only, d.link
				if err := s.Bind(ap(d.bind), 0, sockopt.Privilege{}); err != nil {
					t.Fatal(n, err)
				}
				if d.connect != "" {
					if err := s.Connect(ap(d.connect)); err != nil {
						t.Fatal(n, err)
					}
				}
			}
			found := l.Input(rx(c.from, c.to))
			if found != (c.want != "") {
				t.Errorf("%v, %s to %s: found %v", names, c.from, c.to, found)
			}
			for n, a := range apps {
				if len(a.got) == 1 != (n == c.want) {
					t.Errorf("%v, %s to %s: %s got %v", names, c.from, c.to, n, a.got)
				}
			}
		}
	}
}

func TestMappedAddressesAreShown(t *testing.T) {
	l, _ := newLayer(t)
	a := &app{}
	s := l.NewSocket(v6, a)
	if err := s.Bind(ap("[::]:7777"), 0, sockopt.Privilege{}); err != nil {
		t.Fatal(err)
	}
	l.Input(rx("10.87.0.1:9", "10.87.0.2:7777"))
	if len(a.got) != 1 || a.got[0] != "[::ffff:10.87.0.1]:9 ::ffff:10.87.0.2 data" {
		t.Errorf("%v", a.got)
	}
	if err := s.Connect(ap("[::ffff:10.87.0.1]:9")); err != nil {
		t.Fatal(err)
	}
	if s.LocalAddr().String() != "[::ffff:10.87.0.2]:7777" || s.RemoteAddr().String() != "[::ffff:10.87.0.1]:9" {
		t.Errorf("%v, %v", s.LocalAddr(), s.RemoteAddr())
	}
	s.Disconnect()
	if s.LocalAddr().String() != "[::]:7777" || s.RemoteAddr().IsValid() || s.Connected() {
		t.Errorf("%v, %v", s.LocalAddr(), s.RemoteAddr())
	}
	// A link-local peer comes with its link.
	r := rx("[fe80::9]:9", "[fd87::2]:7777")
	r.Link = 12
	l.Input(r)
	if a.got[1] != "[fe80::9%12]:9 fd87::2 data" {
		t.Errorf("%v", a.got[1])
	}
}

func TestReusePortSpreadsFlows(t *testing.T) {
	l, _ := newLayer(t)
	var apps [4]app
	for i := range apps {
		s := l.NewSocket(v4, &apps[i])
		s.Options().ReusePort = true
		if err := s.Bind(ap("0.0.0.0:7777"), 5, sockopt.Privilege{}); err != nil {
			t.Fatal(err)
		}
	}
	for port := range 4000 {
		for range 2 { // one flow, one socket
			l.Input(rx(fmt.Sprintf("10.87.0.1:%d", 1000+port), "10.87.0.2:7777"))
		}
	}
	for i := range apps {
		if n := len(apps[i].got); n < 1600 || n > 2400 || n%2 != 0 {
			t.Errorf("socket %d got %d of 8000", i, n)
		}
	}
}

func TestManyConnectedSocketsOnOnePort(t *testing.T) {
	l, _ := newLayer(t)
	var apps [200]app
	for i := range apps {
		s := l.NewSocket(v4, &apps[i])
		s.Options().ReuseAddr = true
		if err := s.Bind(ap("10.87.0.2:7777"), 0, sockopt.Privilege{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Connect(ap(fmt.Sprintf("10.87.0.1:%d", 1000+i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range apps {
		l.Input(rx(fmt.Sprintf("10.87.0.1:%d", 1000+i), "10.87.0.2:7777"))
		if len(apps[i].got) != 1 {
			t.Fatalf("socket %d got %d", i, len(apps[i].got))
		}
	}
}

func TestGroupsReachEverySocket(t *testing.T) {
	l, _ := newLayer(t)
	apps := map[string]*app{}
	for _, a := range []string{"0.0.0.0:7777", "10.87.0.255:7777", "10.87.0.2:7777"} {
		apps[a] = &app{}
		s := l.NewSocket(v4, apps[a])
		s.Options().ReuseAddr = true
		if err := s.Bind(ap(a), 0, sockopt.Privilege{}); err != nil {
			t.Fatal(err)
		}
	}
	r := rx("10.87.0.1:9", "10.87.0.255:7777")
	r.Group = true
	if !l.Input(r) {
		t.Error("nobody took it")
	}
	for a, want := range map[string]int{"0.0.0.0:7777": 1, "10.87.0.255:7777": 1, "10.87.0.2:7777": 0} {
		if len(apps[a].got) != want {
			t.Errorf("%s got %v", a, apps[a].got)
		}
	}
	r.Header.DstPort = 1
	if l.Input(r) {
		t.Error("somebody took what nobody wants")
	}
}

func TestSendErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		domain  int
		bind    string
		connect string
		to      string
		n       int
		edit    func(*sockopt.Options)
		want    errno.Errno
	}{
		{"no destination", v4, "", "", "", 1, nil, errno.EDESTADDRREQ},
		{"port 0", v4, "", "", "10.87.0.1:0", 1, nil, errno.EINVAL},
		{"broadcast", v4, "", "", "10.87.0.255:9", 1, nil, errno.EACCES},
		{"broadcast allowed", v4, "", "", "255.255.255.255:9", 1, func(o *sockopt.Options) { o.Broadcast = true }, 0},
		{"largest", v4, "", "", "10.87.0.1:9", MaxPayload4, nil, 0},
		{"larger", v4, "", "", "10.87.0.1:9", MaxPayload4 + 1, nil, errno.EMSGSIZE},
		{"larger, mapped", v6, "", "", "[::ffff:10.87.0.1]:9", MaxPayload4 + 1, nil, errno.EMSGSIZE},
		{"largest IPv6", v6, "", "", "[fd87::1]:9", MaxPayload6, nil, 0},
		{"larger IPv6", v6, "", "", "[fd87::1]:9", MaxPayload6 + 1, nil, errno.EMSGSIZE},
		{"family", v4, "", "", "[fd87::1]:9", 1, nil, errno.EAFNOSUPPORT},
		{"IPv6 only", v6, "", "", "[::ffff:10.87.0.1]:9", 1, func(o *sockopt.Options) { o.V6Only = true }, errno.ENETUNREACH},
		{"plain IPv4 from IPv6", v6, "", "", "10.87.0.1:9", 1, nil, 0},
		{"bound to IPv4", v6, "[::ffff:0.0.0.0]:7777", "", "[fd87::1]:9", 1, nil, errno.ENETUNREACH},
		{"bound to IPv6", v6, "[fd87::2]:7777", "", "[::ffff:10.87.0.1]:9", 1, nil, errno.ENETUNREACH},
		{"no route", v4, "", "", "9.9.9.9:9", 1, nil, errno.ENETUNREACH},
		{"router with SO_DONTROUTE", v4, "", "", "8.8.8.8:9", 1, func(o *sockopt.Options) { o.DontRoute = true }, errno.ENETUNREACH},
		{"connected, elsewhere", v4, "", "10.87.0.1:9", "10.87.0.5:9", 1, nil, 0},
		{"bound to a broadcast address", v4, "10.87.0.255:7777", "", "10.87.0.5:9", 1, nil, 0},
	} {
		l, g := newLayer(t)
		s := l.NewSocket(c.domain, &app{})
		if c.edit != nil {
			c.edit(s.Options())
		}
		if c.bind != "" {
			if err := s.Bind(ap(c.bind), 0, sockopt.Privilege{}); err != nil {
				t.Fatal(c.name, err)
			}
		}
		if c.connect != "" {
			if err := s.Connect(ap(c.connect)); err != nil {
				t.Fatal(c.name, err)
			}
		}
		if err := errno.Of(s.SendTo(make([]byte, c.n), ap(c.to))); err != c.want || len(g.sent) == 1 != (c.want == 0) {
			t.Errorf("%s: %v, want %v; sent %v", c.name, err, c.want, g.sent)
		}
	}
}

func TestPathMTUDiscoveryModes(t *testing.T) {
	for mode, want := range []struct{ small, large Sending }{
		sockopt.PMTUDiscDont:      {Sending{DF: false, Fragment: true, MTU: 1000}, Sending{DF: false, Fragment: true, MTU: 1000}},
		sockopt.PMTUDiscWant:      {Sending{DF: true, Fragment: true, MTU: 1000}, Sending{DF: false, Fragment: true, MTU: 1000}},
		sockopt.PMTUDiscDo:        {Sending{DF: true, MTU: 1000}, Sending{DF: true, MTU: 1000}},
		sockopt.PMTUDiscProbe:     {Sending{DF: true, MTU: 1500}, Sending{DF: true, MTU: 1500}},
		sockopt.PMTUDiscInterface: {Sending{MTU: 1500}, Sending{MTU: 1500}},
		sockopt.PMTUDiscOmit:      {Sending{Fragment: true, MTU: 1500}, Sending{Fragment: true, MTU: 1500}},
	} {
		l, g := newLayer(t)
		g.mtu = 1000
		s := l.NewSocket(v4, &app{})
		s.Options().MTUDiscover = uint8(mode)
		s.Options().TTL, s.Options().TOS = 9, 0x20
		for n, w := range map[int]Sending{500: want.small, 1200: want.large} {
			w.TTL, w.TOS = 9, 0x20
			if err := s.SendTo(make([]byte, n), ap("10.87.0.1:9")); err != nil || g.last != w {
				t.Errorf("mode %d, %d bytes: %+v, want %+v (%v)", mode, n, g.last, w, err)
			}
		}
	}
}

func TestHopLimits(t *testing.T) {
	l, g := newLayer(t)
	s := l.NewSocket(v6, &app{})
	for _, c := range []struct {
		to   string
		want uint8
	}{{"[fd87::1]:9", 64}, {"[ff02::5]:9", 1}, {"[::ffff:10.87.0.1]:9", 64}, {"[::ffff:224.0.0.5]:9", 1}} {
		if err := s.SendTo(nil, ap(c.to)); err != nil || g.last.TTL != c.want {
			t.Errorf("%s: hop limit %d, %v", c.to, g.last.TTL, err)
		}
	}
	s.Options().HopLimit, s.Options().MulticastHops = 3, 4
	for _, c := range []struct {
		to   string
		want uint8
	}{{"[fd87::1]:9", 3}, {"[ff02::5]:9", 4}} {
		if err := s.SendTo(nil, ap(c.to)); err != nil || g.last.TTL != c.want {
			t.Errorf("%s: hop limit %d, %v", c.to, g.last.TTL, err)
		}
	}
}

func TestConnectKeepsAndLosesThePort(t *testing.T) {
	l, g := newLayer(t)
	s := l.NewSocket(v4, &app{})
	if err := s.Connect(ap("10.87.0.1:9")); err != nil {
		t.Fatal(err)
	}
	local := s.LocalAddr()
	if local.Addr().String() != "10.87.0.2" || local.Port() < 32768 {
		t.Errorf("bound to %v", local)
	}
	_ = s.SendTo([]byte("x"), netip.AddrPort{})
	if want := local.String() + " 10.87.0.1:9 x"; len(g.sent) != 1 || g.sent[0] != want {
		t.Errorf("sent %v, want %s", g.sent, want)
	}
	if err := s.Connect(ap("127.0.0.1:9")); err != nil || s.LocalAddr() != netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), local.Port()) {
		t.Errorf("connected again: %v, %v", s.LocalAddr(), err)
	}
	s.Disconnect()
	if s.LocalAddr() != ap("0.0.0.0:0") || len(l.byPort) != 0 || len(l.pairs) != 0 {
		t.Errorf("after disconnect: %v, %d ports, %d pairs", s.LocalAddr(), len(l.byPort), len(l.pairs))
	}
}

func TestStaleRouteIsAskedAgain(t *testing.T) {
	l, g := newLayer(t)
	s := l.NewSocket(v4, &app{})
	if err := s.Connect(ap("10.87.0.1:9")); err != nil {
		t.Fatal(err)
	}
	g.gen, g.mtu = 2, 1300
	if s.PathMTU() != 1300 {
		t.Errorf("path MTU %d", s.PathMTU())
	}
	s.Options().BindToIf = 2
	s.Changed(sockopt.BindToDevice)
	if err := s.SendTo(nil, netip.AddrPort{}); err != nil {
		t.Error(err)
	}
}

func TestFullOwnerIsCounted(t *testing.T) {
	l, _ := newLayer(t)
	s := l.NewSocket(v4, &app{full: true})
	if err := s.Bind(ap("0.0.0.0:7777"), 0, sockopt.Privilege{}); err != nil {
		t.Fatal(err)
	}
	if !l.Input(rx("10.87.0.1:9", "10.87.0.2:7777")) || l.Counters().RcvbufErrors != 1 {
		t.Errorf("%+v", l.Counters())
	}
	s.Close()
	if l.Input(rx("10.87.0.1:9", "10.87.0.2:7777")) {
		t.Error("a closed socket took a datagram")
	}
	if err := s.SendTo(nil, ap("10.87.0.1:9")); err == nil {
		t.Error("a closed socket sent")
	}
}

// quoted is the UDP header of what s has sent.
func quoted(s *Socket, to string) []byte {
	h := wire.UDP{SrcPort: s.LocalAddr().Port(), DstPort: ap(to).Port(), Length: 8}
	return h.AppendTo(nil)
}

func TestICMPErrorsByOption(t *testing.T) {
	refused := ICMPError{Errno: errno.ECONNREFUSED, Hard: true}
	soft := ICMPError{Errno: errno.EHOSTUNREACH}
	for _, c := range []struct {
		name      string
		connected bool
		every     bool
		mode      uint8
		e         ICMPError
		want      errno.Errno
	}{
		{"hard", true, false, 1, refused, errno.ECONNREFUSED},
		{"soft", true, false, 1, soft, 0},
		{"soft with IP_RECVERR", true, true, 1, soft, errno.EHOSTUNREACH},
		{"not connected", false, false, 1, refused, 0},
		{"not connected with IP_RECVERR", false, true, 1, refused, errno.ECONNREFUSED},
		{"too big", true, false, 1, ICMPError{MTU: 1200}, errno.EMSGSIZE},
		{"too big without discovery", true, false, 0, ICMPError{MTU: 1200}, 0},
	} {
		l, _ := newLayer(t)
		a := &app{}
		s := l.NewSocket(v4, a)
		s.Options().RecvErr, s.Options().MTUDiscover = c.every, c.mode
		if c.connected {
			_ = s.Connect(ap("10.87.0.1:9"))
		} else {
			_ = s.SendTo(nil, ap("10.87.0.1:9"))
		}
		if !l.ICMP(netip.MustParseAddr("10.87.0.2"), netip.MustParseAddr("10.87.0.1"), quoted(s, "10.87.0.1:9"), c.e) {
			t.Errorf("%s: not ours", c.name)
		}
		if got := s.TakeError(); got != c.want || len(a.errs) == 1 != (c.want != 0) {
			t.Errorf("%s: %v, %v", c.name, got, a.errs)
		}
	}
}
