package engine

import (
	"testing"
	"time"
)

// TestVainLogIsBounded: a flood writes a burst, then a line a second, and says how
// many it has left out.
func TestVainLogIsBounded(t *testing.T) {
	var v vainLog
	lines := 0
	for i := range 100_000 { // ten seconds
		if v.may(time.Hour + time.Duration(i)*100*time.Microsecond) {
			lines++
		}
	}
	if lines < vainBurst+8 || lines > vainBurst+11 || v.omitted != 100_000-lines {
		t.Errorf("%d lines, %d left out", lines, v.omitted)
	}
	v.omitted = 0
	for range vainBurst { // after a quiet time the burst is whole again
		if !v.may(2 * time.Hour) {
			t.Error("not whole")
			break
		}
	}
}

// TestVainLogEnds: a stranger with patience does not fill the log.
func TestVainLogEnds(t *testing.T) {
	var v vainLog
	lines := 0
	for i := range 3 * vainLines {
		if v.spent() != (lines == vainLines) {
			t.Fatalf("after %d lines spent says %v", lines, v.spent())
		}
		if v.may(time.Hour + time.Duration(i)*vainGap) {
			lines++
		}
	}
	if lines != vainLines || v.omitted != 2*vainLines {
		t.Errorf("%d lines, %d left out", lines, v.omitted)
	}
}
