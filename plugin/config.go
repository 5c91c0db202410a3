package plugin

// The network configuration: CNI specification 1.1.0, section 1.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/sockopt"
)

// Uplinks: how a sandbox reaches its host.
const (
	UplinkPTP    = "ptp"    // a TAP that carries the gateway's address
	UplinkBridge = "bridge" // a TAP that is a port of a bridge
)

// DefaultMTU of an attachment, in bytes of an IP packet.
const DefaultMTU = 1500

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

	Uplink        string            // UplinkPTP or UplinkBridge
	Bridge        string            // valid iff Uplink is UplinkBridge
	MTU           int               // bytes of an IP packet
	Profile       string            // of package sockopt
	Tunables      map[string]string // of package sockopt, by name
	Pcap          string            // file for a copy of every frame of the uplink; "" is none
	Impair        string            // of hostlink.ParseImpairment; "" is none
	IPMasq        bool              // masquerade what leaves the subnet
	IPMasqBackend string            // "iptables", "nftables", or "" for the one that works
	MAC           net.HardwareAddr  // of the sandbox, from runtimeConfig.mac; nil: derived

	IPAMType         string
	DNS              types.DNS
	PrevResult       json.RawMessage // nil when there is none
	ValidAttachments []types.GCAttachment
}

// A key of the configuration: its name, what it accepts, and how it is read. A
// key without read belongs to the CNI specification and means nothing here.
type key struct {
	name     string
	accepted string
	read     func(c *Config, k *key, raw json.RawMessage) error
}

// into makes the reader of a key whose value goes to the place that at names.
func into[T any](at func(*Config) *T) func(*Config, *key, json.RawMessage) error {
	return func(c *Config, k *key, raw json.RawMessage) error {
		return decode(k.name, raw, at(c), k.accepted)
	}
}

var keys = []key{
	// The specification's own.
	{"cniVersion", "a string", into(func(c *Config) *string { return &c.CNIVersion })},
	{"name", "a string", into(func(c *Config) *string { return &c.Name })},
	{"type", "a string", into(func(c *Config) *string { return &c.Type })},
	{"ipam", `an object with "type", the name of an IPAM plugin`, readIPAM},
	{"dns", `an object with "nameservers", "domain", "search", "options"`, into(func(c *Config) *types.DNS { return &c.DNS })},
	{"prevResult", "the result of the previous plugin or call", readPrevResult},
	{"capabilities", "an object", nil},
	{"runtimeConfig", "an object", readRuntimeConfig},
	{"args", "an object", nil},
	{"cni.dev/valid-attachments", `a list of objects with "containerID" and "ifname"`, into(func(c *Config) *[]types.GCAttachment { return &c.ValidAttachments })},
	{"cni.dev/attachments", "a list", nil}, // libcni writes it beside the one above

	// The plugin's.
	{"uplink", `"ptp" or "bridge"`, into(func(c *Config) *string { return &c.Uplink })},
	{"bridge", `the name of a bridge, with "uplink":"bridge"`, into(func(c *Config) *string { return &c.Bridge })},
	{"mtu", fmt.Sprintf("an integer from %d to %d", minMTU, maxMTU), into(func(c *Config) *int { return &c.MTU })},
	{"profile", "the name of a profile", into(func(c *Config) *string { return &c.Profile })},
	{"tunables", "an object of names and values", readTunables},
	{"pcap", "an absolute path", into(func(c *Config) *string { return &c.Pcap })},
	{"impair", "a list such as \"seed=1,loss=0.02\"", into(func(c *Config) *string { return &c.Impair })},
	{"ipMasq", "true or false", into(func(c *Config) *bool { return &c.IPMasq })},
	{"ipMasqBackend", `"iptables" or "nftables"`, into(func(c *Config) *string { return &c.IPMasqBackend })},
}

// ParseConfig reads and checks one plugin's network configuration as a runtime
// passes it on standard input. Its errors name the field, the value, and what
// is accepted.
func ParseConfig(data []byte) (*Config, error) {
	list, err := members(data)
	if err != nil {
		return nil, err
	}
	c := &Config{Uplink: UplinkPTP, MTU: DefaultMTU}
	for _, m := range list {
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == m.key })
		if i < 0 {
			return nil, &FieldError{m.key, abbreviate(m.value), "one of the keys " + keyNames()}
		}
		if k := &keys[i]; k.read != nil {
			if err := k.read(c, k, m.value); err != nil {
				return nil, err
			}
		}
	}
	return c, c.check()
}

