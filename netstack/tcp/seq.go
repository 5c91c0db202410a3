package tcp

// Sequence number arithmetic modulo 2^32: RFC 9293 section 3.4.

// seqLT reports a < b in sequence space.
func seqLT(a, b uint32) bool { return int32(a-b) < 0 }

// seqLEQ reports a <= b in sequence space.
func seqLEQ(a, b uint32) bool { return int32(a-b) <= 0 }

// seqMax is the later of two sequence numbers.
func seqMax(a, b uint32) uint32 {
	if seqLT(a, b) {
		return b
	}
	return a
}

// seqMin is the earlier of two sequence numbers.
func seqMin(a, b uint32) uint32 {
	if seqLT(a, b) {
		return a
	}
	return b
}

// seqIn reports whether s lies in [left, left+size).
func seqIn(s, left, size uint32) bool { return s-left < size }
