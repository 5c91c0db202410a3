package plugin

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
)

// result reads an IPAM result as a plugin would print it.
func result(t *testing.T, text string) *current.Result {
	t.Helper()
	r := new(current.Result)
	if err := json.Unmarshal([]byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}

const dual = `{"cniVersion":"1.1.0","ips":[{"address":"10.87.0.2/24","gateway":"10.87.0.1"},{"address":"fd87::2/64","gateway":"fd87::1"}],
"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}`

// viaOther adds a route with a gateway of its own.
var viaOther = strings.Replace(dual, `{"dst":"::/0"}`, `{"dst":"::/0"},{"dst":"192.0.2.0/24","gw":"10.87.0.9"}`, 1)

func (p *plan) routeList() []string {
	var list []string
	for _, r := range p.routes {
		if r.Gateway.IsValid() {
			list = append(list, fmt.Sprintf("%s via %s", r.Dst, r.Gateway))
		} else {
			list = append(list, r.Dst.String())
		}
	}
	return list
}

func expectList[T fmt.Stringer](t *testing.T, what string, got []T, want ...string) {
	t.Helper()
	var text []string
	for _, g := range got {
		text = append(text, g.String())
	}
	if !slices.Equal(text, want) {
		t.Errorf("%s: %v, want %v", what, text, want)
	}
}

func TestPlanPTP(t *testing.T) {
	c := &Config{Name: "demo", Uplink: UplinkPTP, IPAMType: "x"}
	p, err := makePlan(c, result(t, viaOther), 1500)
	if err != nil {
		t.Fatal(err)
	}
	expectList(t, "addresses", p.addrs, "10.87.0.2/24", "fd87::2/64")
	expectList(t, "the engine's addresses", p.engineAddrs(), "10.87.0.2/32", "fd87::2/128")
	expectList(t, "the host's side", p.gateways, "10.87.0.1/32", "fd87::1/128")
	want := []string{
		"10.87.0.1/32", "fd87::1/128",
		"10.87.0.0/24 via 10.87.0.1", "fd87::/64 via fd87::1",
		"0.0.0.0/0 via 10.87.0.1", "::/0 via fd87::1", "192.0.2.0/24 via 10.87.0.9",
	}
	if got := p.routeList(); !slices.Equal(got, want) {
		t.Errorf("routes: %v, want %v", got, want)
	}
	if gw := p.gatewayOf(netip.MustParsePrefix("fd87::2/64")); gw.String() != "fd87::1" {
		t.Errorf("gateway %s", gw)
	}
}

func TestPlanBridge(t *testing.T) {
	c := &Config{Name: "demo", Uplink: UplinkBridge, Bridge: "br0", IsGateway: true, IPAMType: "x"}
	p, err := makePlan(c, result(t, viaOther), 1500)
	if err != nil {
		t.Fatal(err)
	}
	expectList(t, "the engine's addresses", p.engineAddrs(), "10.87.0.2/24", "fd87::2/64")
	expectList(t, "the host's side", p.gateways, "10.87.0.1/24", "fd87::1/64")
	want := []string{
		"10.87.0.0/24", "fd87::/64",
		"0.0.0.0/0 via 10.87.0.1", "::/0 via fd87::1", "192.0.2.0/24 via 10.87.0.9",
	}
	if got := p.routeList(); !slices.Equal(got, want) {
		t.Errorf("routes: %v, want %v", got, want)
	}
}

func TestPlanErrors(t *testing.T) {
	for _, c := range []struct {
		what, uplink string
		mtu          int
		text         string
		says         []string
	}{
		{"no address", UplinkPTP, 1500, `{}`, []string{"no address"}},
		{"no gateway", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24"}]}`, []string{"10.0.0.2/24", "gateway", "ptp"}},
		{"its own gateway", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.2"}]}`, []string{"10.0.0.2", "another address"}},
		{"gateway of the other family", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24","gateway":"fd00::1"}]}`, []string{"fd00::1", "same family"}},
		{"route without an address", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],"routes":[{"dst":"::/0"}]}`, []string{"::/0", "family"}},
		{"route with a gateway of the other family", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],"routes":[{"dst":"0.0.0.0/0","gw":"fd00::1"}]}`, []string{"0.0.0.0/0", "fd00::1", "same family"}},
		{"route without a gateway", UplinkBridge, 1500, `{"ips":[{"address":"10.0.0.2/24"}],"routes":[{"dst":"0.0.0.0/0"}]}`, []string{"0.0.0.0/0", "no gateway"}},
		{"route in a table", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],"routes":[{"dst":"0.0.0.0/0","table":7}]}`, []string{"0.0.0.0/0", "table"}},
		{"route with an advmss", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],"routes":[{"dst":"0.0.0.0/0","advmss":500}]}`, []string{"advmss", "500", "mtu"}},
		{"route with a small MTU", UplinkPTP, 1500, `{"ips":[{"address":"fd00::2/64","gateway":"fd00::1"}],"routes":[{"dst":"::/0","mtu":1279}]}`, []string{"mtu", "1279", "1280"}},
		{"route in the scope of the host", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],"routes":[{"dst":"0.0.0.0/0","scope":254}]}`, []string{"scope", "254", "253"}},
		{"route on the link with a gateway", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],"routes":[{"dst":"10.1.0.0/16","gw":"10.0.0.1","scope":253}]}`, []string{"10.0.0.1", "scope 253"}},
		{"route with a negative priority", UplinkPTP, 1500, `{"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],"routes":[{"dst":"0.0.0.0/0","priority":-1}]}`, []string{"priority", "-1"}},
		{"IPv6 over a small MTU", UplinkPTP, 1279, `{"ips":[{"address":"fd00::2/64","gateway":"fd00::1"}]}`, []string{"mtu", "1279", "1280"}},
	} {
		_, err := makePlan(&Config{Name: "demo", Uplink: c.uplink, IsGateway: true, IPAMType: "x"}, result(t, c.text), c.mtu)
		if err == nil {
			t.Errorf("%s: accepted", c.what)
			continue
		}
		for _, w := range c.says {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: the error does not say %q: %v", c.what, w, err)
			}
		}
	}
}

