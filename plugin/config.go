package plugin

// The network configuration: CNI specification 1.1.0, section 1.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/tcpcni/tcpcni/engine"
)

// Uplinks: how a sandbox reaches its host.
const (
	UplinkPTP     = "ptp"     // a TAP that carries the gateway's address
	UplinkBridge  = "bridge"  // a TAP that is a port of a bridge
	UplinkChained = "chained" // the container's end of a veth that the plugin before made
)

// DefaultMTU of an attachment whose host says nothing about it, in bytes of an
// IP packet.
const DefaultMTU = 1500

// DefaultProfile is the profile of a configuration that names none.
const DefaultProfile = "linux"

// Bounds of the mtu field: every IPv4 host takes packets of 576 bytes (RFC 1122
// section 3.3.2), a TAP carries at most 65,535 less the Ethernet header.
const (
	minMTU     = 576
	maxMTU     = 65521
	minIPv6MTU = 1280 // RFC 8200 section 5
)

// A Config is the part of a network configuration that this plugin reads.
type Config struct {
	CNIVersion string
	Name       string // of the network
	Type       string // the plugin's name

	Uplink        string            // UplinkPTP, UplinkBridge or UplinkChained
	Bridge        string            // valid iff Uplink is UplinkBridge
	VLAN          int               // of the port, 1..4094; 0: untagged, no VLAN filtering. UplinkBridge only
	Hairpin       bool              // the port may send what it received. UplinkBridge only
	IsGateway     bool              // the bridge carries the gateway's address. UplinkBridge only
	Inline        bool              // serve programs that are not intercepted
	MTU           int               // bytes of an IP packet; 0: as the uplink or the default route has it
	Profile       string            // of package sockopt; "" is DefaultProfile
	Tunables      map[string]string // of package sockopt, by name
	SocketOptions []engine.SocketRule
	Bandwidth     *engine.Bandwidth // nil: no limit
	Shards        int               // loops of the engine; 0 is 1. Not with UplinkChained
	Memory        int64             // limit of the engine's cgroup in bytes; 0: none
	Pcap          string            // file for a copy of every frame of the uplink; "" is none
	Impair        string            // of hostlink.ParseImpairment; "" is none
	IPMasq        bool              // masquerade what leaves the subnet
	IPMasqBackend string            // "iptables", "nftables", or "" for the one that works
	MAC           net.HardwareAddr  // of the sandbox; nil: derived
	IPs           []netip.Addr      // that the runtime asks for; IPAM has to give each of them

	// Intercept is what the pod and the configuration ask for together: one of
	// InterceptNone, InterceptRequired, InterceptNRI. Valid once ADD has settled it.
	Intercept    string
	interception interception

	// Allowed is what annotations of a pod may set, see annotations.go.
	Allowed     []string
	annotations map[string]string // of the pod

	IPAMType         string // "" with UplinkChained
	DHCP             bool   // the plugin before leases the addresses by DHCP. UplinkChained only
	DNS              types.DNS
	PrevResult       json.RawMessage // nil when there is none
	ValidAttachments []types.GCAttachment

	given map[string]bool // the keys that were there
	// What belongs to one attachment: read by ADD alone, so that a mistake in it
	// does not keep DEL from taking the attachment back.
	runtimeConfig, args json.RawMessage
}

// ParseConfig reads and checks one plugin's network configuration as a runtime
// passes it on standard input, with what it says about the one attachment:
// capabilities and annotations of the pod. Its errors name the field, the value,
// and what is accepted.
func ParseConfig(data []byte) (*Config, error) {
	c, err := parseNetwork(data)
	if err != nil {
		return nil, err
	}
	return c, c.readAttachment()
}

// parseNetwork reads and checks a configuration without what is for one
// attachment.
func parseNetwork(data []byte) (*Config, error) {
	list, err := members(data)
	if err != nil {
		return nil, err
	}
	c := &Config{Uplink: UplinkPTP, IsGateway: true, Inline: true, Allowed: defaultAllowed, given: make(map[string]bool)}
	for _, m := range list {
		k := find(keys(), m.key)
		if k == nil {
			return nil, &FieldError{m.key, abbreviate(m.value), "one of the keys " + keyNames(keys())}
		}
		c.given[k.name] = true
		if err := k.take(c, m.key, m.value); err != nil {
			return nil, err
		}
	}
	return c, c.check(list)
}

// take checks the value of a key and keeps it.
func (k *key) take(c *Config, field string, raw json.RawMessage) error {
	if k.perPod {
		return k.read(c, field, raw)
	}
	if err := k.shape.verify(field, raw); err != nil || k.read == nil {
		return err
	}
	return k.read(c, field, raw)
}

func (c *Config) profileName() string {
	if c.Profile == "" {
		return DefaultProfile
	}
	return c.Profile
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

var errNoPrevResult = errors.New(`prevResult: missing: accepted: the result of ADD`)
