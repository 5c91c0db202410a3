package netstack

// Outgoing frames are put together in one place: headers into a buffer that is
// used again for each frame, payload as the slices that the caller has.

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// ipStart is where the IP header begins in TxFrame.Buf.
const ipStart = VnetRoom + wire.EthernetLen

// Offsets of the checksum field in a transport header, in bytes.
const (
	tcpCsumOffset  = 16
	udpCsumOffset  = 6
	icmpCsumOffset = 2
)

// A builder holds the frame that is being put together.
type builder struct {
	f    TxFrame
	room [VnetRoom + maxHeaders]byte
	one  [1][]byte
	two  [2][]byte
	head [][]byte // scratch: the pieces of one part of a payload
	tail [][]byte
}

func (b *builder) init() {
	b.head = make([][]byte, 0, 64)
	b.tail = make([][]byte, 0, 64)
}

// A cursor walks through a payload that lies in pieces.
type cursor struct {
	pieces [][]byte
	at     int // bytes of the first piece that were taken
}

// take appends the next n bytes, or all that is left, to dst as slices.
func (c *cursor) take(dst [][]byte, n int) [][]byte {
	for n > 0 && len(c.pieces) > 0 {
		p := c.pieces[0][c.at:]
		if len(p) > n {
			p = p[:n]
			c.at += n
		} else {
			c.pieces, c.at = c.pieces[1:], 0
		}
		if len(p) > 0 {
			dst = append(dst, p)
		}
		n -= len(p)
	}
	return dst
}

// ipSpec is what an IP header is made from.
type ipSpec struct {
	src, dst netip.Addr
	proto    uint8
	tos, ttl uint8
	df       bool
	id       uint16 // IPv4 only
	length   int    // bytes behind the IP header

	// Of packets with options (IPv4 only).
	via     netip.Addr // where the packet goes first: dst unless a source route says otherwise
	options []byte
}

// take gives the packet options; via is where they lead.
func (p *ipSpec) take(o *wire.OutOptions, via netip.Addr, now time.Duration) {
	o.Fill(p.src, uint32(now/time.Millisecond))
	p.via, p.options = via, o.Options
}

// begin starts a frame with the IP header of p, leaving room for Ethernet's.
func (b *builder) begin(p *ipSpec) *TxFrame {
	buf := b.room[:ipStart]
	if p.src.Is4() {
		h := wire.IPv4{
			TOS: p.tos, TTL: p.ttl, Protocol: p.proto, DF: p.df, ID: p.id,
			TotalLen: wire.IPv4MinHeader + p.length, Src: p.src, Dst: p.dst,
		}
		if p.options != nil {
			h.Dst, h.Options = p.via, p.options
			h.TotalLen += len(p.options)
		}
		buf = h.AppendTo(buf)
	} else {
		h := wire.IPv6{
			TrafficClass: p.tos, HopLimit: p.ttl, NextHeader: p.proto,
			PayloadLen: p.length, Src: p.src, Dst: p.dst,
		}
		buf = h.AppendTo(buf)
	}
	b.f = TxFrame{Buf: buf}
	return &b.f
}

// partial writes the pseudo header's sum into the checksum field of the
// transport header, which begins at offset l4 of f.Buf, and leaves the rest of
// the sum to finish or to the link.
func (f *TxFrame) partial(p *ipSpec, l4 int, field uint16) {
	binary.BigEndian.PutUint16(f.Buf[l4+int(field):], wire.PseudoSum(p.src, p.dst, p.proto, p.length))
	f.NeedsCsum = true
	f.CsumStart, f.CsumOffset = uint16(l4-VnetRoom), field
}

// finish computes the transport checksum that f still lacks.
func (f *TxFrame) finish() {
	start := VnetRoom + int(f.CsumStart)
	var sum wire.Summer
	sum.Add(f.Buf[start:])
	for _, p := range f.Payload {
		sum.Add(p)
	}
	ck := ^sum.Sum()
	if ck == 0 {
		// RFC 768: zero means "no checksum" in UDP. In TCP and ICMP the two
		// zeros of one's complement are as good as each other.
		ck = 0xffff
	}
	binary.BigEndian.PutUint16(f.Buf[start+int(f.CsumOffset):], ck)
	f.NeedsCsum = false
}

// emit puts the Ethernet header in front of f and gives it to the link, cut and
// summed as far as the link wants it.
func (s *Stack) emit(l *link, dst wire.MAC, f *TxFrame) {
	h := wire.Ethernet{Dst: dst, Src: l.mac, Type: wire.EtherIPv4}
	if f.Buf[ipStart]>>4 == 6 {
		h.Type = wire.EtherIPv6
	}
	h.AppendTo(f.Buf[VnetRoom:VnetRoom])
	switch {
	case f.GSOType != wire.GSONone && f.GSOType != wire.GSOUDP && !l.tso:
		s.cutter.cut(l, f)
		return
	case f.NeedsCsum && !l.txCsum:
		f.finish()
	}
	l.sink.Transmit(f)
}

// output sends f to neighbour n: over its link, into its queue while its
// address is unknown, or into the loopback.
func (s *Stack) output(n *neighbour, f *TxFrame) {
	switch {
	case n.link == nil:
		s.loop.push(s, f)
	case n.state == neighReachable && s.now < n.timer || n.state == neighPermanent:
		n.used = s.now
		s.emit(n.link, n.mac, f)
	default:
		s.neighOutput(n, f)
	}
}

// sizeOf is the number of bytes in pieces.
func sizeOf(pieces [][]byte) int {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

func (s *Stack) defaultTTL(v4 bool) uint8 {
	if v4 {
		return s.tun.DefaultTTL
	}
	return s.tun.HopLimit
}
