package plugin

import (
	"os"
	"strings"
	"testing"
)

// Every name has room in the usual state directory, and a place of its own.
func TestSandboxAtLongNames(t *testing.T) {
	id := "default-" + strings.Repeat("a", 64) // as nerdctl's
	seen := make(map[string]bool)
	for _, id := range []string{"a", strings.Repeat("a", 64), id, id + "b", strings.Repeat("a", 300), strings.Repeat("a", 301)} {
		s := SandboxAt("/run/tcpcni", id, "eth0")
		if err := s.checkControlPath(); err != nil {
			t.Error(err)
		}
		if seen[s.Dir] {
			t.Errorf("%s is another one's", s.Dir)
		}
		seen[s.Dir] = true
	}
	// An attachment of an earlier release stays where it is.
	dir := t.TempDir()
	old := dir + "/sandboxes/" + id + "-eth0"
	if err := os.MkdirAll(old, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := SandboxAt(dir, id, "eth0").Dir; got != old {
		t.Errorf("%s, not %s", got, old)
	}
}
