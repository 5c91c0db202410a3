// Package wire reads and writes the formats that travel on a link: Ethernet,
// ARP, IPv4, IPv6 with its extension headers, ICMP, neighbour discovery, UDP
// and TCP. It keeps no state.
//
// A parser takes the bytes and a header to fill, and returns the payload, which
// aliases the bytes. It never panics and never reads past what it was given;
// every loop over options or extension headers is bounded. An error is one of
// the values below, so that a caller can count it.
//
// AppendTo methods append the header to a slice, checksum fields zero unless
// the method says otherwise.
package wire

import "errors"

// Errors of all parsers.
var (
	ErrShort    = errors.New("wire: packet is shorter than its header says")
	ErrFormat   = errors.New("wire: malformed header")
	ErrChecksum = errors.New("wire: wrong checksum")
)

// Protocol numbers of IPv4's Protocol and IPv6's Next Header field.
const (
	ProtoHopByHop = 0
	ProtoICMP4    = 1
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoRouting  = 43
	ProtoFragment = 44
	ProtoICMP6    = 58
	ProtoNoNext   = 59
	ProtoDstOpts  = 60
)

// Segmentation offload types, numbered as in the virtio-net header
// (virtio 1.2 section 5.1.6).
const (
	GSONone = 0    // one packet
	GSOTCP4 = 1    // a TCP super-segment over IPv4
	GSOTCP6 = 4    // a TCP super-segment over IPv6
	GSOUDP  = 5    // several UDP datagrams of one flow behind one header, over IPv4 or IPv6
	GSOECN  = 0x80 // flag: the super-segment carries CWR, which only its first segment keeps
)
