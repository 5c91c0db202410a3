package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The C library of the transport-level interface, lib/tli: programs that were
// compiled with it, in sandboxes and outside.

// compileTLI builds testdata/tli/NAME.c with the library.
func compileTLI(t *testing.T, name string) string {
	t.Helper()
	return once(t, "tli-"+name, func(path string) error {
		sources, err := filepath.Glob("../../lib/tli/*.c")
		if err != nil {
			return err
		}
		args := append([]string{"-O2", "-Wall", "-Wextra", "-Werror", "-I../../lib/tli", "-o", path, "testdata/tli/" + name + ".c"}, sources...)
		out, err := exec.Command("gcc", append(args, "-lpthread")...).CombinedOutput()
		if err != nil {
			t.Logf("%s", out)
		}
		return err
	})
}

// tliSystems are the profiles that the library's calls are tried under, with
// what the program is told of them: those whose pages name the interface, FreeBSD,
// which shows flags as other numbers, and Linux.
var tliSystems = map[string][]string{"linux": nil, "illumos": nil, "omnios": nil, "freebsd": nil, "cxux": {"plain"}}

// TestTLICalls: every call and what it answers, with both ends in one sandbox.
func TestTLICalls(t *testing.T) {
	for profile, lacks := range tliSystems {
		t.Run(profile, func(t *testing.T) {
			if profile != "linux" {
				onlyTCPCNI(t)
			}
			h := newHost(t)
			pod := h.pod("--profile", profile)
			for _, addr := range []string{"127.0.0.1", pod.v4, "::1", pod.v6} {
				p := pod.start(append([]string{compileTLI(t, "calls"), addr}, lacks...)...)
				p.wait()
				if got := p.stdout.String(); !strings.Contains(got, " 0 failures") {
					t.Errorf("%s: %s", addr, got)
				}
			}
			pod.stop()
		})
	}
}

// TestTLIPrograms: a client and a server that wait in their calls, in both
// directions between a sandbox and the host, and between two sandboxes.
func TestTLIPrograms(t *testing.T) {
	h := newHost(t)
	a, b := h.pod(), h.pod()
	server, client := compileTLI(t, "server"), compileTLI(t, "client")
	type starter interface{ start(args ...string) *proc }
	for name, c := range map[string]struct {
		server, client starter
		at, from       string
	}{
		"into a sandbox":                  {a, h, a.v4, hostV4},
		"out of a sandbox":                {h, a, hostV4, a.v4},
		"between two sandboxes":           {a, b, a.v4, b.v4},
		"into a sandbox over IPv6":        {a, h, a.v6, hostV6},
		"out of a sandbox over IPv6":      {h, a, hostV6, a.v6},
		"between two sandboxes over IPv6": {a, b, a.v6, b.v6},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.server.start(server, c.at, "8000", "2")
			s.line("ready")
			for range 2 {
				if got := c.client.start(client, c.at, "8000").ok(); got != "released\n" {
					t.Errorf("the client said %q", got)
				}
			}
			want := "ready\n" + strings.Repeat("caller "+c.from+"\nexpedited !\n", 2) + "done\n"
			if got := s.ok(); got != want {
				t.Errorf("the server said %q, want %q", got, want)
			}
		})
	}
	a.stop()
	b.stop()
}
