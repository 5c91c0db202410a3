package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

func TestPlanResolv(t *testing.T) {
	gateways := []netip.Addr{netip.MustParseAddr("10.87.0.1"), netip.MustParseAddr("fd87::1")}
	const ours = "# Written by tcpcni run.\n"
	const both = ours + "nameserver 10.87.0.1\nnameserver fd87::1\n"
	for _, c := range []struct {
		what, host string
		gateways   []netip.Addr
		dns        types.DNS
		text       string
		relay      []string
	}{
		{"a resolver that everybody reaches", "nameserver 192.0.2.53\n", gateways, types.DNS{}, "", nil},
		{"systemd-resolved", "# stub\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch a.test\n", gateways, types.DNS{},
			both + "options edns0 trust-ad\nsearch a.test\n", []string{"127.0.0.53:53"}},
		{"loopback of IPv6", "nameserver ::1\n", gateways, types.DNS{}, both, []string{"[::1]:53"}},
		{"the wildcard means loopback", "nameserver 0.0.0.0\n", gateways, types.DNS{}, both, []string{"0.0.0.0:53"}},
		{"no server means loopback", "search a.test\n", gateways, types.DNS{}, both + "search a.test\n", []string{"127.0.0.1:53"}},
		{"one of each", "nameserver 192.0.2.53\nnameserver 127.0.0.1\n", gateways, types.DNS{}, both + "nameserver 192.0.2.53\n", []string{"127.0.0.1:53"}},
		{"no gateway to serve on", "nameserver 127.0.0.1\n", nil, types.DNS{}, "", nil},
		{"the network's own", "nameserver 127.0.0.1\n", gateways,
			types.DNS{Nameservers: []string{"192.0.2.1"}, Domain: "d.test", Search: []string{"a.test", "b.test"}, Options: []string{"ndots:2"}},
			ours + "nameserver 192.0.2.1\ndomain d.test\nsearch a.test b.test\noptions ndots:2\n", nil},
	} {
		p := planResolv(c.host, &current.Result{DNS: c.dns}, c.gateways)
		if p.text != c.text {
			t.Errorf("%s: %q, want %q", c.what, p.text, c.text)
		}
		var relay []string
		for _, r := range p.relay {
			relay = append(relay, r.String())
		}
		if strings.Join(relay, " ") != strings.Join(c.relay, " ") {
			t.Errorf("%s: relay to %v, want %v", c.what, relay, c.relay)
		}
	}
}

func TestGatewaysOf(t *testing.T) {
	r := &current.Result{IPs: []*current.IPConfig{
		{Gateway: net.ParseIP("10.87.0.1")}, {Gateway: net.ParseIP("fd87::1")}, {}, {Gateway: net.ParseIP("10.87.0.1")},
	}}
	got := gatewaysOf(r)
	if len(got) != 2 || got[0].String() != "10.87.0.1" || got[1].String() != "fd87::1" {
		t.Errorf("gateways: %v", got)
	}
}

func FuzzParseResolv(f *testing.F) {
	f.Add("nameserver 127.0.0.1\nsearch a\n# x\n")
	f.Add("nameserver\nnameserver fe80::1%eth0\r\n;")
	f.Fuzz(func(t *testing.T, text string) {
		r := parseResolv(text)
		if len(r.servers) == 0 {
			t.Fatal("no server")
		}
		again := parseResolv(r.String())
		if len(again.servers) != len(r.servers) || len(again.other) != len(r.other) {
			t.Fatalf("%q became %q", text, r.String())
		}
	})
}
