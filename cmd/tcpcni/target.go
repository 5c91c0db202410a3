package main

// Sandboxes by name, whoever made them: `run` or a container runtime.

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

// A target is an attachment; one made by `run` has a program.
type target struct {
	name    string
	sandbox plugin.Sandbox
	rec     *plugin.Record
	run     *runState // nil when a container runtime made it
}

// allTargets lists the sandboxes of the state directory by name.
func allTargets(stateDir string) ([]target, error) {
	list, err := plugin.Sandboxes(stateDir)
	if err != nil {
		return nil, err
	}
	var targets []target
	for _, s := range list {
		rec, err := s.Record()
		if err != nil {
			continue // DEL was faster
		}
		t := target{name: s.ContainerID, sandbox: s, rec: rec}
		d := runDir{stateDir: stateDir, name: s.ContainerID}
		if st, err := d.readState(); err == nil && st.IfName == s.IfName {
			t.run = st
		}
		targets = append(targets, t)
	}
	sort.Slice(targets, func(i, j int) bool {
		a, b := targets[i], targets[j]
		if a.name != b.name {
			return a.name < b.name
		}
		return a.rec.IfName < b.rec.IfName
	})
	return targets, nil
}

// named keeps the targets of one name. None is an error that lists those there
// are.
func named(all []target, name string) ([]target, error) {
	var found []target
	var known []string
	for _, t := range all {
		if t.name == name {
			found = append(found, t)
		}
		known = append(known, t.name)
	}
	if len(found) > 0 {
		return found, nil
	}
	accepted := "none runs"
	if len(known) > 0 {
		accepted = strings.Join(slices.Compact(known), ", ")
	}
	return nil, fmt.Errorf("NAME: %q: no such sandbox: accepted: %s", name, accepted)
}

// findTarget finds the sandbox for a program to join.
func findTarget(stateDir, name, ifname string) (*target, error) {
	all, err := allTargets(stateDir)
	if err != nil {
		return nil, err
	}
	found, err := named(all, name)
	if err != nil {
		return nil, err
	}
	var ifnames []string
	for i, t := range found {
		if t.rec.IfName == ifname || ifname == "" && len(found) == 1 {
			return &found[i], nil
		}
		ifnames = append(ifnames, t.rec.IfName)
	}
	return nil, fmt.Errorf("--ifname: %q: accepted: %s", ifname, strings.Join(ifnames, ", "))
}

// open opens the namespaces that a program joins. The mount namespace is nil
// when the sandbox has none of its own.
func (t *target) open() (netNS, mountNS *os.File, err error) {
	if t.run == nil {
		if !process.IsNetNS(t.rec.NetNS) {
			return nil, nil, fmt.Errorf("sandbox %q: its network namespace %q is gone", t.name, t.rec.NetNS)
		}
		netNS, err = os.Open(t.rec.NetNS)
		return netNS, nil, err
	}
	if t.run.Program == (process.ID{}) {
		return nil, nil, fmt.Errorf("sandbox %q: its program has not started yet", t.name)
	}
	dir := fmt.Sprintf("/proc/%d/ns/", t.run.Program.PID)
	if netNS, err = os.Open(dir + "net"); err != nil {
		return nil, nil, fmt.Errorf("sandbox %q: its program has ended", t.name)
	}
	if t.run.MountNS {
		if mountNS, err = os.Open(dir + "mnt"); err != nil {
			_ = netNS.Close()
			return nil, nil, fmt.Errorf("sandbox %q: its program has ended", t.name)
		}
	}
	// Alive after the files were opened, so they are that process's.
	if !t.run.Program.Alive() {
		closeAll(netNS)
		if mountNS != nil {
			closeAll(mountNS)
		}
		return nil, nil, fmt.Errorf("sandbox %q: its program has ended", t.name)
	}
	return netNS, mountNS, nil
}

// netNSID is the namespace's identity, the zero one when it is gone.
func (t *target) netNSID() process.NetNS {
	if t.run != nil {
		return t.run.NetNS
	}
	if !process.IsNetNS(t.rec.NetNS) {
		return process.NetNS{}
	}
	id, _ := process.NetNSOf(t.rec.NetNS)
	return id
}

// withEngine has f talk to the engine of the named sandbox. Errors of the two name
// the sandbox.
func withEngine(name, ifname string, f func(*engine.Client) error) error {
	stateDir, err := plugin.StateDir()
	if err != nil {
		return err
	}
	t, err := findTarget(stateDir, name, ifname)
	if err != nil {
		return err
	}
	c, err := engine.Dial(t.sandbox.ControlPath())
	if err == nil {
		defer func() { _ = c.Close() }()
		err = f(c)
	}
	if err != nil {
		return fmt.Errorf("sandbox %q: %w", name, err)
	}
	return nil
}
