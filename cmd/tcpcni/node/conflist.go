package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/containernetworking/cni/libcni"

	"github.com/tcpcni/tcpcni/plugin"
)

// Words of a template that stand for what only the node knows.
const (
	// PodCIDRs in place of host-local's "ranges" is one range set for each
	// subnet that the node may give to pods.
	PodCIDRs = "podCIDRs"
	// DefaultRoutes in place of "routes" is a default route for each family in
	// use.
	DefaultRoutes = "default"
)

// CheckList checks a configuration list as a runtime and the plugin will: bad
// ones are refused while the old one is still in place. has tells whether a
// plugin is there.
func CheckList(list []byte, has func(plugin string) bool) error {
	l, err := libcni.ConfListFromBytes(list)
	if err != nil {
		return fmt.Errorf("configuration list: %w", err)
	}
	ours := false
	for i, p := range l.Plugins {
		if !has(p.Network.Type) {
			return fmt.Errorf("configuration list: plugins[%d].type: %q: accepted: a plugin that is installed", i, p.Network.Type)
		}
		if p.Network.Type != "tcpcni" {
			continue
		}
		ours = true
		one, err := withIdentity(p.Bytes, l)
		if err != nil {
			return err
		}
		if _, err := plugin.ParseConfig(one); err != nil {
			return fmt.Errorf("configuration list: plugins[%d]: %w", i, err)
		}
	}
	if !ours {
		return errors.New(`configuration list: plugins: accepted: a list with "type":"tcpcni" among them`)
	}
	return nil
}

// withIdentity adds what a runtime adds to a plugin's part of a list.
func withIdentity(part []byte, l *libcni.NetworkConfigList) ([]byte, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(part, &m); err != nil {
		return nil, err
	}
	for k, v := range map[string]string{"name": l.Name, "cniVersion": l.CNIVersion} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		m[k] = b
	}
	return json.Marshal(m)
}

// Fill replaces the words of a template by the node's own subnets. A template
// without them comes back as it is.
func Fill(template []byte, subnets []netip.Prefix) ([]byte, error) {
	var list map[string]any
	d := json.NewDecoder(bytes.NewReader(template))
	d.UseNumber()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("configuration list: %w", err)
	}
	plugins, ok := list["plugins"].([]any)
	if !ok {
		return nil, errors.New("configuration list: plugins: accepted: a list of plugins")
	}
	for i, p := range plugins {
		ipam, ok := dig(p, "ipam")
		if !ok {
			continue
		}
		if ipam["ranges"] == PodCIDRs {
			if len(subnets) == 0 {
				return nil, fmt.Errorf("configuration list: plugins[%d].ipam.ranges: %q: this node has no subnet for pods", i, PodCIDRs)
			}
			ipam["ranges"] = ranges(subnets)
		}
		if ipam["routes"] == DefaultRoutes {
			ipam["routes"] = defaultRoutes(subnets)
		}
	}
	out, err := json.MarshalIndent(list, "", "  ")
	return append(out, '\n'), err
}

func dig(v any, key string) (map[string]any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	inner, ok := m[key].(map[string]any)
	return inner, ok
}

func ranges(subnets []netip.Prefix) []any {
	sets := make([]any, 0, len(subnets))
	for _, p := range subnets {
		sets = append(sets, []any{map[string]any{"subnet": p.String()}})
	}
	return sets
}

func defaultRoutes(subnets []netip.Prefix) []any {
	routes := []any{}
	seen := map[string]bool{}
	for _, p := range subnets {
		dst := "0.0.0.0/0"
		if p.Addr().Is6() {
			dst = "::/0"
		}
		if !seen[dst] {
			seen[dst] = true
			routes = append(routes, map[string]any{"dst": dst})
		}
	}
	return routes
}
