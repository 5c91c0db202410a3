package plugin

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
)

func bridgeConf(members ...string) string {
	return testConf(append([]string{"uplink", `"bridge"`, "bridge", `"br-t"`, "mtu", ""}, members...)...)
}

// Without mtu, it is the bridge's, else that of the default route's interface,
// else 1500.
func TestMTUDetected(t *testing.T) {
	for name, c := range map[string]struct {
		conf    string
		prepare [][]string
		want    string
	}{
		"nothing to go by": {testConf("mtu", ""), nil, "mtu 1500"},
		"default route": {testConf("mtu", ""), [][]string{
			{"link", "add", "wan", "mtu", "1450", "type", "veth", "peer", "name", "far"},
			{"link", "set", "wan", "up"}, {"addr", "add", "192.0.2.1/24", "dev", "wan"}, {"route", "add", "default", "via", "192.0.2.2"},
		}, "mtu 1450"},
		"the better of two": {testConf("mtu", ""), [][]string{
			{"link", "add", "wan", "mtu", "1450", "type", "veth", "peer", "name", "far", "mtu", "1440"},
			{"link", "set", "wan", "up"}, {"link", "set", "far", "up"},
			{"route", "add", "default", "dev", "wan", "metric", "9"}, {"route", "add", "default", "dev", "far", "metric", "8"},
		}, "mtu 1440"},
		"IPv6 only": {testConf("mtu", ""), [][]string{
			{"link", "add", "wan", "mtu", "1430", "type", "veth", "peer", "name", "far"},
			{"link", "set", "wan", "up"}, {"-6", "route", "add", "default", "dev", "wan"},
		}, "mtu 1430"},
		"the bridge before the route": {bridgeConf(), [][]string{
			{"link", "add", "wan", "mtu", "1450", "type", "veth", "peer", "name", "far"},
			{"link", "set", "wan", "up"}, {"route", "add", "default", "dev", "wan"},
			{"link", "add", "br-t", "mtu", "1420", "type", "bridge"},
		}, "mtu 1420"},
		"as it is written": {testConf("mtu", "1300"), nil, "mtu 1300"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			box := h.container("box")
			for _, args := range c.prepare {
				h.run(h.netNS, "ip", args...)
			}
			text := h.must("ADD", box, c.conf)
			for netNS, dev := range map[string]string{box.netNS: "eth0", h.netNS: uplinkName("box", "eth0")} {
				if got := h.run(netNS, "ip", "-o", "link", "show", dev); !strings.Contains(got, c.want+" ") {
					t.Errorf("%s: %s, want %s", dev, got, c.want)
				}
			}
			h.must("CHECK", box, withResult(c.conf, text))
			h.must("DEL", box, c.conf)
		})
	}
}

func TestHairpin(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	conf := bridgeConf("hairpin", "true")
	text := h.must("ADD", c, conf)
	h.must("CHECK", c, withResult(conf, text))
	if got := h.run(h.netNS, "bridge", "-d", "link", "show"); !strings.Contains(got, "hairpin on") {
		t.Errorf("hairpin is off: %s", got)
	}
	h.run(h.netNS, "bridge", "link", "set", "dev", uplinkName("box", "eth0"), "hairpin", "off")
	h.fails("CHECK", c, withResult(conf, text), "hairpin is false, ADD set true")
	h.run(h.netNS, "ip", "link", "set", uplinkName("box", "eth0"), "nomaster")
	h.fails("CHECK", c, withResult(conf, text), "no port of bridge")
	h.must("DEL", c, conf)
	h.bare(c, "br-t")
}

// A bridge that is no gateway has no address, and the host does not forward.
func TestNotGateway(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	conf := bridgeConf("isGateway", "false")
	text := h.must("ADD", c, conf)
	h.must("CHECK", c, withResult(conf, text))
	if got := h.run(h.netNS, "ip", "-o", "-4", "addr", "show", "dev", "br-t"); got != "" {
		t.Errorf("the bridge has an address: %s", got)
	}
	if got := h.run(h.netNS, "cat", "/proc/sys/net/ipv4/ip_forward"); strings.TrimSpace(got) != "0" {
		t.Errorf("the host forwards: %s", got)
	}
	if got := h.run(c.netNS, "ip", "route"); !strings.Contains(got, "default via 10.87.0.1") {
		t.Errorf("no way out: %s", got)
	}
	h.must("DEL", c, conf)
	h.bare(c, "br-t")
}

// needVLAN skips on kernels without bridge VLAN filtering or VLAN devices, and
// fails there when E2E_VLAN says that they have to be there, as make e2e-vm does.
func needVLAN(t *testing.T, h *host) {
	t.Helper()
	err := hostlink.InNetNS(h.netNS, func() error {
		on := true
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "br-probe"
		br := &netlink.Bridge{LinkAttrs: attrs, VlanFiltering: &on}
		if err := netlink.LinkAdd(br); err != nil {
			return err
		}
		defer func() { _ = netlink.LinkDel(br) }()
		attrs.Name, attrs.ParentIndex = "vlan-probe", br.Attrs().Index
		return netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: 7})
	})
	if err != nil && os.Getenv("E2E_VLAN") != "" {
		t.Fatalf("E2E_VLAN is set, and this kernel has no bridge VLAN filtering or no VLAN devices: %v", err)
	}
	if err != nil {
		t.Skipf("this kernel has no bridge VLAN filtering or no VLAN devices: %v", err)
	}
}

func TestVLAN(t *testing.T) {
	h := newHost(t)
	needVLAN(t, h)
	c := h.container("box")
	conf := bridgeConf("vlan", "7")
	text := h.must("ADD", c, conf)
	h.must("CHECK", c, withResult(conf, text))
	_ = hostlink.InNetNS(h.netNS, func() error {
		dev, err := netlink.LinkByName(uplinkName("box", "eth0"))
		if err != nil {
			t.Error(err)
			return nil
		}
		if in, err := vlansOf(dev); err != nil || !slices.Equal(in, []uint16{7}) {
			t.Errorf("VLANs of the port: %v, %v", in, err)
		}
		return nil
	})
	if got := h.run(h.netNS, "ip", "-o", "addr", "show", "dev", "br-t.7"); !strings.Contains(got, "10.87.0.1/24") {
		t.Errorf("no gateway on the VLAN's device: %s", got)
	}
	h.run(h.netNS, "bridge", "vlan", "add", "vid", "8", "dev", uplinkName("box", "eth0"))
	h.fails("CHECK", c, withResult(conf, text), "VLANs [7 8]")
	h.must("DEL", c, conf)
	h.bare(c, "br-t", "br-t.7")
}

// On a kernel without VLAN filtering, an ADD with a VLAN fails and leaves nothing.
func TestVLANWithoutKernel(t *testing.T) {
	h := newHost(t)
	c := h.container("box")
	_, err := h.verb("ADD", c, bridgeConf("vlan", "7"))
	if err == nil {
		h.must("DEL", c, bridgeConf("vlan", "7"))
		t.Skip("this kernel has VLAN filtering")
	}
	if !strings.Contains(err.Error(), "br-t") || codeOf(err) != ErrDevice {
		t.Errorf("%d: %v", codeOf(err), err)
	}
	h.bare(c)
}
