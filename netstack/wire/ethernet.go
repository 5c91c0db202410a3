package wire

// Ethernet II frames: RFC 894, RFC 2464; multicast mapping RFC 1112 section 6.4
// and RFC 2464 section 7.

import (
	"encoding/binary"
	"net/netip"
)

// A MAC is an Ethernet address.
type MAC [6]byte

// Broadcast is the address of every station.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Group reports whether m addresses a group, as broadcast does, and so can
// never be a source.
func (m MAC) Group() bool { return m[0]&1 != 0 }

const hexDigits = "0123456789abcdef"

// String prints m as 02:00:0a:57:00:02.
func (m MAC) String() string {
	b := make([]byte, 0, 17)
	for i, x := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hexDigits[x>>4], hexDigits[x&15])
	}
	return string(b)
}

// EtherTypes (IANA IEEE 802 numbers).
const (
	EtherIPv4 = 0x0800
	EtherARP  = 0x0806
	EtherIPv6 = 0x86dd
)

// EthernetLen is the length of an Ethernet header in bytes.
const EthernetLen = 14

// Ethernet is the header of a frame.
type Ethernet struct {
	Dst, Src MAC
	Type     uint16 // EtherIPv4, EtherARP, EtherIPv6, …
}

// ParseEthernet reads the header of frame b.
func ParseEthernet(b []byte, h *Ethernet) (payload []byte, err error) {
	if len(b) < EthernetLen {
		return nil, ErrShort
	}
	h.Dst, h.Src = MAC(b[0:6]), MAC(b[6:12])
	h.Type = binary.BigEndian.Uint16(b[12:])
	return b[EthernetLen:], nil
}

// AppendTo appends the header to b.
func (h *Ethernet) AppendTo(b []byte) []byte {
	b = append(b, h.Dst[:]...)
	b = append(b, h.Src[:]...)
	return binary.BigEndian.AppendUint16(b, h.Type)
}

// MulticastMAC returns the Ethernet address that packets to the multicast
// address group travel to.
func MulticastMAC(group netip.Addr) MAC {
	if group.Is4() {
		a := group.As4()
		return MAC{0x01, 0x00, 0x5e, a[1] & 0x7f, a[2], a[3]}
	}
	a := group.As16()
	return MAC{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// LinkLocal returns the address fe80::/64 with the modified EUI-64 interface
// identifier of m (RFC 2464 section 4 and 5).
func LinkLocal(m MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80,
		8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5],
	})
}

// SolicitedNode returns the solicited-node multicast address of a
// (RFC 4291 section 2.7.1).
func SolicitedNode(a netip.Addr) netip.Addr {
	x := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: x[13], 14: x[14], 15: x[15]})
}

// Well-known groups (RFC 4291 section 2.7.1).
var (
	AllNodes   = netip.MustParseAddr("ff02::1")
	AllRouters = netip.MustParseAddr("ff02::2")
	AllHosts4  = netip.MustParseAddr("224.0.0.1")
)
