package tcp

import (
	"testing"
	"time"
)

// TestUTOOption: RFC 5482 section 3, seconds up to 32767, minutes beyond, and
// never less than a second for a timeout that is set.
func TestUTOOption(t *testing.T) {
	for _, x := range []struct {
		d    time.Duration
		want uint16
	}{
		{0, 0},
		{time.Millisecond, 1},
		{time.Second, 1},
		{1001 * time.Millisecond, 2},
		{32767 * time.Second, 32767},
		{32768 * time.Second, 1<<15 | 546},
		{32767 * time.Minute, 1<<15 | 32767},
		{40000 * time.Minute, 1<<15 | 32767},
	} {
		if got := utoOption(x.d); got != x.want {
			t.Errorf("%v: %x, want %x", x.d, got, x.want)
		}
	}
	for option, want := range map[uint16]time.Duration{
		0: 0, 1 << 15: 0, 120: 2 * time.Minute, 1<<15 | 120: 2 * time.Hour,
	} {
		if got := utoTime(option); got != want {
			t.Errorf("%x: %v, want %v", option, got, want)
		}
	}
}
