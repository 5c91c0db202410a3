package ports

import "math/bits"

// draws is how often pick tries its luck before it counts. With a tenth of the
// range free all of them fail once in thirty times.
const draws = 32

// pick chooses among the ports of [lo, hi] that are free, each with the same
// probability (RFC 6056 section 3.3.2: random and tried again, not counted up
// from a random start, which favours the port after a run of used ones).
func pick(rng func() uint32, lo, hi uint16, free func(uint16) bool) (uint16, bool) {
	if lo > hi {
		return 0, false
	}
	n := uint32(hi) - uint32(lo) + 1
	for range draws {
		if p := lo + uint16(below(rng, n)); free(p) {
			return p, true
		}
	}
	return pickDense(rng, lo, n, free)
}

// pickDense is for a range that is nearly full: it lists what is free.
func pickDense(rng func() uint32, lo uint16, n uint32, free func(uint16) bool) (uint16, bool) {
	var list []uint16
	for i := range n {
		if p := lo + uint16(i); free(p) {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return 0, false
	}
	return list[below(rng, uint32(len(list)))], true
}

// below draws from [0, n) without bias: the part of the generator's range that
// n does not divide is drawn again, which happens with n/2^32. The bound keeps a
// generator that is stuck from stopping the stack.
func below(rng func() uint32, n uint32) uint32 {
	var hi uint32
	for range draws {
		var lo uint32
		if hi, lo = bits.Mul32(rng(), n); lo >= -n%n {
			break
		}
	}
	return hi
}
