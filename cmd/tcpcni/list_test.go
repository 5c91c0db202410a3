package main

import "testing"

// TestProgramLine: a script in an argument does not break the table, and an
// escape sequence does not reach the terminal.
func TestProgramLine(t *testing.T) {
	if got := programLine([]string{"python3", "-c", "a\nb\tc\x1b[2J"}); got != "python3 -c a?b?c?[2J" {
		t.Errorf("%q", got)
	}
}
