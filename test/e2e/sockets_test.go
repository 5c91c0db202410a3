package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// Each script of testdata/sockets runs on the kernel's sockets and in a
// sandbox. What the kernel made it print is what it has to print in the
// sandbox, line by line.
func TestSocketsAsOnTheKernel(t *testing.T) {
	onlyTCPCNI(t)
	scripts, err := filepath.Glob("testdata/sockets/*.py")
	must(t, err)
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".py")
		if name == "lib" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			program := []string{"/usr/bin/python3", "-B", testdata(t, "sockets/"+name+".py")}
			want := kernelProgram(t, program...).ok()
			h := newHost(t)
			pod := h.pod("--set", "tcp_fastopen=3")
			p := pod.start(program...)
			p.wait()
			compareLines(t, want, p.stdout.String())
			p.ok()
			pod.stop()
		})
	}
}

// kernelProgram runs a program in an ordinary namespace that looks like a
// sandbox.
func kernelProgram(t *testing.T, args ...string) *proc {
	t.Helper()
	s := newHost(t).newSandbox()
	s.kernelNetwork()
	start(t, plumbing{}, "ip", "netns", "exec", s.kernelName(), "sh", "-c", "echo 3 >/proc/sys/net/ipv4/tcp_fastopen").ok()
	return start(t, plumbing{}, append([]string{"ip", "netns", "exec", s.kernelName()}, args...)...)
}

// compareLines reports each line that differs, under the title of its part.
func compareLines(t *testing.T, want, got string) {
	t.Helper()
	w, g := strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(got), "\n")
	part := ""
	for i := range max(len(w), len(g)) {
		switch {
		case i >= len(g):
			t.Errorf("%s\n  kernel:  %s\n  sandbox: nothing more", part, w[i])
			return
		case i >= len(w):
			t.Errorf("%s\n  kernel:  nothing more\n  sandbox: %s", part, g[i])
			return
		case w[i] != g[i]:
			t.Errorf("%s\n  kernel:  %s\n  sandbox: %s", part, w[i], g[i])
		}
		if strings.HasPrefix(w[i], "--") {
			part = w[i]
		}
	}
}
