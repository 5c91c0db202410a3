package netstack

// Software segmentation for links without TSO: the same packets as a network
// card would make (RFC 9293 section 3.7; RFC 3168 section 6.1.2 for CWR).

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A cutter turns a super-segment into frames of one segment each.
type cutter struct {
	f    TxFrame
	room [VnetRoom + maxHeaders]byte
}

func (c *cutter) init() {
	c.f.Payload = make([][]byte, 0, 64)
}

// cut sends f, a TCP super-segment whose Buf ends where its payload begins, in
// segments of f.GSOSize bytes.
func (c *cutter) cut(l *link, f *TxFrame) {
	size, left := int(f.GSOSize), sizeOf(f.Payload)
	tcp := VnetRoom + int(f.CsumStart)
	hdr := f.Buf[tcp:]
	seq, flags := binary.BigEndian.Uint32(hdr[4:]), wire.TCPFlags(hdr[13])
	// The pseudo header's sum without the length, which differs per segment.
	pseudo := wire.Add(binary.BigEndian.Uint16(hdr[tcpCsumOffset:]), ^uint16(len(hdr)+left))
	rest := cursor{pieces: f.Payload}
	for i := 0; left > 0; i++ {
		n := min(size, left)
		left -= n
		b := append(c.room[:0], f.Buf...)
		c.f = TxFrame{Buf: b, Payload: c.f.Payload[:0], NeedsCsum: true, CsumStart: f.CsumStart, CsumOffset: f.CsumOffset}
		c.setLength(len(hdr)+n, i)

		h := b[tcp:]
		binary.BigEndian.PutUint32(h[4:], seq)
		seq += uint32(n)
		fl := flags
		if left > 0 {
			fl &^= wire.TCPFin | wire.TCPPsh
		}
		if i > 0 {
			fl &^= wire.TCPCwr
		}
		h[13] = byte(fl)
		binary.BigEndian.PutUint16(h[tcpCsumOffset:], wire.Add(pseudo, uint16(len(hdr)+n)))

		c.f.Payload = rest.take(c.f.Payload, n)
		if !l.txCsum {
			c.f.finish()
		}
		l.sink.Transmit(&c.f)
	}
}

// setLength gives the IP header of segment i its length of n bytes behind it,
// and over IPv4 the next identification and a new checksum.
func (c *cutter) setLength(n, i int) {
	ip := c.f.Buf[ipStart:]
	if ip[0]>>4 == 6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(n))
		return
	}
	ip = ip[:int(ip[0]&15)*4]
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+n))
	binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(i))
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], wire.Checksum(ip, 0))
}
