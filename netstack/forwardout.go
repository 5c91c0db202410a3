package netstack

// Packets of somebody else, on their way out: RFC 791 section 3.2 and RFC 8200
// section 4.5 (fragments), RFC 1191 section 4 and RFC 4443 section 3.2 (what does
// not fit).

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// maxForwardHeader bounds what is copied of a packet in front of its payload, in
// bytes: headers up to the checksum field.
const maxForwardHeader = 512

// wayTime is how long the way of the last packet is used without asking again;
// path MTUs expire.
const wayTime = time.Second

// lastWay is where the last packet went: most are followed by one of the same.
type lastWay struct {
	src, dst netip.Addr
	num      int
	gen      uint32
	until    time.Duration
	out      outlet
}

// An outlet is where a forwarded packet leaves.
type outlet struct {
	link *link
	nb   *neighbour // nil: to mac
	mac  wire.MAC
	mtu  int // of the path
}

// outgoing is what Forward reads from a packet.
type outgoing struct {
	src, dst netip.Addr
	unfrag   int // bytes that every fragment repeats
	df       bool
}

// Forward sends a packet of somebody else, unchanged but for fragmentation and
// the transport checksum. The hop limit is not decremented. It leaves in
// fragments when it came in fragments, or, IPv4 without DF, when it is too large
// for the link or the path; what the stack has learnt about the path counts. On
// a stack with a transparent link the packet goes to the peer, whose address or
// a group must be its destination; else its source must be an address of this
// stack.
//
// Errors:
//
//	EMSGSIZE       it does not fit and must not be cut; p.MTU says what fits
//	ENETUNREACH    there is no route
//	ENODEV         the stack has no link p.Link
//	EADDRNOTAVAIL  the source is not an address of this stack
//	EINVAL         not one whole IP packet with the checksum where p says, TCP,
//	               more than 512 bytes of headers, or to an address that cannot
//	               be forwarded to (loopback, this stack's own)
//
// A neighbour that has yet to be resolved is no error: the packet waits within
// the bounds of the neighbour cache, and its sender is told through Packet when
// nobody answers.
func (s *Stack) Forward(p *ForwardPacket) error {
	var h outgoing
	no := h.read(p)
	var out outlet
	if no == 0 {
		out, no = s.outletFor(p, &h)
	}
	if no == 0 {
		no = s.forwardBy(p, &h, &out)
	}
	switch no {
	case 0:
		s.counters.Forward.Sent++
		return nil
	case errno.EMSGSIZE:
		s.counters.Forward.TooBig++
	default:
		s.counters.Forward.Refused++
	}
	return no
}

// read looks at p as far as Forward needs to know it.
func (h *outgoing) read(p *ForwardPacket) errno.Errno {
	b := p.Data
	var proto uint8
	switch {
	case len(b) >= wire.IPv4MinHeader && b[0]>>4 == 4:
		h.unfrag = int(b[0]&15) * 4
		if h.unfrag < wire.IPv4MinHeader || h.unfrag > len(b) || int(binary.BigEndian.Uint16(b[2:])) != len(b) || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
			return errno.EINVAL
		}
		h.src, h.dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		h.df = b[6]&0x40 != 0
		proto = b[9]
	case len(b) >= wire.IPv6Len && b[0]>>4 == 6:
		if int(binary.BigEndian.Uint16(b[4:])) != len(b)-wire.IPv6Len {
			return errno.EINVAL
		}
		h.src, h.dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		h.df = true
		proto = b[6]
		h.unfrag = wire.IPv6Len
		switch proto {
		case wire.ProtoUDP, wire.ProtoICMP6:
		default:
			var e wire.Ext6
			wire.WalkExt(proto, b[wire.IPv6Len:], &e)
			if e.HasFrag && (e.Frag.Offset != 0 || e.Frag.More) {
				return errno.EINVAL
			}
			h.unfrag += wire.Unfragmentable(proto, b[wire.IPv6Len:])
			proto, _ = wire.SkipExt(proto, b[wire.IPv6Len:])
		}
	default:
		return errno.EINVAL
	}
	switch {
	case proto == wire.ProtoTCP, h.unfrag > maxForwardHeader, p.FragSize < 0,
		h.dst.Is6() && (proto == wire.ProtoHopByHop || proto == wire.ProtoRouting || proto == wire.ProtoFragment || proto == wire.ProtoDstOpts),
		p.NeedsCsum && (p.CsumStart < h.unfrag || p.CsumOffset < 0 || p.CsumStart+p.CsumOffset+2 > min(len(b), maxForwardHeader)):
		return errno.EINVAL
	}
	return 0
}

