package plugin

import (
	"errors"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

// TestIPAMErrorIsSaidOnce: what an IPAM plugin says when ADD and the DEL behind it
// fail is in the error once, and so is what only one of them says.
func TestIPAMErrorIsSaidOnce(t *testing.T) {
	const details = "out of addresses"
	same := func() error { return types.NewError(11, `ipam "x": no luck`, details) }
	for _, c := range []struct {
		what  string
		steps []error // of taking back, the last one first
		want  map[string]int
	}{
		{"nothing else fails", nil, map[string]int{"no luck": 1, details: 1, "taking it back": 0}},
		{"DEL says the same", []error{same()}, map[string]int{"no luck": 1, details: 1, "taking it back": 0}},
		{"DEL says something else", []error{types.NewError(5, `ipam "x": disk full`, "")}, map[string]int{"no luck": 1, details: 1, "disk full": 1, "taking it back": 1}},
		{"two steps say the same", []error{errors.New("no device"), same(), errors.New("no device")}, map[string]int{"no luck": 1, details: 1, "no device": 1, "taking it back": 1}},
	} {
		var u undo
		ran := 0
		for i := range c.steps {
			e := c.steps[len(c.steps)-1-i]
			u.push(func() error { ran++; return e })
		}
		got := asError(u.run(same()))
		if got.Code != 11 || ran != len(c.steps) {
			t.Errorf("%s: code %d after %d steps", c.what, got.Code, ran)
		}
		for text, n := range c.want {
			if strings.Count(got.Error(), text) != n {
				t.Errorf("%s: %q is not there %d times: %v", c.what, text, n, got)
			}
		}
	}
}

// The same from a plugin's process.
func TestIPAMProcessErrorIsSaidOnce(t *testing.T) {
	h := newHost(t)
	box := h.container("box")
	h.write("fail-ADD", "", 0o644)
	h.write("fail-DEL", "", 0o644)
	_, err := h.verb("ADD", box, testConf())
	if err == nil || strings.Count(err.Error(), "no luck") != 1 || strings.Count(err.Error(), "testipam") != 1 {
		t.Errorf("%v", err)
	}
}
