package plugin

// "uplink":"chained": the uplink is the interface that the plugin before made in
// the sandbox. It moves into a network namespace of the engine's own, where the
// kernel gives it no address and the engine reads it by packet(7):
//
//	host's namespace        engine's namespace            sandbox's namespace
//
//	 vethX ◀──────────────▶ tcp4beea56a0875 ◀─ engine ─▶ eth0
//	 (of the plugin before) (was eth0)                    (inner TAP, same MAC,
//	                                                       MTU, addresses, routes)
//
// The namespace is bound to a file of the attachment. So it outlives the engine
// and can be found by DEL and GC, and it ends with that file and the engine.

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

// movable are the kinds of devices that carry frames of any address when they
// are read by a packet socket, and go away with their namespace. An ipvlan takes
// only packets for addresses that the kernel has; a physical device would fall
// back to the host under a name of its own.
var movable = []string{"veth", "macvlan", "vlan"}

// A moved device as it was in the sandbox: what the inner TAP takes over and DEL
// gives back.
type moved struct {
	MAC    string         `json:"mac"`
	MTU    int            `json:"mtu"`
	Addrs  []netip.Prefix `json:"addrs"`
	Routes []route        `json:"routes"`
}

// netNSPath is the file that holds the engine's namespace.
func (s Sandbox) netNSPath() string { return filepath.Join(s.Dir, netNSFile) }

// chainedInterface checks that the plugin before made the interface.
func chainedInterface(c *Config, ifname, netNS string) (*current.Result, error) {
	r, err := previous(c)
	if err != nil {
		return nil, &FieldError{"prevResult", "missing or unreadable: " + err.Error(), `the result of the plugin before, since "uplink" is "chained"`}
	}
	made := func(i *current.Interface) bool { return i.Name == ifname && i.Sandbox == netNS }
	if !slices.ContainsFunc(r.Interfaces, made) {
		return nil, &FieldError{"prevResult.interfaces", fmt.Sprintf("no %q in %q", ifname, netNS), "the result of a plugin that made CNI_IFNAME in CNI_NETNS"}
	}
	return r, nil
}

// inspect reads the device that is to be moved. What the engine could not go on
// with is refused here, while nothing has changed.
func inspect(ifname, netNS string) (*moved, error) {
	m := new(moved)
	err := hostlink.InNetNS(netNS, func() error {
		dev, err := netlink.LinkByName(ifname)
		if err != nil {
			return fmt.Errorf("interface %q: %w", ifname, err)
		}
		if !slices.Contains(movable, dev.Type()) {
			return fmt.Errorf("interface %q is a %s: accepted: one of %v", ifname, dev.Type(), movable)
		}
		if n := len(dev.Attrs().HardwareAddr); n != 6 {
			return fmt.Errorf("interface %q: an address of %d bytes: accepted: Ethernet", ifname, n)
		}
		m.MAC, m.MTU = dev.Attrs().HardwareAddr.String(), dev.Attrs().MTU
		if m.MTU < minMTU || m.MTU > maxMTU {
			return fmt.Errorf("interface %q: mtu %d: accepted: %d to %d", ifname, m.MTU, minMTU, maxMTU)
		}
		if err := m.readAddrs(dev); err != nil {
			return err
		}
		if err := m.readRoutes(dev); err != nil {
			return err
		}
		return refuseNeighbours(dev)
	})
	return m, err
}

func (m *moved) readAddrs(dev netlink.Link) error {
	list, err := netlink.AddrList(dev, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("interface %q: %w", dev.Attrs().Name, err)
	}
	for _, a := range list {
		p, err := prefix(*a.IPNet)
		switch {
		case err != nil:
			return fmt.Errorf("interface %q: address %w", dev.Attrs().Name, err)
		case p.Addr().Is6() && p.Addr().IsLinkLocalUnicast():
			continue // the engine forms its own, of the same MAC
		case a.Peer != nil && !a.Peer.IP.Equal(a.IP):
			return fmt.Errorf("interface %q: address %s with peer %s: accepted: addresses without a peer", dev.Attrs().Name, p, a.Peer)
		case p.Addr().Is6() && m.MTU < minIPv6MTU:
			return fmt.Errorf("interface %q: mtu %d with address %s: accepted: at least %d", dev.Attrs().Name, m.MTU, p, minIPv6MTU)
		}
		m.Addrs = append(m.Addrs, p)
	}
	if len(m.Addrs) == 0 {
		return fmt.Errorf("interface %q has no address: accepted: at least one", dev.Attrs().Name)
	}
	return nil
}

