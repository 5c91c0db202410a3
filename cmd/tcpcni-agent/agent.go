package main

import (
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/node"
)

// An agent brings one node in line with what the cluster looks like.
type agent struct {
	*settings
	template  []byte
	installed bool
	rules     [][]netip.Prefix // of the last setMasquerading
}

// A clusterNode is what the agent needs to know of a node.
type clusterNode struct {
	name    string
	addrs   []netip.Addr   // of type InternalIP
	subnets []netip.Prefix // of its pods
}

// update is called with all nodes whenever one has changed. An error is tried
// again.
func (a *agent) update(nodes []clusterNode) error {
	var own *clusterNode
	for i := range nodes {
		if nodes[i].name == a.nodeName {
			own = &nodes[i]
		}
	}
	if own == nil {
		return fmt.Errorf("node %q: not known to the API server yet", a.nodeName)
	}
	if len(own.subnets) == 0 {
		return fmt.Errorf("node %q: no subnet for pods yet: accepted: a spec.podCIDR, which the controller manager gives with --allocate-node-cidrs", a.nodeName)
	}
	// Routes first: once the configuration is there, pods start.
	if a.routes {
		if err := syncRoutes(wantedRoutes(own, nodes)); err != nil {
			return err
		}
	}
	if rules := [][]netip.Prefix{own.subnets, keptAddresses(nodes)}; a.masquerade && !sameRules(rules, a.rules) {
		if err := setMasquerading(rules[0], rules[1]); err != nil {
			return err
		}
		a.rules = rules
	}
	if a.installed {
		return nil
	}
	conf, err := node.Fill(a.template, own.subnets)
	if err != nil {
		return err
	}
	if a.seccompDir != "" {
		if err := node.InstallProfile(a.seccompDir, a.listener); err != nil {
			return fmt.Errorf("--seccomp-dir: %w", err)
		}
	}
	o := a.Options
	o.Conf = conf
	if err := node.Install(o); err != nil {
		return err
	}
	a.installed = true
	slog.Info("installed", "node", a.nodeName, "subnets", own.subnets)
	return nil
}

// A route leads to the pods of another node.
type route struct {
	dst netip.Prefix
	via netip.Addr
}

// wantedRoutes are the routes of node own to everybody else's pods.
func wantedRoutes(own *clusterNode, nodes []clusterNode) []route {
	var list []route
	for i := range nodes {
		if nodes[i].name == own.name {
			continue
		}
		for _, p := range nodes[i].subnets {
			if via, ok := nodes[i].addressFor(p); ok {
				list = append(list, route{p, via})
			}
		}
	}
	return list
}

// addressFor is the node's first address of p's family.
func (n *clusterNode) addressFor(p netip.Prefix) (netip.Addr, bool) {
	for _, a := range n.addrs {
		if a.Is4() == p.Addr().Is4() {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// keptAddresses are the destinations inside the cluster, to which pods show
// their own addresses: pods and nodes (Kubernetes' network model).
func keptAddresses(nodes []clusterNode) []netip.Prefix {
	var list []netip.Prefix
	for i := range nodes {
		list = append(list, nodes[i].subnets...)
		for _, a := range nodes[i].addrs {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return list
}
