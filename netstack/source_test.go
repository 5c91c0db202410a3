package netstack

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// pktInfo6 is struct in6_pktinfo.
func pktInfo6(addr string, link int) []byte {
	a := netip.MustParseAddr(addr).As16()
	return binary.NativeEndian.AppendUint32(a[:], uint32(link))
}

// sourceBench has a link with two addresses of each family.
func sourceBench(t *testing.T) *bench {
	b := newBench(t, func(c *LinkConfig) {
		c.Addrs = prefixes("10.87.0.2/24", "10.87.0.3/24", "fd87::2/64", "fd87::3/64")
	})
	b.know()
	return b
}

// leaves is the source of the one packet that left.
func (b *bench) leaves(what string) string {
	b.t.Helper()
	b.s.Flush()
	defer func() { b.out.log = nil }()
	if len(b.out.log) != 1 {
		b.t.Errorf("%s: %d packets", what, len(b.out.log))
		return ""
	}
	return gopacket.NewPacket(b.out.log[0].data, layers.LayerTypeEthernet, gopacket.Default).NetworkLayer().NetworkFlow().Src().String()
}

const (
	levelIPv6   = 41
	optPktInfo6 = 50
	optToDevice = 25
)

// TestSourceOfADatagram: IP_PKTINFO and IPV6_PKTINFO of a send name the source, whatever
// the socket is bound or connected to (ip(7), RFC 3542 section 6.2).
func TestSourceOfADatagram(t *testing.T) {
	b := sourceBench(t)
	for _, c := range []struct{ bind, connect, to, from, want string }{
		{"", "", "10.87.0.1:9", "10.87.0.3", "10.87.0.3"}, {"", "", "10.87.0.1:9", "", "10.87.0.2"},
		{"", "", "[fd87::1]:9", "fd87::3", "fd87::3"}, {"", "", "[fd87::1]:9", "", "fd87::2"}, {"", "", "[::ffff:10.87.0.1]:9", "::ffff:10.87.0.3", "10.87.0.3"},
		{"10.87.0.2:0", "", "10.87.0.1:9", "10.87.0.3", "10.87.0.3"}, {"[fd87::3]:0", "", "[fd87::1]:9", "fd87::2", "fd87::2"},
		{"10.87.0.3:0", "", "10.87.0.1:9", "0.0.0.0", "10.87.0.2"},
		{"", "[fd87::1]:9", "", "fd87::3", "fd87::3"}, {"", "10.87.0.1:9", "", "10.87.0.3", "10.87.0.3"},
		{"", "", "10.87.0.1:9", "fd87::3", "10.87.0.2"}, // of the other family: nothing is said
	} {
		domain := 10
		if a := c.to + c.connect; a[0] != '[' {
			domain = 2
		}
		s := b.s.NewUDP(domain, &udpApp{})
		if c.bind != "" {
			mustNot(t, s.Bind(ap(c.bind), 0, priv))
		}
		to, from := netip.AddrPort{}, netip.Addr{}
		if c.connect != "" {
			mustNot(t, s.Connect(ap(c.connect)))
		} else {
			to = ap(c.to)
		}
		if c.from != "" {
			from = netip.MustParseAddr(c.from)
		}
		mustNot(t, s.SendTo([]byte("before"), to))
		before := b.leaves("before")
		mustNot(t, s.SendFrom(from, []byte("x"), to, 0))
		if got := b.leaves(c.from); got != c.want {
			t.Errorf("%+v: from %s", c, got)
		}
		mustNot(t, s.SendTo([]byte("after"), to))
		if got := b.leaves("after"); got != before {
			t.Errorf("%+v: afterwards from %s, before from %s", c, got, before)
		}
		s.Close()
	}
	s := b.s.NewUDP(10, &udpApp{})
	if err := s.SendFrom(netip.MustParseAddr("fd99::9"), []byte("x"), ap("[fd87::1]:9"), 0); err != errno.EADDRNOTAVAIL {
		t.Errorf("from an address of somebody else: %v", err)
	}
}

