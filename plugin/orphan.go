package plugin

// What is left without a record: of an ADD that was killed before it wrote one,
// or of a state directory that was lost.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/cgroup"
	"github.com/tcpcni/tcpcni/hostlink/process"
)

// collectOrphans takes away directories, namespaces, locks, processes and devices
// that belong to no attachment. Each kind is listed before the records are read,
// and an ADD writes its record first of all: what an ADD under way makes has one.
func collectOrphans(stateDir, network string) error {
	procs, err := engineProcesses(stateDir)
	if err != nil {
		return err
	}
	devices, err := uplinkDevices()
	if err != nil {
		return err
	}
	return errors.Join(
		collectDirs(stateDir),
		collectProcesses(procs),
		collectGroups(stateDir),
		collectDevices(devices, stateDir, network),
		collectLocks(stateDir),
	)
}

// collectDirs removes directories without a record, with the namespace that is
// bound there. One that a verb works on is left to it.
func collectDirs(stateDir string) error {
	dirs, err := os.ReadDir(filepath.Join(stateDir, sandboxesDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, d := range dirs {
		s := Sandbox{Dir: filepath.Join(stateDir, sandboxesDir, d.Name())}
		if !d.IsDir() {
			continue
		}
		err = errors.Join(err, s.removeUnrecorded())
	}
	return err
}

func (s Sandbox) removeUnrecorded() error {
	lock, err := process.TryLock(s.lockPath())
	if err != nil {
		return nil //nolint:nilerr // somebody is at it
	}
	defer func() { _ = s.unlock(lock) }()
	if _, err := s.Record(); !errors.Is(err, os.ErrNotExist) {
		return nil //nolint:nilerr // one that cannot be read is for a person to look at
	}
	err = errors.Join(s.stopStarting(), s.stopEngine(), hostlink.DeleteNetNS(s.netNSPath()))
	if err != nil {
		return err
	}
	return os.RemoveAll(s.Dir)
}

// collectLocks removes locks that a killed verb left: those that nobody holds, of
// attachments that are not there.
func collectLocks(stateDir string) error {
	for _, at := range []string{filepath.Join(stateDir, sandboxesDir, ".*.lock"), filepath.Join(stateDir, locksDir, "*")} {
		files, err := filepath.Glob(at)
		if err != nil {
			return err
		}
		for _, f := range files {
			owner := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "."), ".lock")
			if _, err := os.Stat(filepath.Join(stateDir, sandboxesDir, owner)); err == nil {
				continue
			}
			if lock, err := process.TryLock(f); err == nil {
				_ = lock.Remove()
			}
		}
	}
	return nil
}

// An engineProcess is a process that says that it serves a directory.
type engineProcess struct {
	id  process.ID
	dir string
}

// engineProcesses lists the engines and their holders of the state directory.
func engineProcesses(stateDir string) ([]engineProcess, error) {
	running, err := process.WithArgument("--config")
	if err != nil {
		return nil, err
	}
	var list []engineProcess
	for id, config := range running {
		dir := filepath.Dir(config)
		if filepath.Base(config) == configFile && filepath.Dir(dir) == filepath.Join(stateDir, sandboxesDir) {
			list = append(list, engineProcess{id, dir})
		}
	}
	return list, nil
}

// stopStarting ends an engine whose ADD was killed before it wrote down which
// process it had started. It would notice by itself, but may open devices until
// then, and so make again what is being deleted.
func (s Sandbox) stopStarting() error {
	if _, err := s.Engine(); err == nil {
		return nil
	}
	procs, err := engineProcesses(s.stateDir())
	for _, p := range procs {
		if p.dir == s.Dir {
			err = errors.Join(err, process.Stop(p.id, termPatience))
		}
	}
	return err
}

// collectProcesses ends those whose directory is gone.
func collectProcesses(procs []engineProcess) (err error) {
	for _, p := range procs {
		if _, serr := os.Stat(p.dir); errors.Is(serr, os.ErrNotExist) {
			err = errors.Join(err, process.Stop(p.id, termPatience))
		}
	}
	return err
}

// collectGroups removes control groups whose directory is gone: of an ADD that was
// killed while the holder started, so that DEL came before the group.
func collectGroups(stateDir string) (err error) {
	for _, dir := range cgroup.Orphans(filepath.Join(stateDir, sandboxesDir)) {
		err = errors.Join(err, cgroup.Remove(dir))
	}
	return err
}

// uplinkPattern is what uplinkName makes.
var uplinkPattern = regexp.MustCompile(`^tcp[0-9a-f]{12}$`)

// uplinkDevices lists the TAPs of the host that have the name of an uplink.
func uplinkDevices() ([]netlink.Link, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	var list []netlink.Link
	for _, l := range all {
		if l.Type() == "tuntap" && uplinkPattern.MatchString(l.Attrs().Name) {
			list = append(list, l)
		}
	}
	return list, nil
}

// Aliases of this plugin begin with aliasName and have room for aliasRoom bytes.
const (
	aliasName = "tcpcni"
	aliasRoom = 255
)

// aliasOf marks a TAP with whose it is.
func aliasOf(stateDir string, rec *Record) string {
	alias := aliasPrefix(stateDir, rec.Network) + " " + rec.ContainerID
	return alias[:min(len(alias), aliasRoom)]
}

// aliasOfAnother reports whether an alias is that of another container's
// attachment, of whatever network.
func aliasOfAnother(alias, containerID string) bool {
	f := strings.Fields(alias)
	if len(f) != 3 || f[0] != aliasName {
		return false
	}
	cut := len(alias) == aliasRoom && strings.HasPrefix(containerID, f[2])
	return f[2] != containerID && !cut
}

func aliasPrefix(stateDir, network string) string {
	return aliasName + " " + digest(stateDir, network)[:16]
}

// collectDevices removes uplinks of the network without a record. One without an
// alias was made by an ADD that was killed in that instant: nobody is attached to
// it.
func collectDevices(devices []netlink.Link, stateDir, network string) error {
	owned := make(map[string]bool)
	all, err := Sandboxes(stateDir)
	if err != nil {
		return err
	}
	for _, s := range all {
		if rec, err := s.Record(); err == nil {
			owned[rec.Device] = true
		}
	}
	for _, d := range devices {
		a := d.Attrs()
		mine := strings.HasPrefix(a.Alias, aliasPrefix(stateDir, network)+" ") || a.Alias == "" && a.OperState != netlink.OperUp
		if owned[a.Name] || !mine {
			continue
		}
		if derr := hostlink.DeleteTAP(a.Name, ""); derr != nil {
			err = errors.Join(err, fmt.Errorf("orphan: %w", derr))
		}
	}
	return err
}
