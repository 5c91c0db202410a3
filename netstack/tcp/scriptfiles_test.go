package tcp

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// scriptTitle is the first line of a script: the document and its section, and
// the rule in words.
var scriptTitle = regexp.MustCompile(`^# (RFC \d+ (section|figure|appendix)|[a-z_0-9]+\([2347]P?\)|draft-).*: .+\.$`)

// TestScripts runs every file of testdata that ends in .script; one of them is
// chosen by go test -run 'TestScripts/RFC9293/NAME'.
func TestScripts(t *testing.T) {
	var files []string
	err := filepath.WalkDir("testdata", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".script") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.ToSlash(path), ".script")
		t.Run(strings.TrimPrefix(name, "testdata/"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			title, _, _ := strings.Cut(string(text), "\n")
			if !scriptTitle.MatchString(title) {
				t.Errorf("the first line must name the document, the section and the rule: %s", title)
			}
			story(t, string(text)).end()
		})
	}
}
