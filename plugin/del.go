package plugin

import (
	"errors"
	"fmt"
	"os"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

// Verbs of IPAM plugins without a result.
var (
	delegateDel    = invoke.DelegateDel
	delegateCheck  = invoke.DelegateCheck
	delegateStatus = invoke.DelegateStatus
	delegateGC     = invoke.DelegateGC
)

// cmdDel takes an attachment back. It may be called again, for an attachment
// that never was, and after the engine, the namespace or the record is gone:
// CNI specification 1.1.0, section 2, "DEL".
func cmdDel(args *skel.CmdArgs) error {
	c, s, err := prepareVerb(args)
	if err != nil {
		return err
	}
	lock, err := s.lock()
	if err != nil {
		return err
	}
	if err := detach(c, s, args); err != nil {
		return errors.Join(err, lock.Unlock())
	}
	return lock.Remove()
}

// detach goes through every step whatever becomes of the others. The record
// stays when a step failed, for the next try. The caller holds the lock.
func detach(c *Config, s Sandbox, args *skel.CmdArgs) error {
	rec := recordOrGuess(c, s, args)
	_, missing := os.Stat(s.Dir)
	err := errors.Join(
		s.stopEngine(),
		deleteInner(rec),
		hostlink.DeleteTAP(rec.Device, ""), // the host's routes go with it
	)
	if c.IPMasq || rec.IPMasq { // the configuration may have changed since ADD
		err = errors.Join(err, tearDownMasq(c.Name, s, rec.Addrs))
	}
	// The addresses are free for others only now that nothing answers for them.
	// An ADD that found no IPAM plugin got none: no later DEL may fail for that.
	if findIPAM(c) == nil || missing == nil {
		err = errors.Join(err, ipamDo(delegateDel, c, args.StdinData))
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(s.Dir)
}

// recordOrGuess returns the attachment's record, or what can be known without
// one.
func recordOrGuess(c *Config, s Sandbox, args *skel.CmdArgs) *Record {
	if rec, err := s.Record(); err == nil {
		// Without a path now, the one of ADD may name something else by now.
		rec.NetNS = args.Netns
		return rec
	}
	rec := &Record{
		Network: c.Name, ContainerID: s.ContainerID, IfName: s.IfName, NetNS: args.Netns,
		Uplink: c.Uplink, Bridge: c.Bridge, Device: uplinkName(s.ContainerID, s.IfName),
	}
	if prev, err := previous(c); err == nil {
		for _, ip := range prev.IPs {
			if a, err := prefix(ip.Address); err == nil {
				rec.Addrs = append(rec.Addrs, a)
			}
		}
	}
	return rec
}

// deleteInner removes the sandbox's interface. A namespace that is gone took it
// along; so did one whose file is no namespace any more, and the host's own is
// not the sandbox's.
func deleteInner(rec *Record) error {
	if rec.NetNS == "" {
		return nil
	}
	same, err := hostlink.SameNetNS(rec.NetNS, "")
	if err != nil || same || !process.IsNetNS(rec.NetNS) {
		return nil //nolint:nilerr // there is no such namespace
	}
	err = hostlink.DeleteTAP(rec.IfName, rec.NetNS)
	if errors.Is(err, hostlink.ErrNameTaken) {
		return nil // not what ADD made
	}
	return err
}

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
	return errors.Join(err, ipamDo(delegateGC, c, args.StdinData))
}

// collect runs DEL for an attachment of the network that nobody knows any more.
func collect(c *Config, s Sandbox, args *skel.CmdArgs) error {
	lock, err := s.lock()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }()
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
	return lock.Remove()
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
