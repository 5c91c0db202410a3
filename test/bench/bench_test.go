package main

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/tcpcni/tcpcni/test/bench/figures"
)

// names returns every result that a run can have.
func names() map[string]bool {
	all := map[string]bool{}
	for _, n := range []string{"memory-idle", "memory-conn", "memory-100k-held", "memory-100k-conn", "start-add", "start-run"} {
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
			if !slices.Contains(allSides, s) {
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
}
