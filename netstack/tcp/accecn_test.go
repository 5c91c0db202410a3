package tcp

import "testing"

// TestUnwrap: how many packets were marked, by three bits of the count, the
// packets acknowledged and the bytes that an option counts (RFC 9768 section
// 3.2.2.5.2).
func TestUnwrap(t *testing.T) {
	const mss = 1000
	for _, c := range []struct {
		name       string
		real, segs uint32
		option     bool
		perAck     uint16
		want       uint32
	}{
		{"few packets cannot hide a round", 3, 7, false, 0, 3},
		{"nor can they with an option", 3, 7, true, 0, 3},
		{"the worst of many", 0, 10, false, 0, 8},
		{"the worst of more", 1, 30, false, 0, 25},
		{"a peer that acknowledges many at once as a rule", 1, 30, false, 5 << 6, 1},
		{"none, says the option", 0, 44, true, 0, 0},
		{"some", 10, 44, true, 0, 10},
		{"all", 44, 44, true, 0, 44},
		{"all but one", 43, 44, true, 0, 43},
		{"a round exactly", 8, 44, true, 0, 8},
	} {
		a := accSender{perAck: c.perAck}
		if got := a.unwrap(c.real&aceMask, c.segs, c.real*mss, c.segs*mss, c.option); got != c.want {
			t.Errorf("%s: %d of %d, want %d", c.name, got, c.segs, c.want)
		}
	}
}

// TestUnwrapFollows: with the option, counting stays right over any run of
// acknowledgements, whatever their size.
func TestUnwrapFollows(t *testing.T) {
	var a accSender
	var real, counted, x uint32
	for i := range 20000 {
		x = x*1664525 + 1013904223
		segs := x >> 16 % 60
		x = x*1664525 + 1013904223
		marked := uint32(0)
		if segs > 0 {
			marked = x >> 16 % (segs + 1)
		}
		real += marked
		counted += a.unwrap((real-counted)&aceMask, segs, marked*1448, segs*1448, true)
		if counted != real {
			t.Fatalf("acknowledgement %d: %d, want %d", i, counted, real)
		}
	}
}

// TestOptionIsDueInTime: RFC 9768 section 3.2.3.3, counters must not come round
// unseen, so that an option goes every 2 MiB of text at the latest.
func TestOptionIsDueInTime(t *testing.T) {
	a := newAccECN(notECT)
	a.count(countE0, optionBytes-1)
	if a.due {
		t.Error("due before")
	}
	if a.count(countE0, 1); !a.due {
		t.Error("not due")
	}
}
