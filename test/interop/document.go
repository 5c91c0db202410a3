package main

// Where the results go: tables and plots of their own, and the columns of
// docs/congestion.md that are of real time.

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tcpcni/tcpcni/test/bench/figures"
)

const (
	resultsDir    = "docs/performance"
	resultsName   = "paths.json" // in resultsDir
	congestionDoc = "docs/congestion.md"
	sectionBegin  = "<!-- real time -->\n"
	sectionEnd    = "<!-- end -->\n"
	// netstack/sim takes the kernel's shares from there into docs/congestion.md.
	kernelFile = "netstack/sim/testdata/kernel-congestion.txt"
)

// drawn are the bars of a test.
var drawn = []figures.Side{
	{Name: kernelAlone, Colour: "#444444"}, {Name: oursAlone, Colour: "#0a7d32"},
	{Name: oursToKernel, Colour: "#7cc08f"}, {Name: kernelToOurs, Colour: "#999999"},
	{Name: twoKernel, Colour: "#444444"}, {Name: twoOurs, Colour: "#0a7d32"},
	{Name: oursFirst, Colour: "#7cc08f"}, {Name: kernelFirst, Colour: "#999999"},
}

// charts has one for each algorithm, and one about fairness where the line decides
// and not its losses.
func charts() (list []figures.Chart) {
	fair := figures.Chart{File: "paths-fair.svg", Title: "Two on one line without loss"}
	for _, algorithm := range algorithms {
		c := figures.Chart{File: "paths-" + algorithm + ".svg", Title: "Goodput of " + algorithm + " on a line of 20 Mbit/s"}
		for _, ms := range tableTrips {
			for _, loss := range fairLosses {
				c.Tests = append(c.Tests, aloneName+path{algorithm, loss, ms}.name())
			}
			fair.Tests = append(fair.Tests, fairName+path{algorithm, 0, ms}.name())
		}
		list = append(list, c)
	}
	return append(list, fair)
}

// page writes the tables.
func page(w io.Writer, r *figures.Report) error {
	_, err := fmt.Fprintf(w, "%s\n\nA line of 20 Mbit/s, of which at most %.1f are text, with a queue as large as what the path holds, at least 60,000 bytes; round trip without the queue, random loss towards the receiver. See [congestion.md](../congestion.md).\n",
		r.Machine(), bulkRate*fullShare/1e6)
	if err != nil {
		return err
	}
	for _, t := range []struct {
		title, begin string
		sides        []string
	}{
		{"Goodput of one flow: who sends to whom", aloneName, aloneSides},
		{fmt.Sprintf("Fairness of two, of which the second begins %v later; over %v", pairLater, pairSpan), fairName, fairSides},
		{"Our part where ours and the kernel's share the line; 50 is fair", partName, mixedSides},
	} {
		if err := r.Table(w, t.title, t.sides, func(name string) bool {
			return strings.HasPrefix(name, t.begin) && len(r.Results[name].Rounds) > 0
		}); err != nil {
			return err
		}
	}
	return nil
}

// share is the part of the line that a median is.
func share(r *figures.Report, p path, side string) (float64, error) {
	m, ok := r.Median(aloneName+p.name(), side)
	if !ok {
		return 0, fmt.Errorf("%s has no number of %s", p.what(), side)
	}
	return m * 1e6 / (bulkRate * fullShare), nil
}

// realTimeTable makes the table of our shares.
func realTimeTable(r *figures.Report) (string, error) {
	var b strings.Builder
	b.WriteString("| algorithm | loss |")
	for _, ms := range tableTrips {
		fmt.Fprintf(&b, " %d ms |", ms)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(tableTrips)) + "\n")
	for _, name := range algorithms {
		for _, loss := range tableLosses {
			fmt.Fprintf(&b, "| %s | %d %% |", name, loss/10)
			for _, ms := range tableTrips {
				s, err := share(r, path{name, loss, ms}, oursAlone)
				if err != nil {
					return "", err
				}
				fmt.Fprintf(&b, " %.3f |", s)
			}
			b.WriteString("\n")
		}
	}
	return b.String(), nil
}

// kernelShares makes the file of the kernel's shares.
func kernelShares(r *figures.Report) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Share of the line of docs/congestion.md that the kernel's TCP, Linux %s reaches in real time,\n"+
		"# written by go run ./test/interop -table: algorithm, loss per thousand,\n# round trip in milliseconds, median of %d.\n", strings.SplitN(r.Kernel, "-", 2)[0], r.Rounds)
	for _, name := range algorithms {
		for _, loss := range tableLosses {
			for _, ms := range tableTrips {
				s, err := share(r, path{name, loss, ms}, kernelAlone)
				if err != nil {
					return "", err
				}
				fmt.Fprintf(&b, "%s %d %d %.3f\n", name, loss, ms, s)
			}
		}
	}
	return b.String(), nil
}

// splitDocument takes the table out of the page.
func splitDocument(doc string) (before, table, after string, err error) {
	before, rest, ok := strings.Cut(doc, sectionBegin)
	table, after, ended := strings.Cut(rest, sectionEnd)
	if !ok || !ended {
		return "", "", "", fmt.Errorf("%s: no table between %q and %q", congestionDoc, sectionBegin, sectionEnd)
	}
	return before + sectionBegin, table, sectionEnd + after, nil
}

// document writes all that shows the results.
func document(r *figures.Report) error {
	table, err := realTimeTable(r)
	if err != nil {
		return err
	}
	shares, err := kernelShares(r)
	if err != nil {
		return err
	}
	doc, err := os.ReadFile(congestionDoc)
	if err != nil {
		return err
	}
	before, _, after, err := splitDocument(string(doc))
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("<!-- written by go run ./test/interop -table -->\n# Emulated paths\n\n")
	if err := page(&b, r); err != nil {
		return err
	}
	for _, f := range []struct{ name, text string }{
		{congestionDoc, before + "\n" + table + "\n" + after},
		{kernelFile, shares},
		{filepath.Join(resultsDir, "paths.md"), b.String()},
	} {
		if err := os.WriteFile(f.name, []byte(f.text), 0o644); err != nil {
			return err
		}
	}
	if err := figures.Write(filepath.Join(resultsDir, resultsName), r); err != nil {
		return err
	}
	return r.Plot(resultsDir, charts(), drawn)
}
