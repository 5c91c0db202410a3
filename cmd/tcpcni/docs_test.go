package main

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The page of the command names every subcommand and flag that is not hidden.
func TestDocsNameEveryFlag(t *testing.T) {
	text, err := os.ReadFile("../../docs/command.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, c := range rootCommand(new(slog.LevelVar)).Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		if !strings.Contains(page, "## "+cmdPath(c)) {
			t.Errorf("docs/command.md has no section %q", cmdPath(c))
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(page, "--"+f.Name) {
				t.Errorf("docs/command.md does not name --%s of %s", f.Name, c.Name())
			}
		})
	}
}

func cmdPath(c *cobra.Command) string { return "tcpcni " + c.Name() }
