package plugin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

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
	defer func() { _ = s.unlock(lock) }()
	rec, err := s.Record()
	if err != nil {
		return types.NewError(types.ErrUnknownContainer, "no record of the attachment", err.Error())
	}
	p, err := planOf(c, rec, r)
	if err != nil {
		return failed(types.ErrInvalidNetworkConfig, "prevResult", err)
	}
	if c.IPAMType != "" {
		if err := ipamDo(delegateCheck, c, args.StdinData); err != nil {
			return err
		}
	}
	err = errors.Join(
		checkInterfaces(r, args, rec),
		checkHostSide(rec, p),
		hostlink.InNetNS(args.Netns, func() error { return checkInner(rec.IfName, p) }),
		checkMasq(s, rec),
	)
	return errors.Join(failed(ErrDiffers, "the attachment is not as ADD left it", err),
		failed(ErrEngine, "the engine does not work", s.checkEngine()))
}

// planOf is the layout of an attachment that is there: of ADD's result, or of the
// device that moved.
func planOf(c *Config, rec *Record, r *current.Result) (*plan, error) {
	own := ownPart(r, rec)
	if rec.Moved == nil {
		return makePlan(c, own, rec.MTU)
	}
	p := rec.Moved.plan()
	for _, ip := range own.IPs {
		if a, err := prefix(ip.Address); err != nil || !slices.Contains(p.addrs, a) {
			return nil, fmt.Errorf("address %s: accepted: those that %s had", ip.Address.String(), rec.IfName)
		}
	}
	return p, nil
}

// ownPart is the result with the addresses of the attachment's interface: plugins
// after this one may have added others.
func ownPart(r *current.Result, rec *Record) *current.Result {
	own := &current.Result{Routes: r.Routes}
	for _, ip := range r.IPs {
		if i := ip.Interface; i == nil || *i < 0 || *i >= len(r.Interfaces) || r.Interfaces[*i].Name == rec.IfName {
			own.IPs = append(own.IPs, ip)
		}
	}
	return own
}

// checkInterfaces compares the interfaces of the result with the devices: name,
// sandbox, MAC address, MTU.
func checkInterfaces(r *current.Result, args *skel.CmdArgs, rec *Record) error {
	var err error
	found := false
	for _, i := range r.Interfaces {
		found = found || i.Name == rec.IfName && i.Sandbox == args.Netns
		err = errors.Join(err, hostlink.InNetNS(i.Sandbox, func() error { return checkInterface(i) }))
	}
	if !found {
		err = errors.Join(err, fmt.Errorf("prevResult: no interface %q in %q", rec.IfName, args.Netns))
	}
	return err
}

