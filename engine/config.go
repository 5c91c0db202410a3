package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
)

// Link kinds of a LinkSpec.
const (
	LinkTAP    = "tap"    // a TAP device, created or attached to
	LinkPacket = "packet" // AF_PACKET on an existing interface
)

// A LinkSpec names a link of the engine.
type LinkSpec struct {
	Kind   string `json:"kind"`            // LinkTAP or LinkPacket
	Ifname string `json:"ifname"`          // name of the device
	NetNS  string `json:"netns,omitempty"` // path of its network namespace; "" is the one the engine starts in
}

// A RouteSpec is a route of the sandbox.
type RouteSpec struct {
	Dst     netip.Prefix `json:"dst"`
	Gateway netip.Addr   `json:"gateway,omitzero"` // absent: the destination is on the link
	MTU     int          `json:"mtu,omitempty"`    // bytes of an IP packet; 0: that of the link
}

// A Config says what one engine does. The CNI plugin writes it as JSON.
type Config struct {
	Name        string            `json:"name"`               // of the sandbox, for logs and listings
	Hostname    string            `json:"hostname,omitempty"` // of the sandbox, for listings
	ControlPath string            `json:"controlPath"`        // where the control socket is created
	Uplink      LinkSpec          `json:"uplink"`             // towards the network
	Inner       LinkSpec          `json:"inner"`              // the TAP that the sandbox shows as Ifname
	Inline      *bool             `json:"inline,omitempty"`   // serve what the sandbox's kernel sends through Inner; nil: yes. Else it is dropped
	PeerMAC     string            `json:"peerMAC,omitempty"`  // of the kernel's side of Inner; "" is MAC
	Ifname      string            `json:"ifname"`             // the sandbox's name for its interface
	MAC         string            `json:"mac"`                // of the sandbox on the uplink
	MTU         int               `json:"mtu"`                // bytes of an IP packet
	Addrs       []netip.Prefix    `json:"addrs"`              // the sandbox's addresses
	Routes      []RouteSpec       `json:"routes,omitempty"`
	Profile     string            `json:"profile,omitempty"`  // "" is linux
	Tunables    map[string]string `json:"tunables,omitempty"` // by name, see package sockopt
	Pcap        string            `json:"pcap,omitempty"`     // file that gets a copy of every frame of the uplink
	Impair      string            `json:"impair,omitempty"`   // see hostlink.ParseImpairment
	MaxSockets  int               `json:"maxSockets,omitempty"`
	Shards      int               `json:"shards,omitempty"` // loops, 1 to MaxShards; 0 is 1. More than one takes a TAP of as many queues and nothing that stands between it and the stack
	Memory      int64             `json:"memory,omitempty"` // limit of the cgroup of holder and engine in bytes; 0: none

	SocketOptions []SocketRule `json:"socketOptions,omitempty"` // values that TCP sockets start with
	Bandwidth     *Bandwidth   `json:"bandwidth,omitempty"`     // of the uplink; nil is no limit
	Lease         *LeaseSpec   `json:"lease,omitempty"`         // of the IPv4 address; nil: it is the sandbox's own

	// RefusePlain answers what the sandbox's kernel sends through Inner with a
	// refusal, and logs it: every program is meant to be intercepted. The kernel's
	// loopback still reaches those that are. Valid iff Inline.
	RefusePlain bool `json:"refusePlain,omitempty"`
}

// DefaultMaxSockets bounds the sockets of a sandbox when the configuration does
// not: each holds one descriptor of the engine.
const DefaultMaxSockets = 131072

// MaxShards bounds the loops of an engine: each is a thread.
const MaxShards = 64

// LoadConfig reads a Config from a JSON file. Unknown fields are errors.
func LoadConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	return ReadConfig(f, path)
}

