package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A manager that makes a container's network between create and start, as docker
// does from version 28: played with runc and ip(8).

// A lateManager is a host with a bridge, whose containers get theirs late.
type lateManager struct {
	*ociHost
	pods int
}

func newLateManager(t *testing.T) *lateManager {
	o := newOCIHost(t)
	o.shortState()
	t.Setenv("TCPCNI_STATE", o.state)
	o.sh("ip", "link", "add", "docker0", "type", "bridge")
	o.sh("ip", "addr", "add", "172.30.0.1/24", "dev", "docker0")
	o.sh("ip", "link", "set", "docker0", "up")
	return &lateManager{ociHost: o}
}

// create creates a container in a network namespace of its own, that is empty.
func (m *lateManager) create(args ...string) (c *ociContainer, output string) {
	m.t.Helper()
	c = m.bundle("", func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			if s.Linux.Namespaces[i].Type == specs.NetworkNamespace {
				s.Linux.Namespaces[i].Path = ""
			}
		}
		s.Linux.Seccomp = defaultProfile(m.t)
		s.Process.NoNewPrivileges = false
	}, args...)
	c.id = fmt.Sprintf("%064d", m.next)
	m.t.Cleanup(func() { _ = m.command(m.wrapper, "delete", "--force", c.id).Run() })
	return c, m.runtime("create", "--bundle", c.bundle, c.id)
}

// runtime puts the wrapper's own flag in front.
func (m *lateManager) runtime(args ...string) string {
	m.t.Helper()
	plain := m.wrapper
	defer func() { m.wrapper = plain }()
	m.wrapper = m.attaching()
	return m.ociHost.runtime(args...)
}

// attaching is the wrapper with its flag, as managers are given it that take a
// path only.
func (m *lateManager) attaching() string {
	path := m.wrapper + "-attaching"
	must(m.t, os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\nexec %s --tcpcni-attach \"$@\"\n", m.wrapper), 0o755))
	return path
}

// fill makes the container's network.
func (m *lateManager) fill(c *ociContainer) (address string) {
	m.t.Helper()
	m.pods++
	address, port := fmt.Sprintf("172.30.0.%d", 1+m.pods), fmt.Sprintf("port%d", m.pods)
	m.sh("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprintf("/proc/%d/ns/net", c.pid()))
	m.sh("ip", "link", "set", port, "master", "docker0", "up")
	in := func(args ...string) {
		sh(m.t, append([]string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", c.pid())}, args...)...)
	}
	in("ip", "addr", "add", address+"/24", "dev", "eth0")
	in("ip", "link", "set", "eth0", "up")
	in("ip", "route", "add", "default", "via", "172.30.0.1")
	return address
}

// startRefused calls start, which has to fail, and to end the container.
func (m *lateManager) startRefused(c *ociContainer, says string) {
	m.t.Helper()
	out, err := m.command(m.attaching(), "start", c.id).CombinedOutput()
	if err == nil || !strings.Contains(string(out), says) {
		m.t.Errorf("start: %v: %q is not in: %s", err, says, out)
	}
	eventually(m.t, "the container has ended", func() bool {
		state, _ := m.command(m.wrapper, "state", c.id).Output()
		return strings.Contains(string(state), `"stopped"`)
	})
	m.runtime("delete", c.id)
	m.nothingLeft()
}

func TestRuncLateNetwork(t *testing.T) {
	m := newLateManager(t)
	c, output := m.create(webServer...)
	address := m.fill(c)
	m.runtime("start", c.id)
	eventually(t, "a server", func() bool {
		text, err := os.ReadFile(output)
		return err == nil && strings.Contains(string(text), serving)
	})
	if out := m.sh("curl", "-sS", "http://"+address+"/"); !strings.Contains(out, "Directory listing") {
		t.Errorf("from the host: %s", out)
	}
	// What joins later finds the engine by the same path.
	if out := c.exec("curl", "-sS", "http://127.0.0.1/").ok(); !strings.Contains(out, "Directory listing") {
		t.Errorf("exec: %s", out)
	}
	if found := kernelSockets(t, c.pid()); found != nil {
		t.Errorf("the container has sockets of the kernel: %q", found)
	}
	m.runtime("delete", "--force", c.id)
	m.nothingLeft()
}

// A container that never starts leaves nothing, and one without the process that
// keeps its listener does not start.
func TestRuncLateNetworkRefused(t *testing.T) {
	m := newLateManager(t)
	c, _ := m.create("true")
	waiting := waiters(m.processes())
	if len(waiting) != 1 {
		t.Fatalf("processes that wait: %v", waiting)
	}
	must(t, syscall.Kill(waiting[0], syscall.SIGKILL))
	m.fill(c)
	m.startRefused(c, "create the container again")

	c, _ = m.create("true")
	m.startRefused(c, "has made no eth0")

	c, _ = m.create("true")
	m.runtime("delete", "--force", c.id)
	m.nothingLeft()

	// run leaves no time for a network to come.
	c, _ = m.create("true")
	m.runtime("delete", "--force", c.id)
	out, err := exec.Command(m.attaching(), "--root", m.root, "run", "--bundle", c.bundle, c.id).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "has made no eth0") {
		t.Errorf("run: %v: %s", err, out)
	}
	m.nothingLeft()
}

// waiters are those of the processes that keep a listener.
func waiters(pids []int) (found []int) {
	for _, pid := range pids {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && strings.Contains(string(text), "hook\x00await\x00") {
			found = append(found, pid)
		}
	}
	return found
}
