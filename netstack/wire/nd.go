package wire

// Neighbour solicitations and advertisements: RFC 4861 sections 4.3, 4.4, 4.6
// and 7.1.

import (
	"encoding/binary"
	"net/netip"
)

// Flags of a neighbour advertisement, in the message's first word.
const (
	NDRouter    = 1 << 31
	NDSolicited = 1 << 30
	NDOverride  = 1 << 29
)

// Link-layer address options (RFC 4861 section 4.6.1).
const (
	ndSourceLL = 1
	ndTargetLL = 2
)

// maxNDOptions bounds the options that are looked at; each is at least 8 bytes.
const maxNDOptions = 16

// ND is the part behind the ICMPv6 header of a neighbour solicitation or
// advertisement. The flags are in the ICMP header's Rest.
type ND struct {
	Target netip.Addr
	HasLL  bool
	LL     MAC // source (solicitation) or target (advertisement) link-layer address; valid iff HasLL
}

// ParseND reads the body of a message of type typ, ICMP6NeighborSolicit or
// ICMP6NeighborAdvert.
func ParseND(typ uint8, body []byte, h *ND) error {
	if len(body) < 16 {
		return ErrShort
	}
	*h = ND{Target: netip.AddrFrom16([16]byte(body))}
	if h.Target.IsMulticast() {
		// RFC 4861 sections 7.1.1 and 7.1.2, MUST.
		return ErrFormat
	}
	o := body[16:]
	for range maxNDOptions {
		if len(o) == 0 {
			return nil
		}
		// RFC 4861 section 4.6: an option of length zero discards the packet.
		if len(o) < 8 || o[1] == 0 || len(o) < int(o[1])*8 {
			return ErrFormat
		}
		if o[0] == ndOption(typ) && o[1] == 1 {
			h.HasLL, h.LL = true, MAC(o[2:8])
		}
		o = o[int(o[1])*8:]
	}
	return ErrFormat
}

func ndOption(typ uint8) uint8 {
	if typ == ICMP6NeighborSolicit {
		return ndSourceLL
	}
	return ndTargetLL
}

// AppendTo appends a whole message, ICMPv6 header first, to b. flags go into
// the header's word.
func (h *ND) AppendTo(b []byte, typ uint8, flags uint32) []byte {
	b = append(b, typ, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, flags)
	t := h.Target.As16()
	b = append(b, t[:]...)
	if h.HasLL {
		b = append(b, ndOption(typ), 1)
		b = append(b, h.LL[:]...)
	}
	return b
}
