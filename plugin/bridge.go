package plugin

// The bridge of "uplink":"bridge", its ports and its VLANs: bridge(8), and
// IEEE 802.1Q for what a port VLAN is.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink/process"
)

// setUpBridge makes the bridge when it is missing, and the uplink TAP as a port
// of it. The bridge, or its VLAN device, carries the gateway's addresses.
func setUpBridge(u *undo, c *Config, name, alias string, mac net.HardwareAddr, p *plan) error {
	br, err := ensureBridge(u, c, p.mtu)
	if err != nil {
		return err
	}
	if err := setUpGateway(u, c, br, p); err != nil {
		return err
	}
	if err := makeTAP(u, tapSpec{name: name, alias: alias, mtu: p.mtu, mac: mac, queues: c.Shards > 1}); err != nil {
		return err
	}
	if err := joinBridge(c, name, br); err != nil {
		return err
	}
	if len(p.gateways) == 0 {
		return nil
	}
	return enableForwarding(p)
}

// whileLocked runs f while no other verb makes, joins or removes the bridge. An
// ADD that fails takes back a bridge that it made, and another may be about to
// join it.
func (c *Config) whileLocked(f func() error) error {
	state, err := StateDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(state, locksDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	lock, err := process.Lock(ctx, filepath.Join(dir, "bridge-"+c.Bridge))
	if err != nil {
		return err
	}
	return errors.Join(f(), lock.Remove())
}

// joinBridge makes the TAP a port, in its VLAN.
func joinBridge(c *Config, name string, br netlink.Link) error {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMaster(dev, br); err != nil {
		return fmt.Errorf("interface %q: port of bridge %q: %w", name, c.Bridge, err)
	}
	if c.Hairpin {
		if err := netlink.LinkSetHairpin(dev, true); err != nil {
			return fmt.Errorf("interface %q: hairpin: %w", name, err)
		}
	}
	if c.VLAN == 0 {
		return nil
	}
	vlan := uint16(c.VLAN)
	if err := netlink.BridgeVlanAdd(dev, vlan, true, true, false, true); err != nil {
		return fmt.Errorf("interface %q: VLAN %d: %w", name, c.VLAN, err)
	}
	// A new port is in the bridge's default VLAN as well.
	others, err := vlansOf(dev)
	if err != nil {
		return err
	}
	for _, v := range others {
		if v == vlan {
			continue
		}
		if err := netlink.BridgeVlanDel(dev, v, false, false, false, true); err != nil {
			return fmt.Errorf("interface %q: leave VLAN %d: %w", name, v, err)
		}
	}
	return nil
}

// vlansOf lists the VLANs that a port is in.
func vlansOf(dev netlink.Link) ([]uint16, error) {
	all, err := netlink.BridgeVlanList()
	if err != nil {
		return nil, fmt.Errorf("VLANs of the bridges: %w", err)
	}
	var list []uint16
	for _, v := range all[int32(dev.Attrs().Index)] {
		list = append(list, v.Vid)
	}
	slices.Sort(list)
	return list, nil
}

// setUpGateway gives the host its addresses on the bridge: on the bridge itself,
// or on its device of the VLAN.
func setUpGateway(u *undo, c *Config, br netlink.Link, p *plan) error {
	if len(p.gateways) == 0 {
		return nil
	}
	dev := br
	if c.VLAN != 0 {
		var err error
		if dev, err = ensureVLAN(u, c, br); err != nil {
			return err
		}
	}
	if p.v6 {
		if err := setSysctl(filepath.Join("net/ipv6/conf", dev.Attrs().Name, "disable_ipv6"), "0"); err != nil {
			return err
		}
	}
	for _, gw := range p.gateways {
		if err := addAddress(dev, gw, 0); err != nil {
			return err
		}
	}
	return nil
}

// vlanName is the bridge's device of a VLAN, as the reference bridge plugin
// names it.
func vlanName(bridge string, vlan int) string { return fmt.Sprintf("%s.%d", bridge, vlan) }

// gatewayDevice is the name of what carries the gateway's addresses.
func gatewayDevice(bridge string, vlan int) string {
	if vlan != 0 {
		return vlanName(bridge, vlan)
	}
	return bridge
}

// ensureVLAN returns the bridge's device of the VLAN, set up.
func ensureVLAN(u *undo, c *Config, br netlink.Link) (netlink.Link, error) {
	name := vlanName(c.Bridge, c.VLAN)
	if !validIfname(name) {
		return nil, &FieldError{"bridge", quote(c.Bridge), fmt.Sprintf("a name that leaves room for %q in the 15 bytes of an interface's name", fmt.Sprintf(".%d", c.VLAN))}
	}
	if err := netlink.BridgeVlanAdd(br, uint16(c.VLAN), false, false, true, false); err != nil {
		return nil, fmt.Errorf("bridge %q: VLAN %d: %w", c.Bridge, c.VLAN, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = name, br.Attrs().Index
	err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: c.VLAN})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("interface %q: %w", name, err)
	}
	dev, lookup := netlink.LinkByName(name)
	if lookup != nil {
		return nil, fmt.Errorf("interface %q: %w", name, lookup)
	}
	if err == nil {
		u.push(func() error {
			return c.whileLocked(func() error { return removeVLANIfUnused(br, dev, uint16(c.VLAN)) })
		})
	}
	if v, ok := dev.(*netlink.Vlan); !ok || v.VlanId != c.VLAN || v.ParentIndex != br.Attrs().Index {
		return nil, &FieldError{"vlan", fmt.Sprintf("%d, whose device %q is another one's", c.VLAN, name), "a VLAN whose device is free or the bridge's own"}
	}
	return dev, netlink.LinkSetUp(dev)
}

