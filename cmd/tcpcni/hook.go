package main

// OCI hooks (runtime-spec, config.md, "POSIX-platform Hooks") of containers
// whose network namespace is filled only while they are being created. docker
// does that by a prestart hook of its own, nerdctl by a createRuntime hook; the
// wrapper's comes behind them and before the runtime installs the filter.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/plugin"
)

// hookIfName is the interface that an engine is put behind.
const hookIfName = "eth0"

// The hook's commands.
const (
	hookCheck  = "check"  // there has to be a sandbox
	hookAttach = "attach" // make one unless there is one
	hookDetach = "detach" // take back what attach made
)

func hookCommand() *cobra.Command {
	var network string
	cmd := &cobra.Command{
		Use:       "hook check|attach|detach",
		Short:     "Be a hook of a container (used by runc)",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{hookCheck, hookAttach, hookDetach},
		RunE: func(cmd *cobra.Command, args []string) error {
			state := new(specs.State)
			if err := json.NewDecoder(io.LimitReader(cmd.InOrStdin(), maxConfig)).Decode(state); err != nil {
				return fmt.Errorf("hook: container state: %w", err)
			}
			err := hook(args[0], network, state)
			if err != nil {
				err = fmt.Errorf("container %q: %w", state.ID, err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&network, "network", "{}", "more of the attachment's configuration, JSON")
	return cmd
}

func hook(what, network string, state *specs.State) error {
	stateDir, err := plugin.StateDir()
	if err != nil {
		return err
	}
	if what == hookDetach {
		if _, err := plugin.SandboxAt(stateDir, state.ID, hookIfName).Record(); errors.Is(err, os.ErrNotExist) {
			return nil // nothing was attached
		}
		return callSelf("DEL", network, state.ID, "", nil)
	}
	netNS := fmt.Sprintf("/proc/%d/ns/net", state.Pid)
	_, err = plugin.FindByNetNS(stateDir, netNS)
	if what == hookCheck || !errors.Is(err, plugin.ErrNoSandbox) {
		return err
	}
	prev, err := resultOf(netNS)
	if err != nil {
		return err
	}
	return callSelf("ADD", network, state.ID, netNS, prev)
}

// resultOf describes the interface as the plugin that made it would have, had it
// been one.
func resultOf(netNS string) (*current.Result, error) {
	at := 0
	r := &current.Result{CNIVersion: "1.0.0"}
	err := hostlink.InNetNS(netNS, func() error {
		dev, err := netlink.LinkByName(hookIfName)
		if err != nil {
			return fmt.Errorf("its network has made no %s yet: %w: accepted: a network that is there when a createRuntime hook runs", hookIfName, err)
		}
		r.Interfaces = []*current.Interface{{Name: hookIfName, Mac: dev.Attrs().HardwareAddr.String(), Mtu: dev.Attrs().MTU, Sandbox: netNS}}
		addrs, err := netlink.AddrList(dev, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if !a.IP.IsLinkLocalUnicast() {
				r.IPs = append(r.IPs, &current.IPConfig{Interface: &at, Address: net.IPNet{IP: a.IP, Mask: a.Mask}})
			}
		}
		return nil
	})
	return r, err
}

// callSelf runs the plugin with "uplink":"chained".
func callSelf(verb, network, id, netNS string, prev *current.Result) error {
	conf := map[string]any{}
	if err := json.Unmarshal([]byte(network), &conf); err != nil {
		return fmt.Errorf("--network: %w", err)
	}
	conf["cniVersion"], conf["name"], conf["type"], conf["uplink"] = "1.0.0", "tcpcni-runc", "tcpcni", "chained"
	if prev != nil {
		conf["prevResult"] = prev
	}
	in, err := json.Marshal(conf)
	if err != nil {
		return err
	}
	out := new(bytes.Buffer)
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"tcpcni"}, Dir: "/",
		Env: append(os.Environ(), "CNI_COMMAND="+verb, "CNI_CONTAINERID="+id, "CNI_NETNS="+netNS,
			"CNI_IFNAME="+hookIfName, "CNI_PATH=/opt/cni/bin"),
		Stdin: bytes.NewReader(in), Stdout: out, Stderr: os.Stderr,
	}
	if err := cmd.Run(); err != nil {
		e := new(types.Error)
		if json.Unmarshal(out.Bytes(), e) == nil && e.Msg != "" {
			err = e
		}
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

// addHooks makes the container's creation attach it, or at least look whether
// it is, and its end take that back.
func (b *bundle) addHooks(set *settings) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	network, err := json.Marshal(set.Network)
	if err != nil {
		return err
	}
	if set.Network == nil {
		network = []byte("{}")
	}
	entry := func(what string) specs.Hook {
		return specs.Hook{Path: self, Args: []string{"tcpcni", "hook", what, "--network", string(network)},
			Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", plugin.StateEnv + "=" + set.StateDir}}
	}
	hooks := object{}
	if err := b.config.field("hooks", &hooks); err != nil {
		return err
	}
	if hooks == nil { // null
		hooks = object{}
	}
	first, last := hookCheck, ""
	if set.Attach {
		first, last = hookAttach, hookDetach
	}
	for kind, what := range map[string]string{"createRuntime": first, "poststop": last} {
		var list []specs.Hook
		if err := hooks.field(kind, &list); err != nil {
			return err
		}
		// Those of an earlier creation from this bundle.
		list = slices.DeleteFunc(list, func(h specs.Hook) bool { return len(h.Args) > 1 && h.Args[0] == "tcpcni" && h.Args[1] == "hook" })
		if what != "" {
			list = append(list, entry(what))
		}
		if len(list) == 0 {
			delete(hooks, kind)
			continue
		}
		if err := hooks.set(kind, list); err != nil {
			return err
		}
	}
	return b.config.set("hooks", hooks)
}
