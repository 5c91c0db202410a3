// Package figures keeps what was measured, and shows it: as JSON, as tables in
// Markdown with the median, the smallest and the largest of the rounds, and as
// plots (SVG), each with the commit and the machine.
package figures

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

// A Report collects the numbers. It is written as JSON.
type Report struct {
	Facts
	Order   []string           `json:"order"` // of the results
	Results map[string]*Result `json:"results"`
	Added   []Added            `json:"added,omitempty"` // results of other runs, see Merge
}

// Facts say what a run was.
type Facts struct {
	Commit  string  `json:"commit"` // of the clone; + if there were changes
	Day     string  `json:"day"`
	CPU     string  `json:"cpu"` // model
	CPUs    int     `json:"cpus"`
	Kernel  string  `json:"kernel"` // release of the running Linux
	Go      string  `json:"go"`
	Load    string  `json:"load"` // the three load averages before the first measurement
	Rounds  int     `json:"rounds"`
	Seconds float64 `json:"seconds"`            // of one measurement
	MTU     int     `json:"mtu,omitempty"`      // bytes
	FreeKiB int     `json:"free_kib,omitempty"` // blocks of free memory so large are the host's; 0: it takes none
}

// A Result is one test's numbers, in the order of the rounds.
type Result struct {
	What   string               `json:"what"`
	Unit   string               `json:"unit"`
	Rounds map[string][]float64 `json:"rounds"`           // by the side that was measured
	Failed map[string]string    `json:"failed,omitempty"` // why a side has no numbers
}

// New begins a report of this machine and clone.
func New() Report {
	r := Report{Results: map[string]*Result{}, Facts: Facts{CPUs: runtime.NumCPU(), Go: runtime.Version(), Day: time.Now().UTC().Format(time.DateOnly)}}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	r.FreeKiB = reportedFrom()
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

// Result returns the result of that name, which it makes if there is none.
func (r *Report) Result(name, what, unit string) *Result {
	res := r.Results[name]
	if res == nil {
		res = &Result{What: what, Unit: unit, Rounds: map[string][]float64{}}
		r.Results[name] = res
		r.Order = append(r.Order, name)
	}
	return res
}

// Add adds what one round has measured on a side.
func (r *Report) Add(name, what, unit, side string, value float64) {
	res := r.Result(name, what, unit)
	res.Rounds[side] = append(res.Rounds[side], value)
}

// Fail says why a side has no numbers.
func (r *Report) Fail(name, what, unit, side string, err error) {
	res := r.Result(name, what, unit)
	if res.Failed == nil {
		res.Failed = map[string]string{}
	}
	res.Failed[side] = err.Error()
}

// Median returns the middle of a side's numbers.
func (r *Report) Median(name, side string) (float64, bool) {
	res := r.Results[name]
	if res == nil || len(res.Rounds[side]) == 0 {
		return 0, false
	}
	return Median(res.Rounds[side]), true
}

// Sides returns those of all that have numbers, in the same order.
func (r *Report) Sides(all []string) (list []string) {
	for _, s := range all {
		for _, res := range r.Results {
			if len(res.Rounds[s]) > 0 {
				list = append(list, s)
				break
			}
		}
	}
	return list
}

// Median returns the middle of v, which is not empty.
func Median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// Number writes three digits, or the whole part when it has more.
func Number(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Cell is the median, with smallest and largest behind it.
func Cell(v []float64) string {
	switch len(v) {
	case 0:
		return "–"
	case 1:
		return Number(v[0])
	}
	return fmt.Sprintf("%s (%s–%s)", Number(Median(v)), Number(slices.Min(v)), Number(slices.Max(v)))
}

// Machine is what the numbers are of, as the first lines of a page.
func (r *Report) Machine() string {
	return r.words() + ". Medians, in brackets the smallest and the largest." + r.others()
}

func (f *Facts) words() string {
	text := fmt.Sprintf("%s, commit %s; %s, %d processors, Linux %s, %s; load %s before; %d rounds of %g s each", f.Day, f.Commit, f.CPU, f.CPUs, f.Kernel, f.Go, f.Load, f.Rounds, f.Seconds)
	if f.MTU != 0 {
		text += fmt.Sprintf(", MTU %d", f.MTU)
	}
	if f.FreeKiB != 0 {
		text += fmt.Sprintf(", the host takes free memory back in blocks of %d KiB and more", f.FreeKiB)
	}
	return text
}

// Table writes the results that are called so, if there are any: a row for each, a
// column for each of sides.
func (r *Report) Table(w io.Writer, title string, sides []string, has func(name string) bool) error {
	if !slices.ContainsFunc(r.Order, has) {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n| | unit | %s |\n|---|---|%s\n", title, strings.Join(sides, " | "), strings.Repeat("---|", len(sides)))
	for _, name := range r.Order {
		if !has(name) {
			continue
		}
		res := r.Results[name]
		cells := []string{res.What, res.Unit}
		for _, s := range sides {
			cells = append(cells, Cell(res.Rounds[s]))
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Write writes v, a report or what contains one, as JSON.
func Write(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// Read reads what Write has written.
func Read(file string, v any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
