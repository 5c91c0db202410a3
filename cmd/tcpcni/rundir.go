package main

// What a `run` leaves on disk while it runs: $TCPCNI_STATE/run/NAME/.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/process"
	"github.com/tcpcni/tcpcni/plugin"
)

// A runDir is the place of one run, held under its lock: whoever holds the lock
// of a directory that exists owns it, and when its owner died, that is whoever
// comes next.
type runDir struct {
	stateDir string
	name     string
	lock     *process.FileLock
}

// Files of a run.
const (
	stateFile    = "state.json"       // runState
	conflistFile = "network.conflist" // as ADD got it, for DEL
	netnsFile    = "netns"            // symbolic link to the network namespace, while it lives
	resolvFile   = "resolv.conf"      // of the program, when the host's would not work
	cacheDir     = "cni"              // libcni's
)

// A runState is what other commands need to know of a run.
type runState struct {
	Name    string        `json:"name"`
	IfName  string        `json:"ifname"`
	Host    process.NetNS `json:"host"`    // the namespace that the run was called in
	NetNS   process.NetNS `json:"netns"`   // the sandbox's
	Program process.ID    `json:"program"` // zero before the program has started
	Argv    []string      `json:"argv"`
	MountNS bool          `json:"mountns"` // the program has a mount namespace of its own
}

func (d *runDir) path(file string) string {
	return filepath.Join(d.stateDir, "run", d.name, file)
}

func (d *runDir) sandbox(ifname string) plugin.Sandbox {
	return plugin.SandboxAt(d.stateDir, d.name, ifname)
}

