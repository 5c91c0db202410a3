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

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink"
)

// Numbers of linux/if_link.h and linux/if_addr.h.
const (
	genModeNone      = 1     // IN6_ADDR_GEN_MODE_NONE: no link-local address of the kernel's own
	ifaNoDAD         = 0x2   // IFA_F_NODAD: no duplicate address detection
	ifaNoPrefixRoute = 0x200 // IFA_F_NOPREFIXROUTE: no route to the prefix by itself
)

// makeTAP makes a persistent TAP in the namespace at netNS ("" is the current
// one), set up and without an address. A device that has the name already is an
// error: it is not known whose it is.
func makeTAP(u *undo, name, netNS string, mtu int, mac net.HardwareAddr, v6, linkLocal bool) error {
	return hostlink.InNetNS(netNS, func() error {
		if _, err := netlink.LinkByName(name); err == nil {
			return fmt.Errorf("interface %q exists already: accepted: a name that is free", name)
		}
		tap, err := hostlink.OpenTAP(hostlink.TAPConfig{Name: name, MTU: mtu, MAC: mac, Persist: true})
		if err != nil {
			return err
		}
		u.push(func() error { return hostlink.DeleteTAP(name, netNS) })
		// The device stays; the engine attaches to it later.
		if err := tap.Close(); err != nil {
			return err
		}
		return prepare(name, v6, linkLocal)
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
	if err != nil {
		return fmt.Errorf("interface %q is in use: accepted: no other attachment of the same container ID and interface: %w", name, err)
	}
	return errors.Join(tap.Close(), hostlink.DeleteTAP(name, ""))
}

// prepare applies what has to be in place before the device comes up, and sets
// it up.
func prepare(name string, v6, linkLocal bool) error {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if v6 {
		if err := enableIPv6(name); err != nil {
			return err
		}
	}
	if !linkLocal {
		// Without IPv6 in the kernel there is nothing to switch off.
		if err := netlink.LinkSetIP6AddrGenMode(dev, genModeNone); err != nil && v6 {
			return fmt.Errorf("interface %q: no link-local address: %w", name, err)
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
func addRoute(dev netlink.Link, r engine.RouteSpec, src netip.Addr) error {
	rt := &netlink.Route{LinkIndex: dev.Attrs().Index, Dst: ipNet(r.Dst)}
	if src.IsValid() {
		rt.Src = src.AsSlice()
	}
	if r.Gateway.IsValid() {
		rt.Gw = r.Gateway.AsSlice()
	} else {
		rt.Scope = netlink.SCOPE_LINK
	}
	if err := netlink.RouteAdd(rt); err != nil {
		return fmt.Errorf("interface %q: route to %s: %w", dev.Attrs().Name, r.Dst, err)
	}
	return nil
}

// setUpInner gives the sandbox its interface: device, addresses, routes, and a
// loopback device that is up.
func setUpInner(u *undo, netNS, ifname string, mtu int, mac net.HardwareAddr, p *plan) error {
	if err := makeTAP(u, ifname, netNS, mtu, mac, p.v6, false); err != nil {
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
			if err := addRoute(dev, r, netip.Addr{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// setUpPTP makes the uplink TAP, gives it the gateway's addresses and adds the
// host's route to each address of the sandbox.
func setUpPTP(u *undo, name string, mtu int, mac net.HardwareAddr, p *plan) error {
	if err := makeTAP(u, name, "", mtu, mac, p.v6, p.v6); err != nil {
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
		host := netip.PrefixFrom(a.Addr(), a.Addr().BitLen())
		if err := addRoute(dev, engine.RouteSpec{Dst: host}, p.gatewayOf(a)); err != nil {
			return err
		}
	}
	return enableForwarding(p)
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

// setUpBridge makes the bridge when it is missing, and the uplink TAP as a port
// of it.
func setUpBridge(u *undo, bridge, name string, mtu int, mac net.HardwareAddr, p *plan) error {
	br, err := ensureBridge(u, bridge, mtu)
	if err != nil {
		return err
	}
	if p.v6 {
		if err := setSysctl(filepath.Join("net/ipv6/conf", bridge, "disable_ipv6"), "0"); err != nil {
			return err
		}
	}
	for _, gw := range p.gateways {
		if err := addAddress(br, gw, 0); err != nil {
			return err
		}
	}
	if err := makeTAP(u, name, "", mtu, mac, false, false); err != nil {
		return err
	}
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMaster(dev, br); err != nil {
		return fmt.Errorf("interface %q: port of bridge %q: %w", name, bridge, err)
	}
	if len(p.gateways) == 0 {
		return nil
	}
	return enableForwarding(p)
}

// ensureBridge returns the bridge called name, set up. Two verbs may come here
// at once: the one that finds the other's bridge takes it.
func ensureBridge(u *undo, name string, mtu int) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.MTU = mtu
	// Without an address of its own a bridge takes its lowest port's and changes
	// it as ports come and go, which spoils its neighbours' caches.
	attrs.HardwareAddr = derivedMAC("bridge", name)
	err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("bridge %q: %w", name, err)
	}
	if err == nil {
		u.push(func() error { return removeBridgeIfUnused(name) })
	}
	br, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("bridge %q: %w", name, err)
	}
	if br.Type() != "bridge" {
		return nil, &FieldError{"bridge", fmt.Sprintf("%q, an interface of type %s", name, br.Type()), "the name of a bridge or one that is free"}
	}
	if err := netlink.LinkSetUp(br); err != nil {
		return nil, fmt.Errorf("bridge %q: %w", name, err)
	}
	return br, nil
}

// removeBridgeIfUnused takes back a bridge that no port has joined.
func removeBridgeIfUnused(name string) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	br, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Attrs().MasterIndex == br.Attrs().Index {
			return nil
		}
	}
	return netlink.LinkDel(br)
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
