package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nerdctl with a network of the plugin, which a createRuntime hook of its own
// attaches: by the ordinary runtime, and by `tcpcni runc` with a broker. There is
// no Debian package, and building it takes minutes (docs/runtimes.md), so
// E2E_NERDCTL names the program.
func TestNerdctl(t *testing.T) {
	onlyTCPCNI(t)
	program := os.Getenv("E2E_NERDCTL")
	if program == "" {
		t.Skip("E2E_NERDCTL names no nerdctl")
	}
	h := newHost(t)
	h.shortState()
	dir := h.managerDir()
	for _, sub := range []string{"net", "plugins", "hosts"} {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	h.script(dir+"/plugins", "tcpcni", command())
	must(t, os.Symlink(filepath.Join(binDir, "host-local"), dir+"/plugins/host-local"))
	// As the default network, so that nerdctl does not make one of its own.
	must(t, os.WriteFile(dir+"/net/own.conflist", fmt.Appendf(nil, `{"cniVersion":"1.0.0","name":"own","nerdctlID":"%x",
		"nerdctlLabels":{"nerdctl/default-network":"true"},"plugins":[{"type":"tcpcni","uplink":"ptp","ipam":{"type":"host-local",
		"dataDir":%q,"ranges":[[{"subnet":"10.89.7.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}`, sha256.Sum256([]byte("own")), dir+"/leases"), 0o600))
	must(t, os.WriteFile(dir+"/containerd.toml", fmt.Appendf(nil, "version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n[ttrpc]\naddress = %q\n",
		dir+"/root", dir+"/run", dir+"/c.sock", dir+"/t.sock"), 0o600))
	// Not by ip-netns(8), which hides the cgroups.
	start(t, plumbing{env: h.env()}, "nsenter", "--net="+h.path(), "containerd", "-c", dir+"/containerd.toml")
	nerdctl := func(args ...string) *proc {
		t.Helper()
		return start(t, plumbing{}, append([]string{"nsenter", "--net=" + h.path(), program, "--address", dir + "/c.sock", "--data-root", dir + "/data",
			"--cni-path", dir + "/plugins", "--cni-netconfpath", dir + "/net", "--hosts-dir", dir + "/hosts",
			"--snapshotter", "native", "--cgroup-manager", "cgroupfs"}, args...)...)
	}
	eventually(t, "containerd", func() bool {
		return exec.Command(program, "--address", dir+"/c.sock", "version").Run() == nil
	})
	nerdctl("import", boxImage(t, dir), "box").ok()
	broker := h.start(command(), "broker", "--verbose")
	broker.line(`listens=`)
	for _, runtime := range []string{"io.containerd.runc.v2", h.wrapperScript(dir, "tcpcni")} {
		run := append([]string{"run", "-d", "--pull", "never", "--name", "web", "--net", "own", "--cgroup-parent", "/" + h.name, "--runtime", runtime, "-v", "/usr:/usr:ro", "box"}, webServer...)
		nerdctl(run...).ok()
		address := strings.TrimSpace(nerdctl("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web").ok())
		h.reaches(address + ":80")
		if out := h.sh("curl", "-sS", "http://"+address+"/"); !strings.Contains(out, "Directory listing") {
			t.Errorf("%s: from the host: %s", runtime, out)
		}
		if out := nerdctl("exec", "web", "curl", "-sS", "http://127.0.0.1/").ok(); !strings.Contains(out, "Directory listing") {
			t.Errorf("%s: exec: %s", runtime, out)
		}
		pid := 0
		_, err := fmt.Sscan(nerdctl("inspect", "-f", "{{.State.Pid}}", "web").ok(), &pid)
		must(t, err)
		if found := kernelSockets(t, pid); (found == nil) != (runtime != "io.containerd.runc.v2") {
			t.Errorf("%s: sockets of the kernel: %q", runtime, found)
		}
		nerdctl("rm", "-f", "web").ok()
	}
	broker.stop()
	h.nothingLeft()
}
