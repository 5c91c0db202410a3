package plugin

// Masquerading of what leaves the subnet, by the helpers that the CNI project's
// own plugins use.

import (
	"errors"
	"net"
	"net/netip"

	"github.com/containernetworking/plugins/pkg/ip"
	"github.com/containernetworking/plugins/pkg/utils"
)

// Backends of masquerading.
const (
	backendIPTables = "iptables"
	backendNFTables = "nftables"
)

// setUpMasq adds the rules for the sandbox's addresses.
func setUpMasq(c *Config, s Sandbox, addrs []netip.Prefix) error {
	backend := c.IPMasqBackend
	switch {
	case backend != "":
	case utils.SupportsNFTables():
		backend = backendNFTables
	case utils.SupportsIPTables():
		backend = backendIPTables
	default:
		return errors.New("ipMasq: true: neither nft nor iptables works here: accepted: a host with one of them (Debian packages nftables and iptables)")
	}
	return ip.SetupIPMasqForNetworks(&backend, ipNets(addrs), c.Name, s.IfName, s.ContainerID)
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
