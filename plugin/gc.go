package plugin

// GC: what nobody owns any more. The attachments of the network that have a
// record are taken back as DEL does; orphan.go finds what has none.

import (
	"errors"
	"fmt"
	"os"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/pkg/ip"
)

// cmdGC removes the attachments of the network that the runtime does not list:
// CNI specification 1.1.0, section 2, "GC".
func cmdGC(args *skel.CmdArgs) error {
	c, _, err := prepareVerb(args)
	if err != nil {
		return err
	}
	dir, err := StateDir()
	if err != nil {
		return err
	}
	list, err := Sandboxes(dir)
	if err != nil {
		return err
	}
	valid := make(map[types.GCAttachment]bool)
	for _, a := range c.ValidAttachments {
		valid[a] = true
	}
	for _, s := range list {
		if valid[types.GCAttachment{ContainerID: s.ContainerID, IfName: s.IfName}] {
			continue
		}
		err = errors.Join(err, collect(c, s, args))
	}
	err = errors.Join(err, collectOrphans(dir, c.Name), ip.GCIPMasqForNetwork(c.Name, c.ValidAttachments))
	if c.IPAMType == "" {
		return err
	}
	return errors.Join(err, ipamDo(delegateGC, c, args.StdinData), collectLeases(c, args.StdinData, valid))
}

// collect runs DEL for an attachment of the network that nobody knows any more.
func collect(c *Config, s Sandbox, args *skel.CmdArgs) error {
	lock, err := s.lock()
	if err != nil {
		return err
	}
	defer func() { _ = s.unlock(lock) }()
	rec, err := s.Record()
	if err != nil || rec.Network != c.Name {
		return nil //nolint:nilerr // gone meanwhile, or another network's
	}
	// IPAM plugins learn from the environment whose lease it is.
	restore, err := setenv(map[string]string{
		"CNI_CONTAINERID": s.ContainerID, "CNI_IFNAME": s.IfName, "CNI_NETNS": rec.NetNS,
	})
	defer restore()
	if err != nil {
		return err
	}
	if err := detach(c, s, &skel.CmdArgs{Netns: rec.NetNS, StdinData: args.StdinData}); err != nil {
		return fmt.Errorf("attachment %s of %s: %w", s.IfName, s.ContainerID, err)
	}
	return nil
}

func setenv(vars map[string]string) (restore func(), err error) {
	old := make(map[string]*string)
	restore = func() {
		for k, v := range old {
			if v == nil {
				_ = os.Unsetenv(k)
			} else {
				_ = os.Setenv(k, *v)
			}
		}
	}
	for k, v := range vars {
		if prev, ok := os.LookupEnv(k); ok {
			old[k] = &prev
		} else {
			old[k] = nil
		}
		if err := os.Setenv(k, v); err != nil {
			return restore, err
		}
	}
	return restore, nil
}
