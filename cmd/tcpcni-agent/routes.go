package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// routeProtocol marks the agent's routes (rtnetlink(7), rtm_protocol; numbers
// from 4 on are free to use, and those of routing daemons are in
// /etc/iproute2/rt_protos). Routes without the mark are left alone.
const routeProtocol = 217

// syncRoutes makes the marked routes of the main table those that are wanted.
func syncRoutes(want []route) error {
	have, err := netlink.RouteListFiltered(netlink.FAMILY_ALL,
		&netlink.Route{Protocol: routeProtocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	missing := make(map[route]bool, len(want))
	for _, r := range want {
		missing[r] = true
	}
	var errs error
	for i := range have {
		r, ok := routeOf(&have[i])
		if ok && missing[r] {
			delete(missing, r)
			continue
		}
		if err := netlink.RouteDel(&have[i]); err != nil {
			errs = errors.Join(errs, fmt.Errorf("delete route %v: %w", have[i], err))
		}
	}
	for _, r := range want {
		if !missing[r] {
			continue
		}
		err := netlink.RouteReplace(&netlink.Route{
			Dst: &net.IPNet{IP: r.dst.Addr().AsSlice(), Mask: net.CIDRMask(r.dst.Bits(), r.dst.Addr().BitLen())},
			Gw:  r.via.AsSlice(), Protocol: routeProtocol,
		})
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("route to %s via %s: %w: accepted: nodes that are neighbours on one link; otherwise --routes=false and routes by other means", r.dst, r.via, err))
			continue
		}
		slog.Info("route", "to", r.dst, "via", r.via)
	}
	return errs
}

// routeOf is the inverse of what syncRoutes adds.
func routeOf(r *netlink.Route) (route, bool) {
	if r.Dst == nil {
		return route{}, false
	}
	dst, ok1 := netip.AddrFromSlice(r.Dst.IP)
	via, ok2 := netip.AddrFromSlice(r.Gw)
	ones, _ := r.Dst.Mask.Size()
	return route{netip.PrefixFrom(dst.Unmap(), ones), via.Unmap()}, ok1 && ok2
}
