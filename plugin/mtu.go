package plugin

// The MTU of an attachment whose configuration names none.

import (
	"net/netip"

	"github.com/vishvananda/netlink"
)

// mtuFor is the configuration's MTU, in bytes of an IP packet. Without one it is
// that of the bridge if it is there, else that of the interface which the default
// route takes, else DefaultMTU.
func mtuFor(c *Config) int {
	if c.MTU != 0 {
		return c.MTU
	}
	if c.Uplink == UplinkBridge {
		if br, err := netlink.LinkByName(c.Bridge); err == nil {
			return boundMTU(br.Attrs().MTU)
		}
	}
	if mtu := defaultRouteMTU(); mtu != 0 {
		return boundMTU(mtu)
	}
	return DefaultMTU
}

// boundMTU keeps a detected MTU within what an attachment may have.
func boundMTU(mtu int) int { return min(max(mtu, minMTU), maxMTU) }

// defaultRouteMTU is the MTU of the interface of the best default route, IPv4
// before IPv6; 0 when there is none.
func defaultRouteMTU() int {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteList(nil, family)
		if err != nil {
			continue
		}
		best := -1
		for i, r := range routes {
			if isDefault(r) && (best < 0 || r.Priority < routes[best].Priority) {
				best = i
			}
		}
		if best < 0 {
			continue
		}
		index := routes[best].LinkIndex
		if index == 0 && len(routes[best].MultiPath) > 0 {
			index = routes[best].MultiPath[0].LinkIndex
		}
		if dev, err := netlink.LinkByIndex(index); err == nil {
			return dev.Attrs().MTU
		}
	}
	return 0
}

func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	p, err := prefix(*r.Dst)
	return err == nil && p.Bits() == 0 && p.Addr() != netip.Addr{} && p.Addr().IsUnspecified()
}
