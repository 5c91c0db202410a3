package wire

// UDP: RFC 768, RFC 8200 section 8.1 (the checksum is not optional over IPv6).

import "encoding/binary"

// UDPLen is the length of a UDP header in bytes.
const UDPLen = 8

// UDP is a UDP header.
type UDP struct {
	SrcPort, DstPort uint16
	Length           uint16 // header and payload, in bytes
	Checksum         uint16 // 0: the sender computed none
}

// ParseUDP reads the header of datagram b. The payload ends where the header's
// length says. The checksum is the caller's business.
func ParseUDP(b []byte, h *UDP) (payload []byte, err error) {
	if len(b) < UDPLen {
		return nil, ErrShort
	}
	*h = UDP{
		SrcPort:  binary.BigEndian.Uint16(b),
		DstPort:  binary.BigEndian.Uint16(b[2:]),
		Length:   binary.BigEndian.Uint16(b[4:]),
		Checksum: binary.BigEndian.Uint16(b[6:]),
	}
	if h.Length < UDPLen {
		return nil, ErrFormat
	}
	if int(h.Length) > len(b) {
		return nil, ErrShort
	}
	return b[UDPLen:h.Length], nil
}

// AppendTo appends the header to b, its checksum as h has it.
func (h *UDP) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, h.SrcPort)
	b = binary.BigEndian.AppendUint16(b, h.DstPort)
	b = binary.BigEndian.AppendUint16(b, h.Length)
	return binary.BigEndian.AppendUint16(b, h.Checksum)
}
