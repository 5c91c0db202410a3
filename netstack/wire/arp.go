package wire

// ARP for IPv4 over Ethernet: RFC 826, with RFC 5227 for announcements.

import (
	"encoding/binary"
	"net/netip"
)

// ARP operations.
const (
	ARPRequest = 1
	ARPReply   = 2
)

// ARPLen is the length of an ARP packet for IPv4 over Ethernet, in bytes.
const ARPLen = 28

const arpEthernet = 1 // hardware type (RFC 826, "ar$hrd")

// ARP is a packet that maps IPv4 addresses to Ethernet addresses.
type ARP struct {
	Op                   uint16
	SenderMAC, TargetMAC MAC
	SenderIP, TargetIP   netip.Addr // always IPv4
}

// ParseARP reads packet b. Padding behind the packet is ignored. Anything but
// IPv4 over Ethernet is ErrFormat.
func ParseARP(b []byte, h *ARP) error {
	if len(b) < ARPLen {
		return ErrShort
	}
	if binary.BigEndian.Uint16(b) != arpEthernet || binary.BigEndian.Uint16(b[2:]) != EtherIPv4 || b[4] != 6 || b[5] != 4 {
		return ErrFormat
	}
	h.Op = binary.BigEndian.Uint16(b[6:])
	h.SenderMAC, h.SenderIP = MAC(b[8:14]), netip.AddrFrom4([4]byte(b[14:18]))
	h.TargetMAC, h.TargetIP = MAC(b[18:24]), netip.AddrFrom4([4]byte(b[24:28]))
	return nil
}

// AppendTo appends the packet to b.
func (h *ARP) AppendTo(b []byte) []byte {
	b = append(b, 0, arpEthernet, EtherIPv4>>8, EtherIPv4&0xff, 6, 4, byte(h.Op>>8), byte(h.Op))
	s, t := h.SenderIP.As4(), h.TargetIP.As4()
	b = append(append(b, h.SenderMAC[:]...), s[:]...)
	return append(append(b, h.TargetMAC[:]...), t[:]...)
}
