package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// docker with its own bridge network and `tcpcni runc` as a runtime: the network
// comes from docker, the engine from a hook.

// A docker is a daemon in the host's network namespace.
type docker struct {
	h   *host
	dir string
}

func newDocker(t *testing.T) *docker {
	t.Helper()
	onlyTCPCNI(t)
	for _, need := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skip("needs Debian's package docker.io")
		}
	}
	h := newHost(t)
	// docker's names have 64 letters, and a socket's path has 107.
	must(t, os.Remove(h.state))
	h.state = fmt.Sprintf("/tmp/s%d", os.Getpid())
	must(t, os.Mkdir(h.state, 0o700))
	dir, err := os.MkdirTemp("", "e2e-docker")
	must(t, err)
	d := &docker{h: h, dir: dir}
	t.Setenv("DOCKER_HOST", "unix://"+dir+"/docker.sock")
	t.Setenv("TCPCNI_RUNTIME", realRuntime(t))
	// A manager need not hand its environment on.
	must(t, os.Symlink(command(), dir+"/tcpcni-runc"))
	script := fmt.Sprintf("#!/bin/sh\nTCPCNI_STATE=%s exec %s/tcpcni-runc --tcpcni-runtime=%s --tcpcni-attach \"$@\"\n", h.state, dir, realRuntime(t))
	must(t, os.WriteFile(dir+"/attaching", []byte(script), 0o755))
	config, err := json.Marshal(map[string]any{
		"data-root": dir + "/data", "exec-root": dir + "/exec", "pidfile": dir + "/pid", "hosts": []string{os.Getenv("DOCKER_HOST")},
		"cgroup-parent": "/" + h.name, "userland-proxy": false, "deprecated-key-path": dir + "/key.json",
		"runtimes": map[string]any{"tcpcni": map[string]any{"path": dir + "/attaching"}},
	})
	must(t, err)
	must(t, os.WriteFile(dir+"/daemon.json", config, 0o600))
	t.Cleanup(d.remove)
	// Not by ip-netns(8), which hides the cgroups.
	start(t, plumbing{env: h.env()}, "nsenter", "--net="+h.path(), "dockerd", "--config-file", dir+"/daemon.json")
	eventually(t, "docker", func() bool { return exec.Command("docker", "version").Run() == nil })
	d.image()
	return d
}

// remove runs when the daemon has ended.
func (d *docker) remove() {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], d.dir+"/") {
			_ = syscall.Unmount(f[4], syscall.MNT_DETACH)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/", "/sys/fs/cgroup/"} {
		groups, _ := filepath.Glob(pattern + d.h.name)
		for _, g := range groups {
			_ = exec.Command("find", g, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run()
		}
	}
	if err := os.RemoveAll(d.dir); err != nil {
		d.h.t.Error(err)
	}
}

// image makes one without programs of its own: run mounts the machine's.
func (d *docker) image() {
	d.h.t.Helper()
	root := d.h.t.TempDir()
	for _, dir := range []string{"usr", "tmp", "etc"} {
		must(d.h.t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		must(d.h.t, os.Symlink("usr/"+link, filepath.Join(root, link)))
	}
	sh(d.h.t, "tar", "-C", root, "-cf", d.dir+"/image.tar", ".")
	sh(d.h.t, "docker", "import", d.dir+"/image.tar", "box")
}

func (d *docker) run(args ...string) *proc {
	d.h.t.Helper()
	return start(d.h.t, plumbing{}, append([]string{"docker", "run", "-v", "/usr:/usr:ro"}, args...)...)
}

func TestDockerRuntime(t *testing.T) {
	d := newDocker(t)
	h := d.h
	args := append([]string{"-d", "--name", "web", "--runtime", "tcpcni", "-p", "8088:80", "box"}, webServer...)
	d.run(args...).ok()
	serves := func() {
		t.Helper()
		h.reaches("172.17.0.2:80")
		for _, to := range []string{"http://172.17.0.2/", "http://172.17.0.1:8088/"} {
			if out := h.sh("curl", "-sS", to); !strings.Contains(out, "Directory listing") {
				t.Errorf("%s: %s", to, out)
			}
		}
	}
	serves()
	pid := 0
	_, err := fmt.Sscan(sh(t, "docker", "inspect", "-f", "{{.State.Pid}}", "web"), &pid)
	must(t, err)
	if found := kernelSockets(t, pid); found != nil {
		t.Errorf("the container has sockets of the kernel: %q", found)
	}
	if out := sh(t, "docker", "exec", "web", "curl", "-sS", "http://127.0.0.1/"); !strings.Contains(out, "Directory listing") {
		t.Errorf("exec: %s", out)
	}
	for _, runtime := range []string{"tcpcni", "runc"} {
		if out := d.run("--rm", "--runtime", runtime, "box", "curl", "-sS", "http://172.17.0.2/").ok(); !strings.Contains(out, "Directory listing") {
			t.Errorf("from a container of runtime %s: %s", runtime, out)
		}
	}
	// Another container in the same namespace shares the stack.
	if out := d.run("--rm", "--runtime", "tcpcni", "--network", "container:web", "box", "curl", "-sS", "http://127.0.0.1/").ok(); !strings.Contains(out, "Directory listing") {
		t.Errorf("from a container that joins: %s", out)
	}
	for _, network := range []string{"none", "host"} {
		if out := d.run("--rm", "--runtime", "tcpcni", "--network", network, "box", "true").fails(); !strings.Contains(out, "tcpcni") {
			t.Errorf("--network %s: %s", network, out)
		}
	}
	sh(t, "docker", "restart", "-t", "1", "web")
	serves()

	sh(t, "docker", "rm", "-f", "web")
	if left, _ := filepath.Glob(h.state + "/sandboxes/*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if out := h.sh("ip", "-br", "link", "show", "type", "veth"); out != "" {
		t.Errorf("left behind: %s", out)
	}
}