// readRoutes takes the routes of every table but local, which is the kernel's
// own business. The engine has one table, so other ones are refused.
func (m *moved) readRoutes(dev netlink.Link) error {
	list, err := routesOf(dev)
	if err != nil {
		return err
	}
	for _, r := range list {
		where := fmt.Sprintf("interface %q: route to %s", dev.Attrs().Name, r.Dst)
		if r.table != rtTableMain {
			return fmt.Errorf("%s in table %d: accepted: routes of the main table", where, r.table)
		}
		m.Routes = append(m.Routes, r.route)
	}
	return nil
}

// A routeIn is a route with its table.
type routeIn struct {
	route
	table int
}

// rtTableLocal holds the routes that addresses bring by themselves.
const rtTableLocal = 255

// routesOf lists the device's unicast routes of all tables, without those that
// link-local and multicast addresses of IPv6 bring by themselves.
func routesOf(dev netlink.Link) ([]routeIn, error) {
	var list []routeIn
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rts, err := netlink.RouteListFiltered(family, &netlink.Route{LinkIndex: dev.Attrs().Index}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("interface %q: routes: %w", dev.Attrs().Name, err)
		}
		for _, rt := range rts {
			r := routeIn{route{MTU: rt.MTU, Priority: rt.Priority}, rt.Table}
			r.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
			if family == netlink.FAMILY_V6 {
				r.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
			}
			if rt.Dst != nil {
				if r.Dst, err = prefix(*rt.Dst); err != nil {
					return nil, err
				}
			}
			if gw, ok := netip.AddrFromSlice(rt.Gw); ok {
				r.Gateway = gw.Unmap()
			}
			if src, ok := netip.AddrFromSlice(rt.Src); ok {
				r.Src = src.Unmap()
			}
			own := r.Dst.Addr().Is6() && (r.Dst.Addr().IsLinkLocalUnicast() || r.Dst.Addr().IsMulticast())
			if rt.Table != rtTableLocal && !own {
				list = append(list, r)
			}
		}
	}
	return list, nil
}

// refuseNeighbours refuses neighbours that were entered by hand: the engine asks
// the link, which perhaps does not answer.
func refuseNeighbours(dev netlink.Link) error {
	list, err := netlink.NeighList(dev.Attrs().Index, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("interface %q: neighbours: %w", dev.Attrs().Name, err)
	}
	for _, n := range list {
		if n.State&netlink.NUD_PERMANENT != 0 {
			return fmt.Errorf("interface %q: permanent neighbour %s: accepted: neighbours that answer", dev.Attrs().Name, n.IP)
		}
	}
	return nil
}

// plan is the layout that the moved device had.
func (m *moved) plan() *plan {
	p := &plan{addrs: m.Addrs, routes: slices.Clone(m.Routes), mtu: m.MTU}
	for _, a := range m.Addrs {
		p.v4 = p.v4 || a.Addr().Is4()
		p.v6 = p.v6 || a.Addr().Is6()
	}
	p.sortRoutes()
	return p
}

// moveAway takes the device out of the sandbox into the engine's namespace.
func moveAway(u *undo, s Sandbox, rec *Record) error {
	u.push(func() error { return giveBack(s, rec) })
	if err := hostlink.NewNetNS(s.netNSPath()); err != nil {
		return err
	}
	if err := moveDevice(rec.IfName, rec.NetNS, rec.Device, s.netNSPath()); err != nil {
		return err
	}
	return hostlink.InNetNS(s.netNSPath(), func() error {
		dev, err := netlink.LinkByName(rec.Device)
		if err != nil {
			return err
		}
		// The kernel has no part in what arrives: no address, so it answers nobody.
		disable := filepath.Join("net/ipv6/conf", rec.Device, "disable_ipv6")
		if _, err := os.Stat(filepath.Join("/proc/sys", disable)); err == nil {
			if err := setSysctl(disable, "1"); err != nil {
				return err
			}
		}
		// Groups are the engine's to choose, and a macvlan hands on only those that
		// somebody joined.
		if err := netlink.LinkSetAllmulticastOn(dev); err != nil {
			return err
		}
		return netlink.LinkSetUp(dev)
	})
}

// moveDevice moves a device to another namespace and name.
func moveDevice(name, netNS, newName, newNetNS string) error {
	target, err := os.Open(newNetNS)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	return hostlink.InNetNS(netNS, func() error {
		dev, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("interface %q: %w", name, err)
		}
		if err := netlink.LinkSetDown(dev); err != nil {
			return fmt.Errorf("interface %q: %w", name, err)
		}
		if err := netlink.LinkSetName(dev, newName); err != nil {
			return fmt.Errorf("interface %q: rename to %q: %w", name, newName, err)
		}
		if err := netlink.LinkSetNsFd(dev, int(target.Fd())); err != nil {
			return errors.Join(fmt.Errorf("interface %q: move: %w", name, err), netlink.LinkSetName(dev, name))
		}
		return nil
	})
}

