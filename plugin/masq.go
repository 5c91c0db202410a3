package plugin

// Masquerading of what leaves the subnet, by the helpers that the CNI project's
// own plugins use.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/containernetworking/plugins/pkg/ip"
	"github.com/containernetworking/plugins/pkg/utils"
	"github.com/coreos/go-iptables/iptables"
	"sigs.k8s.io/knftables"
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
	case utils.SupportsNFTables():
		return backendNFTables, nil
	case utils.SupportsIPTables():
		return backendIPTables, nil
	}
	return "", errors.New("ipMasq: true: neither nft nor iptables works here: accepted: a host with one of them (Debian packages nftables and iptables)")
}

// setUpMasq adds the rules for the sandbox's addresses.
func setUpMasq(c *Config, s Sandbox, addrs []netip.Prefix) error {
	backend, err := masqBackend(c)
	if err != nil {
		return err
	}
	return ip.SetupIPMasqForNetworks(&backend, ipNets(addrs), c.Name, s.IfName, s.ContainerID)
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
	const table, chain, hashed = "cni_plugins_masquerade", "masq_checks", 16
	nft, err := knftables.New(knftables.InetFamily, table)
	if err != nil {
		return fmt.Errorf("masquerading: %w", err)
	}
	rules, err := nft.ListRules(context.Background(), chain)
	if err != nil {
		return fmt.Errorf("masquerading: table %s: %w", table, err)
	}
	mark := utils.MustFormatHashWithPrefix(hashed, "", rec.Network) + "-" +
		utils.MustFormatHashWithPrefix(hashed, "", s.IfName+":"+s.ContainerID)
	found := 0
	for _, r := range rules {
		if r.Comment != nil && strings.HasPrefix(*r.Comment, mark) {
			found++
		}
	}
	if found != len(rec.Addrs) {
		return fmt.Errorf("masquerading: %d rules of the attachment in table %s, ADD made %d", found, table, len(rec.Addrs))
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

// tearDownMasq removes the rules of either backend; rules that are not there
// are no error.
func tearDownMasq(network string, s Sandbox, addrs []netip.Prefix) error {
	return ip.TeardownIPMasqForNetworks(ipNets(addrs), network, s.IfName, s.ContainerID)
}

func ipNets(addrs []netip.Prefix) []*net.IPNet {
	list := make([]*net.IPNet, len(addrs))
	for i, a := range addrs {
		list[i] = ipNet(a)
	}
	return list
}