// TestStickySource: IPV6_PKTINFO as an option names the source of datagrams and of a
// connect until zeros take it back; bind comes first; IPv4 does not know it.
func TestStickySource(t *testing.T) {
	b := sourceBench(t)
	set := func(on sockopt.Target, val []byte) {
		t.Helper()
		_, err := b.s.profile.Set(on, levelIPv6, optPktInfo6, val, priv)
		mustNot(t, err)
	}
	s := b.s.NewUDP(10, &udpApp{})
	for _, c := range []struct {
		val      []byte
		to, want string
		err      error
	}{
		{pktInfo6("fd87::3", 0), "[fd87::1]:9", "fd87::3", nil},
		{pktInfo6("fd87::3", 1), "[::ffff:10.87.0.1]:9", "10.87.0.2", nil},
		{pktInfo6("fd87::3", 1), "[fd87::1]:9", "fd87::3", nil},
		{pktInfo6("::", 0), "[fd87::1]:9", "fd87::2", nil},
		{pktInfo6("fd99::9", 0), "[fd87::1]:9", "", errno.EADDRNOTAVAIL},
		{pktInfo6("::", 7), "[fd87::1]:9", "", errno.ENETUNREACH},
		{pktInfo6("::", -1), "[fd87::1]:9", "", errno.ENETUNREACH},
		{pktInfo6("::", 7), "[::ffff:10.87.0.1]:9", "10.87.0.2", nil},
		{pktInfo6("::", 0), "[fd87::1]:9", "fd87::2", nil},
	} {
		set(s, c.val)
		if err := s.SendTo([]byte("x"), ap(c.to)); err != c.err {
			t.Errorf("%x to %s: %v, want %v", c.val, c.to, err, c.err)
		} else if err == nil {
			if got := b.leaves(c.to); got != c.want {
				t.Errorf("%x to %s: from %s, want %s", c.val, c.to, got, c.want)
			}
		}
	}
	set(s, pktInfo6("fd87::3", 0))
	mustNot(t, s.Connect(ap("[fd87::1]:9")))
	if a := s.LocalAddr().Addr().String(); a != "fd87::3" {
		t.Errorf("connected from %s", a)
	}
	bound := b.s.NewUDP(10, &udpApp{})
	mustNot(t, bound.Bind(ap("[fd87::2]:0"), 0, priv))
	set(bound, pktInfo6("fd87::3", 0))
	mustNot(t, bound.SendTo([]byte("x"), ap("[fd87::1]:9")))
	if got := b.leaves("bound"); got != "fd87::2" {
		t.Errorf("a socket that is bound sends from %s", got)
	}
	_, err := b.s.profile.Set(bound, sockopt.SolSocket, optToDevice, []byte("eth0"), priv)
	mustNot(t, err)
	if _, err := b.s.profile.Set(bound, levelIPv6, optPktInfo6, pktInfo6("::", 0), priv); err != errno.EINVAL {
		t.Errorf("another interface than SO_BINDTODEVICE's: %v", err)
	}

	for _, c := range []struct {
		bind string
		val  []byte
		to   string
		want string
		err  error
	}{
		{"", pktInfo6("fd87::3", 0), "[fd87::1]:80", "fd87::3", errno.EINPROGRESS},
		{"[::]:4000", pktInfo6("fd87::3", 9), "[fd87::1]:80", "fd87::3", errno.EINPROGRESS},
		{"[fd87::2]:0", pktInfo6("fd87::3", 0), "[fd87::1]:80", "fd87::2", errno.EINPROGRESS},
		{"", pktInfo6("fd87::3", 0), "[::ffff:10.87.0.1]:80", "::ffff:10.87.0.2", errno.EINPROGRESS},
		{"", pktInfo6("::", 0), "[fd87::1]:80", "fd87::2", errno.EINPROGRESS},
		{"", pktInfo6("fd99::9", 0), "[fd87::1]:80", "", errno.EADDRNOTAVAIL},
	} {
		k := b.s.NewTCP(10, &tcpApp{})
		if c.bind != "" {
			mustNot(t, k.Bind(ap(c.bind), 0, priv))
		}
		set(k, c.val)
		if err := k.Connect(ap(c.to)); err != c.err {
			t.Errorf("%+v: %v", c, err)
		} else if err == errno.EINPROGRESS {
			if got := k.LocalAddr().Addr().String(); got != c.want {
				t.Errorf("%+v: from %s", c, got)
			}
			if got := b.leaves("SYN"); "::ffff:"+got != c.want && got != c.want {
				t.Errorf("%+v: the SYN is from %s", c, got)
			}
		}
		k.Close()
		b.s.Flush()
		b.out.log = nil
	}
}

// TestInterfaceOfADatagram: IP_UNICAST_IF chooses the link of what UDP sends to one
// host, which the routes would send elsewhere.
func TestInterfaceOfADatagram(t *testing.T) {
	s, c := twoLinks(t)
	for i, hop := range []string{"10.87.0.1", "10.99.1.1"} {
		s.confirmed(s.newNeighbour(s.links[i], netip.MustParseAddr(hop)), macA)
	}
	mustNot(t, s.AddRoute(Route{Dst: prefixes("8.8.8.0/24")[0], Gateway: netip.MustParseAddr("10.87.0.1"), Link: 1}))
	mustNot(t, s.AddRoute(Route{Dst: prefixes("8.8.0.0/16")[0], Gateway: netip.MustParseAddr("10.99.1.1"), Link: 2}))
	s.Advance(2 * time.Second)
	s.Flush() // everything is announced
	u := s.NewUDP(2, &udpApp{})
	for _, k := range []struct {
		link int
		want [2]int
	}{{0, [2]int{1, 0}}, {2, [2]int{0, 1}}, {1, [2]int{1, 0}}, {0, [2]int{1, 0}}} {
		_, err := s.profile.Set(u, 0, 50, binary.BigEndian.AppendUint32(nil, uint32(k.link)), priv)
		mustNot(t, err)
		for _, x := range c {
			x.log = nil
		}
		mustNot(t, u.SendTo([]byte("x"), ap("8.8.8.8:9")))
		s.Flush()
		if got := [2]int{len(c[0].log), len(c[1].log)}; got != k.want {
			t.Errorf("link %d: %v packets on the links, want %v", k.link, got, k.want)
		}
	}
}
