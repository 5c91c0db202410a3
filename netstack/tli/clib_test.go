package tli

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTableOfTheCLibrary: lib/tli has the same state table.
func TestTableOfTheCLibrary(t *testing.T) {
	text, err := os.ReadFile("../../lib/tli/state.h")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\t\{([-0-9, ]+)\},`).FindAllStringSubmatch(string(text), -1)
	if len(rows) != int(numEvents) {
		t.Fatalf("%d rows, want %d", len(rows), numEvents)
	}
	names := regexp.MustCompile(`(?m)^\tEV_([A-Z0-9]+),`).FindAllStringSubmatch(string(text), -1)
	for i, line := range strings.Split(strings.TrimSpace(specification), "\n") {
		f := strings.Fields(strings.ReplaceAll(line, "-", "-1"))
		if got := strings.Fields(strings.ReplaceAll(rows[i][1], ",", " ")); strings.Join(got, " ") != strings.Join(f[1:], " ") {
			t.Errorf("%s: %v, want %v", f[0], got, f[1:])
		}
		if i >= len(names) || !strings.EqualFold(names[i][1], strings.ReplaceAll(f[0], "_", "")) {
			t.Errorf("event %d is %v, want %s", i, names[i], f[0])
		}
	}
}
