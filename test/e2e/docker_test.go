package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
	daemon := os.Getenv("E2E_DOCKERD")
	if daemon == "" {
		daemon = "dockerd"
	}
	for _, need := range []string{daemon, "docker"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Fatalf("%v: accepted: Debian's package docker.io; for another daemon, E2E_DOCKERD", err)
		}
	}
	h := newHost(t)
	h.shortState()
	d := &docker{h: h, dir: h.managerDir()}
	dir := d.dir
	t.Setenv("DOCKER_HOST", "unix://"+dir+"/docker.sock")
	config, err := json.Marshal(map[string]any{
		"data-root": dir + "/data", "exec-root": dir + "/exec", "pidfile": dir + "/pid", "hosts": []string{os.Getenv("DOCKER_HOST")},
		"cgroup-parent": "/" + h.name, "userland-proxy": false, "deprecated-key-path": dir + "/key.json",
		"runtimes": map[string]any{"tcpcni": map[string]any{"path": h.wrapperScript(dir, "attaching", "--tcpcni-attach")}},
	})
	must(t, err)
	must(t, os.WriteFile(dir+"/daemon.json", config, 0o600))
	// Not by ip-netns(8), which hides the cgroups.
	start(t, plumbing{env: h.env()}, "nsenter", "--net="+h.path(), daemon, "--config-file", dir+"/daemon.json")
	eventually(t, "docker", func() bool { return exec.Command("docker", "version").Run() == nil })
	sh(t, "docker", "import", boxImage(t, dir), "box")
	return d
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
	sh(t, "docker", "kill", "web")
	sh(t, "docker", "start", "web")
	serves()
	// What fails after it was attached is taken back.
	if out := d.run("--rm", "--runtime", "tcpcni", "box", "no-such-program").fails(); !strings.Contains(out, "no-such-program") {
		t.Errorf("a program that is not there: %s", out)
	}

	// A network of one's own, with both families. Its names are docker's, and out
	// of reach.
	sh(t, "docker", "network", "create", "--ipv6", "--subnet", "172.29.0.0/24", "--subnet", "fd99::/64", "own")
	args = append([]string{"-d", "--name", "other", "--runtime", "tcpcni", "--network", "own", "box"}, webServer...)
	d.run(args...).ok()
	h.reaches("172.29.0.2:80")
	if out := d.run("--rm", "--runtime", "tcpcni", "--network", "own", "box", "curl", "-sS", "http://172.29.0.2/").ok(); !strings.Contains(out, "Directory listing") {
		t.Errorf("in a network of one's own: %s", out)
	}
	const connects = "import socket; socket.create_connection(('fd99::1', 81))"
	h.start("python3", "-u", "-m", "http.server", "--bind", "::", "81")
	h.reaches("[fd99::1]:81")
	d.run("--rm", "--runtime", "tcpcni", "--network", "own", "box", "python3", "-c", connects).ok()

	sh(t, "docker", "rm", "-f", "web", "other")
	h.nothingLeft()
}