// What routes may have beside a gateway reaches the kernel, and the engine as far
// as it can make a difference there.
func TestPlanRouteProperties(t *testing.T) {
	c := &Config{Name: "demo", Uplink: UplinkPTP, IPAMType: "x"}
	p, err := makePlan(c, result(t, `{"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],"routes":[
{"dst":"0.0.0.0/0","priority":9,"gw":"10.0.0.8"},{"dst":"0.0.0.0/0","priority":3,"mtu":1300,"table":254,"scope":0},
{"dst":"0.0.0.0/0","priority":3,"gw":"10.0.0.9"},{"dst":"10.1.0.0/16","scope":253}]}`), 1500)
	if err != nil {
		t.Fatal(err)
	}
	var kernel []string
	for _, r := range p.routes {
		kernel = append(kernel, fmt.Sprintf("%s %v %d %d", r.Dst, r.Gateway, r.MTU, r.Priority))
	}
	want := []string{
		"10.0.0.1/32 invalid IP 0 0", "10.1.0.0/16 invalid IP 0 0", "10.0.0.0/24 10.0.0.1 0 0",
		"0.0.0.0/0 10.0.0.8 0 9", "0.0.0.0/0 10.0.0.1 1300 3", "0.0.0.0/0 10.0.0.9 0 3",
	}
	if !slices.Equal(kernel, want) {
		t.Errorf("routes: %q, want %q", kernel, want)
	}
	var engine []string
	for _, r := range p.engineRoutes() {
		engine = append(engine, fmt.Sprintf("%s %v %d", r.Dst, r.Gateway, r.MTU))
	}
	want = []string{"10.0.0.1/32 invalid IP 0", "10.1.0.0/16 invalid IP 0", "10.0.0.0/24 10.0.0.1 0", "0.0.0.0/0 10.0.0.1 1300"}
	if !slices.Equal(engine, want) {
		t.Errorf("the engine's routes: %q, want %q", engine, want)
	}
}
