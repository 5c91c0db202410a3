package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// mostEach is what an idle connection may cost the engine in bytes. The bar for
// the benchmark is below.
const mostEach = 3 << 10

// A server in a sandbox, whose source knows nothing of it, holds connections of
// the kernel's TCP, and each of them still works when all are there. BENCH_HELD is
// their number: it needs descriptors that not every machine has, and minutes where
// the machine is emulated. make e2e-vm and make bench-held have both.
func TestHeld(t *testing.T) {
	many, err := strconv.Atoi(os.Getenv("BENCH_HELD"))
	if err != nil {
		t.Skip("BENCH_HELD is no number of connections")
	}
	needroot.Check(t, "make network namespaces")
	o := &options{
		command: filepath.Join(os.Getenv("TCPCNI_BIN"), "tcpcni"), sides: []string{sandboxSide},
		tests: "memory-100k", rounds: 1, mtu: 1500, many: many,
	}
	r, err := bench(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	held, ok := r.Median("memory-100k-held", sandboxSide)
	if !ok || int(held) != many {
		t.Fatalf("%v connections held of %d: %v", held, many, r.Results["memory-100k-held"])
	}
	if each, ok := r.Median("memory-100k-conn", sandboxSide); !ok || each > mostEach || each <= 0 {
		t.Errorf("%.0f bytes of the engine for each, at most %d", each, mostEach)
	}
}
