package plugin

// STATUS: CNI specification 1.1.0, section 2, "STATUS". Code 50 says that an ADD
// cannot work; 51 that, besides, containers that are attached may be cut off.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink/process"
)

// cmdStatus reports whether an ADD can work.
func cmdStatus(args *skel.CmdArgs) error {
	c, _, err := prepareVerb(args)
	if err != nil {
		return err
	}
	dir, err := StateDir()
	if err != nil {
		return types.NewError(types.ErrInvalidEnvironmentVariables, err.Error(), "")
	}
	cut := limited(c, dir)
	unable := errors.Join(canMakeTAPs(), canWrite(dir), canBridge(c), canMasquerade(c), canAskIPAM(c))
	switch {
	case cut != nil:
		return types.NewError(types.ErrLimitedConnectivity, "containers of the network may be cut off", errors.Join(cut, unable).Error())
	case unable != nil:
		return types.NewError(types.ErrPluginNotAvailable, "containers cannot be attached", unable.Error())
	case c.IPAMType == "":
		return nil
	}
	return ipamDo(delegateStatus, c, args.StdinData)
}

func canMakeTAPs() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("no TAP devices can be made: %w", err)
	}
	return f.Close()
}

// canWrite tries the state directory as every ADD does.
func canWrite(dir string) error {
	at := filepath.Join(dir, locksDir)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	probe := filepath.Join(at, fmt.Sprintf("status-%d", os.Getpid()))
	if err := process.WriteFile(probe, nil, 0o600); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	return os.Remove(probe)
}

// canBridge looks whether the bridge's name is free or a bridge's.
func canBridge(c *Config) error {
	if c.Uplink != UplinkBridge {
		return nil
	}
	dev, err := netlink.LinkByName(c.Bridge)
	if err == nil && dev.Type() != "bridge" {
		return fmt.Errorf("bridge %q: an interface of type %s", c.Bridge, dev.Type())
	}
	return nil
}

func canMasquerade(c *Config) error {
	if !c.IPMasq {
		return nil
	}
	_, err := masqBackend(c)
	return err
}

func canAskIPAM(c *Config) error {
	if c.IPAMType == "" {
		return nil
	}
	return findIPAM(c)
}

// limited looks for what cuts attached containers of the network off although
// their own engines work.
func limited(c *Config, stateDir string) error {
	all, err := Sandboxes(stateDir)
	if err != nil {
		return nil //nolint:nilerr // canWrite reports it
	}
	uses := make(map[string]bool) // "v4", "v6", "bridge NAME"
	for _, s := range all {
		rec, err := s.Record()
		if err != nil || rec.Network != c.Name || rec.Uplink == UplinkChained {
			continue
		}
		if rec.Uplink == UplinkBridge {
			uses["bridge "+rec.Bridge] = true
			if !c.IsGateway {
				continue
			}
		}
		for _, a := range rec.Addrs {
			if a.Addr().Is4() {
				uses["net/ipv4/ip_forward"] = true
			} else {
				uses["net/ipv6/conf/all/forwarding"] = true
			}
		}
	}
	for what := range uses {
		if bridge, ok := strings.CutPrefix(what, "bridge "); ok {
			if _, lerr := upLink(bridge); lerr != nil {
				err = errors.Join(err, lerr)
			}
			continue
		}
		b, rerr := os.ReadFile(filepath.Join("/proc/sys", what))
		if rerr == nil && strings.TrimSpace(string(b)) == "0" {
			err = errors.Join(err, fmt.Errorf("%s is 0: packets of attached containers are not passed on", strings.ReplaceAll(what, "/", ".")))
		}
	}
	return err
}
