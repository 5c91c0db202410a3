package plugin

// The table of keys. docs/schema.json and the table of docs/cni.md are made from
// it.

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/sockopt"
)

// A key is a member of an object of the configuration.
type key struct {
	name  string
	shape shape
	def   string // what counts when it is absent, in words; "" is nothing

	// uplinks are those that the key goes with; nil is all.
	uplinks []string

	// read keeps a value of the right shape. A key without belongs to the CNI
	// specification, or to others that read the same file.
	read func(c *Config, field string, raw json.RawMessage) error

	// perPod marks what belongs to one attachment: kept as it is until
	// readAttachment.
	perPod bool
}

// into makes the reader of a key whose value goes to the place that at names.
func into[T any](at func(*Config) *T) func(*Config, string, json.RawMessage) error {
	return func(c *Config, field string, raw json.RawMessage) error {
		if err := json.Unmarshal(raw, at(c)); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		return nil
	}
}

// about gives a shape its description.
func (s shape) is(about string) shape {
	s.about = about
	return s
}

// checked adds a rule that a schema cannot say.
func (s shape) checked(check func(field string, raw json.RawMessage) error) shape {
	s.check = check
	return s
}

const (
	ifnamePattern = `^[^/:\s]{1,15}$`
	macPattern    = `^([0-9A-Fa-f][02468ACEace])([:-])([0-9A-Fa-f]{2}[:-]){4}[0-9A-Fa-f]{2}$`
	macAccepted   = "a unicast address of six bytes such as 02:00:00:00:00:01"
)

// Keys that only some uplinks have.
var (
	withBridge = []string{UplinkBridge}
	unchained  = []string{UplinkPTP, UplinkBridge} // chained, the plugin before has seen to it
)

// keys is made when it is first asked for: most processes of this program have
// no use for it, and it takes them longer than all else that they do to begin.
var keys = sync.OnceValue(func() []key { return slices.Concat(wireKeys(), stackKeys(), watchKeys()) })

// wireKeys are the specification's own, and how the sandbox is connected.
func wireKeys() []key {
	return []key{
		// The specification's own.
		{name: "cniVersion", shape: oneOf(Versions.SupportedVersions()...).is("version of the CNI specification"),
			read: into(func(c *Config) *string { return &c.CNIVersion })},
		{name: "name", shape: str("a string").is("name of the network"),
			read: into(func(c *Config) *string { return &c.Name })},
		{name: "type", shape: str("a string").is("name of this plugin's binary"),
			read: into(func(c *Config) *string { return &c.Type })},
		{name: "ipam", uplinks: unchained,
			shape: object(`an object with "type", the name of an IPAM plugin`,
				key{name: "type", shape: strOf(`^[^/]+$`, "the name of an IPAM plugin, such as host-local or static, without '/'")},
			).open().must("type").is("the IPAM plugin and its configuration, which that plugin checks"),
			read: readIPAM},
		{name: "dns", def: "IPAM's", read: into(func(c *Config) *types.DNS { return &c.DNS }),
			shape: dnsShape("nameservers", "search", nameserversShape()).is("passed on in the result")},
		{name: "prevResult", shape: shape{accepted: "the result of the previous plugin or call", either: []*shape{{kind: anObject, rest: &shape{}}, {kind: aNull}}}.
			is("the result of the plugin before, or of ADD"),
			read: func(c *Config, _ string, raw json.RawMessage) error {
				if kindOf(raw) != aNull {
					c.PrevResult = raw
				}
				return nil
			}},
		{name: "capabilities", shape: object("an object of capabilities and true or false", capabilityFlags()...).
			is("what the runtime is to pass in runtimeConfig")},
		{name: "runtimeConfig", perPod: true, shape: runtimeConfigShape(),
			read: func(c *Config, _ string, raw json.RawMessage) error { c.runtimeConfig = raw; return nil }},
		{name: "args", perPod: true, shape: object(`an object with "cni"`, argsKeys...).open().is("what the user says about this attachment, by who is to read it"),
			read: func(c *Config, _ string, raw json.RawMessage) error { c.args = raw; return nil }},
		{name: "cni.dev/valid-attachments", shape: orNull(listOf(`a list of objects with "containerID" and "ifname"`,
			object(`an object with "containerID" and "ifname"`, key{name: "containerID", shape: str("a string")}, key{name: "ifname", shape: str("a string")}).
				must("containerID", "ifname"))),
			read: into(func(c *Config) *[]types.GCAttachment { return &c.ValidAttachments })},
		{name: "cni.dev/attachments", shape: orNull(shape{kind: aList, accepted: "a list"})}, // libcni writes it beside the one above

		// The plugin's: how the sandbox is connected.
		{name: "uplink", def: UplinkPTP, shape: oneOf(UplinkPTP, UplinkBridge, UplinkChained).is("how the sandbox reaches its host"),
			read: into(func(c *Config) *string { return &c.Uplink })},
		{name: "bridge", uplinks: withBridge, read: into(func(c *Config) *string { return &c.Bridge }),
			shape: strOf(ifnamePattern, "an interface name of 1 to 15 bytes without '/', ':' and white space").checked(checkIfname).
				is("the bridge; made when it is missing")},
		{name: "vlan", uplinks: withBridge, def: "untagged", shape: integer(1, 4094).is("VLAN of the sandbox's port, untagged towards the sandbox"),
			read: into(func(c *Config) *int { return &c.VLAN })},
		{name: "hairpin", uplinks: withBridge, def: "false", shape: boolean().is("the port may send what it received: a sandbox reaches itself through a service"),
			read: into(func(c *Config) *bool { return &c.Hairpin })},
		{name: "isGateway", uplinks: withBridge, def: "true", shape: boolean().is("the bridge carries the gateway's address, and the host forwards"),
			read: into(func(c *Config) *bool { return &c.IsGateway })},
		{name: "dhcp", uplinks: []string{UplinkChained}, def: "false", shape: boolean().is("the plugin before has its address from the IPAM plugin dhcp, whose messages pass the engine"),
			read: into(func(c *Config) *bool { return &c.DHCP })},
		{name: "mac", uplinks: unchained, def: "derived from the container's ID", shape: strOf(macPattern, macAccepted).checked(checkMAC).
			is("MAC address of the sandbox; runtimeConfig.mac and args.cni.mac come before it"),
			read: readMAC},
		{name: "mtu", uplinks: unchained, def: "detected", read: into(func(c *Config) *int { return &c.MTU }),
			shape: shape{accepted: fmt.Sprintf("an integer from %d to %d, or 0 for what the uplink or the default route has", minMTU, maxMTU),
				kind: anInt, min: minMTU, max: maxMTU, orZero: true}.is("bytes of an IP packet; IPv6 needs at least 1280")},
		{name: "bandwidth", def: "no limit", shape: bandwidthShape("bits per second, and bits that may come at once; runtimeConfig.bandwidth comes before it"),
			read: readBandwidth},
		{name: "ipMasq", uplinks: unchained, def: "false", shape: boolean().is("what leaves the subnet takes the host's address"),
			read: into(func(c *Config) *bool { return &c.IPMasq })},
		{name: "ipMasqBackend", uplinks: unchained, def: "the first of the two that works", shape: oneOf(backendNFTables, backendIPTables).is("how ipMasq is done"),
			read: into(func(c *Config) *string { return &c.IPMasqBackend })},

		{name: "inline", def: "true", shape: boolean().is("programs that are not intercepted reach the network through the engine, and their loopback reaches those that are; false: what they send is dropped"),
			read: into(func(c *Config) *bool { return &c.Inline })},
		{name: "intercept", shape: interceptShape(), read: readIntercept},
	}
}

