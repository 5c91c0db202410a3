package wire

// The Internet checksum: RFC 1071 (computing it), RFC 1624 (updating it),
// RFC 8200 section 8.1 and RFC 9293 section 3.1 (pseudo headers).
//
// A "sum" below is a one's complement sum folded to 16 bits and not inverted,
// in the byte order of the wire. The number that goes into a header is its
// complement. A sum over data that holds its own right checksum is 0xffff.

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Sum returns the one's complement sum of b added to initial, which is a sum
// that an earlier call returned. An odd last byte counts as if a zero followed,
// so only the last of several pieces may be odd; Summer has no such limit.
func Sum(b []byte, initial uint16) uint16 {
	// Words are added in little-endian order and swapped once at the end:
	// the sum is independent of byte order (RFC 1071 section 2(B)).
	acc := uint64(bits.ReverseBytes16(initial))
	var c uint64
	for len(b) >= 64 {
		p := (*[64]byte)(b)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[0:8]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[8:16]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[16:24]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[24:32]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[32:40]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[40:48]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[48:56]), c)
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(p[56:64]), c)
		b = b[64:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, binary.LittleEndian.Uint64(b), c)
		b = b[8:]
	}
	var tail uint64
	if len(b) >= 4 {
		tail = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		tail += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		tail += uint64(b[0])
	}
	acc, c = bits.Add64(acc, tail, c)
	acc, c = bits.Add64(acc, 0, c)
	return bits.ReverseBytes16(fold64(acc + c))
}

func fold64(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	w := uint32(acc)
	w = w>>16 + w&0xffff
	w = w>>16 + w&0xffff
	return uint16(w)
}

// Add returns the one's complement sum of two sums.
func Add(a, b uint16) uint16 {
	w := uint32(a) + uint32(b)
	return uint16(w) + uint16(w>>16)
}

// Checksum returns what goes into a checksum field: the complement of the sum
// of b and initial.
func Checksum(b []byte, initial uint16) uint16 { return ^Sum(b, initial) }

// Update returns the checksum field that replaces check when a 16-bit word that
// it covers changes from old to new (RFC 1624 section 3, equation 3).
func Update(check, old, new uint16) uint16 {
	return ^Add(Add(^check, ^old), new)
}

// A Summer adds up a datum that lies in several pieces of any length.
// Its zero value is an empty sum.
type Summer struct {
	sum uint16
	odd bool // an odd number of bytes was added so far
}

// Start makes the sum begin with initial.
func (s *Summer) Start(initial uint16) { s.sum, s.odd = initial, false }

// Add appends b to the datum.
func (s *Summer) Add(b []byte) {
	part := Sum(b, 0)
	if s.odd {
		// The piece starts in the low half of a word: RFC 1071 section 2(B)
		// lets the swap happen after the sum.
		part = bits.ReverseBytes16(part)
	}
	s.sum = Add(s.sum, part)
	s.odd = s.odd != (len(b)&1 == 1)
}

// Sum returns the sum so far.
func (s *Summer) Sum() uint16 { return s.sum }

// SumSlices returns the sum of the concatenation of pieces added to initial.
func SumSlices(pieces [][]byte, initial uint16) uint16 {
	s := Summer{sum: initial}
	for _, p := range pieces {
		s.Add(p)
	}
	return s.sum
}

// PseudoSum returns the sum of the pseudo header of a transport protocol: the
// addresses, both of one family, the protocol number and the length in bytes of
// transport header and payload (RFC 9293 section 3.1, RFC 8200 section 8.1).
// This is also what a checksum field holds when a link with offload finishes it.
func PseudoSum(src, dst netip.Addr, proto uint8, length int) uint16 {
	tail := uint64(proto) + uint64(uint32(length))
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		return fold64(uint64(binary.BigEndian.Uint32(s[:])) + uint64(binary.BigEndian.Uint32(d[:])) + tail)
	}
	s, d := src.As16(), dst.As16()
	var c uint64
	acc := tail
	acc, c = bits.Add64(acc, binary.BigEndian.Uint64(s[:8]), 0)
	acc, c = bits.Add64(acc, binary.BigEndian.Uint64(s[8:]), c)
	acc, c = bits.Add64(acc, binary.BigEndian.Uint64(d[:8]), c)
	acc, c = bits.Add64(acc, binary.BigEndian.Uint64(d[8:]), c)
	acc, c = bits.Add64(acc, 0, c)
	return fold64(acc + c)
}

// TransportChecksum returns the checksum field of a TCP, UDP or ICMPv6 segment,
// given whole with a zero checksum field.
func TransportChecksum(src, dst netip.Addr, proto uint8, segment []byte) uint16 {
	return Checksum(segment, PseudoSum(src, dst, proto, len(segment)))
}

// TransportChecksumOK reports whether the checksum that a received TCP, UDP or
// ICMPv6 segment carries is right.
func TransportChecksumOK(src, dst netip.Addr, proto uint8, segment []byte) bool {
	return Sum(segment, PseudoSum(src, dst, proto, len(segment))) == 0xffff
}
