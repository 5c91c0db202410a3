package wire

// IPv4: RFC 791 (header, options), RFC 1122 section 3.2.1, RFC 2474 (DS field),
// RFC 6864 (identification).

import (
	"encoding/binary"
	"net/netip"
)

// Sizes of an IPv4 header, in bytes.
const (
	IPv4MinHeader = 20
	IPv4MaxHeader = 60
	IPv4MaxPacket = 65535
)

// Flag bits of the word that also holds the fragment offset.
const (
	ipv4DF = 0x4000
	ipv4MF = 0x2000
)

// IPv4 is an IPv4 header.
type IPv4 struct {
	TOS         uint8  // DS field and, in the low two bits, ECN
	DF, MF      bool   // don't fragment, more fragments
	TTL         uint8  // hops that are left
	Protocol    uint8  // ProtoTCP, …
	ID          uint16 // identification
	FragOff     uint16 // offset of this fragment in bytes, a multiple of 8
	TotalLen    int    // header and payload, in bytes; AppendTo writes it, the parser checked it
	Src, Dst    netip.Addr
	Options     []byte // raw, a multiple of 4 bytes, at most 40; aliases the packet after parsing
	SourceRoute bool   // set by the parser: a loose or strict source route option is present
}

// Fragment reports whether the packet is a piece of a larger one.
func (h *IPv4) Fragment() bool { return h.MF || h.FragOff != 0 }

// HeaderLen is the header's length in bytes.
func (h *IPv4) HeaderLen() int { return IPv4MinHeader + len(h.Options) }

// ParseIPv4 reads the header of packet b, verifies its checksum (RFC 1122
// section 3.2.1.2, MUST) and its options, and returns the payload without
// whatever the link padded.
func ParseIPv4(b []byte, h *IPv4) (payload []byte, err error) {
	if len(b) < IPv4MinHeader {
		return nil, ErrShort
	}
	hl, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if b[0]>>4 != 4 || hl < IPv4MinHeader || total < hl {
		return nil, ErrFormat
	}
	if total > len(b) {
		return nil, ErrShort
	}
	if Sum(b[:hl], 0) != 0xffff {
		return nil, ErrChecksum
	}
	frag := binary.BigEndian.Uint16(b[6:])
	*h = IPv4{
		TOS:      b[1],
		TotalLen: total,
		ID:       binary.BigEndian.Uint16(b[4:]),
		DF:       frag&ipv4DF != 0,
		MF:       frag&ipv4MF != 0,
		FragOff:  frag & 0x1fff * 8,
		TTL:      b[8],
		Protocol: b[9],
		Src:      netip.AddrFrom4([4]byte(b[12:16])),
		Dst:      netip.AddrFrom4([4]byte(b[16:20])),
	}
	if hl > IPv4MinHeader {
		h.Options = b[IPv4MinHeader:hl]
		if err := h.checkOptions(); err != nil {
			return nil, err
		}
	}
	return b[hl:total], nil
}

// Option types that matter to a host (RFC 791 section 3.1).
const (
	ipOptEnd  = 0
	ipOptNop  = 1
	ipOptLSRR = 131
	ipOptSSRR = 137
)

// checkOptions walks the options; unknown ones are passed over (RFC 1122
// section 3.2.1.8, MUST). The walk consumes at least a byte a step.
func (h *IPv4) checkOptions() error {
	for o := h.Options; len(o) > 0; {
		switch o[0] {
		case ipOptEnd:
			return nil
		case ipOptNop:
			o = o[1:]
			continue
		case ipOptLSRR, ipOptSSRR:
			h.SourceRoute = true
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return ErrFormat
		}
		o = o[o[1]:]
	}
	return nil
}

// DropUncopied overwrites by no-operations the options, raw and well formed, that
// only the first fragment of a datagram has (RFC 791 section 3.1, the copied
// flag).
func DropUncopied(options []byte) {
	for o := options; len(o) > 0; {
		switch {
		case o[0] == ipOptEnd:
			return
		case o[0] == ipOptNop:
			o = o[1:]
			continue
		case len(o) < 2 || o[1] < 2 || int(o[1]) > len(o):
			return
		}
		n := int(o[1])
		if o[0]&0x80 == 0 {
			for i := range n {
				o[i] = ipOptNop
			}
		}
		o = o[n:]
	}
}

// AppendTo appends the header, its checksum filled in, to b.
func (h *IPv4) AppendTo(b []byte) []byte {
	start := len(b)
	frag := h.FragOff / 8
	if h.DF {
		frag |= ipv4DF
	}
	if h.MF {
		frag |= ipv4MF
	}
	s, d := h.Src.As4(), h.Dst.As4()
	b = append(b,
		0x40|byte(h.HeaderLen()/4), h.TOS, byte(h.TotalLen>>8), byte(h.TotalLen),
		byte(h.ID>>8), byte(h.ID), byte(frag>>8), byte(frag),
		h.TTL, h.Protocol, 0, 0,
		s[0], s[1], s[2], s[3],
		d[0], d[1], d[2], d[3])
	b = append(b, h.Options...)
	binary.BigEndian.PutUint16(b[start+10:], Checksum(b[start:], 0))
	return b
}
