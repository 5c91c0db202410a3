package netstack

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// twoLinks is a stack with eth0 (10.87.0.2, fd87::2), eth1 (10.99.1.2,
// 10.99.2.2, fd99::2, 2001:db8::2) and routes by both.
func twoLinks(t *testing.T) (*Stack, [2]*cable) {
	s, c := New(Config{}), [2]*cable{{}, {}}
	for i, a := range [][]netip.Prefix{
		prefixes("10.87.0.2/24", "fd87::2/64"),
		prefixes("10.99.1.2/24", "10.99.2.2/24", "fd99::2/64", "2001:db8::2/64"),
	} {
		_, err := s.AddLink(LinkConfig{Name: "eth" + string(rune('0'+i)), MAC: wire.MAC{2, 0, 0, 0, 0, byte(i)}, MTU: 1500, Addrs: a, Sink: c[i]})
		mustNot(t, err)
	}
	for _, r := range []Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.87.0.1")},
		{Dst: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("fd87::1")},
		{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: netip.MustParseAddr("10.99.2.1"), MTU: 1400},
		{Dst: netip.MustParsePrefix("2001:db8::/32"), Gateway: netip.MustParseAddr("fe80::99"), Link: 2},
	} {
		mustNot(t, s.AddRoute(r))
	}
	return s, c
}

func TestRouting(t *testing.T) {
	s, _ := twoLinks(t)
	for _, c := range []struct {
		src, dst string
		link     int
		errno    errno.Errno

		wantSrc, hop string
		wantLink     int
		mtu          int
	}{
		{"", "8.8.8.8", 0, 0, "10.87.0.2", "10.87.0.1", 1, 1500},
		{"", "10.1.1.1", 0, 0, "10.99.2.2", "10.99.2.1", 2, 1400},
		{"", "10.87.0.9", 0, 0, "10.87.0.2", "10.87.0.9", 1, 1500},
		{"10.99.1.2", "10.99.2.7", 0, 0, "10.99.1.2", "10.99.2.7", 2, 1500},
		{"", "8.8.8.8", 2, errno.ENETUNREACH, "", "", 0, 0},
		{"", "8.8.8.8", 3, errno.ENODEV, "", "", 0, 0},
		{"", "8.8.8.8", LoopbackLink, errno.ENETUNREACH, "", "", 0, 0},
		{"", "ff02::5", LoopbackLink, errno.ENETUNREACH, "", "", 0, 0},
		{"1.2.3.4", "8.8.8.8", 0, errno.EADDRNOTAVAIL, "", "", 0, 0},
		{"127.0.0.1", "8.8.8.8", 0, errno.EINVAL, "", "", 0, 0},
		{"", "127.9.9.9", 0, 0, "127.0.0.1", "", -1, 65535},
		{"", "10.99.1.2", 0, 0, "10.99.1.2", "", -1, 65535},
		{"", "0.0.0.0", 0, 0, "127.0.0.1", "", -1, 65535},
		{"10.87.0.2", "0.0.0.0", 0, 0, "10.87.0.2", "", -1, 65535},
		{"", "::", 0, 0, "::1", "", -1, 65536},
		{"", "fd99::2", -1, 0, "fd99::2", "", -1, 65536},
		{"", "2001:db8:5::1", 0, 0, "2001:db8::2", "fe80::99", 2, 1500},
		{"", "fd99::1", 0, 0, "fd99::2", "fd99::1", 2, 1500},
		{"", "2600::1", 0, 0, "fd87::2", "fd87::1", 1, 1500},
		{"", "fe80::5", 0, errno.EINVAL, "", "", 0, 0},
		{"", "fe80::5", 2, 0, "fe80::ff:fe00:1", "fe80::5", 2, 1500},
		{"", "fe80::5%eth1", 0, 0, "fe80::ff:fe00:1", "fe80::5", 2, 1500},
		{"", "fe80::5%2", 0, 0, "fe80::ff:fe00:1", "fe80::5", 2, 1500},
		{"", "fe80::5%eth9", 0, errno.ENODEV, "", "", 0, 0},
		{"", "fe80::5%eth1", 1, errno.ENODEV, "", "", 0, 0},
		{"", "255.255.255.255", 0, 0, "10.87.0.2", "255.255.255.255", 1, 1500},
		{"", "10.99.1.255", 0, 0, "10.99.1.2", "10.99.1.255", 2, 1500},
		{"", "224.0.0.5", 0, 0, "10.87.0.2", "224.0.0.5", 1, 1500},
		{"", "ff02::5", 2, 0, "fe80::ff:fe00:1", "ff02::5", 2, 1500},
	} {
		var src netip.Addr
		if c.src != "" {
			src = netip.MustParseAddr(c.src)
		}
		w, no := s.route(src, netip.MustParseAddr(c.dst), c.link)
		if no != c.errno {
			t.Errorf("%s to %s by %d: %v, want %v", c.src, c.dst, c.link, no, c.errno)
			continue
		}
		if no != 0 {
			continue
		}
		num := LoopbackLink
		if w.link != nil {
			num = w.link.num
		}
		if w.src.String() != c.wantSrc || c.hop != "" && w.hop.String() != c.hop || num != c.wantLink || w.mtu != c.mtu {
			t.Errorf("%s to %s by %d: from %v by %v on link %d, MTU %d", c.src, c.dst, c.link, w.src, w.hop, num, w.mtu)
		}
	}
}

