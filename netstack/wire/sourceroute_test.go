package wire

import (
	"bytes"
	"net/netip"
	"testing"
)

// route is an option of the kind with its pointer behind the last of hops.
func route(kind byte, hops ...string) []byte {
	b := []byte{kind, byte(3 + 4*len(hops)), byte(4 + 4*len(hops))}
	for _, h := range hops {
		a := netip.MustParseAddr(h).As4()
		b = append(b, a[:]...)
	}
	return b
}

func TestReverseRoute(t *testing.T) {
	src := netip.MustParseAddr("192.0.2.1")
	full := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9"}
	for _, c := range []struct {
		name    string
		options []byte
		first   string // "": no route
		back    []byte
		bad     bool
	}{
		{"none", []byte{1, 1, 1, 0}, "", nil, false},
		{"empty", route(131), "", nil, false},
		{"one router", append([]byte{1}, route(131, "10.0.0.1")...), "10.0.0.1", append([]byte{131, 7, 4, 192, 0, 2, 1}, 0), false},
		{"strict", route(137, "10.0.0.1", "10.0.0.2"), "10.0.0.2", []byte{137, 11, 4, 10, 0, 0, 1, 192, 0, 2, 1, 0}, false},
		{"sender recorded itself", route(131, "192.0.2.1", "10.0.0.1"), "10.0.0.1", []byte{131, 7, 4, 192, 0, 2, 1, 0}, false},
		{"only the sender", route(131, "192.0.2.1"), "", nil, false},
		{"under way", []byte{131, 7, 4, 10, 0, 0, 1, 0}, "", nil, true},
		{"pointer past the end", []byte{131, 7, 9, 10, 0, 0, 1, 0}, "", nil, true},
		{"length", []byte{131, 6, 7, 10, 0, 0, 0, 0}, "", nil, true},
		{"no pointer", []byte{131, 2, 0, 0}, "", nil, true},
		{"two routes", append(route(131, "10.0.0.1"), route(137, "10.0.0.2")...), "", nil, true},
		{"behind the end", append([]byte{0}, route(131, "10.0.0.1")...), "", nil, false},
		{"multicast", route(131, "224.0.0.1"), "", nil, true},
		{"loopback", route(131, "127.0.0.1"), "", nil, true},
		{"class E", route(131, "255.255.255.255"), "", nil, true},
		{"nowhere", route(131, "0.0.0.0"), "", nil, true},
		{"cut short", []byte{131}, "", nil, true},
	} {
		r, ok := ReverseRoute(c.options, src)
		switch {
		case ok == c.bad:
			t.Errorf("%s: ok %v", c.name, ok)
		case (r != nil) != (c.first != ""):
			t.Errorf("%s: %+v", c.name, r)
		case r != nil && (r.First.String() != c.first || !bytes.Equal(r.Options, c.back)):
			t.Errorf("%s: first %v, options %v, want %s, %v", c.name, r.First, r.Options, c.first, c.back)
		}
	}
	// The largest route that fits a header fits it backwards.
	if r, ok := ReverseRoute(route(131, full...), src); !ok || len(r.Options) != 40 {
		t.Errorf("nine routers: %+v", r)
	}
}
