package plugin

// Devices, addresses and routes of an attachment: rtnetlink(7).

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/plugins/pkg/ip"
	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
)

// Numbers of linux/if_link.h and linux/if_addr.h.
const (
	genModeNone      = 1     // IN6_ADDR_GEN_MODE_NONE: no link-local address of the kernel's own
	ifaNoDAD         = 0x2   // IFA_F_NODAD: no duplicate address detection
	ifaNoPrefixRoute = 0x200 // IFA_F_NOPREFIXROUTE: no route to the prefix by itself
)

// A tapSpec is a TAP to be made.
type tapSpec struct {
	name, netNS   string // "" is the current namespace
	alias         string // says whose it is, to GC and to people
	mtu           int    // bytes of an IP packet
	mac           net.HardwareAddr
	queues        bool // it has several
	v6, linkLocal bool // IPv6 is used; the kernel may form a link-local address
}

// makeTAP makes a persistent TAP, set up and without an address. A device that
// has the name already is an error: it is not known whose it is.
func makeTAP(u *undo, t tapSpec) error {
	return hostlink.InNetNS(t.netNS, func() error {
		if _, err := netlink.LinkByName(t.name); err == nil {
			return fmt.Errorf("interface %q exists already: accepted: a name that is free", t.name)
		}
		tap, err := hostlink.OpenTAP(hostlink.TAPConfig{Name: t.name, MTU: t.mtu, MAC: t.mac, Persist: true, MultiQueue: t.queues})
		if err != nil {
			return err
		}
		u.push(func() error { return hostlink.DeleteTAP(t.name, t.netNS) })
		// The device stays; the engine attaches to it later.
		return errors.Join(t.prepare(), tap.Close())
	})
}

// clearUplink removes an uplink TAP that nobody is attached to. Its name is this
// attachment's alone, so it stayed when the state directory was lost.
func clearUplink(name string) error {
	dev, err := netlink.LinkByName(name)
	if err != nil || dev.Type() != "tuntap" {
		return nil //nolint:nilerr // there is none; another kind is for makeTAP to refuse
	}
	tap, err := hostlink.OpenTAP(hostlink.TAPConfig{Name: name, Persist: true})
	if errors.Is(err, hostlink.ErrNameTaken) && dev.Attrs().OperState == netlink.OperDown {
		// Of several queues: it takes any number, and has a carrier while there is one.
		tap, err = hostlink.OpenTAP(hostlink.TAPConfig{Name: name, Persist: true, MultiQueue: true})
	}
	if err != nil {
		return fmt.Errorf("interface %q is in use: accepted: no other attachment of the same container ID and interface: %w", name, err)
	}
	return errors.Join(tap.Close(), hostlink.DeleteTAP(name, ""))
}

// prepare applies what has to be in place before the device comes up, and sets
// it up.
func (t *tapSpec) prepare() error {
	dev, err := netlink.LinkByName(t.name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetAlias(dev, t.alias); err != nil {
		return fmt.Errorf("interface %q: alias %q: %w", t.name, t.alias, err)
	}
	if t.v6 {
		if err := enableIPv6(t.name); err != nil {
			return err
		}
	}
	if !t.linkLocal {
		// Without IPv6 in the kernel there is nothing to switch off.
		if err := netlink.LinkSetIP6AddrGenMode(dev, genModeNone); err != nil && t.v6 {
			return fmt.Errorf("interface %q: no link-local address: %w", t.name, err)
		}
	}
	return netlink.LinkSetUp(dev)
}

// enableIPv6 undoes a namespace-wide disable_ipv6 for one device and keeps the
// device from believing router advertisements and redirects of its other end.
func enableIPv6(name string) error {
	for _, s := range []struct{ file, value string }{
		{"disable_ipv6", "0"}, {"accept_ra", "0"}, {"accept_redirects", "0"},
	} {
		if err := setSysctl(filepath.Join("net/ipv6/conf", name, s.file), s.value); err != nil {
			return err
		}
	}
	return nil
}

// setSysctl writes a value below /proc/sys unless it is there already: /proc/sys
// may be read-only.
func setSysctl(path, value string) error {
	path = filepath.Join("/proc/sys", path)
	old, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(old)) == value {
		return nil
	}
	return os.WriteFile(path, []byte(value), 0o644)
}

