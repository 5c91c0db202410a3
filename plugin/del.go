package plugin

import (
	"errors"
	"os"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
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
	return errors.Join(detach(c, s, args), s.unlock(lock))
}

// detach goes through every step whatever becomes of the others. The record
// stays when a step failed, for the next try. The caller holds the lock.
func detach(c *Config, s Sandbox, args *skel.CmdArgs) error {
	rec := recordOrGuess(c, s, args)
	_, missing := os.Stat(s.Dir)
	err := failed(ErrEngine, "the engine of the attachment", errors.Join(s.stopStarting(), s.stopEngine()))
	if c.leases() && (findIPAM(c) == nil || missing == nil) {
		err = errors.Join(err, giveBackLease(c, s, rec, args))
	}
	err = errors.Join(err,
		failed(ErrDevice, "the devices of the attachment", errors.Join(
			deleteInner(rec),
			giveBack(s, rec),
			hostlink.DeleteTAP(rec.Device, ""), // the host's routes go with it
		)))
	if c.IPMasq || rec.IPMasq { // the configuration may have changed since ADD
		err = errors.Join(err, failed(ErrDevice, "the masquerading of the attachment", tearDownMasq(rec.MasqBackend, c.Name, s, rec.Addrs)))
	}
	// The addresses are free for others only now that nothing answers for them.
	// An ADD that found no IPAM plugin got none: no later DEL may fail for that.
	if c.IPAMType != "" && !c.leases() && (findIPAM(c) == nil || missing == nil) {
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
		if rec.Uplink == UplinkChained {
			rec.Moved = guessMoved(prev, rec.IfName, rec.NetNS)
		}
	}
	return rec
}

// deleteInner removes the sandbox's interface. A namespace that is gone took it
// along; so did one whose file is no namespace any more, and the host's own is
// not the sandbox's. A path such as /proc/PID/ns/net may have come to name the
// namespace of another attachment.
func deleteInner(rec *Record) error {
	if !sandboxThere(rec.NetNS) {
		return nil
	}
	others := false
	err := hostlink.InNetNS(rec.NetNS, func() error {
		dev, err := netlink.LinkByName(rec.IfName)
		others = err == nil && aliasOfAnother(dev.Attrs().Alias, rec.ContainerID)
		return nil
	})
	if err != nil || others {
		return err
	}
	err = hostlink.DeleteTAP(rec.IfName, rec.NetNS)
	if errors.Is(err, hostlink.ErrNameTaken) {
		return nil // not what ADD made
	}
	return err
}
