package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// TestSameAsKernel runs programs that print what sockets answer, once on the
// kernel's loopback and once in a sandbox, and wants the same lines.
func TestSameAsKernel(t *testing.T) {
	needroot.Check(t, "make network namespaces and seccomp listeners")
	for _, name := range []string{"tcp", "udp", "options", "signals", "hostile"} {
		t.Run(name, func(t *testing.T) {
			bin := compile(t, name)
			want := byScenario(onKernel(t, newNetNS(t, "kernel"), bin))
			got := byScenario(newSandbox(t).run(bin))
			if len(want) == 0 || len(got) != len(want) {
				t.Fatalf("%d scenarios on the kernel, %d in the sandbox", len(want), len(got))
			}
			for scenario, lines := range want {
				t.Run(scenario, func(t *testing.T) {
					if got[scenario] != lines {
						t.Errorf("on the kernel:\n%s\nin the sandbox:\n%s", lines, got[scenario])
					}
				})
			}
		})
	}
}

// byScenario splits a program's output at its "== name" lines.
func byScenario(out string) map[string]string {
	m := map[string]string{}
	for _, part := range strings.Split("\n"+out, "\n== ")[1:] {
		name, lines, _ := strings.Cut(part, "\n")
		m[name] = lines
	}
	return m
}

// TestRandomCalls lets a program do nonsense, with several seeds. The engine
// goes on, and keeps nothing for a program that has ended.
func TestRandomCalls(t *testing.T) {
	s := newSandbox(t)
	if out := s.run(compile(t, "random")); !strings.Contains(out, "works: 1") {
		t.Errorf("printed %q", out)
	}
	c := s.client()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		st, err := c.Status()
		if err != nil {
			t.Fatal(err)
		}
		if st.Sockets == 0 && st.Listeners == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sockets and %d listeners are left", st.Sockets, st.Listeners)
		}
	}
}
