package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
)

// tableOf counts by file.
func tableOf(list []*mutant) string {
	type row struct{ tried, scripts, tests, worlds, left int }
	rows := make(map[string]*row)
	var sum row
	for _, m := range list {
		r := rows[m.file]
		if r == nil {
			r = new(row)
			rows[m.file] = r
		}
		for _, r := range []*row{r, &sum} {
			r.tried++
			switch m.stage {
			case "scripts":
				r.scripts++
			case "tests":
				r.tests++
			case "worlds":
				r.worlds++
			default:
				r.left++
			}
		}
	}
	var names []string
	for n := range rows {
		names = append(names, n)
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString("| file | changes | noticed by scripts | by other tests | by worlds | by nobody | share |\n|---|---|---|---|---|---|---|\n")
	line := func(name string, r *row) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %.0f %% |\n", name, r.tried, r.scripts, r.tests, r.worlds, r.left, 100*float64(r.left)/float64(max(r.tried, 1)))
	}
	for _, n := range names {
		line("`"+n+"`", rows[n])
	}
	line("all", &sum)
	return b.String()
}

const docHead = `# Which rules no test would miss

%s by test/mutate: one comparison, boolean, or step by one in %s is changed at a time (a border moved to the other side, a condition turned round, a step left out), and the tests are run. A change that they do not notice is either one that makes no difference, or a rule that nothing proves.

%s
%d of %d changes were tried. What was not noticed:

`

// writeDoc writes the table and what was not noticed.
func writeDoc(path, dir, table string, all int, tried []*mutant) error {
	var b strings.Builder
	fmt.Fprintf(&b, docHead, "Measured", "`"+dir+"`", table, len(tried), all)
	sort.Slice(tried, func(i, j int) bool {
		return tried[i].file < tried[j].file || tried[i].file == tried[j].file && tried[i].line < tried[j].line
	})
	for _, m := range tried {
		if m.stage == "" {
			fmt.Fprintf(&b, "* `%s:%d`: `%s`\n", m.file, m.line, m.what)
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
