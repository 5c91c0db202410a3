package main

import (
	"flag"
	"sync"
	"testing"

	"github.com/tcpcni/tcpcni/test/needroot"
)

var (
	all   = flag.Bool("all", false, "the whole matrix instead of every pair of levels")
	count = flag.Int("first", 0, "only so many scenarios, 0: all")
	sets  = flag.Int("sets", 2, "how many lists of scenarios with every pair of levels")
	from  = flag.Uint64("seed", 1, "of the first scenario")
	one   = flag.Int("one", -1, "run only the scenario of this number")
	jobs  = flag.Int("jobs", 10, "how many scenarios run at once")
)

// TestInterop has our TCP and the kernel's talk to each other over lines that
// lose, reorder, duplicate, corrupt and mark.
func TestInterop(t *testing.T) {
	needroot.Check(t, "make network namespaces")
	if err := askKernel(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	var list []*scenario
	for i := range *sets {
		list = append(list, pairwise(*from+1000*uint64(i))...)
	}
	if *all {
		list = whole(*from)
	}
	if *count > 0 {
		list = list[:min(*count, len(list))]
	}
	work := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	worst := 0.0
	for range min(*jobs, len(list)) {
		dir := t.TempDir()
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range work {
				w, err := list[i].play(dir)
				mu.Lock()
				worst = max(worst, w)
				mu.Unlock()
				if err != nil {
					t.Errorf("scenario %d, %v: %v", i, list[i], err)
				}
			}
		}()
	}
	for i := range list {
		if *one < 0 || *one == i {
			work <- i
		}
	}
	close(work)
	wg.Wait()
	t.Logf("%d scenarios; the longest time without progress was %.1f RTOs", len(list), worst)
}
