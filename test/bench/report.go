package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// A report collects the numbers. Its exported part is the JSON file.
type report struct {
	Kernel    string             `json:"kernel"` // release of the running Linux
	CPUs      int                `json:"cpus"`
	Load      string             `json:"load"` // the three load averages before the first measurement
	Rounds    int                `json:"rounds"`
	Seconds   float64            `json:"seconds"` // of one measurement
	MTU       int                `json:"mtu"`
	Results   map[string]*result `json:"results,omitempty"`
	IdleRSS   int64              `json:"idleRSS,omitempty"` // bytes
	Conns     int                `json:"connections,omitempty"`
	ConnBytes int64              `json:"bytesPerConnection,omitempty"`
}

// A result is one test's numbers, in the order of the rounds.
type result struct {
	Unit   string               `json:"unit"`
	Rounds map[string][]float64 `json:"rounds"`
	Median map[string]float64   `json:"median"`
	Ratio  float64              `json:"ratio,omitempty"` // sandbox to kernel; 0 unless both were measured
	Floor  float64              `json:"floor,omitempty"`
	Inline float64              `json:"inlineRatio,omitempty"` // inline path to kernel
}

func newReport(o *options) *report {
	r := &report{CPUs: runtime.NumCPU(), Rounds: o.rounds, Seconds: o.duration.Seconds(), MTU: o.mtu, Results: map[string]*result{}}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return r
}

func (r *report) add(name, side string, value float64) {
	t := tests[slices.IndexFunc(tests, func(t test) bool { return t.name == name })]
	res := r.Results[name]
	if res == nil {
		res = &result{Unit: t.unit, Floor: t.floor, Rounds: map[string][]float64{}, Median: map[string]float64{}}
		r.Results[name] = res
	}
	res.Rounds[side] = append(res.Rounds[side], value)
	res.Median[side] = median(res.Rounds[side])
	if k, s := res.Median[kernelSide], res.Median[sandboxSide]; k > 0 && s > 0 {
		res.Ratio = s / k
	}
	if k, s := res.Median[kernelSide], res.Median[inlineSide]; k > 0 && s > 0 {
		res.Inline = s / k
	}
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// A verdict compares a number with its limit.
func verdict(limited, ok bool) string {
	switch {
	case !limited:
		return ""
	case ok:
		return "ok"
	}
	return "MISSED"
}

// rows returns the lines of the table: what, kernel, the path under test, ratio,
// limit, verdict.
func (r *report) rows() [][]string {
	number := func(v float64) string {
		switch {
		case v == 0:
			return "–"
		case v < 1000:
			return fmt.Sprintf("%.2f", v)
		}
		return fmt.Sprintf("%.0f", v)
	}
	// Three digits, so that no ratio below its floor looks like it.
	ratio := func(v float64) string {
		if v == 0 {
			return "–"
		}
		return fmt.Sprintf("%.3f", v)
	}
	var rows [][]string
	for _, t := range tests {
		res := r.Results[t.name]
		if res == nil {
			continue
		}
		limit := ""
		if t.floor > 0 {
			limit = fmt.Sprintf("≥ %.2f", t.floor)
		}
		kernel := number(res.Median[kernelSide])
		rows = append(rows, []string{t.what + ", " + t.unit, kernel, number(res.Median[sandboxSide]),
			ratio(res.Ratio), limit, verdict(t.floor > 0 && res.Ratio > 0, res.Ratio >= t.floor)})
		if len(res.Rounds[inlineSide]) > 0 {
			rows = append(rows, []string{"the same inline", kernel, number(res.Median[inlineSide]), ratio(res.Inline), "", ""})
		}
	}
	if r.IdleRSS > 0 {
		rows = append(rows,
			[]string{"idle engine, MiB resident", "–", number(mib(r.IdleRSS)), "–", fmt.Sprintf("< %.0f", mib(idleCeiling)), verdict(true, r.IdleRSS < idleCeiling)},
			[]string{fmt.Sprintf("each of %d idle connections, KiB", r.Conns), "–", number(float64(r.ConnBytes) / 1024), "–",
				fmt.Sprintf("< %d", connCeiling>>10), verdict(true, r.ConnBytes < connCeiling)})
	}
	return rows
}

// missed counts the limits that were not kept.
func (r *report) missed() (n int) {
	for _, row := range r.rows() {
		if row[len(row)-1] == "MISSED" {
			n++
		}
	}
	return n
}

// print writes the table in Markdown.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "Linux %s, %d processors, load %s before, MTU %d, medians of %d rounds of %gs\n\n", r.Kernel, r.CPUs, r.Load, r.MTU, r.Rounds, r.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.Debug)
	line := func(cells ...string) { fmt.Fprintf(t, "| %s\t\n", strings.Join(cells, "\t ")) }
	line("measured", "kernel", "tcpcni", "ratio", "limit", "")
	line("---", "---", "---", "---", "---", "---")
	for _, row := range r.rows() {
		line(row...)
	}
	_ = t.Flush()
}

func (r *report) writeJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
