package main

// OCI hooks (runtime-spec, config.md, "POSIX-platform Hooks") of containers
// whose network namespace is filled only while they are being created. docker
// up to 27 does that by a prestart hook of its own, nerdctl by a createRuntime
// hook; the wrapper's comes behind them and before the runtime installs the
// filter. A network that comes later still is in late.go.

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
	hookAwait  = "await"  // be the process between create and start
)

func hookCommand() *cobra.Command {
	var network string
	var late bool
	cmd := &cobra.Command{
		Use:       "hook check|attach|detach|await",
		Short:     "Be a hook of a container (used by runc)",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{hookCheck, hookAttach, hookDetach, hookAwait},
		RunE: func(cmd *cobra.Command, args []string) error {
			state := new(specs.State)
			if err := json.NewDecoder(io.LimitReader(cmd.InOrStdin(), maxConfig)).Decode(state); err != nil {
				return fmt.Errorf("hook: container state: %w", err)
			}
			err := hook(args[0], network, late, state)
			if err != nil {
				err = fmt.Errorf("container %q: %w", state.ID, err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&network, "network", "{}", "more of the attachment's configuration, JSON")
	cmd.Flags().BoolVar(&late, "late", false, "the network may come between create and start")
	return cmd
}

func hook(what, network string, late bool, state *specs.State) error {
	stateDir, err := plugin.StateDir()
	if err != nil {
		return err
	}
	place := placeOf(stateDir, state.ID)
	switch what {
	case hookCheck:
		_, err := plugin.FindByNetNS(stateDir, netNSOf(state))
		return err
	case hookDetach:
		err := place.remove()
		if _, recErr := plugin.SandboxAt(stateDir, state.ID, hookIfName).Record(); errors.Is(recErr, os.ErrNotExist) {
			return err // nothing was attached
		}
		return errors.Join(err, callSelf("DEL", network, state.ID, "", nil))
	case hookAwait:
		return newWaiter(stateDir, network, state).wait(os.Stdout)
	}
	s, err := attach(stateDir, network, state)
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)) && late:
		return awaitStart(place, network, state)
	case err != nil:
		return err
	}
	to, err := s.Listener()
	if err != nil {
		return err
	}
	return place.lead(to)
}

// netNSOf names the container's network namespace.
func netNSOf(state *specs.State) string { return fmt.Sprintf("/proc/%d/ns/net", state.Pid) }

// attach returns the sandbox of the container's network namespace, and makes it
// when there is none.
func attach(stateDir, network string, state *specs.State) (plugin.Sandbox, error) {
	netNS := netNSOf(state)
	s, err := plugin.FindByNetNS(stateDir, netNS)
	if !errors.Is(err, plugin.ErrNoSandbox) {
		return s, err
	}
	prev, err := resultOf(netNS)
	if err != nil {
		return s, err
	}
	return plugin.SandboxAt(stateDir, state.ID, hookIfName), callSelf("ADD", network, state.ID, netNS, prev)
}

// resultOf describes the interface as the plugin that made it would have, had it
// been one.
func resultOf(netNS string) (*current.Result, error) {
	at := 0
	r := &current.Result{CNIVersion: "1.0.0"}
	err := hostlink.InNetNS(netNS, func() error {
		dev, err := netlink.LinkByName(hookIfName)
		if err != nil {
			return fmt.Errorf("its network has made no %s: %w: accepted: a network that makes one before the container is started", hookIfName, err)
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
// it is, and its end take that back. late is for containers whose start is
// another command.
func (b *bundle) addHooks(set *settings, late bool) error {
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
		return specs.Hook{Path: self, Args: []string{"tcpcni", "hook", what, "--network", string(network), fmt.Sprintf("--late=%t", late)},
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