// ensureBridge returns the bridge, set up. Two verbs may come here at once: the
// one that finds the other's bridge takes it.
func ensureBridge(u *undo, c *Config, mtu int) (netlink.Link, error) {
	name := c.Bridge
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.MTU = mtu
	// Without an address of its own a bridge takes its lowest port's and changes
	// it as ports come and go, which spoils its neighbours' caches.
	attrs.HardwareAddr = bridgeMAC(name)
	filtering := c.VLAN != 0
	spec := &netlink.Bridge{LinkAttrs: attrs}
	if filtering { // some kernels have no VLAN filtering and refuse to hear of it
		spec.VlanFiltering = &filtering
	}
	err := netlink.LinkAdd(spec)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("bridge %q: %w", name, err)
	}
	if err == nil {
		u.push(func() error { return c.whileLocked(func() error { return removeBridgeIfUnused(name) }) })
	}
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("bridge %q: %w", name, err)
	}
	br, ok := dev.(*netlink.Bridge)
	if !ok {
		return nil, &FieldError{"bridge", fmt.Sprintf("%q, an interface of type %s", name, dev.Type()), "the name of a bridge or one that is free"}
	}
	if filtering {
		if err := ensureFiltering(br); err != nil {
			return nil, err
		}
	}
	if err := netlink.LinkSetUp(br); err != nil {
		return nil, fmt.Errorf("bridge %q: %w", name, err)
	}
	return br, nil
}

func bridgeMAC(name string) net.HardwareAddr { return derivedMAC("bridge", name) }

// ensureFiltering has the bridge tell VLANs apart. One of somebody else's may
// carry tagged traffic that its ports rely on: that is not switched over.
func ensureFiltering(br *netlink.Bridge) error {
	if br.VlanFiltering != nil && *br.VlanFiltering {
		return nil
	}
	name := br.Attrs().Name
	if br.HardwareAddr.String() != bridgeMAC(name).String() {
		return &FieldError{"bridge", fmt.Sprintf("%q, a bridge without VLAN filtering", name), `a bridge with vlan_filtering 1, since "vlan" is set`}
	}
	if err := netlink.BridgeSetVlanFiltering(br, true); err != nil {
		return fmt.Errorf("bridge %q: VLAN filtering: %w", name, err)
	}
	return nil
}

// removeVLANIfUnused takes back a VLAN's device when no port is in the VLAN.
func removeVLANIfUnused(br, dev netlink.Link, vlan uint16) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Attrs().MasterIndex != br.Attrs().Index {
			continue
		}
		if in, err := vlansOf(l); err != nil || slices.Contains(in, vlan) {
			return err
		}
	}
	return netlink.LinkDel(dev)
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
