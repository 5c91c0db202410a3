package wire

// Packets quoted in ICMP errors: RFC 792, RFC 1812 section 4.3.2.3, RFC 4443
// section 2.4(c). What is quoted was cut somewhere, so lengths and checksums
// cannot be verified.

import (
	"encoding/binary"
	"net/netip"
)

// quotedTransport is how much of the transport header a quotation must have, in
// bytes: ports and TCP's sequence number (RFC 792).
const quotedTransport = 8

// Quoted is what an ICMP error tells about the packet that caused it.
type Quoted struct {
	Src, Dst  netip.Addr
	Proto     uint8
	Length    int    // of the whole packet in bytes, as its header said
	Transport []byte // start of its transport header, at least 8 bytes
}

// ParseQuoted4 reads the start of an IPv4 packet. A fragment that does not hold
// the transport header is ErrFormat.
func ParseQuoted4(b []byte, q *Quoted) error {
	if len(b) < IPv4MinHeader {
		return ErrShort
	}
	hl := int(b[0]&15) * 4
	if b[0]>>4 != 4 || hl < IPv4MinHeader || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return ErrFormat
	}
	if len(b) < hl+quotedTransport {
		return ErrShort
	}
	*q = Quoted{
		Src: netip.AddrFrom4([4]byte(b[12:16])), Dst: netip.AddrFrom4([4]byte(b[16:20])),
		Proto: b[9], Length: int(binary.BigEndian.Uint16(b[2:])), Transport: b[hl:],
	}
	return nil
}

// ParseQuoted6 reads the start of an IPv6 packet, likewise.
func ParseQuoted6(b []byte, q *Quoted) error {
	if len(b) < IPv6Len {
		return ErrShort
	}
	if b[0]>>4 != 6 {
		return ErrFormat
	}
	chain := b[IPv6Len:]
	var e Ext6
	WalkExt(b[6], chain, &e)
	if e.HasFrag && e.Frag.Offset == 0 && e.Verdict == ExtOK {
		e.Resume(chain)
	}
	if e.Verdict != ExtOK || e.HasFrag {
		return ErrFormat
	}
	if len(chain) < e.Offset+quotedTransport {
		return ErrShort
	}
	*q = Quoted{
		Src: netip.AddrFrom16([16]byte(b[8:24])), Dst: netip.AddrFrom16([16]byte(b[24:40])),
		Proto: e.Proto, Length: IPv6Len + int(binary.BigEndian.Uint16(b[4:])), Transport: chain[e.Offset:],
	}
	return nil
}
