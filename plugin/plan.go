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
	addrs    []netip.Prefix // on eth0, with the prefix of the subnet
	gateways []netip.Prefix // what the host's side carries
	routes   []route        // of the sandbox, on-link ones first
	v4, v6   bool           // families in use
	mtu      int            // bytes of an IP packet
}

// A route of the sandbox, as its kernel and its engine have it.
type route struct {
	Dst      netip.Prefix `json:"dst"`
	Gateway  netip.Addr   `json:"gateway,omitzero"` // invalid: the destination is on the link
	Src      netip.Addr   `json:"src,omitzero"`     // preferred source address; invalid: none
	MTU      int          `json:"mtu,omitempty"`    // bytes of an IP packet; 0: the link's
	Priority int          `json:"metric,omitempty"` // of routes to the same destination the lowest is used
}

// Numbers of linux/rtnetlink.h.
const (
	rtTableMain  = 254
	rtScopeWorld = 0
	rtScopeLink  = 253
)

// makePlan checks IPAM's result and lays the attachment out. mtu is that of the
// attachment.
func makePlan(c *Config, r *current.Result, mtu int) (*plan, error) {
	if len(r.IPs) == 0 {
		return nil, fmt.Errorf("ipam %q: no address in its result: accepted: at least one", c.IPAMType)
	}
	p := &plan{mtu: mtu}
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
	if p.v6 && mtu < minIPv6MTU {
		return nil, &FieldError{"mtu", fmt.Sprint(mtu), fmt.Sprintf("at least %d, since %s is an IPv6 network", minIPv6MTU, c.Name)}
	}
	for _, rt := range r.Routes {
		if err := p.addRoute(rt, gateway); err != nil {
			return nil, fmt.Errorf("ipam %q: route %s: %w", c.IPAMType, rt.Dst.String(), err)
		}
	}
	p.sortRoutes()
	return p, nil
}

// sortRoutes puts what is on the link first: a route through a gateway needs the
// gateway's own route to exist.
func (p *plan) sortRoutes() {
	slices.SortStableFunc(p.routes, func(a, b route) int {
		return boolInt(a.Gateway.IsValid()) - boolInt(b.Gateway.IsValid())
	})
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
		p.routes = append(p.routes, route{Dst: subnet})
		if gw.IsValid() && c.IsGateway {
			p.addGateway(netip.PrefixFrom(gw, a.Bits()))
		}
		return nil
	}
	if !gw.IsValid() {
		return fmt.Errorf(`no gateway: accepted: an address with a gateway, since "uplink" is %q`, c.Uplink)
	}
	host := netip.PrefixFrom(gw, gw.BitLen())
	p.addGateway(host)
	p.routes = append(p.routes, route{Dst: host})
	if !subnet.IsSingleIP() {
		p.routes = append(p.routes, route{Dst: subnet, Gateway: gw})
	}
	return nil
}

func (p *plan) addGateway(gw netip.Prefix) {
	if !slices.Contains(p.gateways, gw) {
		p.gateways = append(p.gateways, gw)
	}
}

// addRoute takes a route of IPAM's result. What the engine's one routing table
// has no place for is refused rather than dropped.
func (p *plan) addRoute(rt *types.Route, gateway map[bool]netip.Addr) error {
	dst, err := prefix(rt.Dst)
	if err != nil {
		return err
	}
	if err := checkRouteProperties(rt, dst); err != nil {
		return err
	}
	gw, _ := netip.AddrFromSlice(rt.GW)
	gw = gw.Unmap()
	onLink := rt.Scope != nil && *rt.Scope == rtScopeLink
	if onLink && gw.IsValid() {
		return fmt.Errorf("gw %s with scope %d: accepted: no gateway, the scope says that the destination is on the link", gw, rtScopeLink)
	}
	if !gw.IsValid() && !onLink {
		gw = gateway[dst.Addr().Is4()]
	}
	if dst.Addr().Is4() && !p.v4 || dst.Addr().Is6() && !p.v6 {
		return errors.New("no address of its family: accepted: routes of the families of the addresses")
	}
	if !gw.IsValid() && !onLink {
		return errors.New("no gateway: accepted: a gateway of its own or of an address of its family")
	}
	if gw.IsValid() && gw.Is4() != dst.Addr().Is4() {
		return fmt.Errorf("gateway %s: accepted: one of the same family", gw)
	}
	p.routes = append(p.routes, route{Dst: dst.Masked(), Gateway: gw, MTU: rt.MTU, Priority: rt.Priority})
	return nil
}

// checkRouteProperties looks at what a route may say beside "dst" and "gw".
func checkRouteProperties(rt *types.Route, dst netip.Prefix) error {
	least := minMTU
	if dst.Addr().Is6() {
		least = minIPv6MTU
	}
	switch {
	case rt.MTU != 0 && (rt.MTU < least || rt.MTU > maxMTU):
		return fmt.Errorf("mtu: %d: accepted: %d to %d", rt.MTU, least, maxMTU)
	case rt.Priority < 0:
		return fmt.Errorf("priority: %d: accepted: 0 and more", rt.Priority)
	case rt.AdvMSS != 0:
		return fmt.Errorf("advmss: %d: accepted: no advmss; the MSS follows from the route's mtu", rt.AdvMSS)
	case rt.Table != nil && *rt.Table != 0 && *rt.Table != rtTableMain:
		return fmt.Errorf("table: %d: accepted: %d, the main table", *rt.Table, rtTableMain)
	case rt.Scope != nil && *rt.Scope != rtScopeWorld && *rt.Scope != rtScopeLink:
		return fmt.Errorf("scope: %d: accepted: %d (global) and %d (on the link)", *rt.Scope, rtScopeWorld, rtScopeLink)
	}
	return nil
}

// engineRoutes are the routes as the engine has them. Its table knows no metric:
// of the routes to one destination only the best can ever be used, as none of
// them goes away.
func (p *plan) engineRoutes() []engine.RouteSpec {
	var list []engine.RouteSpec
	for i, r := range p.routes {
		better := slices.ContainsFunc(p.routes, func(o route) bool { return o.Dst == r.Dst && o.Priority < r.Priority })
		first := slices.IndexFunc(p.routes, func(o route) bool { return o.Dst == r.Dst && o.Priority == r.Priority }) == i
		if !better && first {
			list = append(list, engine.RouteSpec{Dst: r.Dst, Gateway: r.Gateway, MTU: r.MTU})
		}
	}
	return list
}

// engineAddrs are the addresses as the engine's link has them: with the prefix
// of one host where the subnet's other hosts are not on the link, as with a
// point-to-point uplink.
func (p *plan) engineAddrs() []netip.Prefix {
	list := slices.Clone(p.addrs)
	for i, a := range list {
		onLink := slices.ContainsFunc(p.routes, func(r route) bool { return r.Dst == a.Masked() && !r.Gateway.IsValid() })
		if !onLink {
			list[i] = netip.PrefixFrom(a.Addr(), a.Addr().BitLen())
		}
	}
	return list
}
