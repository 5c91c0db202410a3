package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A report collects the numbers. Its exported part is the JSON file.
type report struct {
	Commit   string             `json:"commit"` // of the clone; + if there were changes
	Day      string             `json:"day"`
	CPU      string             `json:"cpu"` // model
	CPUs     int                `json:"cpus"`
	Kernel   string             `json:"kernel"` // release of the running Linux
	Go       string             `json:"go"`
	Load     string             `json:"load"` // the three load averages before the first measurement
	Rounds   int                `json:"rounds"`
	Seconds  float64            `json:"seconds"` // of one measurement
	MTU      int                `json:"mtu"`
	Order    []string           `json:"order"` // of the results
	Results  map[string]*result `json:"results"`
	Outcomes []outcome          `json:"bars"`
}

// A result is one test's numbers, in the order of the rounds.
type result struct {
	What   string               `json:"what"`
	Unit   string               `json:"unit"`
	Rounds map[string][]float64 `json:"rounds"`
	Failed map[string]string    `json:"failed,omitempty"` // why a side has no numbers
}

func newReport(o *options) *report {
	r := &report{
		CPUs: runtime.NumCPU(), Go: runtime.Version(), Day: time.Now().UTC().Format(time.DateOnly),
		Rounds: o.rounds, Seconds: o.duration.Seconds(), MTU: o.mtu, Results: map[string]*result{},
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer func() { _ = f.Close() }()
		for lines := bufio.NewScanner(f); lines.Scan() && r.CPU == ""; {
			if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
				r.CPU = strings.TrimSpace(value)
			}
		}
	}
	if out, err := exec.Command("git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(out))
	}
	return r
}

func readReport(path string) (*report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *report) result(name, what, unit string) *result {
	res := r.Results[name]
	if res == nil {
		res = &result{What: what, Unit: unit, Rounds: map[string][]float64{}}
		r.Results[name] = res
		r.Order = append(r.Order, name)
	}
	return res
}

func (r *report) add(name, what, unit, side string, value float64) {
	res := r.result(name, what, unit)
	res.Rounds[side] = append(res.Rounds[side], value)
}

func (r *report) sample(t *test, side string, m sample) {
	u := t.measure()
	r.add(t.name, t.what, u.unit, side, m.rate*u.scale)
	r.add(t.name+".cpu", t.what, u.cpuUnit, side, m.cpu.Seconds()/m.amount*u.cpuScale)
	for i, v := range m.latency {
		r.add(t.name+"."+latencies[i], t.what+", "+latencies[i], "µs", side, v)
	}
}

// fail says why a side has no numbers.
func (r *report) fail(name, what, unit, side string, err error) {
	res := r.result(name, what, unit)
	if res.Failed == nil {
		res.Failed = map[string]string{}
	}
	res.Failed[side] = err.Error()
}

// median returns the middle of a side's numbers.
func (r *report) median(name, side string) (float64, bool) {
	res := r.Results[name]
	if res == nil || len(res.Rounds[side]) == 0 {
		return 0, false
	}
	return median(res.Rounds[side]), true
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// sides returns those that have numbers, in the usual order.
func (r *report) sides() (list []string) {
	for _, s := range allSides {
		for _, res := range r.Results {
			if len(res.Rounds[s]) > 0 {
				list = append(list, s)
				break
			}
		}
	}
	return list
}

// number writes three digits, or the whole part when it has more.
func number(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// cell is the median, with smallest and largest below it.
func cell(v []float64) string {
	switch len(v) {
	case 0:
		return "–"
	case 1:
		return number(v[0])
	}
	return fmt.Sprintf("%s (%s–%s)", number(median(v)), number(slices.Min(v)), number(slices.Max(v)))
}

// print writes the tables in Markdown.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s, commit %s; %s, %d processors, Linux %s, %s; load %s before; %d rounds of %g s each, MTU %d. Medians, in brackets the smallest and the largest.\n",
		r.Day, r.Commit, r.CPU, r.CPUs, r.Kernel, r.Go, r.Load, r.Rounds, r.Seconds, r.MTU)
	sides := r.sides()
	for _, table := range []struct {
		title string
		has   func(name string) bool
	}{
		{"Speed", func(name string) bool { return !strings.HasSuffix(name, ".cpu") }},
		{"CPU time of every process involved", func(name string) bool { return strings.HasSuffix(name, ".cpu") }},
	} {
		if !slices.ContainsFunc(r.Order, table.has) {
			continue
		}
		fmt.Fprintf(w, "\n## %s\n\n| | unit | %s |\n|---|---|%s\n", table.title, strings.Join(sides, " | "), strings.Repeat("---|", len(sides)))
		for _, name := range r.Order {
			if !table.has(name) {
				continue
			}
			res := r.Results[name]
			cells := []string{res.What, res.Unit}
			for _, s := range sides {
				cells = append(cells, cell(res.Rounds[s]))
			}
			fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	outcomes := r.outcomes()
	if len(outcomes) == 0 {
		return
	}
	fmt.Fprint(w, "\n## Bars\n\n| sandbox, unless it says inline | is | has to be | ratio | |\n|---|---|---|---|---|\n")
	for _, o := range outcomes {
		ratio, verdict := "", "met"
		if o.Ratio != 0 {
			ratio = fmt.Sprintf("%.3f", o.Ratio) // so that no ratio below its bar looks like it
		}
		if !o.Met {
			verdict = "**missed**"
		}
		fmt.Fprintf(w, "| %s | %s %s | %s | %s | %s |\n", o.Bar, number(o.Value), o.Unit, number(o.Limit), ratio, verdict)
	}
}

// publish prints the report and writes the files that were asked for.
func (r *report) publish(o *options) error {
	r.Outcomes = r.outcomes()
	r.print(os.Stdout)
	if o.json != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.markdown != "" {
		var b strings.Builder
		b.WriteString("<!-- written by go run ./test/bench -markdown -->\n# Measurements\n\n")
		r.print(&b)
		if err := os.WriteFile(o.markdown, []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	if o.plots != "" {
		return r.plot(o.plots)
	}
	return nil
}
