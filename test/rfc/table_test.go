// Package rfc holds docs/rfc.md to what it says: the files, tests and scripts
// that it names exist, and no requirement of RFC 9293 is left out.
package rfc

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root    = "../.."
	page    = root + "/docs/rfc.md"
	scripts = root + "/netstack/tcp/testdata"
	header  = "| RFC | section | requirement | file | test |"
	rule    = "|---|---|---|---|---|"
)

// A row is one requirement.
type row struct {
	line                         int
	rfc, section, text, file, by string
}

// A section is what the page says about one document.
type section struct {
	line  int
	title string // behind "## "
	rows  []row
}

var titleForm = regexp.MustCompile(`^(RFC (\d+)|draft-[a-z0-9-]+), \S.*$`)

// number is that of the RFC, and beyond all others for a draft.
func (s *section) number() int {
	m := titleForm.FindStringSubmatch(s.title)
	if m == nil || m[2] == "" {
		return 1 << 30
	}
	n, _ := strconv.Atoi(m[2])
	return n
}

// read parses the page. What is not of its form is a failure.
func read(t *testing.T) []section {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var list []section
	lines := strings.Split(string(b), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case strings.HasPrefix(line, "## "):
			s := section{line: i + 1, title: line[3:]}
			if !titleForm.MatchString(s.title) {
				t.Errorf("line %d: a section is headed \"RFC number, title\": %s", i+1, line)
			}
			list = append(list, s)
		case !strings.HasPrefix(line, "|"):
		case len(list) == 0:
			t.Errorf("line %d: a table in front of the first section", i+1)
		case line == header:
			if i+1 == len(lines) || lines[i+1] != rule {
				t.Errorf("line %d: no %s below the header", i+1, rule)
			}
			i++
		default:
			s := &list[len(list)-1]
			cells := strings.Split(line, "|")
			if len(cells) != 7 || cells[0] != "" || cells[6] != "" {
				t.Errorf("line %d: a row has five cells: %s", i+1, line)
				continue
			}
			for k := range cells {
				cells[k] = strings.TrimSpace(cells[k])
			}
			s.rows = append(s.rows, row{i + 1, cells[1], cells[2], cells[3], cells[4], cells[5]})
		}
	}
	if len(list) == 0 {
		t.Fatal("no sections")
	}
	return list
}

// TestRowsNameWhatThereIs: each row has a section, a rule, files that exist and
// tests that exist, or a reason why there is none.
func TestRowsNameWhatThereIs(t *testing.T) {
	tests := goTests(t)
	for _, s := range read(t) {
		for _, r := range s.rows {
			for _, what := range r.wrong(&s, tests) {
				t.Errorf("line %d: %s", r.line, what)
			}
		}
	}
}

// none begins the reason why a rule has no test, or is not kept.
const none = "none: "

func (r *row) wrong(s *section, tests map[string]bool) (list []string) {
	fault := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if r.rfc == "" || !strings.Contains(s.title, r.rfc) {
		fault("RFC %q below %q", r.rfc, s.title)
	}
	if r.section == "" || r.text == "" {
		fault("no section, or no rule")
	}
	by, reason, reasoned := strings.Cut(r.by, none)
	switch {
	case reasoned && len(strings.TrimSpace(reason)) < 10:
		fault("%q without a reason", none)
	case !reasoned && len(words(by)) == 0:
		fault("no test")
	case r.file == "" && !reasoned:
		fault("no file")
	}
	for _, f := range words(r.file) {
		if _, err := os.Stat(filepath.Join(root, f)); err != nil {
			fault("no file %s", f)
		}
	}
	for _, w := range words(by) {
		if !known(w, tests) {
			fault("no test %s", w)
		}
	}
	return list
}

// words are the parts of a list with commas or semicolons.
func words(cell string) (list []string) {
	for _, w := range strings.FieldsFunc(cell, func(r rune) bool { return r == ',' || r == ';' }) {
		if w = strings.TrimSpace(w); w != "" {
			list = append(list, w)
		}
	}
	return list
}

