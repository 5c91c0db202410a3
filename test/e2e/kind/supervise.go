package main

// What keeps the machine clean. The whole laboratory, dockerd and everything
// that it starts, lives below one process that is the first of a new process,
// mount and network namespace. When that process goes, the kernel takes every
// process, mount and device with it, whatever state they are in; the
// supervisor outside then removes the folder and the control groups. It does
// so at the end, after a failure and on SIGINT and SIGTERM; what a killed
// supervisor left is removed by the next one.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const prefix = "tcpcni-kind-"

// labVariable names the laboratory's folder to the processes inside.
const labVariable = "TCPCNI_KIND_LAB"

func supervise(args []string) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root to make namespaces and control groups")
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return errors.New("needs control groups of version 1: the nodes have no systemd")
	}
	sweep()
	if err := build(); err != nil {
		return err
	}
	say("programs and images are there")
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return err
	}
	defer remove(dir)
	lock, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	if err := furnish(dir, len(args) == 0); err != nil {
		return err
	}

	cmd := exec.Command(filepath.Join(dir, "lab"), append([]string{"inside"}, args...)...)
	cmd.Env = append(os.Environ(), labVariable+"="+dir, fmt.Sprintf("%s=%d", startVariable, started.UnixNano()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err = <-done:
	case s := <-signals:
		cmd.Process.Kill()
		<-done
		err = fmt.Errorf("ended by %v", s)
	}
	return err
}

// furnish puts into the laboratory's folder what is used inside.
func furnish(dir string, tests bool) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(cache, "bin"), filepath.Join(dir, "bin")); err != nil {
		return err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "lab"), self, 0o755); err != nil {
		return err
	}
	if !tests {
		return nil
	}
	out, err := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "suite"), "./test/e2e/kind/suite").CombinedOutput()
	if err != nil {
		return fmt.Errorf("compiling the tests: %w\n%s", err, out)
	}
	return nil
}

// cgroupParent names the control groups of the laboratory in dir.
func cgroupParent(dir string) string { return "/" + filepath.Base(dir) }

// remove takes away a laboratory whose processes are gone or going.
func remove(dir string) {
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := errors.Join(removeCgroups(filepath.Base(dir)), os.RemoveAll(dir))
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, "kind: left over:", err)
			return
		}
		time.Sleep(50 * time.Millisecond) // the kernel is still taking processes away
	}
}

// removeCgroups removes the control groups of one name in every hierarchy,
// children first.
func removeCgroups(name string) error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/" + name)
	if err != nil {
		return err
	}
	var errs []error
	for _, root := range roots {
		var dirs []string
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			if err := os.Remove(dirs[i]); err != nil && !os.IsNotExist(err) {
				errs = append(errs, err)
				break
			}
		}
	}
	return errors.Join(errs...)
}

// sweep removes what earlier laboratories left. Those that run hold the lock
// of their folder.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range dirs {
		f, err := os.Open(dir)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			say("removing %s of an earlier run", dir)
			remove(dir)
		}
		f.Close()
	}
}

// inside is the first process of the namespaces: it makes them usable, starts
// the laboratory and reaps what its parents left, until the laboratory ends.
func inside(args []string) error {
	for _, m := range []struct {
		source, target, fstype string
		flags                  uintptr
	}{
		{"none", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/run", "tmpfs", 0},
	} {
		if err := unix.Mount(m.source, m.target, m.fstype, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("lo: %w: %s", err, strings.TrimSpace(string(out)))
	}
	self := filepath.Join(os.Getenv(labVariable), "lab")
	child, err := os.StartProcess(self, append([]string{self, "cluster"}, args...), &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return err
	}
	return reap(child.Pid)
}

// reap waits for everything that becomes a child of this process, until pid
// has ended.
func reap(pid int) error {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case got == pid && status.ExitStatus() == 0:
			return nil
		case got == pid:
			return errors.New("failed")
		}
	}
}
