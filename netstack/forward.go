package netstack

// Packets that pass between two stacks. An engine that stands on the wire
// between a host and its network ends the host's TCP connections; everything
// else goes through as it came: RFC 791 and RFC 8200, as a bridge would carry it
// (the hop limit stays), except that fragments are put together on the way.

import "github.com/tcpcni/tcpcni/sockopt/errno"

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

// Forward sends a packet of somebody else, unchanged but for fragmentation and
// the transport checksum. The hop limit is not decremented. It leaves in
// fragments when it came in fragments, or, IPv4 without DF, when it is too large
// for the link or the path. On a transparent link it goes to the peer, whose
// address or a group must be its destination; elsewhere its source must be an
// address of this stack.
//
// Errors:
//
//	EMSGSIZE       it does not fit and must not be cut; p.MTU says what fits
//	ENETUNREACH    there is no route
//	EADDRNOTAVAIL  the source is not an address of this stack
//	EINVAL         not one whole IP packet with the checksum where p says, TCP,
//	               or to an address that cannot be forwarded to (loopback, this
//	               stack's own)
//
// A neighbour that has yet to be resolved is no error: the packet waits within
// the bounds of the neighbour cache.
func (s *Stack) Forward(p *ForwardPacket) error { return errno.EINVAL }

// Reject tells the sender of a packet that this stack offered why it goes no
// further, by an ICMP error from the packet's destination: EMSGSIZE
// (fragmentation needed or packet too big, p.MTU), ENETUNREACH, EHOSTUNREACH,
// EACCES (administratively prohibited), ECONNREFUSED (port unreachable); others
// count as EHOSTUNREACH. Nothing is sent about ICMP errors and group packets, and
// no more than the rate for ICMP errors allows.
func (s *Stack) Reject(p *ForwardPacket, why errno.Errno) {}
