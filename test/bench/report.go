package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tcpcni/tcpcni/test/bench/figures"
)

// A report collects the numbers, and what they say about the bars.
type report struct {
	figures.Report
	Outcomes []outcome `json:"bars"`
}

func newReport(o *options) *report {
	r := &report{Report: figures.New()}
	r.Report.Rounds, r.Seconds, r.MTU = o.rounds, o.duration.Seconds(), o.mtu
	return r
}

func readReport(path string) (*report, error) {
	r := new(report)
	return r, figures.Read(path, r)
}

// readReports reads files whose names are separated by commas. The first has the
// run that is reported; what it has no numbers for is taken from those behind.
func readReports(paths string) (*report, error) {
	first, rest, more := strings.Cut(paths, ",")
	r, err := readReport(strings.TrimSpace(first))
	for err == nil && more {
		first, rest, more = strings.Cut(rest, ",")
		var next *report
		if next, err = readReport(strings.TrimSpace(first)); err == nil {
			r.Merge(&next.Report)
		}
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *report) sample(t *test, side string, m sample) {
	u := t.measure()
	r.Add(t.name, t.what, u.unit, side, m.rate*u.scale)
	r.Add(t.name+".cpu", t.what, u.cpuUnit, side, m.cpu.Seconds()/m.amount*u.cpuScale)
	for i, v := range m.latency {
		r.Add(t.name+"."+latencies[i], t.what+", "+latencies[i], "µs", side, v)
	}
}

// print writes the tables in Markdown.
func (r *report) print(w io.Writer) error {
	if _, err := fmt.Fprintln(w, r.Machine()); err != nil {
		return err
	}
	sides := r.Sides(knownSides)
	for _, table := range []struct {
		title string
		has   func(name string) bool
	}{
		{"Speed", func(name string) bool { return !strings.HasSuffix(name, ".cpu") }},
		{"CPU time of every process involved", func(name string) bool { return strings.HasSuffix(name, ".cpu") }},
	} {
		if err := r.Table(w, table.title, sides, table.has); err != nil {
			return err
		}
	}
	outcomes := r.outcomes()
	if len(outcomes) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprint(&b, "\n## Bars\n\n| sandbox, unless it says inline | is | has to be | ratio | |\n|---|---|---|---|---|\n")
	for _, o := range outcomes {
		ratio, verdict := "", "met"
		if o.Ratio != 0 {
			ratio = fmt.Sprintf("%.3f", o.Ratio) // so that no ratio below its bar looks like it
		}
		if !o.Met {
			verdict = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s | %s | %s |\n", o.Bar, figures.Number(o.Value), o.Unit, figures.Number(o.Limit), ratio, verdict)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// publish prints the report and writes the files that were asked for.
func (r *report) publish(o *options) error {
	r.Outcomes = r.outcomes()
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if o.json != "" {
		if err := figures.Write(o.json, r); err != nil {
			return err
		}
	}
	if o.markdown != "" {
		var b strings.Builder
		b.WriteString("<!-- written by go run ./test/bench -markdown -->\n# Measurements\n\n")
		if err := r.print(&b); err != nil {
			return err
		}
		if err := os.WriteFile(o.markdown, []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	if o.plots != "" {
		return r.Plot(o.plots, charts, drawn())
	}
	return nil
}
