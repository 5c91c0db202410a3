package plugin

// What belongs to one attachment: capabilities and arguments. CONVENTIONS.md of
// the CNI specification lists them.

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// capAnnotations is the capability by which a runtime hands over a pod's
// annotations.
const capAnnotations = "io.kubernetes.cri.pod-annotations"

// refused is the shape of a capability that cannot be had; because says why.
func refused(because string) shape {
	return shape{accepted: "no value, since " + because}.checked(func(field string, raw json.RawMessage) error {
		return &FieldError{field, abbreviate(raw), "no value, since " + because}
	})
}

// capabilities are the members of runtimeConfig.
var capabilities = []key{
	{name: "mac", shape: strOf(macPattern+`|^$`, macAccepted).checked(checkRuntimeMAC).is("MAC address of the sandbox"),
		read: readMAC},
	{name: "ips", shape: listOf("a list of addresses", strOf(`^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$`, addressAccepted).checked(checkAddress)).
		is("addresses that the IPAM plugin is to give"),
		read: readIPs},
	{name: "ipRanges", shape: shape{kind: aList, accepted: "a list"}.is("ranges for the IPAM plugin, which checks them")},
	{name: "portMappings", shape: listOf("a list of port mappings", portMappingShape()).
		is("ports of the host; the plugin portmap behind this one in the list maps them")},
	{name: "bandwidth", shape: bandwidthShape("bits per second, and bits that may come at once").asGoWrites(), read: readBandwidth},
	{name: "dns", shape: dnsShape("servers", "searches", listOf("a list of strings", str("a string"))).asGoWrites().is("DNS settings for the result"), read: readRuntimeDNS},
	{name: capAnnotations, shape: shape{kind: anObject, accepted: "an object of strings", rest: &shape{kind: aString, accepted: "a string"}}.
		is("annotations of the pod"),
		read: into(func(c *Config) *map[string]string { return &c.annotations })},
	{name: "infinibandGUID", shape: refused("the sandbox's interface is Ethernet, which has a MAC address and no InfiniBand GUID")},
	{name: "aliases", shape: refused("the plugin registers no names")},
	{name: "deviceID", shape: refused("the sandbox's interface is a TAP and takes no device of the host")},
	{name: "cgroupPath", shape: refused("the engine has a cgroup of its own")},
}

// runtimeConfigShape lets a capability be null.
func runtimeConfigShape() shape {
	list := slices.Clone(capabilities)
	for i := range list {
		list[i].shape = list[i].shape.orNull()
	}
	return object("an object of capabilities", list...).is("what the runtime says about this attachment")
}

// capabilityFlags are the members of capabilities: which of those the operator
// wants to be passed.
func capabilityFlags() []key {
	var flags []key
	for _, k := range capabilities {
		flag := boolean().is(k.shape.about)
		if because, ok := strings.CutPrefix(k.shape.accepted, "no value, since "); ok && k.shape.check != nil {
			flag = shape{kind: aBool, accepted: "false, since " + because, only: "false"}.is("not available")
		}
		flags = append(flags, key{name: k.name, shape: flag})
	}
	return flags
}

// argsKeys are the members of args that this plugin reads; args has others for
// others.
var argsKeys = []key{{name: "cni", shape: object("an object", cniArgs...).open().is("arguments for the plugins of the list")}}

var cniArgs = []key{
	{name: "mac", shape: strOf(macPattern+`|^$`, macAccepted).checked(checkRuntimeMAC).is("MAC address of the sandbox"), read: readMAC},
	{name: "ips", shape: listOf("a list of addresses", strOf(`^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$`, addressAccepted).checked(checkAddress)).
		is("addresses that the IPAM plugin is to give"), read: readIPs},
}