// stackKeys are how its stack behaves.
func stackKeys() []key {
	return []key{
		{name: "profile", def: DefaultProfile, shape: oneOf(sockopt.ProfileNames()...).is("the system whose socket behaviour programs see"),
			read: into(func(c *Config) *string { return &c.Profile })},
		{name: "tunables", shape: tunablesShape(), read: readTunables},
		{name: "shards", uplinks: unchained, def: "1", shape: integer(1, engine.MaxShards).is("loops of the engine, each a thread and a queue of the uplink, that share the work of TCP connections; more than 1 not with pcap, impair and bandwidth"),
			read: into(func(c *Config) *int { return &c.Shards })},
		{name: "socketOptions", shape: rulesShape(), read: readRules},
		{name: "podAnnotations", def: strings.Join(defaultAllowed, ", "), shape: allowShape(),
			read: into(func(c *Config) *[]string { c.Allowed = nil; return &c.Allowed })},
	}
}

// watchKeys are what it may use, and what is watched.
func watchKeys() []key {
	return []key{
		{name: "resources", shape: object(`an object with "memory"`,
			key{name: "memory", def: "no limit", shape: integer(minMemory, maxMemory).is("bytes of the engine's cgroup")}).is("limits of the engine and its holder"),
			read: func(c *Config, field string, raw json.RawMessage) error {
				var r struct{ Memory int64 }
				err := json.Unmarshal(raw, &r)
				c.Memory = r.Memory
				return err
			}},
		{name: "pcap", shape: strOf(`^/`, "an absolute path").checked(checkPath).is("file that gets a copy of every frame of the uplink"),
			read: into(func(c *Config) *string { return &c.Pcap })},
		{name: "impair", shape: str(`a list such as "seed=1,loss=0.02"`).checked(checkImpair).is("what happens to frames of the uplink, for tests"),
			read: into(func(c *Config) *string { return &c.Impair })},
	}
}

// orNull takes null for an empty list, too: libcni writes it for a runtime that
// has nothing to list.
func orNull(list shape) shape {
	return shape{accepted: list.accepted, either: []*shape{&list, {kind: aNull}}}
}

// Bounds of resources.memory in bytes: below the first an engine has no room for
// its buffers, above the second it is no limit.
const (
	minMemory = 64 << 20
	maxMemory = 1 << 40
)

// Rules about one value that JSON Schema has no words for.

func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // the shape says that it is a string
	return s
}

func checkIfname(field string, raw json.RawMessage) error {
	if !validIfname(text(raw)) {
		return &FieldError{field, string(raw), "an interface name of 1 to 15 bytes without '/', ':' and white space"}
	}
	return nil
}

// validIfname is the kernel's dev_valid_name.
func validIfname(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 15 && !strings.ContainsAny(s, "/: \t\n\v\f\r")
}

func parseMAC(s string) (net.HardwareAddr, bool) {
	mac, err := net.ParseMAC(s)
	return mac, err == nil && len(mac) == 6 && mac[0]&1 == 0 && strings.Trim(s, "0:-") != ""
}

func checkMAC(field string, raw json.RawMessage) error {
	if _, ok := parseMAC(text(raw)); !ok {
		return &FieldError{field, abbreviate(raw), macAccepted}
	}
	return nil
}

func checkPath(field string, raw json.RawMessage) error {
	if p := text(raw); !filepath.IsAbs(p) || strings.ContainsRune(p, 0) {
		return &FieldError{field, abbreviate(raw), "an absolute path"}
	}
	return nil
}

func checkImpair(field string, raw json.RawMessage) error {
	if _, err := hostlink.ParseImpairment(text(raw)); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}
