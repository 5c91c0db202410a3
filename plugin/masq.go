package plugin

// Masquerading of what leaves the subnet, as the CNI project's own plugins do it;
// by iptables with their helpers.

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/containernetworking/plugins/pkg/ip"
	"github.com/containernetworking/plugins/pkg/utils"
	"github.com/coreos/go-iptables/iptables"
	"github.com/google/nftables"
)

// Backends of masquerading.
const (
	backendIPTables = "iptables"
	backendNFTables = "nftables"
)

// masqBackend is the configuration's backend, or else the first that works.
func masqBackend(c *Config) (string, error) {
	switch {
	case c.IPMasqBackend != "":
		return c.IPMasqBackend, nil
	case supportsNFTables():
		return backendNFTables, nil
	case utils.SupportsIPTables():
		return backendIPTables, nil
	}
	return "", errNoMasq
}

var errNoMasq = errors.New("ipMasq: true: neither nftables nor iptables works here: accepted: a kernel with nftables, or the program iptables (Debian package iptables)")

// setUpMasq adds the rules for the sandbox's addresses, by the backend that the
// record names: what DEL takes away is what is made here.
func setUpMasq(network string, s Sandbox, rec *Record, addrs []netip.Prefix) error {
	switch backend := rec.MasqBackend; backend {
	case "":
		return errNoMasq
	case backendNFTables:
		return setUpNFTables(network, s, addrs)
	default:
		return ip.SetupIPMasqForNetworks(&backend, ipNets(addrs), network, s.IfName, s.ContainerID)
	}
}

// checkMasq looks for the rules of the sandbox's addresses. How the CNI project's
// helpers name tables, chains and comments is in ipmasq_nftables_linux.go and
// ipmasq_iptables_linux.go of its package ip.
func checkMasq(s Sandbox, rec *Record) error {
	switch rec.MasqBackend {
	case backendNFTables:
		return checkNFTables(s, rec)
	case backendIPTables:
		return checkIPTables(s, rec)
	}
	return nil
}

func checkNFTables(s Sandbox, rec *Record) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("masquerading: nftables: %w", err)
	}
	rules, err := masqRules(c, masqMark(rec.Network, s))
	if err != nil {
		return fmt.Errorf("masquerading: %w", err)
	}
	if len(rules) != len(rec.Addrs) {
		return fmt.Errorf("masquerading: %d rules of the attachment in table %s, ADD made %d", len(rules), masqTable, len(rec.Addrs))
	}
	return nil
}

func checkIPTables(s Sandbox, rec *Record) (err error) {
	chain := utils.FormatChainName(rec.Network, s.ContainerID)
	for _, a := range rec.Addrs {
		proto := iptables.ProtocolIPv4
		if a.Addr().Is6() {
			proto = iptables.ProtocolIPv6
		}
		ipt, ierr := iptables.NewWithProtocol(proto)
		if ierr != nil {
			return fmt.Errorf("masquerading: %w", ierr)
		}
		comment := []string{"-m", "comment", "--comment", utils.FormatComment(rec.Network, s.ContainerID)}
		for _, rule := range [][]string{
			append([]string{"POSTROUTING", "-s", a.Addr().String(), "-j", chain}, comment...),
			append([]string{chain, "-d", ipNet(a).String(), "-j", "ACCEPT"}, comment...),
		} {
			if there, xerr := ipt.Exists("nat", rule[0], rule[1:]...); xerr != nil || !there {
				err = errors.Join(err, xerr, fmt.Errorf("masquerading: the rule %q of chain %s is missing", rule[1:], rule[0]))
			}
		}
	}
	return err
}

// tearDownMasq removes the rules that backend made, of either when it is not
// known; rules that are not there are no error.
func tearDownMasq(backend, network string, s Sandbox, addrs []netip.Prefix) error {
	if backend == backendNFTables {
		return tearDownNFTables(network, s)
	}
	return ip.TeardownIPMasqForNetworks(ipNets(addrs), network, s.IfName, s.ContainerID)
}

func ipNets(addrs []netip.Prefix) []*net.IPNet {
	list := make([]*net.IPNet, len(addrs))
	for i, a := range addrs {
		list[i] = ipNet(a)
	}
	return list
}
