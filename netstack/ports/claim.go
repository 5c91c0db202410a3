// Package ports decides which sockets may share a port. One Table belongs to one
// protocol of one stack; a socket that is bound holds a Claim in it.
//
// The decision itself is a Rule, which the profile chooses by name: systems
// agree on what a port is and differ on who may share one. There is a file for
// each rule, which says what it follows.
//
// Read RFC 6056 before touching the choice of ports.
package ports

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt"
)

// A Claim is what a socket holds, or asks for, in a Table. The socket owns it.
// From Bind to Release the address, port and family fields are fixed; the other
// fields follow the socket's options, as the systems look at them when the next
// socket asks.
type Claim struct {
	Addr   netip.Addr // the unspecified address is the wildcard; a claim with V6 may hold an IPv4-mapped address
	Port   uint16
	V6     bool // the socket is of domain AF_INET6
	V6Only bool
	Link   int // link that the socket is bound to, 0 for any

	ReuseAddr   bool
	ReusePort   bool
	ReusePortLB bool // SO_REUSEPORT_LB, for the rules that know it
	ExclBind    bool // SO_EXCLBIND, for the rules that know it
	UID         uint32
	Super       bool // whoever asks is the systems' superuser where ports are concerned: CAP_NET_BIND_SERVICE

	// Agreed claims had the port before; see sockopt.Privilege.
	Agreed bool

	// State is what the socket is. Of, when it is set, is asked instead.
	State State
	Of    Holder

	prev, next *Claim // other claims to the port
	held       bool
	counted    bool // among the port's claims that came by Bind
}

// State is as much of a socket's state as rules look at.
type State uint8

// The states, in the order in which a socket passes through them.
const (
	Bound    State = iota // has a port and nothing else
	Listen                // waits for connections
	Active                // is a connection up to ESTABLISHED; a datagram socket that has a peer
	Closing               // is a connection that an end has closed
	TimeWait              // what remains of the socket is TIME-WAIT
)

// A Holder is a socket that can say what it is.
type Holder interface{ PortState() State }

// Held reports whether the claim is in a table.
func (c *Claim) Held() bool { return c.held }

// Follow takes over the options that rules look at.
func (c *Claim) Follow(o *sockopt.Options) {
	c.ReuseAddr, c.ReusePort, c.ReusePortLB = o.ReuseAddr, o.ReusePort, o.Rare().ReusePortLB
	c.ExclBind = o.ExclBind
}

func (c *Claim) state() State {
	if c.Of != nil {
		return c.Of.PortState()
	}
	return c.State
}

// Overlaps reports whether a packet could be for both claims: they share an
// address family, and an address of it or one of them takes every address, and
// a link. An IPv6 wildcard takes IPv4 as well unless it is V6Only; a socket
// bound to one IPv6 address takes that alone.
func (c *Claim) Overlaps(o *Claim) bool {
	if c.Link != 0 && o.Link != 0 && c.Link != o.Link {
		return false
	}
	return c.families()&o.families() != 0 && (c.wildcard() || o.wildcard() || c.sameAddr(o))
}

const (
	family4 = 1 << iota
	family6
)

func (c *Claim) families() uint8 {
	switch {
	case !c.V6 || c.Addr.Is4In6():
		return family4
	case c.wildcard() && !c.V6Only:
		return family4 | family6
	}
	return family6
}

// wildcard reports whether the claim is for every address of its families;
// ::ffff:0.0.0.0 is every IPv4 address.
func (c *Claim) wildcard() bool { return c.plain().IsUnspecified() }

// sameAddr reports whether both name one address. The wildcards of the two
// families are two.
func (c *Claim) sameAddr(o *Claim) bool { return c.plain() == o.plain() }

// plain is the address without IPv4 mapping.
func (c *Claim) plain() netip.Addr {
	switch {
	case c.Addr.IsValid():
		return c.Addr.Unmap()
	case c.V6:
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