// ReadConfig reads a Config as JSON from r, which errors call name. Unknown
// fields are errors: the binary that wrote the configuration is the one that
// reads it, also when the file of the binary has been replaced since.
func ReadConfig(r io.Reader, name string) (Config, error) {
	var c Config
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// Validate checks what can be checked without touching the system. Its errors
// name the field, the value and what is accepted.
func (c *Config) Validate() error {
	if c.ControlPath == "" {
		return fmt.Errorf("controlPath: empty, a path is needed")
	}
	for _, l := range []struct {
		field string
		spec  LinkSpec
	}{{"uplink", c.Uplink}, {"inner", c.Inner}} {
		if l.field == "inner" && l.spec == (LinkSpec{}) {
			continue // a stack without an interface in the sandbox, as tests use it
		}
		if l.spec.Kind != LinkTAP && l.spec.Kind != LinkPacket {
			return fmt.Errorf("%s.kind: %q, accepted are %q and %q", l.field, l.spec.Kind, LinkTAP, LinkPacket)
		}
		if l.spec.Ifname == "" {
			return fmt.Errorf("%s.ifname: empty, an interface name is needed", l.field)
		}
	}
	if _, err := c.hardwareAddr(); err != nil {
		return err
	}
	if _, err := c.peerAddr(); err != nil {
		return err
	}
	if c.MTU < 576 || c.MTU > 65535 {
		return fmt.Errorf("mtu: %d, accepted is 576 to 65535", c.MTU)
	}
	for _, a := range c.Addrs {
		if !a.IsValid() || a.Addr().Is4In6() {
			return fmt.Errorf("addrs: %q is no address with a prefix length", a)
		}
	}
	if c.MaxSockets < 0 || c.MaxSockets > 1<<20 {
		return fmt.Errorf("maxSockets: %d, accepted is 0 (for %d) to %d", c.MaxSockets, DefaultMaxSockets, 1<<20)
	}
	if c.Bandwidth != nil {
		if err := c.Bandwidth.Validate(); err != nil {
			return fmt.Errorf("bandwidth.%w", err)
		}
	}
	if c.Lease != nil {
		if err := c.Lease.validate(); err != nil {
			return err
		}
	}
	if err := c.checkShards(); err != nil {
		return err
	}
	if c.Memory < 0 {
		return fmt.Errorf("memory: %d, accepted is 0 (for no limit) or a number of bytes", c.Memory)
	}
	return nil
}

// checkShards refuses what frames would have to pass one by one.
func (c *Config) checkShards() error {
	if c.Shards < 0 || c.Shards > MaxShards {
		return fmt.Errorf("shards: %d, accepted is 0 (for 1) to %d", c.Shards, MaxShards)
	}
	if c.Shards <= 1 {
		return nil
	}
	for _, x := range []struct {
		set  bool
		what string
	}{
		{c.Uplink.Kind != LinkTAP, fmt.Sprintf("uplink.kind is %q", c.Uplink.Kind)},
		{c.Pcap != "", "pcap is set"}, {c.Impair != "", "impair is set"},
		{c.Bandwidth != nil, "bandwidth is set"}, {c.Lease != nil, "lease is set"},
	} {
		if x.set {
			return fmt.Errorf("shards: %d, accepted is 1, since %s", c.Shards, x.what)
		}
	}
	return nil
}

func (c *Config) hardwareAddr() ([6]byte, error) { return unicastMAC("mac", c.MAC) }

// peerAddr is the link address of the sandbox's kernel.
func (c *Config) peerAddr() ([6]byte, error) {
	if c.PeerMAC == "" {
		return c.hardwareAddr()
	}
	return unicastMAC("peerMAC", c.PeerMAC)
}

// inline reports whether the sandbox's kernel is served.
func (c *Config) inline() bool {
	return c.Inner.Kind != "" && len(c.Addrs) > 0 && (c.Inline == nil || *c.Inline)
}

func unicastMAC(field, text string) ([6]byte, error) {
	m, err := net.ParseMAC(text)
	if err != nil || len(m) != 6 || m[0]&1 != 0 {
		return [6]byte{}, fmt.Errorf("%s: %q, accepted is a unicast address of six bytes such as 02:00:00:00:00:01", field, text)
	}
	return [6]byte(m), nil
}
