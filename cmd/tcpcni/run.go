package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/containernetworking/cni/libcni"
	current "github.com/containernetworking/cni/pkg/types/100"
	cniutils "github.com/containernetworking/cni/pkg/utils"
	"github.com/spf13/cobra"

	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

// runOptions are the flags of `run`.
type runOptions struct {
	name, conf, ifname string
	edits              edits
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] [--] PROGRAM [ARGS...]",
		Short: "Run a program in a sandbox of its own",
		Long: `Run a program in a sandbox of its own: a network namespace attached by CNI,
whose socket calls a user-space TCP/IP stack executes. The network namespace
that this command is called in is the sandbox's host. Nothing but the network is
kept apart: the program sees the host's files and processes. The sandbox goes when the
program ends; the exit status is the program's, 128 and the signal's number when
a signal ended it, 125 when tcpcni failed, 126 when the program cannot be
executed, 127 when there is none.`,
		Args:        needProgram(0),
		Annotations: map[string]string{runsProgram: "yes"},
		RunE: func(_ *cobra.Command, args []string) error {
			return run(&o, args)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows PROGRAM is the program's
	f.StringVar(&o.name, "name", "", "name of the sandbox (default the first free one of s1, s2, ...)")
	f.StringVar(&o.conf, "conf", "", "CNI network configuration list (default: a built-in point-to-point network)")
	f.StringVar(&o.ifname, "ifname", "eth0", "name of the interface in the sandbox")
	f.StringVar(&o.edits.profile, "profile", "", "system whose socket behaviour the sandbox has (default the configuration's, linux)")
	f.StringArrayVar(&o.edits.set, "set", nil, "set a tunable, as TUNABLE=VALUE; may be repeated")
	f.StringVar(&o.edits.pcap, "pcap", "", "write every frame of the uplink to this file")
	f.StringVar(&o.edits.impair, "impair", "", "impair the uplink, as in seed=1,loss=0.02,reorder=0.02,duplicate=0.01,delay=5ms")
	f.StringVar(&o.edits.shards, "shards", "", "loops that share the work of TCP connections, 1 to 64 (default the configuration's, 1)")
	return cmd
}

// needProgram asks for a PROGRAM behind skip other arguments.
func needProgram(skip int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= skip || args[skip] == "" {
			return fmt.Errorf("PROGRAM: missing: accepted: tcpcni %s", cmd.Use)
		}
		return nil
	}
}

func run(o *runOptions, argv []string) error {
	if err := needRoot("run"); err != nil {
		return err
	}
	stateDir, err := plugin.StateDir()
	if err != nil {
		return err
	}
	if o.name != "" {
		if err := checkName("--name", o.name); err != nil {
			return err
		}
	}
	if err := cniutils.ValidateInterfaceName(o.ifname); err != nil {
		return fmt.Errorf("--ifname: %q: %s: accepted: an interface name of 1 to 15 bytes without '/', ':' and white space", o.ifname, err.Details)
	}
	list, err := loadConflist(o.conf, stateDir, &o.edits)
	if err != nil {
		return err
	}
	if err := findPlugins(list, pluginDirs()); err != nil {
		return confError(o.conf, err)
	}
	if err := checkStandard(0, 1, 2); err != nil {
		return err
	}
	program, err := lookProgram(argv[0])
	if err != nil {
		return err
	}
	signals := catchSignals()
	collectDead(stateDir)
	d, err := claim(stateDir, o.name)
	if err != nil {
		return err
	}
	code, err := d.run(o.ifname, list, program, argv, signals)
	if cerr := d.collect(); cerr != nil {
		slog.Error("the sandbox could not be removed; the next run tries again", "name", d.name, "error", cerr)
		_ = d.lock.Unlock()
	} else {
		_ = d.lock.Remove()
	}
	if err != nil {
		return err
	}
	if code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// run makes the sandbox, runs the program in it and returns its exit code. What
// it made, collect takes back.
func (d *runDir) run(ifname string, list *libcni.NetworkConfigList, program string, argv []string, signals *signalRelay) (int, error) {
	netNS, id, err := process.NewNetNS()
	if err != nil {
		return 0, err
	}
	// Open until the sandbox is gone: it keeps the namespace.
	defer func() { _ = netNS.Close() }()
	home, err := process.NetNSOf(currentNetNS)
	if err != nil {
		return 0, err
	}
	st := &runState{Name: d.name, IfName: ifname, Host: home, NetNS: id, Argv: argv}
	r, err := d.add(st, list, netNS)
	if err != nil {
		return 0, err
	}
	rec, err := d.sandbox(ifname).Record()
	if err != nil {
		return 0, err
	}
	device := rec.Device
	if rec.Bridge != "" {
		device = rec.Bridge
	}
	resolv, stopRelay, err := d.setUpResolv(r, device)
	if err != nil {
		return 0, err
	}
	defer stopRelay()
	if sig := signals.pending(); sig != 0 {
		return exitSignalled + int(sig), nil
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	c, err := launch(launchSpec{Program: program, Argv: argv, Dir: dir, Resolv: resolv}, netNS, nil, d.sandbox(ifname).ControlPath(), func(id process.ID) {
		// Whoever the program tells that it runs may come by name at once.
		st.Program, st.MountNS = id, resolv != ""
		if err := d.writeState(st); err != nil {
			slog.Error("the sandbox cannot be found by its name", "name", d.name, "error", err)
		}
	})
	if err != nil {
		// A terminal's signal ends the shim, too.
		if sig := signals.pending(); sig != 0 {
			return exitSignalled + int(sig), nil
		}
		return 0, err
	}
	return superviseProgram(c, signals)
}

// superviseProgram passes signals on until the program ends.
func superviseProgram(c *child, signals *signalRelay) (int, error) {
	done := make(chan struct{})
	go signals.to(c.cmd.Process, done)
	code, err := c.wait()
	close(done)
	return code, err
}

// addPatience bounds an ADD of all plugins of the list.
const addPatience = time.Minute

// add attaches the sandbox. Everything that DEL needs is on disk before.
func (d *runDir) add(st *runState, list *libcni.NetworkConfigList, netNS *os.File) (*current.Result, error) {
	// Not a bind mount, which a killed run would leave behind, and which nobody
	// in another mount namespace, as `ip netns exec` makes one, would see.
	link := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), netNS.Fd())
	err := errors.Join(
		os.Symlink(link, d.path(netnsFile)),
		process.WriteFile(d.path(conflistFile), list.Bytes, 0o600),
		d.writeState(st),
	)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), addPatience)
	defer cancel()
	res, err := d.cni().AddNetworkList(ctx, list, d.runtimeConf(st.IfName))
	if err != nil {
		return nil, fmt.Errorf("attach the sandbox to network %q: %w", list.Name, err)
	}
	return current.NewResultFromResult(res)
}
