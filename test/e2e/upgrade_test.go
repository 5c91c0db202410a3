package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/node"
)

// Upgrades: `tcpcni install` puts another plugin in the place of the one whose
// sandboxes run. The other one is the same source with another version's name
// and, since nobody has changed the files' format yet, with a key in the files
// that the one at hand does not know.
func TestUpgradeUnderRunningSandboxes(t *testing.T) {
	h := newHost(t)
	r := newRuntime(h, `"uplink":"ptp",`)
	bins, confs, source := t.TempDir(), t.TempDir(), t.TempDir()
	r.cni = libcni.NewCNIConfigWithCacheDir([]string{bins}, t.TempDir(), nil)
	// install puts the version in place, as a node's administrator does.
	install := func(version string) {
		t.Helper()
		for _, name := range []string{"host-local", "tcpcni"} {
			text, err := os.ReadFile(filepath.Join(binDir, name))
			must(t, err)
			if name == "tcpcni" {
				// Programs are read by their headers: what stands behind them makes
				// another file of the same program.
				text = append(text, version...)
			}
			must(t, os.WriteFile(filepath.Join(source, name), text, 0o755))
		}
		must(t, node.Install(node.Options{Source: source, BinDir: bins, ConfDir: confs, Name: node.DefaultName}))
	}
	dir := func(c container) string { return filepath.Join(h.state, "sandboxes", c.id+"-eth0") }
	// runs names the file that the sandbox's holder is executed from.
	runs := func(c container) string {
		pid, err := os.ReadFile(filepath.Join(dir(c), "engine.pid"))
		must(t, err)
		exe, err := os.Readlink("/proc/" + strings.TrimSpace(string(pid)) + "/exe")
		must(t, err)
		return exe
	}

	install("one")
	old := r.container("old")
	_, err := r.add(old)
	must(t, err)
	pod := &plainPod{h: h, r: r, c: old, v4: "10.87.0.2"}
	first := pod.status().PID

	install("two")
	if exe := runs(old); !strings.HasSuffix(exe, " (deleted)") {
		t.Errorf("the running sandbox is executed from %s, which is the new file", exe)
	}
	// What a neighbouring release may have added to its record.
	record := filepath.Join(dir(old), "attachment.json")
	text, err := os.ReadFile(record)
	must(t, err)
	must(t, os.WriteFile(record, []byte(strings.Replace(string(text), "{", `{"ofAnotherRelease":1,`, 1)), 0o600))
	must(t, r.check(old))
	h.serve(old, "http://10.87.0.2:8080", false, "8080")

	// An engine that dies now is followed by one of its holder's release, whose
	// files it shares.
	must(t, syscall.Kill(first, syscall.SIGKILL))
	eventually(t, "another engine", func() bool {
		exe, err := os.Readlink("/proc/" + strings.TrimSpace(enginePIDOf(h, old)) + "/exe")
		return err == nil && strings.HasSuffix(exe, " (deleted)")
	})
	h.serve(old, "http://10.87.0.2:8081", false, "8081")
	must(t, r.check(old))

	fresh := r.container("new")
	_, err = r.add(fresh)
	must(t, err)
	if exe := runs(fresh); exe != filepath.Join(bins, "tcpcni") {
		t.Errorf("the new sandbox is executed from %s", exe)
	}
	must(t, r.del(old))

	// And a step back, with a sandbox of the newer release.
	install("one")
	must(t, r.check(fresh))
	must(t, r.del(fresh))
	h.bare()
}

// enginePIDOf asks the sandbox's engine for its number, "" while none answers.
func enginePIDOf(h *host, c container) string {
	for _, line := range strings.Split(h.tcpcni("list").ok(), "\n") {
		f := strings.Fields(line)
		for i := range f {
			if f[0] == c.id && i > 0 && strings.Trim(f[i], "0123456789") == "" {
				return f[i]
			}
		}
	}
	return ""
}