// outletFor finds where a packet leaves.
func (s *Stack) outletFor(p *ForwardPacket, h *outgoing) (outlet, errno.Errno) {
	if s.transparent != nil {
		return s.peerOutlet(p, h)
	}
	if l := &s.forward.last; l.src == h.src && l.dst == h.dst && l.num == p.Link && l.gen == s.gen && s.now < l.until && !l.out.nb.gone {
		return l.out, 0
	}
	if s.owner(h.src) == nil {
		return outlet{}, errno.EADDRNOTAVAIL
	}
	w, no := s.route(h.src, h.dst, p.Link)
	if no != 0 {
		return outlet{}, no
	}
	out := outlet{link: w.link, mtu: w.mtu}
	switch w.kind {
	case wayLocal:
		return outlet{}, errno.EINVAL
	case wayBroadcast:
		out.mac = wire.Broadcast
		return out, 0
	case wayMulticast:
		out.mac = wire.MulticastMAC(h.dst)
		return out, 0
	}
	if p.Group {
		return outlet{}, errno.EINVAL // a link broadcast of a unicast packet
	}
	out.nb = s.neighbourFor(&w)
	s.forward.last = lastWay{src: h.src, dst: h.dst, num: p.Link, gen: s.gen, until: s.now + wayTime, out: out}
	return out, 0
}

// peerOutlet is outletFor on a stack with a transparent link.
func (s *Stack) peerOutlet(p *ForwardPacket, h *outgoing) (outlet, errno.Errno) {
	l := s.transparent
	out := outlet{link: l, mtu: l.mtu, nb: &l.peer.neigh}
	switch {
	case p.Link != 0 && p.Link != l.num:
		return outlet{}, errno.ENETUNREACH
	case !plausibleHost(h.src) && !h.src.IsUnspecified(), l.peer.has(h.src):
		return outlet{}, errno.EINVAL
	case h.dst.IsMulticast():
		out.nb, out.mac = nil, wire.MulticastMAC(h.dst)
	case l.peer.has(h.dst):
	case h.dst == broadcast4, p.Group && h.dst.Is4() && plausibleHost(h.dst):
		out.nb, out.mac = nil, wire.Broadcast
	default:
		return outlet{}, errno.ENETUNREACH
	}
	return out, 0
}

// forwardBy sends p by out, in as many pieces as it takes.
func (s *Stack) forwardBy(p *ForwardPacket, h *outgoing, out *outlet) errno.Errno {
	size := out.mtu
	switch {
	case p.FragSize != 0 && (p.FragSize <= out.mtu || !h.df):
		size = min(p.FragSize, out.mtu)
	case len(p.Data) > out.mtu && h.df:
		p.MTU = out.mtu
		return errno.EMSGSIZE
	}
	f := s.forwardFrame(p, h.unfrag)
	if len(p.Data) <= size {
		s.leave(out, f)
		return 0
	}
	if f.NeedsCsum {
		f.finish() // no link sums over more than one packet
	}
	if h.dst.Is4() {
		return s.refragment4(h, out, f, size)
	}
	return s.refragment6(p, h, out, f, size)
}

