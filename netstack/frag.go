package netstack

// Fragmentation of what this stack sends: RFC 791 section 3.2, RFC 8200 section
// 4.5. TCP never comes here; UDP does when its socket allows it.

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// sendSized sends f, whose IP header was made from p and whose transport header
// is at l4, in fragments if it is larger than mtu.
func (s *Stack) sendSized(nb *neighbour, f *TxFrame, p *ipSpec, l4, mtu int) {
	if f.Len()-wire.EthernetLen <= mtu {
		s.output(nb, f)
		return
	}
	if f.NeedsCsum {
		f.finish() // no link sums over more than one packet
	}
	c := s.ipCounters(p.dst)
	header := l4 - ipStart
	var h6 wire.Fragment6
	if p.dst.Is6() {
		header += wire.FragmentLen
		h6 = wire.Fragment6{NextHeader: p.proto, ID: s.ids.next(p.src, p.dst, wire.ProtoFragment)}
	}
	size := (mtu - header) &^ 7
	if p.df || size < 8 {
		c.FragFails++
		return
	}
	c.FragOKs++
	// The transport header is the first piece of what is cut up.
	s.tx.head = append(append(s.tx.head[:0], f.Buf[l4:]), f.Payload...)
	rest := cursor{pieces: s.tx.head}
	for off := 0; off < p.length; off += size {
		n := min(size, p.length-off)
		g := &s.cutter.f
		*g = TxFrame{Buf: append(s.cutter.room[:0], f.Buf[:l4]...), Payload: g.Payload[:0]}
		if p.dst.Is4() {
			fragmentHeader4(g.Buf[ipStart:], n, off, off+n < p.length)
		} else {
			ip := g.Buf[ipStart:]
			binary.BigEndian.PutUint16(ip[4:], uint16(n+wire.FragmentLen))
			ip[6] = wire.ProtoFragment
			h6.Offset, h6.More = uint16(off), off+n < p.length
			g.Buf = h6.AppendTo(g.Buf)
		}
		g.Payload = rest.take(g.Payload, n)
		c.FragCreates++
		s.output(nb, g)
	}
}

// fragmentHeader4 makes ip, the header of the whole, that of a fragment of n
// bytes at offset off.
func fragmentHeader4(ip []byte, n, off int, more bool) {
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+n))
	word := uint16(off / 8)
	if more {
		word |= 0x2000
	}
	if off > 0 && len(ip) > wire.IPv4MinHeader {
		wire.DropUncopied(ip[wire.IPv4MinHeader:])
	}
	binary.BigEndian.PutUint16(ip[6:], word)
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], wire.Checksum(ip, 0))
}
