package netstack

// Packets that pass between two stacks. An engine that stands on the wire
// between a host and its network ends the host's TCP connections; everything
// else goes through as it came: RFC 791 and RFC 8200, as a bridge would carry it
// (the hop limit stays), except that fragments are put together on the way.

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A Forwarder takes packets that are not for the sockets of the stack.
type Forwarder interface {
	// Packet offers a packet from a link that nobody in this stack takes:
	//
	//   - UDP without a socket, ICMP other than echo requests, and protocols
	//     that the stack does not know, to an address of the stack;
	//   - ICMP errors about a packet that no socket of the stack sent, except
	//     about TCP, which is never forwarded;
	//   - whatever goes to a broadcast or multicast address (Group), also when
	//     sockets of the stack took it, and also of groups that the stack has not
	//     joined;
	//   - on a transparent link, everything but TCP and neighbour discovery;
	//   - an ICMP error that the stack makes up, because a packet that Forward
	//     took has no neighbour to go to.
	//
	// Router messages, redirects and ARP are never offered, nor is what the stack
	// sends to itself. p and p.Data are valid during the call only. True: p was
	// taken. False: it is answered as without a forwarder, by an ICMP error where
	// one is due.
	//
	// Packet may call Forward and Reject of any stack, and nothing else of this
	// one.
	Packet(p *ForwardPacket) bool
}

// A ForwardPacket is one whole IP packet, header first. What Packet is given can
// be handed to Forward of another stack as it is.
type ForwardPacket struct {
	Data  []byte // the packet, as long as its header says; Forward reads it before it returns and does not write to it
	Link  int    // Packet: the link it came from. Forward: the link it leaves by, 0 for what the routes say
	Group bool   // it goes to a broadcast or multicast address of IP or of the link

	// The transport checksum is unfinished: the sum of the bytes from CsumStart
	// on, complemented, belongs at CsumStart+CsumOffset, where the sum of the
	// pseudo header already is. Forward lets the link finish it, or does so.
	NeedsCsum  bool
	CsumStart  int // bytes from the start of Data; valid iff NeedsCsum
	CsumOffset int // bytes from CsumStart; valid iff NeedsCsum

	// A datagram that came in fragments. Forward sends it in fragments again, of
	// at most FragSize bytes each.
	FragSize int    // the largest fragment, in bytes of IP packet; 0: it came in one piece
	FragID   uint32 // the identification of its IPv6 fragments; valid iff FragSize is not 0

	// MTU is set by Forward with EMSGSIZE: the largest packet that fits, in
	// bytes. Reject reads it with EMSGSIZE.
	MTU int
}

// SetForwarder makes f take what sockets of this stack do not. Nil: nobody, as
// it is at first.
func (s *Stack) SetForwarder(f Forwarder) { s.forwarder = f }

// forwarding is the memory of both directions.
type forwarding struct {
	p     ForwardPacket // that is being offered
	whole []byte        // a packet put together from fragments, or made up
	tx    TxFrame       // that is being forwarded
	one   [1][]byte
	room  [ipStart + maxForwardHeader]byte
	last  lastWay
}

// offer shows the packet s.in to the forwarder. It reports whether that settles
// it.
func (s *Stack) offer() bool {
	if s.forwarder == nil || s.in.link == nil || staysHere(s.in.proto, s.in.body) {
		return false
	}
	p := &s.forward.p
	if !s.describe(p) {
		s.counters.Forward.Unusable++
		return true
	}
	return s.offerPacket(p)
}

func (s *Stack) offerPacket(p *ForwardPacket) bool {
	s.counters.Forward.Offered++
	if !s.forwarder.Packet(p) {
		return false
	}
	s.counters.Forward.Taken++
	return true
}

// staysHere reports whether a segment is never for somebody else: TCP, which
// ends here, and what changes the configuration of a host.
func staysHere(proto uint8, segment []byte) bool {
	switch proto {
	case wire.ProtoTCP:
		return true
	case wire.ProtoICMP4:
		return len(segment) == 0 || segment[0] == wire.ICMP4Redirect || segment[0] == wire.ICMP4RouterAdvert || segment[0] == wire.ICMP4RouterSolicit
	case wire.ProtoICMP6:
		return len(segment) == 0 || segment[0] >= wire.ICMP6RouterSolicit && segment[0] <= wire.ICMP6Redirect || wire.ICMP6Administers(segment[0])
	}
	return false
}

// describe makes p of s.in; false: the packet cannot travel.
func (s *Stack) describe(p *ForwardPacket) bool {
	in := &s.in
	*p = ForwardPacket{Data: in.packet, Link: in.num(), Group: in.group, NeedsCsum: in.needsCsum}
	if d := in.frag; d != nil {
		p.Data, p.FragSize, p.FragID = s.assemble(d), d.maxFrag, d.key.id
		return p.Data != nil
	}
	if !p.NeedsCsum {
		return true
	}
	l4 := len(in.packet) - len(in.body)
	p.CsumStart, p.CsumOffset = in.csumStart-wire.EthernetLen, in.csumField
	if in.csumStart == 0 {
		switch in.proto {
		case wire.ProtoUDP:
			p.CsumStart, p.CsumOffset = l4, udpCsumOffset
		case wire.ProtoICMP4, wire.ProtoICMP6:
			p.CsumStart, p.CsumOffset = l4, icmpCsumOffset
		default:
			return false
		}
	}
	return p.CsumStart >= l4 && p.CsumStart+p.CsumOffset+2 <= len(p.Data)
}

// assemble is the packet that the fragments of d were, nil when it is too large
// for the length field or its first fragment's header was.
func (s *Stack) assemble(d *datagram) []byte {
	b := s.forward.whole[:0]
	header := d.header[:d.headerLen]
	if d.cut {
		return nil
	}
	if d.key.dst.Is4() {
		b = append(append(b, header...), d.bytes()...)
		if len(b) > wire.IPv4MaxPacket {
			return nil
		}
		wholeHeader4(b[:len(header)], len(b))
	} else {
		header = header[:len(header)-wire.FragmentLen]
		b = append(append(b, header...), d.bytes()...)
		if len(b)-wire.IPv6Len > wire.IPv4MaxPacket {
			return nil
		}
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-wire.IPv6Len))
		b[lastNextField(header)] = d.proto
	}
	s.forward.whole = b
	return b
}

// wholeHeader4 makes ip, the header of a first fragment, that of n bytes in one
// piece. DF stays as it is.
func wholeHeader4(ip []byte, n int) {
	binary.BigEndian.PutUint16(ip[2:], uint16(n))
	ip[6], ip[7] = ip[6]&0x40, 0
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], wire.Checksum(ip, 0))
}

// lastNextField is the offset of the Next Header byte that names what follows
// header, a whole IPv6 header with extension headers.
func lastNextField(header []byte) int {
	field := 6
	for off := wire.IPv6Len; off+2 <= len(header); {
		field, off = off, off+(int(header[off+1])+1)*8
	}
	return field
}
