package plugin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
)

// cmdCheck verifies that the attachment is as ADD left it: CNI specification
// 1.1.0, section 2, "CHECK".
func cmdCheck(args *skel.CmdArgs) error {
	c, s, err := prepareVerb(args)
	if err != nil {
		return err
	}
	r, err := previous(c)
	if err != nil {
		return invalid(err)
	}
	if err := checkNetNS(args.Netns); err != nil {
		return err
	}
	lock, err := s.lock()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }()
	rec, err := s.Record()
	if err != nil {
		return fmt.Errorf("no record of the attachment: %w", err)
	}
	p, err := makePlan(c, r)
	if err != nil {
		return invalid(err)
	}
	if err := ipamDo(delegateCheck, c, args.StdinData); err != nil {
		return err
	}
	return errors.Join(
		checkInterfaces(r, args, rec),
		checkHostSide(c, rec, p),
		hostlink.InNetNS(args.Netns, func() error { return checkInner(rec.IfName, p) }),
		s.checkEngine(),
	)
}

// checkInterfaces compares the interfaces of the result with the devices.
func checkInterfaces(r *current.Result, args *skel.CmdArgs, rec *Record) error {
	var err error
	found := false
	for _, i := range r.Interfaces {
		netNS := i.Sandbox
		if netNS != "" && netNS != args.Netns {
			continue // of another plugin of the chain
		}
		found = found || i.Name == rec.IfName && netNS == args.Netns
		err = errors.Join(err, hostlink.InNetNS(netNS, func() error {
			dev, err := upLink(i.Name)
			if err != nil {
				return err
			}
			if mac := dev.Attrs().HardwareAddr.String(); i.Mac != "" && mac != i.Mac {
				return fmt.Errorf("interface %q: its address is %s, ADD gave %s", i.Name, mac, i.Mac)
			}
			return nil
		}))
	}
	if !found {
		err = errors.Join(err, fmt.Errorf("prevResult: no interface %q in %q", rec.IfName, args.Netns))
	}
	return err
}

func upLink(name string) (netlink.Link, error) {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %q: %w", name, err)
	}
	if dev.Attrs().Flags&net.FlagUp == 0 {
		return nil, fmt.Errorf("interface %q: it is down", name)
	}
	return dev, nil
}

// checkHostSide looks at the gateway's addresses, the host's routes, and the
// port of the bridge.
func checkHostSide(c *Config, rec *Record, p *plan) error {
	dev, err := upLink(rec.Device)
	if err != nil {
		return err
	}
	holder := dev
	if c.Uplink == UplinkBridge {
		if holder, err = upLink(rec.Bridge); err != nil {
			return err
		}
		if dev.Attrs().MasterIndex != holder.Attrs().Index {
			return fmt.Errorf("interface %q: it is no port of bridge %q", rec.Device, rec.Bridge)
		}
	} else {
		for _, a := range p.addrs {
			err = errors.Join(err, checkRoute(dev, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()), netip.Addr{}))
		}
	}
	return errors.Join(err, checkAddrs(holder, p.gateways))
}

// checkInner looks at the sandbox's interface, from inside its namespace.
func checkInner(ifname string, p *plan) error {
	dev, err := upLink(ifname)
	if err != nil {
		return err
	}
	err = checkAddrs(dev, p.addrs)
	for _, r := range p.routes {
		err = errors.Join(err, checkRoute(dev, r.Dst, r.Gateway))
	}
	return err
}

func checkAddrs(dev netlink.Link, want []netip.Prefix) error {
	list, err := netlink.AddrList(dev, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("interface %q: %w", dev.Attrs().Name, err)
	}
	have := make(map[netip.Prefix]bool)
	for _, a := range list {
		if p, err := prefix(*a.IPNet); err == nil {
			have[p] = true
		}
	}
	for _, w := range want {
		if !have[w] {
			err = errors.Join(err, fmt.Errorf("interface %q: address %s is missing", dev.Attrs().Name, w))
		}
	}
	return err
}

func checkRoute(dev netlink.Link, dst netip.Prefix, gw netip.Addr) error {
	family := netlink.FAMILY_V4
	if dst.Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	list, err := netlink.RouteList(dev, family)
	if err != nil {
		return fmt.Errorf("interface %q: %w", dev.Attrs().Name, err)
	}
	for _, r := range list {
		d := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		if family == netlink.FAMILY_V4 {
			d = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		if r.Dst != nil {
			if d, err = prefix(*r.Dst); err != nil {
				continue
			}
		}
		via, _ := netip.AddrFromSlice(r.Gw)
		if d == dst && via.Unmap() == gw {
			return nil
		}
	}
	return fmt.Errorf("interface %q: the route to %s is missing", dev.Attrs().Name, dst)
}

// checkEngine asks the engine itself: a process that exists may still not work.
func (s Sandbox) checkEngine() error {
	st, err := s.Status()
	if err != nil {
		return fmt.Errorf("the engine does not answer: %w%s", err, s.lastWords())
	}
	if st.Name != s.ContainerID {
		return fmt.Errorf("the engine at %s is %q's", s.ControlPath(), st.Name)
	}
	return nil
}

// cmdStatus reports whether an ADD can work: CNI specification 1.1.0, section 2,
// "STATUS".
func cmdStatus(args *skel.CmdArgs) error {
	c, _, err := prepareVerb(args)
	if err != nil {
		return err
	}
	if err := ipamDo(delegateStatus, c, args.StdinData); err != nil {
		return err
	}
	const tun = "/dev/net/tun"
	if _, err := os.Stat(tun); err != nil {
		return types.NewError(types.ErrPluginNotAvailable, "no TAP devices can be made", err.Error())
	}
	if c.IPMasq {
		if _, err := masqBackend(c); err != nil {
			return types.NewError(types.ErrPluginNotAvailable, "no masquerading", err.Error())
		}
	}
	return nil
}
