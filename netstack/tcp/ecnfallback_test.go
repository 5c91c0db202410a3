package tcp

import (
	"testing"
	"time"
)

// TestBrokenPathsAreForgotten: RFC 9768 section 3.1.4.1, a destination that needed
// a SYN without ECN twice is not asked for ten minutes.
func TestBrokenPathsAreForgotten(t *testing.T) {
	var p ecnPaths
	a := source(1)
	now := time.Hour
	p.note(a, now)
	if p.holds(a, now) {
		t.Error("once is enough")
	}
	now += ecnBrokenTime - 1
	p.note(a, now)
	if !p.holds(a, now) || !p.holds(a, now+ecnBrokenTime-1) || p.holds(source(2), now) {
		t.Error("twice is not enough")
	}
	now += ecnBrokenTime
	if p.holds(a, now) {
		t.Error("asked no more")
	}
	if p.note(a, now); p.holds(a, now) {
		t.Error("a failure of long ago counts")
	}
}

// TestBrokenPathsAreBounded: the oldest gives way to a further one.
func TestBrokenPathsAreBounded(t *testing.T) {
	var p ecnPaths
	now := time.Hour
	for range ecnBrokenTimes {
		for i := range maxECNBroken {
			now += time.Millisecond
			p.note(source(i), now)
		}
	}
	for range ecnBrokenTimes {
		p.note(source(maxECNBroken), now)
	}
	if len(p) != maxECNBroken || p.holds(source(0), now) {
		t.Errorf("%d are remembered, the oldest %v", len(p), p.holds(source(0), now))
	}
	for i := range maxECNBroken {
		if !p.holds(source(i+1), now) {
			t.Errorf("%d is forgotten", i+1)
		}
	}
}
