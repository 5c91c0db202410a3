package core

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/baseline.json anew")

func init() {
	// The main goroutine stays on the first thread, which is the traced one.
	if os.Getenv(countTask) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	name := os.Getenv(countTask)
	if name == "" {
		os.Exit(m.Run())
	}
	times, err := strconv.Atoi(os.Getenv(countTimes))
	for _, t := range tasks {
		if t.name == name && err == nil {
			var once func() error
			if once, err = t.make(); err == nil {
				err = counted(once, times)
			}
		}
	}
	fmt.Fprintln(os.Stderr, "counted:", err)
	os.Exit(1) // whoever counts has killed this process at the second mark
}

// A cost is what doing a task once takes.
type cost struct {
	Allocs       float64 `json:"allocs"`
	Bytes        float64 `json:"bytes"` // of these allocations
	Instructions float64 `json:"instructions"`
}

type baseline struct {
	Go    string          `json:"go"` // of the compiler, whose next version may count otherwise
	Tasks map[string]cost `json:"tasks"`
}

const baselineFile = "testdata/baseline.json"

// How much more than the baseline is too much; for instructions, see tasks.
const (
	mostBytes   = 1.10
	slackBytes  = 16
	slackAllocs = 0.1
)

// measured returns what a task costs here.
func measured(t *testing.T, k task, count bool) (c cost) {
	once, err := k.make()
	if err != nil {
		t.Fatal(err)
	}
	do := func() {
		if err := once(); err != nil {
			t.Fatal(err)
		}
	}
	for range warm {
		do()
	}
	const runs = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.Allocs = testing.AllocsPerRun(runs, do)
	runtime.ReadMemStats(&after)
	c.Bytes = float64(after.TotalAlloc-before.TotalAlloc) / (runs + 1)
	if !count {
		return c
	}
	// The difference of two runs is without what marking costs.
	var n [2]int
	for i := range n {
		if n[i], err = steps(k.name, k.some*(i+1)); err != nil {
			if errors.Is(err, errUntraceable) && os.Getenv("CI") == "" {
				t.Skip(err)
			}
			t.Fatal(err)
		}
	}
	c.Instructions = float64(n[1]-n[0]) / float64(k.some)
	return c
}

// TestBaseline compares what the pure core costs with what it cost when the
// baseline was written. To accept new numbers: go test ./test/bench/core -update.
func TestBaseline(t *testing.T) {
	var base baseline
	text, err := os.ReadFile(baselineFile)
	if err == nil {
		err = json.Unmarshal(text, &base)
	}
	if err != nil && !*update {
		t.Fatal(err)
	}
	sameGo := minor(base.Go) == minor(runtime.Version())
	now := baseline{Go: runtime.Version(), Tasks: map[string]cost{}}
	for _, k := range tasks {
		t.Run(k.name, func(t *testing.T) {
			c, old := measured(t, k, sameGo || *update), base.Tasks[k.name]
			now.Tasks[k.name] = c
			t.Logf("%s: %.2f allocations, %.0f bytes, %.0f instructions; baseline %.2f, %.0f, %.0f",
				k.per, c.Allocs, c.Bytes, c.Instructions, old.Allocs, old.Bytes, old.Instructions)
			if *update {
				return
			}
			if c.Allocs > old.Allocs+slackAllocs {
				t.Errorf("%.2f allocations, baseline %.2f", c.Allocs, old.Allocs)
			}
			if c.Bytes > old.Bytes*mostBytes+slackBytes {
				t.Errorf("%.0f bytes allocated, baseline %.0f", c.Bytes, old.Bytes)
			}
			if !sameGo {
				t.Logf("instructions not compared: the baseline is of %s", base.Go)
				return
			}
			if c.Instructions > old.Instructions*k.most {
				t.Errorf("%.0f instructions, %.3f of the baseline", c.Instructions, c.Instructions/old.Instructions)
			}
			if c.Instructions < old.Instructions/k.most {
				t.Logf("clearly better than the baseline: write it anew, so that it cannot get lost")
			}
		})
	}
	if !*update || t.Failed() {
		return
	}
	text, err = json.MarshalIndent(now, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(baselineFile, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// minor returns the language's part of a version: go1.26 of go1.26.8.
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// TestCountIsRepeatable shows that a count is one: twice the work is twice the
// instructions, whatever else the machine does.
func TestCountIsRepeatable(t *testing.T) {
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = steps("segment", 2*(i+1)); err != nil {
			if errors.Is(err, errUntraceable) && os.Getenv("CI") == "" {
				t.Skip(err)
			}
			t.Fatal(err)
		}
	}
	first, second := float64(n[1]-n[0]), float64(n[2]-n[1])
	if first < 1000 || second/first > 1.02 || second/first < 0.98 {
		t.Errorf("two segments took %v instructions, the next two %v", first, second)
	}
}

func BenchmarkCore(b *testing.B) {
	for _, k := range tasks {
		b.Run(k.name, func(b *testing.B) {
			once, err := k.make()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := once(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
