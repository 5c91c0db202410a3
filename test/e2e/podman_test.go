package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// podman with its CNI backend: a network of the plugin, and one of the CNI
// project's bridge plugin that a hook puts an engine behind.

// A podman is a place for containers of its own. podman has no daemon.
type podman struct {
	h   *host
	env []string
}

func newPodman(t *testing.T) *podman {
	t.Helper()
	onlyTCPCNI(t)
	h := newHost(t)
	for _, need := range []string{"podman", "/usr/lib/cni/bridge"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Fatalf("%v: accepted: Debian's packages podman and containernetworking-plugins", err)
		}
	}
	h.shortState()
	dir := h.managerDir()
	p := &podman{h: h, env: []string{"CONTAINERS_CONF=" + dir + "/containers.conf", "CONTAINERS_STORAGE_CONF=" + dir + "/storage.conf"}}
	for _, sub := range []string{"net", "plugins", "runtimes"} {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	write := func(name, text string) {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	// What a container needs more than: the machine may be one itself.
	write("containers.conf", fmt.Sprintf(`
[containers]
default_sysctls = []
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "cni"
cni_plugin_dirs = [%q, %q, "/usr/lib/cni"]
network_config_dir = %q
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = %q
[engine.runtimes]
tcpcni = [%q]
attaching = [%q]
`, dir+"/plugins", binDir, dir+"/net", dir+"/tmp", h.wrapperScript(dir+"/runtimes", "tcpcni"), h.wrapperScript(dir+"/runtimes", "attaching", "--tcpcni-attach")))
	write("storage.conf", fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", dir+"/root", dir+"/run"))
	h.script(dir+"/plugins", "tcpcni", command())
	const list = `{"cniVersion": %q, "name": %q, "plugins": [{%s, "ipam": {"type": "host-local", "dataDir": %q,
		"ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}`
	write("net/own.conflist", fmt.Sprintf(list, "1.0.0", "own", `"type": "tcpcni", "uplink": "ptp"`, dir+"/leases", "10.89.7.0/24"))
	write("net/bridged.conflist", fmt.Sprintf(list, "0.4.0", "bridged", `"type": "bridge", "bridge": "cni-bridged", "isGateway": true`, dir+"/leases", "10.89.8.0/24"))
	p.do("import", boxImage(t, dir), "box").ok()
	return p
}

// do runs podman in the host's network namespace. Not by ip-netns(8), which
// hides the cgroups.
func (p *podman) do(args ...string) *proc {
	p.h.t.Helper()
	return start(p.h.t, plumbing{env: p.env}, append([]string{"nsenter", "--net=" + p.h.path(), "podman"}, args...)...)
}

func (p *podman) run(runtime, network string, args ...string) *proc {
	p.h.t.Helper()
	return p.do(append([]string{"--runtime", runtime, "run", "--cgroup-parent", "/" + p.h.name, "-v", "/usr:/usr:ro", "--network", network}, args...)...)
}

func (p *podman) address(name string) string {
	p.h.t.Helper()
	return strings.TrimSpace(p.do("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name).ok())
}

func TestPodman(t *testing.T) {
	p := newPodman(t)
	h := p.h
	for _, c := range []struct{ runtime, network string }{{"tcpcni", "own"}, {"attaching", "bridged"}} {
		t.Run(c.network, func(t *testing.T) {
			h.t = t
			p.run(c.runtime, c.network, append([]string{"-d", "--name", "web", "box"}, webServer...)...).ok()
			serves := func() {
				t.Helper()
				address := p.address("web")
				h.reaches(address + ":80")
				if out := h.sh("curl", "-sS", "http://"+address+"/"); !strings.Contains(out, "Directory listing") {
					t.Errorf("from the host: %s", out)
				}
			}
			serves()
			if out := p.do("exec", "web", "curl", "-sS", "http://127.0.0.1/").ok(); !strings.Contains(out, "Directory listing") {
				t.Errorf("exec: %s", out)
			}
			pid := 0
			_, err := fmt.Sscan(p.do("inspect", "-f", "{{.State.Pid}}", "web").ok(), &pid)
			must(t, err)
			if found := kernelSockets(t, pid); found != nil {
				t.Errorf("the container has sockets of the kernel: %q", found)
			}
			if out := p.run(c.runtime, c.network, "--rm", "box", "curl", "-sS", "http://"+p.address("web")+"/").ok(); !strings.Contains(out, "Directory listing") {
				t.Errorf("from another container: %s", out)
			}
			p.do("restart", "-t", "1", "web").ok()
			serves()
			p.do("rm", "-f", "-t", "0", "web").ok()
			h.nothingLeft()
		})
	}
	h.t = t
	if out := p.run("tcpcni", "bridged", "--rm", "box", "true").fails(); !strings.Contains(out, "no sandbox") {
		t.Errorf("without an engine: %s", out)
	}
	h.nothingLeft()
}