func checkInterface(i *current.Interface) error {
	dev, err := upLink(i.Name)
	if err != nil {
		return err
	}
	a := dev.Attrs()
	if mac := a.HardwareAddr.String(); i.Mac != "" && !strings.EqualFold(mac, i.Mac) {
		err = fmt.Errorf("interface %q: its address is %s, ADD gave %s", i.Name, mac, i.Mac)
	}
	if i.Mtu != 0 && a.MTU != i.Mtu {
		err = errors.Join(err, fmt.Errorf("interface %q: its mtu is %d, ADD gave %d", i.Name, a.MTU, i.Mtu))
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
func checkHostSide(rec *Record, p *plan) error {
	if rec.Uplink == UplinkChained {
		return nil // the plugin before made it
	}
	dev, err := upLink(rec.Device)
	if err != nil {
		return err
	}
	if rec.Uplink == UplinkBridge {
		return checkPort(dev, rec, p)
	}
	have, err := routesOf(dev)
	if err != nil {
		return err
	}
	for _, a := range p.addrs {
		want := p.hostRoute(a)
		if !slices.ContainsFunc(have, want.matches) {
			err = errors.Join(err, fmt.Errorf("interface %q: the route to %s is missing", rec.Device, want.Dst))
		}
	}
	return errors.Join(err, missingAddrs(dev, p.gateways))
}

// checkPort looks at the bridge and the TAP's place on it.
func checkPort(dev netlink.Link, rec *Record, p *plan) error {
	br, err := upLink(rec.Bridge)
	if err != nil {
		return err
	}
	if dev.Attrs().MasterIndex != br.Attrs().Index {
		return fmt.Errorf("interface %q: it is no port of bridge %q", rec.Device, rec.Bridge)
	}
	info, err := netlink.LinkGetProtinfo(dev)
	if err != nil {
		return fmt.Errorf("interface %q: %w", rec.Device, err)
	}
	if info.Hairpin != rec.Hairpin {
		err = fmt.Errorf("interface %q: hairpin is %t, ADD set %t", rec.Device, info.Hairpin, rec.Hairpin)
	}
	if rec.VLAN != 0 {
		err = errors.Join(err, checkVLAN(dev, br, rec.VLAN))
	}
	if len(p.gateways) == 0 {
		return err
	}
	holder, lerr := upLink(gatewayDevice(rec.Bridge, rec.VLAN))
	if lerr != nil {
		return errors.Join(err, lerr)
	}
	return errors.Join(err, missingAddrs(holder, p.gateways))
}

func checkVLAN(dev, br netlink.Link, vlan int) error {
	if b, ok := br.(*netlink.Bridge); ok && (b.VlanFiltering == nil || !*b.VlanFiltering) {
		return fmt.Errorf("bridge %q: its VLAN filtering is off", br.Attrs().Name)
	}
	in, err := vlansOf(dev)
	if err != nil {
		return err
	}
	if !slices.Equal(in, []uint16{uint16(vlan)}) {
		return fmt.Errorf("interface %q: it is in VLANs %v, ADD put it in %d", dev.Attrs().Name, in, vlan)
	}
	return nil
}

// checkInner looks at the sandbox's interface, from inside its namespace: what is
// missing, and what there is beyond what ADD made.
func checkInner(ifname string, p *plan) error {
	dev, err := upLink(ifname)
	if err != nil {
		return err
	}
	return errors.Join(missingAddrs(dev, p.addrs), extraAddrs(dev, p.addrs), checkRoutes(dev, p.routes))
}

func checkRoutes(dev netlink.Link, want []route) error {
	have, err := routesOf(dev)
	if err != nil {
		return err
	}
	name := dev.Attrs().Name
	for _, w := range want {
		if !slices.ContainsFunc(have, w.matches) {
			err = errors.Join(err, fmt.Errorf("interface %q: the route to %s is missing", name, w.Dst))
		}
	}
	for _, h := range have {
		if !slices.ContainsFunc(want, func(w route) bool { return w.matches(h) }) {
			err = errors.Join(err, fmt.Errorf("interface %q: a route to %s that ADD did not make", name, h.Dst))
		}
	}
	return err
}

// matches reports whether the kernel's route h is what r asked for. The kernel
// gives IPv6 routes without a metric its default.
func (r route) matches(h routeIn) bool {
	const ipv6Metric = 1024
	metric := r.Priority
	if r.Dst.Addr().Is6() && metric == 0 {
		metric = ipv6Metric
	}
	return h.table == rtTableMain && h.Dst == r.Dst && h.Gateway == r.Gateway && h.MTU == r.MTU && h.Priority == metric &&
		(!r.Src.IsValid() || h.Src == r.Src)
}

func addrsOf(dev netlink.Link) ([]netip.Prefix, error) {
	list, err := netlink.AddrList(dev, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("interface %q: %w", dev.Attrs().Name, err)
	}
	var have []netip.Prefix
	for _, a := range list {
		if p, err := prefix(*a.IPNet); err == nil {
			have = append(have, p)
		}
	}
	return have, nil
}

func missingAddrs(dev netlink.Link, want []netip.Prefix) error {
	have, err := addrsOf(dev)
	for _, w := range want {
		if err == nil && !slices.Contains(have, w) {
			return fmt.Errorf("interface %q: address %s is missing", dev.Attrs().Name, w)
		}
	}
	return err
}

func extraAddrs(dev netlink.Link, want []netip.Prefix) error {
	have, err := addrsOf(dev)
	for _, h := range have {
		if !slices.Contains(want, h) && !h.Addr().IsLinkLocalUnicast() {
			return fmt.Errorf("interface %q: address %s, which ADD did not give", dev.Attrs().Name, h)
		}
	}
	return err
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
