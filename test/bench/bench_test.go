package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/test/bench/figures"
)

// names returns every result that a run can have.
func names() map[string]bool {
	all := map[string]bool{}
	for _, n := range []string{"memory-idle", "memory-conn", "memory-100k-held", "memory-100k-slab", "memory-100k-conn", "start-add", "start-run"} {
		all[n] = true
	}
	for _, t := range tests {
		all[t.name], all[t.name+".cpu"] = true, true
		if t.mode == "lat" {
			for _, l := range latencies {
				all[t.name+"."+l] = true
			}
		}
	}
	return all
}

func TestNamesExist(t *testing.T) {
	all := names()
	for _, b := range bars {
		if !all[b.test] {
			t.Errorf("bar %q is about %q, which nothing measures", b.what, b.test)
		}
	}
	for _, c := range charts {
		for _, n := range c.Tests {
			if !all[n] {
				t.Errorf("%s shows %q, which nothing measures", c.File, n)
			}
		}
	}
	seen := map[string]bool{}
	for _, test := range tests {
		if seen[test.name] {
			t.Errorf("two tests are called %q", test.name)
		}
		seen[test.name] = true
		for _, s := range test.sides {
			if !slices.Contains(knownSides, s) {
				t.Errorf("%s: no side is called %q", test.name, s)
			}
		}
	}
}

func TestOutcomes(t *testing.T) {
	r := &report{Report: figures.New()}
	for _, v := range []float64{9, 40, 41} {
		r.Add("up-1", "", "Gbit/s", kernelSide, v)
	}
	r.Add("up-1", "", "Gbit/s", sandboxSide, 29.9) // 0.7475 of the median
	r.Add("rr-1", "", "per s", kernelSide, 1000)
	r.Add("rr-1", "", "per s", sandboxSide, 650)
	r.Add("memory-idle", "", "MB", sandboxSide, 15.1)
	r.Add("start-add", "", "ms", kernelSide, 20)
	r.Add("start-add", "", "ms", sandboxSide, 80)
	r.Fail("memory-100k-held", "", "connections", sandboxSide, errors.New("no room"))
	want := map[string]bool{
		"bulk in, 1 stream: at least 0.75 × kernel":                    false,
		"exchanges, 1 connection: at least 0.65 × kernel":              true,
		"idle engine, resident: at most 15 MB":                         false,
		"ADD, beyond the reference bridge plugin's: at most 60 ms":     true,
		"connections held in one sandbox: at least 100000 connections": false,
	}
	got := r.outcomes()
	for _, o := range got {
		met, ok := want[o.Bar]
		if !ok || met != o.Met {
			t.Errorf("%q: met %v, value %v of %v", o.Bar, o.Met, o.Value, o.Limit)
		}
	}
	if len(got) != len(want) || r.missed() != 3 {
		t.Errorf("%d outcomes of %d, %d missed of 3", len(got), len(want), r.missed())
	}
}

