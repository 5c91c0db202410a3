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

// pageScripts are the scripts whose subject the manual page of a profile states,
// with the lines in which its system is not Linux, as the kernel and as the
// sandbox prints them, and the options that it lacks.
var pageScripts = map[string]struct {
	scripts []string
	lacks   []string
	other   map[string]string
}{
	"illumos": {scripts: []string{"urgent", "ends", "connect"}, other: map[string]string{"acceptconn: 1": "acceptconn: 2"}},
	"omnios":  {scripts: []string{"urgent", "ends", "connect"}, other: map[string]string{"acceptconn: 1": "acceptconn: 2"}},
	"freebsd": {scripts: []string{"urgent", "ends", "connect"}, other: map[string]string{
		"acceptconn: 1": "acceptconn: 2", "connect multicast: ENETUNREACH": "connect multicast: EAFNOSUPPORT", "connect broadcast: ENETUNREACH": "connect broadcast: EACCES",
	}},
	"cxux": {scripts: []string{"urgent", "ends", "connect", "data"}, other: map[string]string{"connect broadcast: ENETUNREACH": "connect broadcast: EACCES"}},
	"sortix": {scripts: []string{"data", "ends", "connect", "readiness"}, lacks: []string{"SO_LINGER", "SO_RCVTIMEO", "TCP_NODELAY"}, other: map[string]string{
		"acceptconn: 1": "acceptconn: ENOPROTOOPT", "connect port 0: ECONNREFUSED": "connect port 0: EADDRNOTAVAIL",
		"SO_ERROR again: 0":      "SO_ERROR again: 111",
		"SO_ERROR: 0":            "SO_ERROR: 104", // errors are permanent
		"read: b''":              "read: ECONNRESET",
		"poll: IN+OUT+HUP+RDHUP": "poll: IN+HUP+RDHUP", // what is shut for writing is not writable
	}},
}

// TestSocketsOfPages: what the pages of other systems say of reading, writing,
// signals, urgent data and the ends of connections is what the kernel does, and a
// sandbox of that system's profile.
func TestSocketsOfPages(t *testing.T) {
	onlyTCPCNI(t)
	for profile, page := range pageScripts {
		met, ran := make(map[string]bool), 0
		for _, name := range page.scripts {
			t.Run(profile+"/"+name, func(t *testing.T) {
				program := append([]string{"/usr/bin/python3", "-B", testdata(t, "sockets/"+name+".py")}, page.lacks...)
				want := strings.Split(kernelProgram(t, program...).ok(), "\n")
				h := newHost(t)
				pod := h.pod("--profile", profile)
				p := pod.start(program...)
				p.wait()
				got := strings.Split(p.stdout.String(), "\n")
				for i, line := range want {
					if other, ok := page.other[line]; ok && i < len(got) && got[i] == other {
						want[i], met[line] = other, true
					}
				}
				compareLines(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
				p.ok()
				pod.stop()
				ran++
			})
		}
		if ran < len(page.scripts) {
			continue // some were left out, or failed
		}
		for line, other := range page.other {
			if !met[line] {
				t.Errorf("%s: nothing prints %q where the kernel prints %q", profile, other, line)
			}
		}
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
