// Package udp is the UDP of one stack: sockets, demultiplexing and errors.
//
// Read RFC 768, RFC 1122 section 4.1 and RFC 8085 before touching it. The rules
// that programs see are those of udp(7) and ip(7).
package udp

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Path is what the IP layer knows about the way to one destination.
type Path struct {
	Src, Dst   netip.Addr // both of one family, never IPv4-mapped
	MTU        int        // largest IP packet in bytes that the path is known to carry
	LinkMTU    int        // the same of its first link alone
	NoDF       bool       // the path is too narrow to insist on whole packets
	Broadcast  bool       // Dst is a broadcast address
	Multicast  bool
	Gateway    bool // the next hop is a router
	Link       int  // the link it leaves by; -1 is loopback
	Expires    time.Duration
	Generation uint32 // of the IP layer's tables, for Fresh
	Handle     any    // the IP layer's own record

	Options *wire.OutOptions // set by UDP: what IPv4 packets carry; nil: none
}

// Sending says how one datagram travels.
type Sending struct {
	TOS, TTL uint8
	DF       bool
	Fragment bool // a larger packet than MTU is cut; otherwise it is EMSGSIZE
	MTU      int  // bytes
}

// Network is what UDP needs from the IP layer. None of it calls back into UDP.
type Network interface {
	Now() time.Duration
	Rand32() uint32
	// Secret is the key of hashes that outsiders must not predict.
	Secret() *[32]byte
	// Route finds the way to dst; an invalid src lets the IP layer choose, link
	// is 0 or the link that the socket is bound to. Errors are errno.Errno.
	Route(src, dst netip.Addr, link int) (Path, error)
	// Fresh reports whether p is still what Route would return.
	Fresh(p *Path) bool
	// IsLocal reports whether addr is this stack's own.
	IsLocal(addr netip.Addr) bool
	// IsBroadcast reports whether addr is a broadcast address of this stack's links.
	IsBroadcast(addr netip.Addr) bool
	// Transmit sends a datagram. h's checksum is filled below; payload is read
	// before it returns. Errors are errno.Errno.
	Transmit(p *Path, h *wire.UDP, payload []byte, o *Sending) error
}

// Rx is one datagram from the IP layer, its checksum good.
type Rx struct {
	Src, Dst netip.Addr
	Link     int // where it came from; -1 is loopback, 0: not known
	Header   wire.UDP
	Payload  []byte // valid during the call only
	TTL, TOS uint8
	Group    bool   // Dst is a broadcast or multicast address
	Options  []byte // raw IPv4 options, well formed; valid during the call only
}

// An ICMPError is an ICMP or ICMPv6 error in terms of what a socket makes of it.
type ICMPError struct {
	Errno errno.Errno
	Hard  bool // the destination refuses, not merely the path
	MTU   int  // packet too big: the next hop's MTU in bytes, else 0

	// For a socket that keeps errors (see QueuedError).
	Type, Code uint8
	Info       uint32     // of the message: a pointer, an MTU
	From       netip.Addr // who sent it
	Marks      Marks      // it came with
}

// Marks are what the IP header of a packet says besides the addresses.
type Marks struct {
	TTL, TOS uint8
	Options  string // of IPv4, for a socket that asks for them; see wire.ReceivedOptions
}

// An Owner takes what a socket receives. Its methods run inside the stack; they
// may send on any socket.
type Owner interface {
	// Deliver takes a datagram: where it came from, and the address of ours that
	// it was sent to (both IPv4-mapped on an AF_INET6 socket). It returns false
	// when it has no room, and the datagram is dropped. p is valid during the
	// call only.
	Deliver(from netip.AddrPort, to netip.Addr, m Marks, p []byte) bool
	// Error reports an ICMP error about what a socket sent. The same error is
	// what SO_ERROR and the next send return, once; 0 is an error that is only
	// queued (QueuedError).
	Error(e errno.Errno)
}