// What the first report has no numbers for comes from the next, with its facts; the
// first one's numbers stay.
func TestReportsMerge(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i, fill := range []func(*report){
		func(r *report) {
			r.Kernel = "one"
			r.Add("memory-idle", "", "MB", sandboxSide, 10)
			r.Fail("memory-100k-held", "held", "connections", sandboxSide, errors.New("no room"))
		},
		func(r *report) {
			r.Kernel = "two"
			r.Add("memory-idle", "", "MB", sandboxSide, 20)
			r.Add("memory-100k-held", "held", "connections", sandboxSide, 100000)
			r.Add("memory-100k-conn", "each", "bytes", sandboxSide, 2000)
		},
		func(r *report) { r.Kernel = "three" },
	} {
		r := &report{Report: figures.New()}
		fill(r)
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := r.publish(&options{json: path}); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	r, err := readReports(strings.Join(paths, ", "))
	if err != nil {
		t.Fatal(err)
	}
	if idle, _ := r.Median("memory-idle", sandboxSide); idle != 10 || r.Kernel != "one" {
		t.Errorf("idle %v on %q", idle, r.Kernel)
	}
	if want := []string{"memory-idle", "memory-100k-held", "memory-100k-conn"}; !slices.Equal(r.Order, want) {
		t.Errorf("order %v, not %v", r.Order, want)
	}
	if len(r.Added) != 1 || r.Added[0].Kernel != "two" || !slices.Equal(r.Added[0].Results, r.Order[1:]) {
		t.Errorf("added %+v", r.Added)
	}
	if r.missed() != 0 {
		t.Errorf("missed: %+v", r.outcomes())
	}
	var b strings.Builder
	if err := r.print(&b); err != nil || !strings.Contains(b.String(), "Linux two") || strings.Contains(b.String(), "Linux three") {
		t.Errorf("printed, %v:\n%s", err, b.String())
	}
	if _, err := readReports(paths[0] + ","); err == nil {
		t.Error("a name that is empty is taken")
	}
}

func TestSlabs(t *testing.T) {
	const head = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
	page := int64(os.Getpagesize())
	before, err := parseSlabs(head + "TCP 1 14 2304 14 8 : tunables 0 0 0 : slabdata 1 1 0\nfilp 5 16 256 16 1 : tunables 0 0 0 : slabdata 9 9 0\n")
	if err != nil {
		t.Fatal(err)
	}
	after, err := parseSlabs(head + "TCP 15 28 2304 14 8 : tunables 0 0 0 : slabdata 2 3 0\nUNIX-STREAM 9 16 1024 16 4 : tunables 0 0 0 : slabdata 1 1 0\nfilp 5 16 256 16 1 : tunables 0 0 0 : slabdata 8 8 0\n")
	if err != nil {
		t.Fatal(err)
	}
	grown := after.since(before)
	if grown["TCP"] != 16*page || grown["UNIX-STREAM"] != 4*page || grown["filp"] != -page || grown.sum() != 19*page {
		t.Errorf("%v", grown)
	}
	if got, want := grown.each(int(page)), "  slab TCP                     16 bytes each\n"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	if _, err := parseSlabs(head + "TCP 1 14 2304\n"); err == nil {
		t.Error("a line without its end is taken")
	}
}

// Where there is one tree of groups, an engine is in a group that is not below the
// side's own.
func TestGroupsCount(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	g := &group{root: root, dir: filepath.Join(root, "side"), read: readCPUStat}
	write(filepath.Join(g.dir, "cpu.stat"), "usage_usec 1000\n")
	write(filepath.Join(g.dir, "cgroup.procs"), "1\n")
	g.count("tcpcni/engine")
	check := func(usage time.Duration, pids ...int) {
		t.Helper()
		got, err := g.usage()
		if err != nil || got != usage {
			t.Errorf("usage %v, %v; not %v", got, err, usage)
		}
		if list, err := g.processes(); err != nil || !slices.Equal(list, pids) {
			t.Errorf("processes %v, %v; not %v", list, err, pids)
		}
	}
	check(time.Millisecond, 1) // version 1: no such group in the hierarchy of cpuacct
	write(filepath.Join(root, "tcpcni/engine/cpu.stat"), "usage_usec 500\n")
	write(filepath.Join(root, "tcpcni/engine/cgroup.procs"), "2\n3\n")
	check(1500*time.Microsecond, 1, 2, 3)
	if err := os.RemoveAll(g.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := g.usage(); err == nil {
		t.Error("usage of a group that is gone")
	}
	if _, err := g.processes(); err == nil {
		t.Error("processes of a group that is gone")
	}
}

func TestSVGIsXML(t *testing.T) {
	r := &report{Report: figures.New()}
	r.CPU = "A <B> & C"
	r.Add("up-1", "bulk <in>", "Gbit/s", kernelSide, 3)
	r.Add("up-1", "bulk <in>", "Gbit/s", sandboxSide, 2)
	text := r.SVG(charts[0], drawn())
	d := xml.NewDecoder(strings.NewReader(text))
	elements := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	if elements < 8 {
		t.Errorf("%d elements", elements)
	}
	if r.SVG(charts[1], drawn()) != "" {
		t.Error("a chart without numbers")
	}
}

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		o    options
		name string
		deep bool
		want bool
	}{
		{options{}, "up-1", false, true},
		{options{}, "up-64", true, false},
		{options{all: true}, "up-64", true, true},
		{options{tests: "up, rr-1"}, "up-64", true, true},
		{options{tests: "up, rr-1"}, "rr-1000", true, true},
		{options{tests: "up, rr-1", all: true}, "rr-8", false, false},
	} {
		if got := c.o.wants(c.name, c.deep); got != c.want {
			t.Errorf("%+v wants %s: %v", c.o, c.name, got)
		}
	}
	for tests, want := range map[string]bool{"": false, "memory": false, "up-1, memory-100k": true} {
		if o := (options{tests: tests}); o.names("memory-100k") != want {
			t.Errorf("-tests %q names memory-100k: %v", tests, !want)
		}
	}
}