// names accepts what CNI accepts as a container ID, at a length that leaves the
// control socket's path within its bound.
var names = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,47}$`)

func checkName(flag, name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("%s: %q: accepted: 1 to 48 letters, digits, '_', '.' and '-', the first a letter or digit", flag, name)
	}
	return nil
}

// claim takes the name for a new run; "" takes the first free one of s1, s2, ….
func claim(stateDir, name string) (*runDir, error) {
	if err := os.MkdirAll(filepath.Join(stateDir, "run"), 0o755); err != nil {
		return nil, err
	}
	if name != "" {
		return claimNamed(stateDir, name)
	}
	const most = 1 << 16
	for i := 1; i <= most; i++ {
		d, err := tryClaim(stateDir, fmt.Sprintf("s%d", i))
		if !errors.Is(err, process.ErrLocked) && !errors.Is(err, errLeft) {
			return d, err
		}
	}
	return nil, fmt.Errorf("--name: no free name among s1 to s%d", most)
}

// claimPatience bounds the wait for a name whose program has ended, or that
// another command is just collecting.
const claimPatience = 10 * time.Second

// claimNamed takes one name, or says at once that a program has it.
func claimNamed(stateDir, name string) (*runDir, error) {
	const pause = 20 * time.Millisecond
	for deadline := time.Now().Add(claimPatience); ; time.Sleep(pause) {
		d, err := tryClaim(stateDir, name)
		if !errors.Is(err, process.ErrLocked) {
			return d, err
		}
		st, serr := (&runDir{stateDir: stateDir, name: name}).readState()
		if serr == nil && st.Program.Alive() || time.Now().After(deadline) {
			return nil, fmt.Errorf("--name: %q: a sandbox of this name runs: accepted: a name that is free", name)
		}
	}
}

// errLeft makes a name unusable until what is in the way of its removal is gone.
var errLeft = errors.New("what a dead run of this name left cannot be removed")

// tryClaim takes the lock of a name, removes what a dead run of the same name
// left, and makes the directory.
func tryClaim(stateDir, name string) (*runDir, error) {
	d, err := lockRun(stateDir, name)
	if err != nil {
		return nil, err
	}
	if err := d.collect(); err != nil {
		return nil, errors.Join(fmt.Errorf("--name: %q: %w: %w", name, errLeft, err), d.lock.Unlock())
	}
	if err := os.MkdirAll(d.path(""), 0o700); err != nil {
		return nil, errors.Join(err, d.lock.Unlock())
	}
	return d, nil
}

func lockRun(stateDir, name string) (*runDir, error) {
	// Names do not start with a dot, so this is none's directory.
	lock, err := process.TryLock(filepath.Join(stateDir, "run", "."+name+".lock"))
	if err != nil {
		return nil, err
	}
	return &runDir{stateDir, name, lock}, nil
}

func (d *runDir) writeState(st *runState) error {
	b, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return process.WriteFile(d.path(stateFile), append(b, '\n'), 0o600)
}

func (d *runDir) readState() (*runState, error) {
	b, err := os.ReadFile(d.path(stateFile))
	if err != nil {
		return nil, err
	}
	st := new(runState)
	if err := json.Unmarshal(b, st); err != nil {
		return nil, fmt.Errorf("%s: %w", d.path(stateFile), err)
	}
	return st, nil
}

// collect takes a run back: its processes, its attachment, its files. It does
// what is left to do, so that it can follow a run that died at any point. The
// caller holds the lock and keeps it.
func (d *runDir) collect() error {
	if _, err := os.Stat(d.path("")); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	st, err := d.readState()
	if err != nil {
		// It died before ADD: nothing but files was made.
		return os.RemoveAll(d.path(""))
	}
	// The engine is in the namespace, too. It closes the programs' connections
	// in order; DEL ends it.
	var own []int
	if id, err := d.sandbox(st.IfName).Engine(); err == nil {
		own = process.Family(id)
	}
	if err := process.KillNetNS(st.NetNS, own...); err != nil {
		return err
	}
	if err := d.delete(st); err != nil {
		return err
	}
	return os.RemoveAll(d.path(""))
}

// delPatience bounds a DEL of all plugins of the list.
const delPatience = time.Minute

// delete runs DEL as ADD was run. A namespace that died with its run is not
// named to the plugins.
func (d *runDir) delete(st *runState) error {
	data, err := os.ReadFile(d.path(conflistFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil // there was no ADD
	}
	if err != nil {
		return err
	}
	list, err := libcni.NetworkConfFromBytes(data)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), delPatience)
	defer cancel()
	rt := d.runtimeConf(st.IfName)
	if !st.NetNS.Is(rt.NetNS) {
		rt.NetNS = ""
	}
	return hostlink.InNetNS(d.hostOf(st), func() error {
		return d.cni().DelNetworkList(ctx, list, rt)
	})
}

// hostOf is the path of the namespace where the run made its devices: "" for
// the current one. Two hosts may share a state directory, and a dead run of the
// other one is found through its engine. Without an engine the other host
// cannot be told from one that is gone, and the current one does for the rest.
func (d *runDir) hostOf(st *runState) string {
	if st.Host.Is(currentNetNS) {
		return ""
	}
	id, err := d.sandbox(st.IfName).Engine()
	if err != nil || !id.Alive() {
		return ""
	}
	if path := fmt.Sprintf("/proc/%d/ns/net", id.PID); st.Host.Is(path) {
		return path
	}
	return ""
}

const currentNetNS = "/proc/thread-self/ns/net"

func (d *runDir) runtimeConf(ifname string) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: d.name, NetNS: d.path(netnsFile), IfName: ifname}
}

// cni looks for plugins beside this program, where `make build` puts them, and then
// where CNI_PATH says.
func (d *runDir) cni() *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir(pluginDirs(), d.path(cacheDir), nil)
}

func pluginDirs() []string {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(exe))
	}
	return append(dirs, filepath.SplitList(os.Getenv("CNI_PATH"))...)
}

// runNames lists the runs that have a directory.
func runNames(stateDir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(stateDir, "run"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var list []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			list = append(list, e.Name())
		}
	}
	return list, err
}

// collectDead takes back every run whose process is dead. What cannot be taken
// back now is said and left for the next time: it must not keep others from
// starting.
func collectDead(stateDir string) {
	list, err := runNames(stateDir)
	if err != nil {
		slog.Warn("dead runs are not collected", "error", err)
		return
	}
	for _, name := range list {
		d, err := lockRun(stateDir, name)
		if err != nil {
			continue // it lives
		}
		if err = d.collect(); err == nil {
			err = d.lock.Remove()
		} else {
			_ = d.lock.Unlock()
		}
		if err != nil {
			slog.Warn("what a dead run left could not be removed", "name", name, "error", err)
		}
	}
}
