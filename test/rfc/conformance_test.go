package rfc

import (
	"os"
	"strings"
	"testing"
)

// The five manual pages, by the heads of their tables.
var manuals = []string{"illumos, ", "OmniOS, ", "CX/UX, ", "Sortix, ", "FreeBSD, "}

const conformance = root + "/docs/conformance.md"

// TestConformance holds docs/conformance.md to what it says: a table for each
// manual page, and for each statement tests that exist, or the reason why there
// is none.
func TestConformance(t *testing.T) {
	b, err := os.ReadFile(conformance)
	if err != nil {
		t.Fatal(err)
	}
	tests := goTests(t)
	rows := make(map[string]int)
	title := ""
	for i, line := range strings.Split(string(b), "\n") {
		switch {
		case strings.HasPrefix(line, "## "):
			title = line[3:]
		case !strings.HasPrefix(line, "|"), strings.HasPrefix(line, "|-"), line == "| statement | how to see it | test |":
		default:
			cells := strings.Split(line, "|")
			if len(cells) != 5 || strings.TrimSpace(cells[1]) == "" {
				t.Errorf("line %d: a row has three cells: %s", i+1, line)
				continue
			}
			rows[title]++
			r := row{rfc: title, section: title, text: cells[1], file: "docs/conformance.md", by: strings.TrimSpace(cells[3])}
			for _, what := range r.wrong(&section{title: title}, tests) {
				t.Errorf("line %d: %s", i+1, what)
			}
		}
	}
	for _, m := range manuals {
		found := 0
		for title, n := range rows {
			if strings.HasPrefix(title, m) {
				found += n
			}
		}
		if found < 20 {
			t.Errorf("%d rows for %s", found, strings.TrimSuffix(m, ", "))
		}
	}
}
