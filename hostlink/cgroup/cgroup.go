// Package cgroup gives a sandbox's holder and engine control groups of their own:
// cgroups(7), Documentation/admin-guide/cgroup-v2.rst. They then do not end with
// the service that has started them, and their memory can be limited.
//
// A group is called tcpcni/NAME. It is made below the root of each hierarchy that
// matters: the one of version 2, or of version 1 those of memory, of pids and of
// systemd's name. Where the control groups cannot be changed, as in a container without
// delegation, there is none.
package cgroup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink/process"
)

// root is where the hierarchies are mounted; a variable for tests.
var root = "/sys/fs/cgroup"

// parent is the group that all others are in.
const parent = "tcpcni"

// maxTasks bounds the threads of a sandbox's holder and engines together, which
// are a few dozen at most: whoever takes an engine over must not use up the
// machine's.
const maxTasks = 256

// A hierarchy is a mounted tree of groups.
type hierarchy struct {
	path  string
	limit string // file of the memory limit; "": this one limits no memory
	tasks string // file of the limit of tasks; "": this one limits none
	v2    bool
}

// hierarchies lists those that matter and are there.
func hierarchies() []hierarchy {
	var st unix.Statfs_t
	if unix.Statfs(root, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		return []hierarchy{{root, "memory.max", "pids.max", true}}
	}
	var all []hierarchy
	for _, h := range []hierarchy{
		{filepath.Join(root, "memory"), "memory.limit_in_bytes", "", false},
		{filepath.Join(root, "pids"), "", "pids.max", false},
		{filepath.Join(root, "systemd"), "", "", false},
		{filepath.Join(root, "unified"), "", "", true},
	} {
		if _, err := os.Stat(filepath.Join(h.path, "cgroup.procs")); err == nil {
			all = append(all, h)
		}
	}
	return all
}

// name is the group's name for the sandbox in directory dir. Directories of the
// same name elsewhere have another.
func name(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return filepath.Base(dir) + "-" + hex.EncodeToString(sum[:4])
}

// Group is the path of that sandbox's group below the root of a hierarchy.
func Group(dir string) string { return filepath.Join(parent, name(dir)) }

func (h *hierarchy) group(dir string) string { return filepath.Join(h.path, Group(dir)) }

// Enter moves the calling process into the group of the sandbox in directory dir
// and limits its memory to that many bytes; 0 is no limit. Its threads are limited
// in any case. It goes as far as it can, also with an error.
func Enter(dir string, memory int64) error {
	all := hierarchies()
	if len(all) == 0 {
		return fmt.Errorf("%s: no control groups", root)
	}
	var errs []error
	limited, counted := memory == 0, false
	for i := range all {
		h := &all[i]
		if err := h.enter(dir); err != nil {
			errs = append(errs, err)
			continue
		}
		if h.tasks != "" {
			if err := h.set(dir, "pids", h.tasks, maxTasks); err != nil {
				errs = append(errs, err)
			} else {
				counted = true
			}
		}
		if h.limit == "" || memory == 0 {
			continue
		}
		if err := h.set(dir, "memory", h.limit, memory); err != nil {
			errs = append(errs, err)
			continue
		}
		limited = true
	}
	if !limited {
		errs = append(errs, fmt.Errorf("memory is not limited to %d bytes", memory))
	}
	if !counted {
		errs = append(errs, fmt.Errorf("threads are not limited to %d", maxTasks))
	}
	return errors.Join(errs...)
}

// enter makes the group. While it is empty, a DEL of another sandbox may sweep it
// away, or its parent.
func (h *hierarchy) enter(dir string) (err error) {
	const tries = 100
	group := h.group(dir)
	for range tries {
		if err = os.MkdirAll(group, 0o755); err != nil {
			continue
		}
		if err = write(filepath.Join(group, "cgroup.procs"), "0"); err == nil || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return err
}

// set limits the group. Its controller is passed down to the group first, where
// that is to be asked for.
func (h *hierarchy) set(dir, controller, file string, limit int64) error {
	if h.v2 {
		for _, at := range []string{h.path, filepath.Join(h.path, parent)} {
			if err := write(filepath.Join(at, "cgroup.subtree_control"), "+"+controller); err != nil {
				return err
			}
		}
	}
	return write(filepath.Join(h.group(dir), file), strconv.FormatInt(limit, 10))
}

// write writes to a file of a group, which is there or not, and is never made.
func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// removePatience bounds the wait for killed processes to be gone.
const removePatience = 10 * time.Second

// sweep removes the groups without processes, which belong to nobody: a holder was
// killed and its directory is lost. Last goes the parent, when it is empty, too.
func (h *hierarchy) sweep() {
	groups, _ := os.ReadDir(filepath.Join(h.path, parent))
	for _, g := range groups {
		if g.IsDir() {
			_ = unix.Rmdir(filepath.Join(h.path, parent, g.Name())) // fails while it is in use
		}
	}
	_ = unix.Rmdir(filepath.Join(h.path, parent))
}

// Remove kills what is left in the group of the sandbox in directory dir and
// removes the group. No group is no error.
func Remove(dir string) error {
	var errs []error
	for _, h := range hierarchies() {
		if err := h.remove(dir); err != nil {
			errs = append(errs, err)
		}
		h.sweep()
	}
	return errors.Join(errs...)
}

func (h *hierarchy) remove(dir string) error {
	group := h.group(dir)
	const pause = 5 * time.Millisecond
	for end := time.Now().Add(removePatience); ; time.Sleep(pause) {
		err := unix.Rmdir(group)
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
			return nil
		case time.Now().After(end):
			return fmt.Errorf("control group %s: %w", group, err)
		}
		killAll(filepath.Join(group, "cgroup.procs"))
	}
}

// killAll kills the processes that a file lists. One may end meanwhile and its
// number be given to another: so they are held first, and those are killed whose
// number is still on the list then.
func killAll(procs string) {
	held := make(map[int]*process.Handle)
	for _, pid := range members(procs) {
		id, err := process.Identify(pid)
		if err != nil {
			continue
		}
		if h, err := process.Open(id); err == nil {
			held[pid] = h
		}
	}
	for _, pid := range members(procs) {
		if h := held[pid]; h != nil {
			_ = h.Signal(unix.SIGKILL)
		}
	}
	for _, h := range held {
		_ = h.Close()
	}
}

// members reads the numbers in a cgroup.procs file.
func members(procs string) (list []int) {
	text, err := os.ReadFile(procs)
	if err != nil {
		return nil
	}
	for _, field := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil {
			list = append(list, pid)
		}
	}
	return list
}