// known reports whether a test of that name exists: a Go test, with a subtest
// or without, a script, a file.
func known(name string, tests map[string]bool) bool {
	if test, _, _ := strings.Cut(name, "/"); tests[test] {
		return true
	}
	for _, path := range []string{filepath.Join(scripts, name+".script"), filepath.Join(root, name)} {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(\w+ \*testing\.[TF]\)`)

// goTests are the names of all Go tests of the module.
func goTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() != ".." && strings.HasPrefix(d.Name(), ".") && path != root:
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(b, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	return names
}

// TestSectionsAreSorted: one for each document, RFCs by number, drafts behind.
func TestSectionsAreSorted(t *testing.T) {
	list := read(t)
	for i := range list {
		if i > 0 && list[i].number() <= list[i-1].number() && list[i].number() < 1<<30 {
			t.Errorf("line %d: %q stands behind %q", list[i].line, list[i].title, list[i-1].title)
		}
	}
}

// TestFaultsAreFound keeps the checks from being empty.
func TestFaultsAreFound(t *testing.T) {
	tests := map[string]bool{"TestThis": true}
	s := section{title: "RFC 1, Title"}
	good := row{0, "1", "2.1", "rule", "go.mod", "TestThis"}
	if w := good.wrong(&s, tests); w != nil {
		t.Error(w)
	}
	for what, change := range map[string]func(*row){
		"RFC":     func(r *row) { r.rfc = "2" },
		"section": func(r *row) { r.section = "" },
		"rule":    func(r *row) { r.text = "" },
		"file":    func(r *row) { r.file = "go.mud" },
		"no file": func(r *row) { r.file = "" },
		"test":    func(r *row) { r.by = "TestThis, TestThat" },
		"no test": func(r *row) { r.by = "" },
		"script":  func(r *row) { r.by = "RFC9293/no-such-rule" },
		"reason":  func(r *row) { r.by = "none: so" },
	} {
		r := good
		change(&r)
		if r.wrong(&s, tests) == nil {
			t.Errorf("a wrong %s is not found", what)
		}
	}
}

// requirements are the numbers of RFC 9293 appendix B.
var requirements = map[string]int{"MUST": 69, "SHLD": 31, "MAY": 18, "REC": 1}

// TestRFC9293IsWhole: every numbered requirement has a row.
func TestRFC9293IsWhole(t *testing.T) {
	list := read(t)
	i := slices.IndexFunc(list, func(s section) bool { return s.number() == 9293 })
	if i < 0 {
		t.Fatal("no section for RFC 9293")
	}
	var text strings.Builder
	for _, r := range list[i].rows {
		text.WriteString(r.text + "\n")
	}
	for word, n := range requirements {
		for k := 1; k <= n; k++ {
			name := fmt.Sprintf("%s-%d", word, k)
			if !regexp.MustCompile(name + `\b`).MatchString(text.String()) {
				t.Errorf("%s has no row", name)
			}
		}
	}
}

// scriptRule is the document and section in the first line of a script.
var scriptRule = regexp.MustCompile(`^# RFC (\d+) (?:sections? ([0-9.]*[0-9]))?`)

// TestEveryScriptHasARow: what the first line of a script names, the page has: a
// row of that section, of one above it or of one inside.
func TestEveryScriptHasARow(t *testing.T) {
	rows := map[string][]string{}
	for _, s := range read(t) {
		for _, r := range s.rows {
			rows[r.rfc] = append(rows[r.rfc], words(r.section)...)
		}
	}
	count := 0
	err := filepath.WalkDir(scripts, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".script") {
			return err
		}
		count++
		b, err := os.ReadFile(path)
		m := scriptRule.FindSubmatch(b)
		if m == nil { // a manual page's
			return err
		}
		rfc, sec := string(m[1]), string(m[2])
		if rfc == "793" {
			return err // the rules that RFC 5961 replaces
		}
		near := func(have string) bool {
			return have == sec || strings.HasPrefix(have, sec+".") || strings.HasPrefix(sec, have+".")
		}
		if list := rows[rfc]; len(list) == 0 || sec != "" && !slices.ContainsFunc(list, near) {
			t.Errorf("%s: no row for RFC %s section %s", filepath.Base(path), rfc, sec)
		}
		return err
	})
	if err != nil || count < 250 {
		t.Errorf("%d scripts, %v", count, err)
	}
}
