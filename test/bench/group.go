package main

// CPU accounting by control group: every process that is started for a side,
// and what it starts, is in the side's own, so nothing that helps is forgotten.
// Both hierarchies do (cgroups(7)): cpuacct.usage of version 1, cpu.stat of 2.
// In version 2 there is one tree for everything, and an engine is in a group that
// its holder has made there: that one counts as well.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A group is a control group of the benchmark's own.
type group struct {
	root string   // of its hierarchy
	dir  string   // its own
	also []string // other folders of what belongs to the side, where they exist
	read func(dir string) (time.Duration, error)
}

// groupRoots are where the hierarchies are usually mounted, in the order of
// preference.
var groupRoots = []struct {
	root string
	read func(dir string) (time.Duration, error)
}{
	{"/sys/fs/cgroup/cpuacct", readCpuacct},
	{"/sys/fs/cgroup/cpu,cpuacct", readCpuacct},
	{"/sys/fs/cgroup", readCPUStat},
	{"/sys/fs/cgroup/unified", readCPUStat},
}

func newGroup(name string) (*group, error) {
	for _, g := range groupRoots {
		if _, err := os.Stat(filepath.Join(g.root, "cgroup.procs")); err != nil {
			continue
		}
		dir := filepath.Join(g.root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		return &group{root: g.root, dir: dir, read: g.read}, nil
	}
	return nil, errors.New("no control groups, which CPU time is counted by")
}

// count has the group below the hierarchy's root counted as well.
func (g *group) count(path string) { g.also = append(g.also, filepath.Join(g.root, path)) }

// usage returns the CPU time of all processes.
func (g *group) usage() (sum time.Duration, err error) {
	sum, err = g.read(g.dir)
	for _, dir := range g.also {
		if err != nil {
			return 0, err
		}
		var more time.Duration
		if more, err = g.read(dir); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		sum += more
	}
	return sum, err
}

// removeGroups removes the empty groups of a lab whose process was killed.
func removeGroups(lab string) {
	for _, g := range groupRoots {
		dirs, _ := filepath.Glob(filepath.Join(g.root, lab+"-*"))
		for _, dir := range dirs {
			_ = os.Remove(dir)
		}
	}
}

func readCpuacct(dir string) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cpuacct.usage"))
	if err != nil {
		return 0, err
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return time.Duration(ns), err
}

func readCPUStat(dir string) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cpu.stat"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "usage_usec "); ok {
			us, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Duration(us) * time.Microsecond, err
		}
	}
	return 0, fmt.Errorf("%s/cpu.stat has no usage_usec", dir)
}

// command prepares a program that runs in the group.
func (g *group) command(name string, args ...string) *exec.Cmd {
	script := `echo $$ >"$0" && exec "$@"`
	return exec.Command("/bin/sh", append([]string{"-c", script, filepath.Join(g.dir, "cgroup.procs"), name}, args...)...)
}

// processes returns the ids of those in the groups.
func (g *group) processes() (pids []int, err error) {
	for _, dir := range append([]string{g.dir}, g.also...) {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil && (dir == g.dir || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
		for _, f := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

// named returns those whose command line begins with one of the texts, in which
// words end with a zero byte.
func (g *group) named(lines ...string) (pids []int, err error) {
	all, err := g.processes()
	for _, pid := range all {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(string(line), l) }) {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 && err == nil {
		err = fmt.Errorf("no process %q in %s", lines, g.dir)
	}
	return pids, err
}

// remove waits for the last process, which need not be a child of this one.
func (g *group) remove() (err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = os.Remove(g.dir); err == nil {
			return nil
		}
	}
	return err
}