func keyNames() string {
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		names = append(names, k.name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// readIPAM takes the IPAM plugin's name; the rest of the object is that
// plugin's to check.
func readIPAM(c *Config, k *key, raw json.RawMessage) error {
	var ipam struct {
		Type string `json:"type"`
	}
	err := decode(k.name, raw, &ipam, k.accepted)
	c.IPAMType = ipam.Type
	return err
}

func readPrevResult(c *Config, _ *key, raw json.RawMessage) error {
	if string(raw) != "null" {
		c.PrevResult = raw
	}
	return nil
}

// readRuntimeConfig takes the mac of CNI's "mac" capability. What other
// capabilities bring is for IPAM plugins and for plugins of the same chain.
func readRuntimeConfig(c *Config, k *key, raw json.RawMessage) error {
	var rc struct {
		MAC string `json:"mac"`
	}
	if err := decode(k.name, raw, &rc, k.accepted); err != nil || rc.MAC == "" {
		return err
	}
	mac, err := net.ParseMAC(rc.MAC)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		return &FieldError{"runtimeConfig.mac", rc.MAC, "a unicast address of six bytes such as 02:00:00:00:00:01"}
	}
	c.MAC = mac
	return nil
}

// readTunables takes values as strings, numbers or booleans: a person writes
// 200 as soon as "200". A tunable that switches is 0 or 1, as in sysctl.
func readTunables(c *Config, k *key, raw json.RawMessage) error {
	list, err := members(raw)
	if err != nil {
		return &FieldError{k.name, abbreviate(raw), k.accepted}
	}
	c.Tunables = make(map[string]string, len(list))
	for _, m := range list {
		s := string(m.value)
		switch {
		case s[0] == '"':
			if err := json.Unmarshal(m.value, &s); err != nil {
				return &FieldError{k.name + "." + m.key, abbreviate(m.value), "a string"}
			}
		case s == "true":
			s = "1"
		case s == "false":
			s = "0"
		case s[0] == '{' || s[0] == '[' || s == "null":
			return &FieldError{k.name + "." + m.key, abbreviate(m.value), "a string, a number, true or false"}
		}
		c.Tunables[m.key] = s
	}
	return nil
}

// check applies the rules that a single key's reader cannot see, in the order
// in which a reader of the configuration meets the fields.
func (c *Config) check() error {
	if c.Uplink != UplinkPTP && c.Uplink != UplinkBridge {
		return &FieldError{"uplink", quote(c.Uplink), `"ptp" or "bridge"`}
	}
	if c.Uplink == UplinkBridge && !validIfname(c.Bridge) {
		return &FieldError{"bridge", quote(c.Bridge), `an interface name of 1 to 15 bytes without '/', ':' and white space, since "uplink" is "bridge"`}
	}
	if c.Uplink != UplinkBridge && c.Bridge != "" {
		return &FieldError{"bridge", quote(c.Bridge), `no value unless "uplink" is "bridge"`}
	}
	if c.MTU < minMTU || c.MTU > maxMTU {
		return &FieldError{"mtu", fmt.Sprint(c.MTU), fmt.Sprintf("an integer from %d to %d", minMTU, maxMTU)}
	}
	if err := c.checkStack(); err != nil {
		return err
	}
	if c.Pcap != "" && !filepath.IsAbs(c.Pcap) {
		return &FieldError{"pcap", quote(c.Pcap), "an absolute path"}
	}
	switch c.IPMasqBackend {
	case "", backendIPTables, backendNFTables:
	default:
		return &FieldError{"ipMasqBackend", quote(c.IPMasqBackend), `"iptables" or "nftables"`}
	}
	if c.IPAMType == "" {
		return &FieldError{"ipam.type", `""`, "the name of an IPAM plugin, such as host-local or static"}
	}
	if strings.ContainsRune(c.IPAMType, '/') {
		return &FieldError{"ipam.type", quote(c.IPAMType), "the name of an IPAM plugin, without '/'"}
	}
	return nil
}

// checkStack lets the stack itself judge the values that are for it.
func (c *Config) checkStack() error {
	p, err := sockopt.ProfileByName(c.profileName())
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	if _, err := sockopt.NewTunables(p, c.Tunables); err != nil {
		return fmt.Errorf("tunables: %w", err)
	}
	if c.Impair != "" {
		if _, err := hostlink.ParseImpairment(c.Impair); err != nil {
			return fmt.Errorf("impair: %w", err)
		}
	}
	return nil
}

// DefaultProfile is the profile of a configuration that names none.
const DefaultProfile = "linux"

func (c *Config) profileName() string {
	if c.Profile == "" {
		return DefaultProfile
	}
	return c.Profile
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

// validIfname is the kernel's dev_valid_name.
func validIfname(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 15 && !strings.ContainsAny(s, "/: \t\n\v\f\r")
}

var errNoPrevResult = errors.New(`prevResult: missing: accepted: the result of ADD`)
