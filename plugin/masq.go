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
