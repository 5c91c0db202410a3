package tcp

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Path is what the IP layer knows about the way to one destination. A
// connection keeps it and asks for a new one when the network says that it is
// stale.
type Path struct {
	Src, Dst netip.Addr       // Src is the source that the IP layer chose or confirmed; both of one family, never IPv4-mapped
	MTU      int              // largest IP packet, in bytes, that the path is known to carry
	GSOMax   int              // largest TCP payload that Transmit accepts in one piece; 0: none beyond one segment
	Link     int              // the link it leaves by; -1 is loopback
	Local    bool             // the destination is this stack itself
	Gateway  bool             // the next hop is a router
	Handle   any              // the IP layer's own record (route and neighbour), nil before the first Transmit
	TOS      uint8            // set by TCP: traffic class of what Transmit sends, the low two bits are ECN
	TTL      uint8            // set by TCP: hop limit of what Transmit sends; 0: the stack's default
	Options  *wire.OutOptions // set by TCP: the options that IPv4 packets carry; nil: none
	NoDF     bool             // set by TCP or by Route: IPv4 packets may be fragmented under way
}

// Network is what TCP needs from the IP layer below it and from whoever drives
// the stack. All of it is synchronous and none of it calls back into TCP:
// segments to this stack's own addresses are queued and arrive later.
type Network interface {
	// Now is the instant that the driver last set, as time since an arbitrary start.
	Now() time.Duration
	// Rand32 draws from the stack's seeded generator.
	Rand32() uint32
	// Secret is the key for RFC 6528 initial sequence numbers and RFC 6056 ports.
	Secret() *[32]byte
	// Route finds the way to dst. An invalid src lets the IP layer choose;
	// link is 0 or the link that the socket is bound to. Errors are errno.Errno:
	// ENETUNREACH, EADDRNOTAVAIL (src is not ours), EACCES (broadcast), …
	Route(src, dst netip.Addr, link int) (Path, error)
	// IsLocal reports whether packets to addr are for this stack.
	IsLocal(addr netip.Addr) bool
	// IsBroadcast reports whether addr is a broadcast address of this stack's links.
	IsBroadcast(addr netip.Addr) bool
	// Transmit sends one TCP segment, or, with gso > 0, one super-segment that
	// the link (or the IP layer) cuts every gso payload bytes. h's checksum is
	// filled below. The payload slices are read before Transmit returns.
	Transmit(p *Path, h *wire.TCP, payload [][]byte, gso int)
	// Unreachable answers syn, a SYN without text that was handed to TCP earlier,
	// by an ICMP error from its destination that says e: ENETUNREACH,
	// EHOSTUNREACH or EACCES. It is limited by the rate for ICMP errors.
	Unreachable(syn *Rx, e errno.Errno)
	// Wake asks that Layer.Flush be called before the driver goes to sleep.
	Wake()
}

// Rx is what the IP layer hands to TCP: one segment or, when the link merged
// several, one super-segment.
type Rx struct {
	Src, Dst netip.Addr
	Link     int
	Header   wire.TCP // parsed, checksum verified or vouched for by the link
	Payload  []byte   // valid during the call only
	GSOSize  int      // payload bytes per original segment when merged, else 0
	TTL      uint8
	TOS      uint8 // traffic class; the low two bits are ECN
	// IPOptions are the raw IPv4 options of a segment that came over a source
	// route, which is to be answered over the same; nil: it came over none.
	IPOptions []byte
	// The raw headers, valid during the call only; nil where nobody has them. That
	// of the link is nil for what this stack sent to itself.
	LinkHeader, IPHeader, TCPHeader []byte
}
