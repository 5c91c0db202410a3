package hostlink

// Cutting super-segments in software and finishing checksums, as a network card
// would: RFC 9293 section 3.1, RFC 768, RFC 3168 section 6.1.2 (CWR).
// Documentation/networking/segmentation-offloads.rst of Linux names the fields
// that change from segment to segment.

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A layout says where the headers of a frame are, in bytes from the Ethernet
// header. The transport header may be cut short by the frame's end.
type layout struct {
	ip, l4, end int // IP header, transport header, end of the IP packet
	proto       uint8
	v6          bool
	whole       bool // not a fragment
}

const (
	ethLen       = wire.EthernetLen
	tcpCsumField = 16
	udpCsumField = 6
	udpHeaderLen = 8
)

// findLayout reads the headers of an Ethernet frame that carries IP. It trusts
// no length.
func findLayout(frame []byte) (layout, bool) {
	if len(frame) < ethLen+wire.IPv4MinHeader {
		return layout{}, false
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case wire.EtherIPv4:
		return findLayout4(frame)
	case wire.EtherIPv6:
		return findLayout6(frame)
	}
	return layout{}, false
}

func findLayout4(frame []byte) (layout, bool) {
	ip := frame[ethLen:]
	hl, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0]>>4 != 4 || hl < wire.IPv4MinHeader || total < hl || total > len(ip) {
		return layout{}, false
	}
	return layout{
		ip: ethLen, l4: ethLen + hl, end: ethLen + total, proto: ip[9],
		whole: binary.BigEndian.Uint16(ip[6:])&0x3fff == 0, // neither MF nor an offset
	}, true
}

func findLayout6(frame []byte) (layout, bool) {
	ip := frame[ethLen:]
	if len(ip) < wire.IPv6Len || ip[0]>>4 != 6 {
		return layout{}, false
	}
	end := wire.IPv6Len + int(binary.BigEndian.Uint16(ip[4:]))
	if end > len(ip) {
		return layout{}, false
	}
	var e wire.Ext6
	wire.WalkExt(ip[6], ip[wire.IPv6Len:end], &e)
	if e.Verdict != wire.ExtOK {
		return layout{}, false
	}
	return layout{
		ip: ethLen, l4: ethLen + wire.IPv6Len + e.Offset, end: ethLen + end, proto: e.Proto,
		v6: true, whole: !e.HasFrag,
	}, true
}

// checksumField is the offset of the checksum in the transport header, -1 when
// the protocol is none whose checksum links finish.
func checksumField(proto uint8) int {
	switch proto {
	case wire.ProtoTCP:
		return tcpCsumField
	case wire.ProtoUDP:
		return udpCsumField
	}
	return -1
}

// finishChecksum completes the checksum at field of the transport header that
// starts at l4: the field holds the pseudo header's sum. The packet ends at end.
func finishChecksum(frame []byte, l4, field, end int) bool {
	if field < 0 || l4 < 0 || end > len(frame) || l4+field+2 > end {
		return false
	}
	sum := wire.Checksum(frame[l4:end], 0)
	if sum == 0 {
		// RFC 768: a computed zero goes out as ones. For TCP both mean the same.
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(frame[l4+field:], sum)
	return true
}

// A cutter hands out the segments of one super-segment, each a whole frame with
// complete checksums.
type cutter struct {
	frame  []byte // the super-segment; only its header is changed, and only by next
	at     layout
	hdrLen int // bytes from the Ethernet header to the payload
	size   int // payload bytes per segment
	pos    int // of the next segment's payload in frame
	seq    uint32
	id     uint16 // IPv4 identification of the next segment
	pseudo uint16 // sum of the pseudo header without the length
}

// start prepares to cut frame every size bytes. It reports whether the frame is
// a well-formed TCP or UDP super-segment.
func (c *cutter) start(frame []byte, size int) bool {
	at, ok := findLayout(frame)
	if !ok || !at.whole || size <= 0 {
		return false
	}
	*c = cutter{frame: frame, at: at, size: size}
	switch at.proto {
	case wire.ProtoTCP:
		if at.l4+wire.TCPMinHeader > at.end {
			return false
		}
		n := int(frame[at.l4+12]>>4) * 4
		if n < wire.TCPMinHeader {
			return false
		}
		c.hdrLen = at.l4 + n
		c.seq = binary.BigEndian.Uint32(frame[at.l4+4:])
	case wire.ProtoUDP:
		c.hdrLen = at.l4 + udpHeaderLen
	default:
		return false
	}
	if c.hdrLen > at.end {
		return false
	}
	c.pos = c.hdrLen
	ip := frame[at.ip:]
	if at.v6 {
		c.pseudo = wire.Sum(ip[8:40], uint16(at.proto))
	} else {
		c.id = binary.BigEndian.Uint16(ip[4:])
		c.pseudo = wire.Sum(ip[12:20], uint16(at.proto))
	}
	return true
}

// more reports whether next has a segment.
func (c *cutter) more() bool { return c.pos < c.at.end }

// length is the size in bytes of the frame that next will write.
func (c *cutter) length() int { return c.hdrLen + min(c.size, c.at.end-c.pos) }

// next writes the next segment into dst, which has length bytes.
func (c *cutter) next(dst []byte) {
	first, n := c.pos == c.hdrLen, len(dst)-c.hdrLen
	copy(dst, c.frame[:c.hdrLen])
	copy(dst[c.hdrLen:], c.frame[c.pos:c.pos+n])
	c.pos += n
	c.putIP(dst)
	l4 := dst[c.at.l4:]
	field := udpCsumField
	if c.at.proto == wire.ProtoTCP {
		field = tcpCsumField
		c.putTCP(l4, first, n)
	} else {
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
	}
	binary.BigEndian.PutUint16(l4[field:], wire.Add(c.pseudo, uint16(len(l4))))
	finishChecksum(dst, c.at.l4, field, len(dst))
}

func (c *cutter) putIP(dst []byte) {
	ip := dst[c.at.ip:]
	if c.at.v6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-wire.IPv6Len))
		return
	}
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[4:], c.id)
	c.id++
	h := dst[c.at.ip:c.at.l4]
	binary.BigEndian.PutUint16(h[10:], 0)
	binary.BigEndian.PutUint16(h[10:], wire.Checksum(h, 0))
}

func (c *cutter) putTCP(l4 []byte, first bool, n int) {
	binary.BigEndian.PutUint32(l4[4:], c.seq)
	c.seq += uint32(n)
	flags := wire.TCPFlags(l4[13])
	if c.more() {
		flags &^= wire.TCPFin | wire.TCPPsh
	}
	if !first {
		// RFC 3168 section 6.1.2: one segment says that the window was reduced.
		flags &^= wire.TCPCwr
	}
	l4[13] = byte(flags)
}

// covered reports whether a checksum covers what follows the IP header.
func (at *layout) covered(frame []byte) bool {
	switch at.proto {
	case wire.ProtoTCP, wire.ProtoICMP4, wire.ProtoICMP6:
		return true
	case wire.ProtoUDP:
		// RFC 768: zero says that the sender computed none. Of a fragment other
		// than the first the field is unknown.
		return at.whole && at.l4+udpHeaderLen <= at.end && binary.BigEndian.Uint16(frame[at.l4+udpCsumField:]) != 0
	}
	return false
}