// forwardFrame makes a frame of p, its IP header, at least, in Buf. It lives
// until the next.
func (s *Stack) forwardFrame(p *ForwardPacket, header int) *TxFrame {
	w := &s.forward
	n := header
	if p.NeedsCsum {
		n = max(n, p.CsumStart+p.CsumOffset+2)
	}
	w.one[0] = p.Data[n:]
	w.tx = TxFrame{Buf: append(w.room[:ipStart], p.Data[:n]...), Payload: w.one[:]}
	if p.NeedsCsum {
		w.tx.NeedsCsum = true
		w.tx.CsumStart, w.tx.CsumOffset = uint16(wire.EthernetLen+p.CsumStart), uint16(p.CsumOffset)
	}
	return &w.tx
}

// leave sends f by out.
func (s *Stack) leave(out *outlet, f *TxFrame) {
	s.ipVersion(f).OutRequests++
	if out.nb != nil {
		s.output(out.nb, f)
	} else {
		s.emit(out.link, out.mac, f)
	}
}

func (s *Stack) ipVersion(f *TxFrame) *IPCounters {
	if f.Buf[ipStart]>>4 == 4 {
		return &s.counters.IPv4
	}
	return &s.counters.IPv6
}

// refragment4 sends f in fragments of at most size bytes. Options that are not
// for every fragment become no-operations in all but the first, and DF stays,
// on a datagram that came in fragments with DF.
func (s *Stack) refragment4(h *outgoing, out *outlet, f *TxFrame, size int) errno.Errno {
	c := &s.counters.IPv4
	step := (size - h.unfrag) &^ 7
	if step < 8 {
		c.FragFails++
		return errno.EINVAL
	}
	c.FragOKs++
	s.tx.head = append(append(s.tx.head[:0], f.Buf[ipStart+h.unfrag:]), f.Payload...)
	rest := cursor{pieces: s.tx.head}
	header := f.Buf[:ipStart+h.unfrag]
	length := sizeOf(s.tx.head)
	for off := 0; off < length; off += step {
		n := min(step, length-off)
		g := &s.cutter.f
		*g = TxFrame{Buf: append(s.cutter.room[:0], header...), Payload: g.Payload[:0]}
		ip := g.Buf[ipStart:]
		if off > 0 {
			wire.DropUncopied(ip[wire.IPv4MinHeader:])
		}
		fragmentHeader4(ip, n, off, off+n < length)
		if h.df {
			ip[6] |= 0x40
			ip[10], ip[11] = 0, 0
			binary.BigEndian.PutUint16(ip[10:], wire.Checksum(ip, 0))
		}
		g.Payload = rest.take(g.Payload, n)
		c.FragCreates++
		s.leave(out, g)
	}
	return 0
}

// refragment6 is the same for IPv6, with the identification that the sender
// chose.
func (s *Stack) refragment6(p *ForwardPacket, h *outgoing, out *outlet, f *TxFrame, size int) errno.Errno {
	c := &s.counters.IPv6
	step := (size - h.unfrag - wire.FragmentLen) &^ 7
	if step < 8 {
		c.FragFails++
		return errno.EINVAL
	}
	c.FragOKs++
	field := ipStart + lastNextField(f.Buf[ipStart:ipStart+h.unfrag])
	frag := wire.Fragment6{NextHeader: f.Buf[field], ID: p.FragID}
	s.tx.head = append(append(s.tx.head[:0], f.Buf[ipStart+h.unfrag:]), f.Payload...)
	rest := cursor{pieces: s.tx.head}
	header := f.Buf[:ipStart+h.unfrag]
	length := sizeOf(s.tx.head)
	for off := 0; off < length; off += step {
		n := min(step, length-off)
		g := &s.cutter.f
		*g = TxFrame{Buf: append(s.cutter.room[:0], header...), Payload: g.Payload[:0]}
		g.Buf[field] = wire.ProtoFragment
		binary.BigEndian.PutUint16(g.Buf[ipStart+4:], uint16(h.unfrag-wire.IPv6Len+wire.FragmentLen+n))
		frag.Offset, frag.More = uint16(off), off+n < length
		g.Buf = frag.AppendTo(g.Buf)
		g.Payload = rest.take(g.Payload, n)
		c.FragCreates++
		s.leave(out, g)
	}
	return 0
}
