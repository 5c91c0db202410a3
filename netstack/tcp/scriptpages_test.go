package tcp

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// pageProfiles are the profiles of the pages that docs/conformance.md is about, by
// the beginning of a table's title.
var pageProfiles = map[string]string{"illumos": "illumos", "OmniOS": "omnios", "CX/UX": "cxux", "Sortix": "sortix", "FreeBSD": "freebsd"}

var citedScript = regexp.MustCompile(`\b(RFC\d+|man)/[-\w]+`)

// TestScriptsOfPages: a script of an RFC that stands for a statement of a system's
// page passes with that system's profile.
func TestScriptsOfPages(t *testing.T) {
	doc, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range strings.Split(string(doc), "\n## ")[1:] {
		title, _, _ := strings.Cut(table, ",")
		profile := pageProfiles[title]
		if profile == "" {
			t.Errorf("docs/conformance.md: a table about %q", title)
			continue
		}
		tried := make(map[string]bool)
		for _, name := range citedScript.FindAllString(table, -1) {
			if tried[name] {
				continue
			}
			tried[name] = true
			t.Run(profile+"/"+name, func(t *testing.T) {
				text, err := os.ReadFile("testdata/" + name + ".script")
				if err != nil {
					t.Fatal(err)
				}
				if withProfile.Match(text) {
					return // TestScripts has run it with what the page is about
				}
				title, rest, _ := strings.Cut(string(text), "\n")
				story(t, title+"\nwith profile="+profile+"\n"+rest).end()
			})
		}
	}
}
