package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// A stage is a run of tests.
type stage struct {
	name  string
	bin   string
	dir   string
	args  []string
	limit time.Duration
}

type binaries struct{ stages []*stage }

// build compiles the tests with every change in them.
func build(s *source, tmp string, seeds int) (*binaries, error) {
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return nil, err
	}
	over := make(map[string]string)
	add := func(name, text string) error {
		at := filepath.Join(tmp, name)
		over[filepath.Join(dir, name)] = at
		return os.WriteFile(at, []byte(text), 0o600)
	}
	changed := make(map[string]bool)
	for _, m := range s.mutants {
		changed[m.file] = true
	}
	for name := range changed {
		if err := add(name, s.rewrite(name)); err != nil {
			return nil, err
		}
	}
	if err := add("zz_mutant.go", fmt.Sprintf(switchFile, s.name)); err != nil {
		return nil, err
	}
	overlay := filepath.Join(tmp, "overlay.json")
	j, err := json.Marshal(map[string]any{"Replace": over})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(overlay, j, 0o600); err != nil {
		return nil, err
	}
	compile := func(out, pkg string) (string, error) {
		bin := filepath.Join(tmp, out)
		c := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", bin, pkg)
		if b, err := c.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", pkg, err, b)
		}
		return bin, nil
	}
	own, err := compile("own.test", "./"+s.dir)
	if err != nil {
		return nil, err
	}
	b := &binaries{stages: []*stage{
		{name: "scripts", bin: own, dir: dir, args: []string{"-test.run", "^TestScripts$"}},
		{name: "tests", bin: own, dir: dir, args: []string{"-test.skip", "^TestScripts$"}},
	}}
	if seeds > 0 {
		sim := filepath.Join(filepath.Dir(s.dir), "sim")
		worlds, err := compile("sim.test", "./"+sim)
		if err != nil {
			return nil, err
		}
		b.stages = append(b.stages, &stage{name: "worlds", bin: worlds, dir: filepath.Join(filepath.Dir(dir), "sim"),
			args: []string{"-test.run", "TestWorlds$", "-seeds", strconv.Itoa(seeds)}})
	}
	return b, nil
}

// baseline makes sure that the tests pass without a change, and learns how long
// they take.
func (b *binaries) baseline() error {
	for _, g := range b.stages {
		g.limit = 5 * time.Minute
		start := time.Now()
		if ok, out := g.passes(0); !ok {
			return fmt.Errorf("the stage %q fails without a change:\n%s", g.name, out)
		}
		took := time.Since(start)
		// A change may make a loop without an end; a busy machine may make a run
		// take long, which must not count as noticed.
		g.limit = 5*took + 40*time.Second
		fmt.Printf("%s: %.1f s\n", g.name, took.Seconds())
	}
	return nil
}

// passes runs the stage with a change. Memory is bounded: a change may make a
// loop that only ends with it.
func (g *stage) passes(id int) (bool, string) {
	ctx, cancel := context.WithTimeout(context.Background(), g.limit)
	defer cancel()
	args := append([]string{"-c", `ulimit -v 6000000; exec "$@"`, "sh", g.bin, "-test.failfast", "-test.timeout", g.limit.String()}, g.args...)
	c := exec.CommandContext(ctx, "sh", args...)
	c.Dir = g.dir
	c.Env = append(os.Environ(), "MUTANT="+strconv.Itoa(id), "GOMAXPROCS=1")
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, err.Error()
	}
	return err == nil, string(out)
}

// tryAll finds the stage that notices each change, and returns those that there
// was time for.
func (b *binaries) tryAll(list []*mutant, jobs int, limit time.Duration) []*mutant {
	start := time.Now()
	work := make(chan *mutant)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range max(jobs, 1) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for m := range work {
				for _, g := range b.stages {
					if ok, _ := g.passes(m.id); !ok {
						m.stage = g.name
						break
					}
				}
				mu.Lock()
				done++
				if m.stage == "" {
					fmt.Printf("%d/%d not noticed: %s:%d: %s\n", done, len(list), m.file, m.line, m.what)
				}
				mu.Unlock()
			}
		}()
	}
	tried := 0
	for _, m := range list {
		if limit > 0 && time.Since(start) > limit {
			break
		}
		work <- m
		tried++
	}
	close(work)
	wg.Wait()
	return list[:tried]
}
