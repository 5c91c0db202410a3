package plugin

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/dhcp"
	"github.com/tcpcni/tcpcni/netstack/wire"

	current "github.com/containernetworking/cni/pkg/types/100"
)

func dhcpConf(members ...string) string {
	return conf(append([]string{"ipam", `{"type":"dhcp"}`}, members...)...)
}

func TestDHCPConfig(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{dhcpConf("uplink", `"bridge"`, "bridge", `"br0"`), ""},
		{dhcpConf("uplink", `"bridge"`, "bridge", `"br0"`, "isGateway", "false"), ""},
		{dhcpConf("uplink", `"bridge"`, "bridge", `"br0"`, "isGateway", "true"), `isGateway: true: accepted: false, since "ipam.type" is "dhcp"`},
		{dhcpConf(), `ipam.type: "dhcp": accepted: another plugin, since "uplink" is "ptp"`},
	} {
		got, err := ParseConfig([]byte(c.text))
		switch {
		case c.want == "" && (err != nil || got.IsGateway):
			t.Errorf("%s: %v, gateway %t", c.text, err, got != nil && got.IsGateway)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

func TestClientID(t *testing.T) {
	c := &Config{Name: "net"}
	if got := string(clientID(c, Sandbox{ContainerID: "pod", IfName: "eth0"})); got != "\x00pod/net/eth0" {
		t.Errorf("%q", got)
	}
	if got := clientID(c, Sandbox{ContainerID: strings.Repeat("a", 300), IfName: "eth0"}); len(got) != 255 {
		t.Errorf("%d bytes", len(got))
	}
}

// What the engine is told is what is left of the lease, for the address that the
// server has given.
func TestLeaseLeft(t *testing.T) {
	c, s := &Config{Name: "net", IPAMType: dhcpPlugin}, Sandbox{ContainerID: "pod", IfName: "eth0"}
	ip := netip.MustParsePrefix("192.0.2.7/24")
	r := &current.Result{IPs: []*current.IPConfig{{Address: *ipNet(ip)}}}
	left := func(g dhcp.Gate) (*engine.LeaseSpec, error) { return leaseLeft(c, s, r, g) }
	now := hostlink.Now()
	const second = 1_000_000_000
	for _, x := range []struct {
		gate dhcp.Gate
		want uint32
		bad  bool
	}{
		{dhcp.Gate{MAC: wire.MAC{2}}, 0, false},
		{dhcp.Gate{Addr: ip.Addr(), Lease: dhcp.Infinite, At: now - 9*second}, dhcp.Infinite, false},
		{dhcp.Gate{Addr: ip.Addr(), Lease: 1000, At: now}, 1000, false},
		{dhcp.Gate{Addr: ip.Addr(), Lease: 5, At: now - 6*second}, 0, true},
		{dhcp.Gate{Addr: ip.Addr().Next(), Lease: 1000, At: now}, 0, true},
	} {
		got, err := left(x.gate)
		if (err != nil) != x.bad || err == nil && (got.Addr != ip.Addr() || got.Seconds > x.want || x.want != dhcp.Infinite && got.Seconds+60 < x.want) {
			t.Errorf("%+v: %+v, %v", x.gate, got, err)
		}
	}
}