// addAddress gives the device an address at once, without duplicate address
// detection, which only the engine could answer.
func addAddress(dev netlink.Link, p netip.Prefix, flags int) error {
	a := &netlink.Addr{IPNet: ipNet(p), Flags: flags}
	if p.Addr().Is6() {
		a.Flags |= ifaNoDAD
	}
	if err := netlink.AddrAdd(dev, a); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("interface %q: address %s: %w", dev.Attrs().Name, p, err)
	}
	return nil
}

// addRoute adds a route through the device.
func addRoute(dev netlink.Link, r route) error {
	if err := netlink.RouteAdd(r.kernel(dev)); err != nil {
		return fmt.Errorf("interface %q: route to %s: %w", dev.Attrs().Name, r.Dst, err)
	}
	return nil
}

// kernel is the route as rtnetlink has it.
func (r route) kernel(dev netlink.Link) *netlink.Route {
	rt := &netlink.Route{LinkIndex: dev.Attrs().Index, Dst: ipNet(r.Dst), MTU: r.MTU, Priority: r.Priority}
	if r.Src.IsValid() {
		rt.Src = r.Src.AsSlice()
	}
	if r.Gateway.IsValid() {
		rt.Gw = r.Gateway.AsSlice()
	} else {
		rt.Scope = netlink.SCOPE_LINK
	}
	return rt
}

// setUpInner gives the sandbox its interface: device, addresses, routes, and a
// loopback device that is up.
func setUpInner(u *undo, netNS, ifname, alias string, mac net.HardwareAddr, p *plan) error {
	if err := makeTAP(u, tapSpec{name: ifname, netNS: netNS, alias: alias, mtu: p.mtu, mac: mac, v6: p.v6}); err != nil {
		return err
	}
	return hostlink.InNetNS(netNS, func() error {
		if p.v6 {
			if err := enableIPv6("lo"); err != nil {
				return err
			}
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		return configure(ifname, p)
	})
}

// configure gives the interface of the current namespace its addresses and
// routes.
func configure(ifname string, p *plan) error {
	dev, err := netlink.LinkByName(ifname)
	if err != nil {
		return err
	}
	for _, a := range p.addrs {
		// The routes say what is on the link, not the prefixes.
		if err := addAddress(dev, a, ifaNoPrefixRoute); err != nil {
			return err
		}
	}
	for _, r := range p.routes {
		if err := addRoute(dev, r); err != nil {
			return err
		}
	}
	return nil
}

// setUpPTP makes the uplink TAP, gives it the gateway's addresses and adds the
// host's route to each address of the sandbox.
func setUpPTP(u *undo, c *Config, name, alias string, mac net.HardwareAddr, p *plan) error {
	if err := makeTAP(u, tapSpec{name: name, alias: alias, mtu: p.mtu, mac: mac, v6: p.v6, linkLocal: p.v6, queues: c.Shards > 1}); err != nil {
		return err
	}
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, gw := range p.gateways {
		if err := addAddress(dev, gw, 0); err != nil {
			return err
		}
	}
	for _, a := range p.addrs {
		if err := addRoute(dev, p.hostRoute(a)); err != nil {
			return err
		}
	}
	return enableForwarding(p)
}

// hostRoute is the host's route to an address of the sandbox.
func (p *plan) hostRoute(a netip.Prefix) route {
	return route{Dst: netip.PrefixFrom(a.Addr(), a.Addr().BitLen()), Src: p.gatewayOf(a)}
}

// gatewayOf is the first address of the host's side in a's family.
func (p *plan) gatewayOf(a netip.Prefix) netip.Addr {
	for _, gw := range p.gateways {
		if gw.Addr().Is4() == a.Addr().Is4() {
			return gw.Addr()
		}
	}
	return netip.Addr{}
}

// enableForwarding lets the host pass packets of the families in use on. It
// stays on when the attachment goes: others rely on it by then.
func enableForwarding(p *plan) error {
	if p.v4 {
		if err := ip.EnableIP4Forward(); err != nil {
			return fmt.Errorf("forwarding of IPv4: %w", err)
		}
	}
	if p.v6 {
		if err := ip.EnableIP6Forward(); err != nil {
			return fmt.Errorf("forwarding of IPv6: %w", err)
		}
	}
	return nil
}
