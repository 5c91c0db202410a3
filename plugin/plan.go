package plugin

// From the result of IPAM to what is set up: pure, so that every rule about
// addresses and routes can be tested without a device.

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/tcpcni/tcpcni/engine"
)

// A plan is the addresses and routes of an attachment on both of its sides.
type plan struct {
	addrs    []netip.Prefix     // on eth0, with the prefix of the subnet
	gateways []netip.Prefix     // what the host's side carries
	routes   []engine.RouteSpec // of the sandbox, on-link ones first
	v4, v6   bool               // families in use
}

// makePlan checks IPAM's result and lays the attachment out.
func makePlan(c *Config, r *current.Result) (*plan, error) {
	if len(r.IPs) == 0 {
		return nil, fmt.Errorf("ipam %q: no address in its result: accepted: at least one", c.IPAMType)
	}
	p := new(plan)
	gateway := make(map[bool]netip.Addr) // by "is IPv4": the first one, which routes without one take
	for _, ip := range r.IPs {
		a, err := prefix(ip.Address)
		if err != nil {
			return nil, fmt.Errorf("ipam %q: address %w", c.IPAMType, err)
		}
		gw, _ := netip.AddrFromSlice(ip.Gateway)
		gw = gw.Unmap()
		if err := p.addAddress(c, a, gw); err != nil {
			return nil, fmt.Errorf("ipam %q: address %s: %w", c.IPAMType, a, err)
		}
		if old := gateway[a.Addr().Is4()]; !old.IsValid() {
			gateway[a.Addr().Is4()] = gw
		}
	}
	if p.v6 && c.MTU < minIPv6MTU {
		return nil, &FieldError{"mtu", fmt.Sprint(c.MTU), fmt.Sprintf("at least %d, since %s is an IPv6 network", minIPv6MTU, c.Name)}
	}
	for _, rt := range r.Routes {
		if err := p.addRoute(rt, gateway); err != nil {
			return nil, fmt.Errorf("ipam %q: route %s: %w", c.IPAMType, rt.Dst.String(), err)
		}
	}
	// A route through a gateway needs the gateway's own route to exist first.
	slices.SortStableFunc(p.routes, func(a, b engine.RouteSpec) int {
		return boolInt(a.Gateway.IsValid()) - boolInt(b.Gateway.IsValid())
	})
	return p, nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *plan) addAddress(c *Config, a netip.Prefix, gw netip.Addr) error {
	if gw.IsValid() && gw.Is4() != a.Addr().Is4() {
		return fmt.Errorf("gateway %s: accepted: one of the same family", gw)
	}
	if gw == a.Addr() {
		return fmt.Errorf("gateway %s: accepted: another address than the sandbox's", gw)
	}
	p.addrs = append(p.addrs, a)
	p.v4 = p.v4 || a.Addr().Is4()
	p.v6 = p.v6 || a.Addr().Is6()
	subnet := a.Masked()
	if c.Uplink == UplinkBridge {
		p.routes = append(p.routes, engine.RouteSpec{Dst: subnet})
		if gw.IsValid() {
			p.addGateway(netip.PrefixFrom(gw, a.Bits()))
		}
		return nil
	}
	if !gw.IsValid() {
		return fmt.Errorf(`no gateway: accepted: an address with a gateway, since "uplink" is %q`, c.Uplink)
	}
	host := netip.PrefixFrom(gw, gw.BitLen())
	p.addGateway(host)
	p.routes = append(p.routes, engine.RouteSpec{Dst: host})
	if !subnet.IsSingleIP() {
		p.routes = append(p.routes, engine.RouteSpec{Dst: subnet, Gateway: gw})
	}
	return nil
}

func (p *plan) addGateway(gw netip.Prefix) {
	if !slices.Contains(p.gateways, gw) {
		p.gateways = append(p.gateways, gw)
	}
}

// addRoute takes a route of IPAM's result. Properties that the engine's one
// routing table has no place for are refused rather than dropped.
func (p *plan) addRoute(rt *types.Route, gateway map[bool]netip.Addr) error {
	for _, extra := range []struct {
		name  string
		given bool
	}{
		{"mtu", rt.MTU != 0}, {"advmss", rt.AdvMSS != 0}, {"priority", rt.Priority != 0},
		{"table", rt.Table != nil}, {"scope", rt.Scope != nil},
	} {
		if extra.given {
			return fmt.Errorf(`%s: accepted: routes with "dst" and "gw" only`, extra.name)
		}
	}
	dst, err := prefix(rt.Dst)
	if err != nil {
		return err
	}
	gw, _ := netip.AddrFromSlice(rt.GW)
	if gw = gw.Unmap(); !gw.IsValid() {
		gw = gateway[dst.Addr().Is4()]
	}
	if dst.Addr().Is4() && !p.v4 || dst.Addr().Is6() && !p.v6 {
		return errors.New("no address of its family: accepted: routes of the families of the addresses")
	}
	if !gw.IsValid() {
		return errors.New("no gateway: accepted: a gateway of its own or of an address of its family")
	}
	if gw.Is4() != dst.Addr().Is4() {
		return fmt.Errorf("gateway %s: accepted: one of the same family", gw)
	}
	p.routes = append(p.routes, engine.RouteSpec{Dst: dst.Masked(), Gateway: gw})
	return nil
}

// engineAddrs are the addresses as the engine's link has them. With a
// point-to-point uplink no neighbour is on the link, so the prefix is that of
// one host.
func (p *plan) engineAddrs(c *Config) []netip.Prefix {
	list := slices.Clone(p.addrs)
	if c.Uplink == UplinkPTP {
		for i, a := range list {
			list[i] = netip.PrefixFrom(a.Addr(), a.Addr().BitLen())
		}
	}
	return list
}
