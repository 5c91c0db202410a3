package main

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/test/needroot"
)

func pfx(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestIntervals(t *testing.T) {
	for _, test := range []struct {
		in   []netip.Prefix
		want string
	}{
		{pfx("10.0.0.0/24"), "10.0.0.0-10.0.1.0"},
		{pfx("10.0.1.0/24", "10.0.0.0/24"), "10.0.0.0-10.0.2.0"},
		{pfx("10.0.0.0/16", "10.0.3.0/24", "10.1.0.0/32"), "10.0.0.0-10.1.0.1"},
		{pfx("224.0.0.0/4", "10.0.0.1/32"), "10.0.0.1-10.0.0.2 224.0.0.0-240.0.0.0"},
		{pfx("240.0.0.0/4"), "240.0.0.0-"},
		{pfx("fd00::/64", "ff00::/8"), "fd00::-fd00:0:0:1:: ff00::-"},
	} {
		var got []string
		for _, e := range intervals(test.in) {
			a, _ := netip.AddrFromSlice(e.Key)
			if e.IntervalEnd {
				got[len(got)-1] += a.String()
			} else {
				got = append(got, a.String()+"-")
			}
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%v: %s, want %s", test.in, s, test.want)
		}
	}
}

func TestNodeOf(t *testing.T) {
	n := &corev1.Node{}
	n.Name = "a"
	n.Spec.PodCIDR = "10.1.0.0/24"
	n.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeHostName, Address: "a"},
		{Type: corev1.NodeInternalIP, Address: "192.0.2.1"},
		{Type: corev1.NodeExternalIP, Address: "198.51.100.1"},
	}
	want := clusterNode{"a", []netip.Addr{netip.MustParseAddr("192.0.2.1")}, pfx("10.1.0.0/24")}
	if got := nodeOf(n); got.name != "a" || !equalNodes(got, want) {
		t.Errorf("%v, %v", got.addrs, got.subnets)
	}
	n.Spec.PodCIDRs = []string{"10.1.0.0/24", "fd01::/64"}
	if got := fmt.Sprint(nodeOf(n).subnets); got != "[10.1.0.0/24 fd01::/64]" {
		t.Error(got)
	}
}

// inNewNetNS runs f in a network namespace of its own with a link on which
// 192.0.2.0/24 is.
func inNewNetNS(t *testing.T, f func()) {
	t.Helper()
	needroot.Check(t, "make a network namespace")
	name := strings.ToLower(t.Name())
	ip(t, "netns", "add", name)
	t.Cleanup(func() { ip(t, "netns", "del", name) })
	ip(t, "-n", name, "link", "add", "eth0", "type", "bridge")
	ip(t, "-n", name, "addr", "add", "192.0.2.1/24", "dev", "eth0")
	ip(t, "-n", name, "link", "set", "eth0", "up")
	err := hostlink.InNetNS("/run/netns/"+name, func() error { f(); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
	return string(out)
}

func TestRoutes(t *testing.T) {
	inNewNetNS(t, func() {
		name := strings.ToLower(t.Name())
		ip(t, "-n", name, "route", "add", "10.9.0.0/24", "via", "192.0.2.99") // somebody else's
		nodes := []clusterNode{
			{"a", []netip.Addr{netip.MustParseAddr("192.0.2.1")}, pfx("10.1.0.0/24")},
			{"b", []netip.Addr{netip.MustParseAddr("192.0.2.2")}, pfx("10.1.1.0/24")},
			{"c", []netip.Addr{netip.MustParseAddr("192.0.2.3")}, pfx("10.1.2.0/24")},
		}
		steps := []struct {
			nodes []clusterNode
			want  string
		}{
			{nodes, "10.1.1.0/24 via 192.0.2.2 dev eth0|10.1.2.0/24 via 192.0.2.3 dev eth0"},
			{nodes, "10.1.1.0/24 via 192.0.2.2 dev eth0|10.1.2.0/24 via 192.0.2.3 dev eth0"},
			{nodes[:2], "10.1.1.0/24 via 192.0.2.2 dev eth0"},
			{nodes[:1], ""},
		}
		for i, s := range steps {
			if err := syncRoutes(wantedRoutes(&nodes[0], s.nodes)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range strings.Split(ip(t, "-n", name, "route", "show", "proto", fmt.Sprint(routeProtocol)), "\n") {
				if l = strings.TrimSpace(l); l != "" {
					got = append(got, l)
				}
			}
			if g := strings.Join(got, "|"); g != s.want {
				t.Errorf("step %d: %s, want %s", i, g, s.want)
			}
		}
		if !strings.Contains(ip(t, "-n", name, "route"), "10.9.0.0/24 via 192.0.2.99") {
			t.Error("another route is gone")
		}
	})
}

func TestMasquerading(t *testing.T) {
	inNewNetNS(t, func() {
		rules := func() string {
			// A child starts in this thread's namespace.
			out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
			if err != nil {
				t.Fatalf("nft: %v: %s", err, out)
			}
			return strings.Join(strings.Fields(string(out)), " ")
		}
		own := pfx("10.1.0.0/24", "fd01::/64")
		for range 2 { // the second replaces the first
			if err := setMasquerading(own, append(pfx("10.1.1.0/24", "192.0.2.1/32", "fd01:0:0:1::/64"), own...)); err != nil {
				t.Fatal(err)
			}
			got := rules()
			for _, want := range []string{
				"elements = { 10.1.0.0/23, 192.0.2.1, 224.0.0.0/4 }",
				"ip saddr 10.1.0.0/24 ip daddr != @kept masquerade",
				"ip6 saddr fd01::/64 ip6 daddr != @kept masquerade",
			} {
				if strings.Count(got, want) != 1 {
					t.Errorf("%q is not once in %s", want, got)
				}
			}
		}
		if err := removeMasquerading(); err != nil {
			t.Fatal(err)
		}
		if got := rules(); got != "" {
			t.Errorf("left: %s", got)
		}
	})
}
