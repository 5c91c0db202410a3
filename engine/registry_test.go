package engine

import (
	"testing"

	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// TestSocketsShutForWritingAreCounted: as long as a program may ask about one.
func TestSocketsShutForWritingAreCounted(t *testing.T) {
	e := bare(t)
	want := func(n int, when string) {
		t.Helper()
		if e.socks.shut != n {
			t.Fatalf("%s: %d, want %d", when, e.socks.shut, n)
		}
	}
	a, p := e.mustStream(t)
	b, q := e.mustStream(t)
	a.phase, b.phase = phaseConnected, phaseConnected
	a.shutdown(p, abi.SHUT_RD)
	want(0, "reading")
	a.shutdown(p, abi.SHUT_WR)
	a.shutdown(p, abi.SHUT_WR)
	want(1, "one, twice")
	b.shutdown(q, abi.SHUT_RDWR)
	want(2, "two")
	a.gone()
	want(1, "one is closed")
	a.gone()
	e.socks.noteShut(a, false)
	want(1, "nobody has it any more")
	b.closeE()
	e.socks.bury(&b.sock)
	want(1, "asked about later")
	for i := range maxTombstones {
		e.socks.bury(&sock{cookie: 1<<60 + uint64(i)})
	}
	want(0, "forgotten")
}
