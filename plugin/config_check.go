package plugin

// Rules between keys.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/sockopt"
)

// check applies the rules that the shape of a single key cannot say. list is the
// configuration as it was written.
func (c *Config) check(list []member) error {
	for _, m := range list {
		k := find(keys(), m.key)
		if k.uplinks != nil && !slices.Contains(k.uplinks, c.Uplink) {
			return &FieldError{m.key, abbreviate(m.value), "no value unless " + uplinkIs(k.uplinks)}
		}
	}
	if c.Uplink == UplinkBridge && c.Bridge == "" {
		return &FieldError{"bridge", `""`, `an interface name, since "uplink" is "bridge"`}
	}
	if c.Uplink != UplinkChained && c.IPAMType == "" {
		return &FieldError{"ipam.type", `""`, "the name of an IPAM plugin, such as host-local or static"}
	}
	if err := c.checkDHCP(); err != nil {
		return err
	}
	if err := c.checkShards(); err != nil {
		return err
	}
	return c.checkStack()
}

// checkShards refuses shards beside what frames have to pass one by one.
func (c *Config) checkShards() error {
	if c.Shards <= 1 {
		return nil
	}
	for _, x := range []struct {
		set bool
		key string
	}{{c.Pcap != "", "pcap"}, {c.Impair != "", "impair"}, {c.Bandwidth != nil, "bandwidth"}} {
		if x.set {
			return &FieldError{"shards", strconv.Itoa(c.Shards), fmt.Sprintf("1, since %q is set", x.key)}
		}
	}
	if c.leases() {
		return &FieldError{"shards", strconv.Itoa(c.Shards), `1, since "ipam.type" is "dhcp"`}
	}
	return nil
}

// uplinkIs is the condition in words.
func uplinkIs(uplinks []string) string {
	quoted := make([]string, len(uplinks))
	for i, u := range uplinks {
		quoted[i] = quote(u)
	}
	return `"uplink" is ` + strings.Join(quoted, " or ")
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
	if _, err := engine.NewDefaults(p, c.SocketOptions); err != nil {
		return fmt.Errorf("socketOptions%w", err)
	}
	return nil
}
