package tcp

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// systemFolders are the folders of testdata whose scripts are one system's, and
// the profiles that have that system's sockets.
var systemFolders = map[string][]string{
	"cxux":    {"cxux"},
	"freebsd": {"freebsd"},
	"illumos": {"illumos", "omnios"},
	"sortix":  {"sortix"},
}

var withProfile = regexp.MustCompile(`(?m)^with .*?\bprofile=(\w+)`)

// TestScriptsOfSystems: a script of a system's folder runs with the system's
// profile, and passes with the other profiles of that system, too.
func TestScriptsOfSystems(t *testing.T) {
	for folder, profiles := range systemFolders {
		files, err := filepath.Glob("testdata/" + folder + "/*.script")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no scripts: %v", folder, err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := withProfile.FindSubmatchIndex(text)
			if at == nil || string(text[at[2]:at[3]]) != profiles[0] {
				t.Errorf("%s: accepted: a line with profile=%s", path, profiles[0])
				continue
			}
			name := strings.TrimSuffix(filepath.Base(path), ".script")
			for _, profile := range profiles[1:] {
				t.Run(profile+"/"+name, func(t *testing.T) {
					t.Parallel()
					story(t, string(text[:at[2]])+profile+string(text[at[3]:])).end()
				})
			}
		}
	}
}
