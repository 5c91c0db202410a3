package main

import (
	"strings"
	"testing"
	"time"
)

// TestPrint: the least of the rounds, names in words, what the kernel refused.
func TestPrint(t *testing.T) {
	l := newLoops()
	for _, line := range []string{
		"pair-memory 0 4800 0\n", "tap-batch-write-uring-64 900.0 1448 910.0\n", "pair-from-tap-splice refused Invalid argument\n",
		"tap-batch-write-uring-64 800.0 1448 810.0\n", "tap-batch-write-uring-64 1000.0 1448 990.0\n",
	} {
		if err := l.add(line); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	if err := l.print(&b, &options{rounds: 3, duration: time.Second}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| kernel memory of an AF_UNIX pair | 4800 |",
		"| write to a TAP by io_uring, 64 with one call | 1448 | 800 (900, 1000) | 810 | 14.5 |",
		"| Invalid argument |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if err := l.add("tap-write fast\n"); err == nil {
		t.Error("a line without numbers")
	}
}

// TestWhats: no beginning hides a longer one behind it.
func TestWhats(t *testing.T) {
	for i, w := range whats {
		if strings.Contains(what(w.name), "%!") || w.what == "" {
			t.Errorf("%s is %q", w.name, what(w.name))
		}
		for _, earlier := range whats[:i] {
			if strings.HasSuffix(earlier.name, "-") && strings.HasPrefix(w.name, earlier.name) {
				t.Errorf("%s stands behind %s", w.name, earlier.name)
			}
		}
	}
}
