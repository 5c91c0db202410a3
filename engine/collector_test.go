package engine

import "testing"

// What may be garbage is bounded by what lives, whatever it is that lives.
func TestGarbageIsBounded(t *testing.T) {
	var c collection
	for _, x := range []struct{ sockets, payload int }{
		{0, 0}, {1, 0}, {1000, 0}, {10000, 0}, {10000, 1 << 20}, {300, 512 << 20}, {300, 300 << 20}, {300, 0}, {0, 0}, {100000, 0},
	} {
		c.outgrown(x.sockets, x.payload)
		live := emptyEngine + x.sockets*socketSize + x.payload
		garbage := live / 100 * c.percent()
		if most := live/100*gcPercent + 4*leastGarbage; garbage > most {
			t.Errorf("%d sockets, %d MiB: %d MiB of garbage, at most %d", x.sockets, x.payload>>20, garbage>>20, most>>20)
		}
		if garbage < leastGarbage/4 {
			t.Errorf("%d sockets, %d MiB: %d MiB of garbage", x.sockets, x.payload>>20, garbage>>20)
		}
	}
}

func TestPercentIsSetSeldom(t *testing.T) {
	var c collection
	times := 0
	for payload := 0; payload < 512<<20; payload += 64 << 10 {
		if c.outgrown(10, payload) {
			times++
		}
	}
	for range 1000 {
		if c.outgrown(10, 400<<20) || c.outgrown(10, 500<<20) {
			times++
		}
	}
	if times > 10 {
		t.Errorf("%d times", times)
	}
}
