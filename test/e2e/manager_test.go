package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// What tests with container managers (docker, podman) share.

// shortState moves the state directory: managers' names for containers have 64
// letters, and a socket's path has 107 bytes.
func (h *host) shortState() {
	h.t.Helper()
	must(h.t, os.Remove(h.state))
	h.state = fmt.Sprintf("/tmp/s%d", os.Getpid())
	must(h.t, os.Mkdir(h.state, 0o700))
}

// managerDir makes a directory for all that a manager has. It goes with what is
// mounted there, and with the cgroups that are named for the host, when whatever
// is started later has ended.
func (h *host) managerDir() string {
	h.t.Helper()
	dir, err := os.MkdirTemp("", "e2e-manager")
	must(h.t, err)
	h.t.Cleanup(func() {
		mounts, _ := os.ReadFile("/proc/self/mountinfo")
		lines := strings.Split(string(mounts), "\n")
		slices.Reverse(lines) // what is mounted on another is below it
		for _, line := range lines {
			if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
				_ = syscall.Unmount(f[4], syscall.MNT_DETACH)
			}
		}
		for _, pattern := range []string{"/sys/fs/cgroup/*/", "/sys/fs/cgroup/"} {
			groups, _ := filepath.Glob(pattern + h.name)
			for _, g := range groups {
				_ = exec.Command("find", g, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run()
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			h.t.Error(err)
		}
	})
	return dir
}

// wrapperScript makes a runtime of a name, with flags. A manager need not hand
// its environment on.
func (h *host) wrapperScript(dir, name string, flags ...string) string {
	h.t.Helper()
	link := filepath.Join(dir, name+"-runc")
	must(h.t, os.Symlink(command(), link))
	flags = append([]string{"--tcpcni-runtime=" + realRuntime(h.t)}, flags...)
	return h.script(dir, name, link+" "+strings.Join(flags, " "))
}

// script makes a program that runs another with the host's state directory.
func (h *host) script(dir, name, program string) string {
	h.t.Helper()
	path := filepath.Join(dir, name)
	must(h.t, os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\nTCPCNI_STATE=%s exec %s \"$@\"\n", h.state, program), 0o755))
	return path
}

// boxImage makes an image without programs of its own: containers mount the
// machine's.
func boxImage(t *testing.T, dir string) (tar string) {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr", "tmp", "etc"} {
		must(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		must(t, os.Symlink("usr/"+link, filepath.Join(root, link)))
	}
	tar = filepath.Join(dir, "image.tar")
	sh(t, "tar", "-C", root, "-cf", tar, ".")
	return tar
}

// nothingLeft looks for what containers that were deleted have left behind.
// Managers hear of an end before they take a container's parts away.
func (h *host) nothingLeft() {
	h.t.Helper()
	var left []string
	find := func() bool {
		left = nil
		for _, kind := range []string{"sandboxes", "oci"} {
			found, _ := filepath.Glob(filepath.Join(h.state, kind, "*"))
			left = append(left, found...)
		}
		for _, pid := range h.processes() {
			if args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && strings.HasPrefix(string(args), "tcpcni\x00") {
				left = append(left, strings.ReplaceAll(string(args), "\x00", " "))
			}
		}
		if out := h.sh("ip", "-br", "link", "show", "type", "veth"); out != "" {
			left = append(left, out)
		}
		return left == nil
	}
	defer func() {
		if left != nil {
			h.t.Errorf("left behind: %q", left)
		}
	}()
	eventually(h.t, "nothing is left behind", find)
}
