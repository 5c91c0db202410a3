package plugin

// Delegation to IPAM plugins: CNI specification 1.1.0, section 4.

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// hostLocal is the IPAM plugin whose leases are files.
const hostLocal = "host-local"

// ipamConfig is the configuration that the IPAM plugin gets: the one that this
// plugin got. When the state directory was moved, host-local's leases move along
// unless the configuration places them itself: two hosts in namespaces of one
// machine share its file system, not their addresses.
func ipamConfig(c *Config, data []byte) ([]byte, error) {
	if c.IPAMType != hostLocal || os.Getenv(StateEnv) == "" {
		return data, nil
	}
	dir, err := StateDir()
	if err != nil {
		return nil, err
	}
	return WithLeases(data, filepath.Join(dir, "ipam"))
}

// WithLeases returns the plugin configuration with ipam.dataDir set to dir
// unless it is set already.
func WithLeases(data []byte, dir string) ([]byte, error) {
	var conf, ipam map[string]json.RawMessage
	if err := json.Unmarshal(data, &conf); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(conf["ipam"], &ipam); err != nil {
		return nil, fmt.Errorf("ipam: %w", err)
	}
	if _, set := ipam["dataDir"]; set {
		return data, nil
	}
	var err error
	if ipam["dataDir"], err = json.Marshal(dir); err != nil {
		return nil, err
	}
	if conf["ipam"], err = json.Marshal(ipam); err != nil {
		return nil, err
	}
	return json.Marshal(conf)
}

// findIPAM says whether there is a plugin to delegate to.
func findIPAM(c *Config) error {
	_, err := invoke.FindInPath(c.IPAMType, filepath.SplitList(os.Getenv("CNI_PATH")))
	if err != nil {
		return fmt.Errorf("ipam.type: %q: accepted: a plugin found in CNI_PATH: %w", c.IPAMType, err)
	}
	return nil
}

func ipamAdd(c *Config, data []byte) (*current.Result, error) {
	data, err := ipamConfig(c, data)
	if err != nil {
		return nil, err
	}
	r, err := invoke.DelegateAdd(context.Background(), c.IPAMType, data, nil)
	if err != nil {
		return nil, ipamError(c, err)
	}
	return current.NewResultFromResult(r)
}

// ipamDo runs a verb that has no result.
func ipamDo(verb func(context.Context, string, []byte, invoke.Exec) error, c *Config, data []byte) error {
	data, err := ipamConfig(c, data)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if patience := c.ipamPatience(); patience != 0 {
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ctx = limited
	}
	err = verb(ctx, c.IPAMType, data, nil)
	if ctx.Err() != nil {
		err = types.NewError(types.ErrTryAgainLater, fmt.Sprintf("no answer for %v", c.ipamPatience()), "")
	}
	return ipamError(c, err)
}

// ipamError says which plugin failed; an error of the CNI specification keeps
// its code.
func ipamError(c *Config, err error) error {
	if e, ok := err.(*types.Error); ok {
		return types.NewError(e.Code, fmt.Sprintf("ipam %q: %s", c.IPAMType, e.Msg), e.Details)
	}
	if err != nil {
		return fmt.Errorf("ipam %q: %w", c.IPAMType, err)
	}
	return nil
}
