package tcp

// Sequence number arithmetic modulo 2^32: RFC 9293 section 3.4.

// seqLT reports a < b in sequence space.
func seqLT(a, b uint32) bool { return int32(a-b) < 0 }

// seqLEQ reports a <= b in sequence space.
func seqLEQ(a, b uint32) bool { return int32(a-b) <= 0 }

// seqMax is the later of two sequence numbers.
func seqMax(a, b uint32) uint32 { return a + uint32(max(int32(b-a), 0)) }

// seqMin is the earlier of two sequence numbers.
func seqMin(a, b uint32) uint32 { return a + uint32(min(int32(b-a), 0)) }

// seqIn reports whether s lies in [left, left+size).
func seqIn(s, left, size uint32) bool { return s-left < size }
