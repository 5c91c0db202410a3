package wire

// IPv6: RFC 8200 section 3 (header).

import (
	"encoding/binary"
	"net/netip"
)

// IPv6Len is the length of the fixed IPv6 header in bytes.
const IPv6Len = 40

// IPv6MinMTU is what every IPv6 link carries (RFC 8200 section 5), in bytes.
const IPv6MinMTU = 1280

// IPv6 is the fixed IPv6 header.
type IPv6 struct {
	TrafficClass uint8  // DS field and, in the low two bits, ECN
	NextHeader   uint8  // ProtoTCP, … or an extension header
	HopLimit     uint8  // hops that are left
	FlowLabel    uint32 // 20 bits
	PayloadLen   int    // bytes behind this header
	Src, Dst     netip.Addr
}

// ParseIPv6 reads the fixed header of packet b and returns what follows it,
// extension headers first, without whatever the link padded. A jumbogram
// (RFC 2675) counts as malformed.
func ParseIPv6(b []byte, h *IPv6) (payload []byte, err error) {
	if len(b) < IPv6Len {
		return nil, ErrShort
	}
	word := binary.BigEndian.Uint32(b)
	if word>>28 != 6 {
		return nil, ErrFormat
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n > len(b)-IPv6Len {
		return nil, ErrShort
	}
	*h = IPv6{
		TrafficClass: uint8(word >> 20),
		FlowLabel:    word & 0xfffff,
		PayloadLen:   n,
		NextHeader:   b[6],
		HopLimit:     b[7],
		Src:          netip.AddrFrom16([16]byte(b[8:24])),
		Dst:          netip.AddrFrom16([16]byte(b[24:40])),
	}
	return b[IPv6Len : IPv6Len+n], nil
}

// AppendTo appends the header to b.
func (h *IPv6) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, 6<<28|uint32(h.TrafficClass)<<20|h.FlowLabel&0xfffff)
	b = append(b, byte(h.PayloadLen>>8), byte(h.PayloadLen), h.NextHeader, h.HopLimit)
	s, d := h.Src.As16(), h.Dst.As16()
	return append(append(b, s[:]...), d[:]...)
}
