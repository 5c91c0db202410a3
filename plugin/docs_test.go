package plugin

import (
	"os"
	"strings"
	"testing"
)

// The page of the plugin names every key.
func TestDocsNameEveryKey(t *testing.T) {
	page, err := os.ReadFile("../docs/cni.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys() {
		if !strings.Contains(string(page), "`"+k.name+"`") {
			t.Errorf("docs/cni.md does not name %s", k.name)
		}
	}
}
