package main

// The table of docs/congestion.md that is ours in real time.

import (
	"fmt"
	"os"
	"strings"
)

const (
	congestionDoc = "docs/congestion.md"
	sectionBegin  = "<!-- real time -->\n"
	sectionEnd    = "<!-- end -->\n"
)

// realTimeTable makes the table from the lines of a file that write wrote.
func realTimeTable(text string) (string, error) {
	shares := make(map[string]string)
	for line := range strings.Lines(text) {
		var name, share string
		var loss, ms int
		if strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := fmt.Sscan(line, &name, &loss, &ms, &share); err != nil {
			return "", fmt.Errorf("%q; accepted: algorithm, loss per thousand, milliseconds, share", line)
		}
		shares[fmt.Sprint(name, loss, " ", ms)] = share
	}
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
				share := shares[fmt.Sprint(name, loss, " ", ms)]
				if share == "" {
					return "", fmt.Errorf("no share of %s with %d per thousand and %d ms", name, loss, ms)
				}
				fmt.Fprintf(&b, " %s |", share)
			}
			b.WriteString("\n")
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

// document puts the measured shares of file into the page.
func document(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	table, err := realTimeTable(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	doc, err := os.ReadFile(congestionDoc)
	if err != nil {
		return err
	}
	before, _, after, err := splitDocument(string(doc))
	if err != nil {
		return err
	}
	return os.WriteFile(congestionDoc, []byte(before+"\n"+table+"\n"+after), 0o644)
}