// giveBack returns the device to the sandbox as it was, so that the DEL of the
// plugin before finds what it made: some read from it what else there is to
// clean up. Without the sandbox's namespace the device goes, and the host's end
// of a veth with it. It takes over from wherever an earlier try stopped.
func giveBack(s Sandbox, rec *Record) error {
	if rec.Uplink != UplinkChained {
		return nil
	}
	var err error
	if process.IsNetNS(s.netNSPath()) {
		if sandboxThere(rec.NetNS) && rec.Moved != nil {
			err = moveBack(s, rec)
		} else {
			err = dropMoved(s)
		}
	}
	if err == nil && rec.Moved != nil && sandboxThere(rec.NetNS) {
		err = rec.Moved.restore(rec)
	}
	if err != nil {
		return err
	}
	return hostlink.DeleteNetNS(s.netNSPath())
}

// sandboxThere reports whether path is a network namespace other than the host's.
func sandboxThere(path string) bool {
	if path == "" || !process.IsNetNS(path) {
		return false
	}
	same, err := hostlink.SameNetNS(path, "")
	return err == nil && !same
}

// moveBack moves the device if it is still in the engine's namespace, where an
// earlier try may have given it its old name already.
func moveBack(s Sandbox, rec *Record) error {
	name := ""
	err := hostlink.InNetNS(s.netNSPath(), func() error {
		for _, n := range []string{rec.Device, rec.IfName} {
			dev, err := netlink.LinkByName(n)
			switch {
			case err == nil && slices.Contains(movable, dev.Type()):
				name = n
				return nil
			case err != nil && !errors.As(err, new(netlink.LinkNotFoundError)):
				return err
			}
		}
		return nil
	})
	if err != nil || name == "" {
		return err
	}
	return moveDevice(name, s.netNSPath(), rec.IfName, rec.NetNS)
}

// dropMoved deletes the devices of the engine's namespace, which nobody else is
// in.
func dropMoved(s Sandbox) error {
	return hostlink.InNetNS(s.netNSPath(), func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if slices.Contains(movable, l.Type()) {
				err = errors.Join(err, netlink.LinkDel(l))
			}
		}
		return err
	})
}

// restore gives a device that came back what moving took from it. A device that
// is not the one that left, or is gone, is left alone.
func (m *moved) restore(rec *Record) error {
	return hostlink.InNetNS(rec.NetNS, func() error {
		dev, err := netlink.LinkByName(rec.IfName)
		if err != nil {
			// Named for the engine's namespace, and the move did not happen.
			dev, err = netlink.LinkByName(rec.Device)
			if err == nil {
				err = netlink.LinkSetName(dev, rec.IfName)
			}
		}
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			return nil
		}
		if err != nil {
			return err
		}
		if !slices.Contains(movable, dev.Type()) || dev.Attrs().HardwareAddr.String() != m.MAC {
			return nil
		}
		p := m.plan()
		if p.v6 {
			if err := setSysctl(filepath.Join("net/ipv6/conf", rec.IfName, "disable_ipv6"), "0"); err != nil {
				return err
			}
		}
		if err := netlink.LinkSetUp(dev); err != nil {
			return err
		}
		for _, a := range p.addrs {
			if err := addAddress(dev, a, ifaNoPrefixRoute); err != nil {
				return err
			}
		}
		for _, r := range p.routes {
			if err := netlink.RouteReplace(r.kernel(dev)); err != nil {
				return fmt.Errorf("interface %q: route to %s: %w", rec.IfName, r.Dst, err)
			}
		}
		return nil
	})
}

// guessMoved is what a result tells of a device that moved, for a DEL that has
// lost the record. Routes are not of use to any DEL.
func guessMoved(r *current.Result, ifname, netNS string) *moved {
	m := new(moved)
	for n, i := range r.Interfaces {
		if i.Name != ifname || i.Sandbox != netNS {
			continue
		}
		m.MAC, m.MTU = i.Mac, i.Mtu
		for _, ip := range r.IPs {
			if a, err := prefix(ip.Address); err == nil && ip.Interface != nil && *ip.Interface == n {
				m.Addrs = append(m.Addrs, a)
			}
		}
	}
	return m
}