// readAttachment reads what parseNetwork has kept. Where several say the same,
// the runtime's capability comes before arguments, and both before the
// configuration.
func (c *Config) readAttachment() error {
	for _, part := range []struct {
		name string
		raw  json.RawMessage
	}{{"args", c.args}, {"runtimeConfig", c.runtimeConfig}} {
		if part.raw == nil {
			continue
		}
		k := find(keys(), part.name)
		if err := k.shape.verify(part.name, part.raw); err != nil {
			return err
		}
		if err := readMembers(c, part.name, part.raw, k.shape.members); err != nil {
			return err
		}
	}
	if c.Uplink == UplinkChained && c.MAC != nil {
		return &FieldError{"mac", c.MAC.String(), `no value, since "uplink" is "chained" and the plugin before has given the address`}
	}
	if err := c.annotate(); err != nil {
		return err
	}
	return c.checkShards()
}

// readMembers reads the members of an object that has passed its shape.
func readMembers(c *Config, field string, raw json.RawMessage, keys []key) error {
	list, err := members(raw)
	if err != nil {
		return within(field, err)
	}
	for _, m := range list {
		k := find(keys, m.key)
		switch {
		case k == nil, kindOf(m.value) == aNull:
		case k.read != nil:
			err = k.read(c, field+"."+m.key, m.value)
		case k.shape.members != nil && k.shape.kind == anObject && k.shape.rest != nil:
			err = readMembers(c, field+"."+m.key, m.value, k.shape.members)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readArgs reads CNI_ARGS, which IPAM plugins read as well: MAC and IP. They come
// before the configuration and behind what else a runtime says. Runtimes of
// Kubernetes name the pod.
func (c *Config) readArgs(args string) error {
	for pair := range strings.SplitSeq(args, ";") {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case value == "":
		case name == "MAC":
			mac, ok := parseMAC(value)
			if !ok {
				return fmt.Errorf("CNI_ARGS: %w", &FieldError{"MAC", quote(value), macAccepted})
			}
			c.MAC = mac
		case name == "IP":
			a, err := parseAddress(value)
			if err != nil {
				return fmt.Errorf("CNI_ARGS: %w", &FieldError{"IP", quote(value), addressAccepted})
			}
			c.IPs = append(c.IPs, a)
		case name == "K8S_POD_NAMESPACE":
			c.interception.pod.namespace = value
		case name == "K8S_POD_NAME":
			c.interception.pod.name = value
		}
	}
	return nil
}

func checkRuntimeMAC(field string, raw json.RawMessage) error {
	if text(raw) == "" {
		return nil // a runtime that has the capability and nothing to say
	}
	return checkMAC(field, raw)
}

func readMAC(c *Config, _ string, raw json.RawMessage) error {
	if mac, ok := parseMAC(text(raw)); ok {
		c.MAC = mac
	}
	return nil
}

const addressAccepted = "an address such as 10.0.0.7 or fd00::7, with or without a prefix length"

// parseAddress reads an address with or without a prefix length.
func parseAddress(s string) (netip.Addr, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Addr().Unmap(), nil
	}
	a, err := netip.ParseAddr(s)
	if err == nil && a.Zone() != "" {
		err = errors.New("an address with a zone")
	}
	return a.Unmap(), err
}

func checkAddress(field string, raw json.RawMessage) error {
	if _, err := parseAddress(text(raw)); err != nil {
		return &FieldError{field, abbreviate(raw), addressAccepted}
	}
	return nil
}

func readIPs(c *Config, _ string, raw json.RawMessage) error {
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	for _, s := range list {
		a, err := parseAddress(s)
		if err != nil {
			return err
		}
		if !slices.Contains(c.IPs, a) {
			c.IPs = append(c.IPs, a)
		}
	}
	return nil
}

// gotIPs checks that the addresses that the runtime asked for were given: an
// IPAM plugin that knows nothing of the request would give others in silence.
func (c *Config) gotIPs(r *current.Result) error {
	for _, want := range c.IPs {
		if !slices.ContainsFunc(r.IPs, func(ip *current.IPConfig) bool {
			got, _ := netip.AddrFromSlice(ip.Address.IP)
			return got.Unmap() == want
		}) {
			from := fmt.Sprintf("the IPAM plugin %q", c.IPAMType)
			if c.Uplink == UplinkChained {
				from = "the plugin before"
			}
			return failed(types.ErrInvalidNetworkConfig, "other addresses than the runtime asks for",
				fmt.Errorf("ips: %s: accepted: an address that %s gives when it is asked; it gave %s", want, from, addresses(r)))
		}
	}
	return nil
}

func addresses(r *current.Result) string {
	list := make([]string, len(r.IPs))
	for i, ip := range r.IPs {
		list[i] = ip.Address.String()
	}
	return strings.Join(list, ", ")
}

// portMappingShape is that of one port mapping. What the sandbox's stack does
// with it is nothing: the host's rules change the addresses.
func portMappingShape() shape {
	return object(`an object with "hostPort" and "containerPort"`,
		key{name: "hostPort", shape: integer(0, 65535).is("0 for none")},
		key{name: "containerPort", shape: integer(1, 65535)},
		key{name: "protocol", def: "tcp", shape: shape{kind: aString, accepted: `"tcp", "udp" or "sctp"`,
			enum: []string{"tcp", "udp", "sctp", "TCP", "UDP", "SCTP", ""}}},
		key{name: "hostIP", def: "all", shape: strOf(`^[0-9A-Fa-f.:]*$`, "an address, or an empty string").checked(func(field string, raw json.RawMessage) error {
			if s := text(raw); s != "" {
				if _, err := netip.ParseAddr(s); err != nil {
					return &FieldError{field, abbreviate(raw), "an address, or an empty string"}
				}
			}
			return nil
		})},
	).checked(func(field string, raw json.RawMessage) error {
		var m struct{ ContainerPort int }
		if json.Unmarshal(raw, &m) != nil || m.ContainerPort == 0 {
			return &FieldError{field + ".containerPort", "missing", "an integer from 1 to 65535"}
		}
		return nil
	}).asGoWrites()
}

// dnsShape is that of DNS settings, whose lists have other names in the
// capability than in the result. of is that of the name servers: what a runtime hands
// over is what it found in its host's resolv.conf, and is passed on as it is.
func dnsShape(servers, searches string, of shape) shape {
	list := func() shape { return listOf("a list of strings", str("a string")) }
	return object(fmt.Sprintf(`an object with %q, "domain", %q, "options"`, servers, searches),
		key{name: servers, shape: of}, key{name: "domain", shape: str("a string")},
		key{name: searches, shape: list()}, key{name: "options", shape: list()})
}

// nameserversShape is that of the name servers of the configuration:
// resolv.conf(5) has no names there.
func nameserversShape() shape {
	const accepted = "an address such as 10.0.0.1, fd00::1 or fe80::1%eth0"
	return listOf("a list of addresses", strOf(`^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%[^%\s]+)?)$`, accepted).
		checked(func(field string, raw json.RawMessage) error {
			if _, err := netip.ParseAddr(text(raw)); err != nil {
				return &FieldError{field, abbreviate(raw), accepted}
			}
			return nil
		}))
}

func readRuntimeDNS(c *Config, _ string, raw json.RawMessage) error {
	var d struct {
		Servers, Searches, Options []string
		Domain                     string
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return err
	}
	dns := types.DNS{Nameservers: d.Servers, Domain: d.Domain, Search: d.Searches, Options: d.Options}
	if !dns.IsEmpty() {
		c.DNS = dns
	}
	return nil
}

// readIPAM takes the IPAM plugin's name; the rest of the object is that
// plugin's to check.
func readIPAM(c *Config, _ string, raw json.RawMessage) error {
	var ipam struct {
		Type string `json:"type"`
	}
	err := json.Unmarshal(raw, &ipam)
	c.IPAMType = ipam.Type
	return err
}
