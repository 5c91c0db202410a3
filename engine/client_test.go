package engine

import "testing"

func TestPrintable(t *testing.T) {
	if got := Printable("ESTAB\x1b[2J\n é"); got != "ESTAB?[2J? é" {
		t.Errorf("%q", got)
	}
}