func TestTCPIsRefusedToGroups(t *testing.T) {
	s, _ := twoLinks(t)
	for _, dst := range []string{"255.255.255.255", "10.87.0.255", "224.0.0.1", "ff02::1"} {
		if _, err := (*tcpNetwork)(s).Route(netip.Addr{}, netip.MustParseAddr(dst), 1); err != errno.ENETUNREACH {
			t.Errorf("%s: %v", dst, err)
		}
	}
}

func TestNoRouteIsUnreachable(t *testing.T) {
	s := New(Config{})
	for _, dst := range []string{"8.8.8.8", "2600::1", "255.255.255.255", "224.0.0.1"} {
		if _, no := s.route(netip.Addr{}, netip.MustParseAddr(dst), 0); no != errno.ENETUNREACH {
			t.Errorf("%s: %v", dst, no)
		}
	}
}

func TestRouteChangesReachOpenPaths(t *testing.T) {
	s, c := twoLinks(t)
	u := s.NewUDP(2, &udpApp{})
	mustNot(t, u.Connect(ap("8.8.8.8:53")))
	s.Flush()
	c[0].log, c[1].log = nil, nil
	mustNot(t, u.SendTo([]byte("x"), netip.AddrPort{}))
	if len(c[0].log) != 1 || len(c[1].log) != 0 {
		t.Fatalf("%d and %d frames", len(c[0].log), len(c[1].log))
	}
	mustNot(t, s.AddRoute(Route{Dst: netip.MustParsePrefix("8.8.8.0/24"), Gateway: netip.MustParseAddr("10.99.1.1")}))
	mustNot(t, u.SendTo([]byte("x"), netip.AddrPort{}))
	if len(c[1].log) != 1 {
		t.Errorf("after the new route: %d frames by it", len(c[1].log))
	}
}

func TestConfigurationErrorsNameTheField(t *testing.T) {
	sink := &cable{}
	good := LinkConfig{Name: "eth0", MAC: macA, MTU: 1500, Addrs: prefixes("10.0.0.1/8"), Sink: sink}
	for _, c := range []struct {
		edit func(*LinkConfig)
		want string
	}{
		{func(l *LinkConfig) { l.Sink = nil }, "Sink"},
		{func(l *LinkConfig) { l.MAC = wire.Broadcast }, "ff:ff:ff:ff:ff:ff"},
		{func(l *LinkConfig) { l.MAC = wire.MAC{} }, "MAC"},
		{func(l *LinkConfig) { l.MTU = 67 }, "68..65535"},
		{func(l *LinkConfig) { l.TSO = true }, "TxChecksum"},
		{func(l *LinkConfig) { l.Addrs = prefixes("224.0.0.1/8") }, "224.0.0.1/8"},
		{func(l *LinkConfig) { l.Addrs = prefixes("::ffff:1.2.3.4/128") }, "unicast"},
		{func(l *LinkConfig) { l.MTU, l.Addrs = 1000, prefixes("fd87::2/64") }, "1280"},
	} {
		cfg := good
		c.edit(&cfg)
		if _, err := New(Config{}).AddLink(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q in it", err, c.want)
		}
	}
	s, _ := twoLinks(t)
	for _, r := range []Route{
		{},
		{Dst: netip.MustParsePrefix("10.0.0.0/8")},
		{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: netip.MustParseAddr("fd87::1")},
		{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: netip.MustParseAddr("172.16.0.1")},
		{Dst: netip.MustParsePrefix("10.0.0.0/8"), Gateway: netip.MustParseAddr("10.87.0.2")},
		{Dst: netip.MustParsePrefix("10.0.0.0/8"), Link: 9},
		{Dst: netip.MustParsePrefix("fd00::/8"), Link: 1, MTU: 1279},
		{Dst: netip.MustParsePrefix("224.0.0.0/4"), Link: 1},
	} {
		if err := s.AddRoute(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}
