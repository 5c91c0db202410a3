package netstack

// Links and their addresses: RFC 4291 section 2.1, RFC 4862 section 5.3
// (link-local address), RFC 919 and RFC 922 (broadcast addresses).

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// LoopbackLink is the number of the stack's own loopback, in tcp.Path.Link and
// tcp.Rx.Link.
const LoopbackLink = -1

// The largest packets that are looped, in bytes; IPv4's length field holds no
// more.
const (
	loopbackMTU4 = 65535
	loopbackMTU6 = 65536
)

// Bounds on what a configuration may ask for.
const (
	maxLinks = 64
	maxAddrs = 64 // per link
	minMTU   = 68 // RFC 791 section 3.2
	maxMTU   = 65535
)

// LinkConfig describes a link. Its addresses are static: the stack neither asks
// for nor accepts any from the network.
type LinkConfig struct {
	Name       string         // as SO_BINDTODEVICE takes it
	MAC        wire.MAC       // unicast
	MTU        int            // largest IP packet in bytes, 68..65535; IPv6 needs 1280
	Addrs      []netip.Prefix // address and length of its on-link prefix; fe80::/64 is added from the MAC when the MTU allows IPv6
	TxChecksum bool           // the link finishes transport checksums
	TSO        bool           // the link cuts TCP super-segments; needs TxChecksum
	USO        bool           // the link cuts several UDP datagrams in one frame; needs TxChecksum
	Sink       Sink

	// Transparent: the link leads to one host, the peer, whose packets to
	// anywhere end in this stack. It answers ARP and neighbour solicitations for
	// every address but the peer's own with the link's MAC, takes TCP to any
	// unicast destination, offers the rest to the Forwarder, and lets sockets
	// have any source address towards the peer. It has no address of its own:
	// Addrs must be empty. Frames go to PeerMAC without asking. What is not from
	// PeerMAC and one of Peers, or speaks for anybody else, is dropped and
	// counted.
	Transparent bool
	Peers       []netip.Addr // the peer's addresses, unicast, 1..64; the link-local address of PeerMAC is added when the MTU allows IPv6. Only for transparent links
	PeerMAC     wire.MAC     // unicast, and not MAC. Only for transparent links
}

// link is a configured link.
type link struct {
	num    int
	name   string
	mac    wire.MAC
	mtu    int
	txCsum bool
	tso    bool
	uso    bool
	sink   Sink
	peer   *peer // Valid iff the link is transparent

	addrs  []netip.Prefix
	bcast  []netip.Addr // directed broadcast addresses of addrs
	groups []netip.Addr // IPv6 groups that the stack listens to

	mld      mldState
	defended []announced // when each address was last defended, by index of addrs
}

// AddLink adds a link and returns its number, 1 or more. Its prefixes become
// on-link routes. The error names the field and what is accepted.
func (s *Stack) AddLink(cfg LinkConfig) (int, error) {
	if err := s.checkLink(&cfg); err != nil {
		return 0, err
	}
	l := &link{
		num: len(s.links) + 1, name: cfg.Name, mac: cfg.MAC, mtu: cfg.MTU,
		txCsum: cfg.TxChecksum, tso: cfg.TSO, uso: cfg.USO, sink: cfg.Sink,
	}
	l.addrs = slices.Clone(cfg.Addrs)
	if cfg.Transparent {
		s.addPeer(l, cfg)
	} else if l.mtu >= wire.IPv6MinMTU {
		own := netip.PrefixFrom(wire.LinkLocal(cfg.MAC), 64)
		if !slices.Contains(l.addrs, own) {
			l.addrs = append(l.addrs, own)
		}
		l.groups = append(l.groups, wire.AllNodes)
	}
	l.defended = make([]announced, len(l.addrs))
	for _, p := range l.addrs {
		switch {
		case p.Addr().Is6():
			if g := wire.SolicitedNode(p.Addr()); !slices.Contains(l.groups, g) {
				l.groups = append(l.groups, g)
			}
		case p.Bits() < 31: // RFC 3021: a /31 has no broadcast address
			l.bcast = append(l.bcast, lastAddr(p))
		}
	}
	s.links = append(s.links, l)
	for _, p := range l.addrs {
		s.routes.insert(routeEntry{dst: p.Masked(), link: l, mtu: l.mtu})
	}
	if l.peer != nil {
		for _, a := range l.peer.addrs {
			s.routes.insert(routeEntry{dst: netip.PrefixFrom(a, a.BitLen()), link: l, mtu: l.mtu})
		}
	}
	s.changed()
	s.Wake()
	return l.num, nil
}

func (s *Stack) checkLink(cfg *LinkConfig) error {
	switch {
	case len(s.links) >= maxLinks:
		return fmt.Errorf("link %q: a stack has at most %d links", cfg.Name, maxLinks)
	case cfg.Sink == nil:
		return fmt.Errorf("link %q: Sink is nil; accepted: a Sink", cfg.Name)
	case cfg.MAC.Group() || cfg.MAC == wire.MAC{}:
		return fmt.Errorf("link %q: MAC %v; accepted: a unicast address", cfg.Name, cfg.MAC)
	case cfg.MTU < minMTU || cfg.MTU > maxMTU:
		return fmt.Errorf("link %q: MTU %d; accepted: %d..%d", cfg.Name, cfg.MTU, minMTU, maxMTU)
	case cfg.TSO && !cfg.TxChecksum:
		return fmt.Errorf("link %q: TSO without TxChecksum; a link that cuts segments must finish their checksums", cfg.Name)
	case cfg.USO && !cfg.TxChecksum:
		return fmt.Errorf("link %q: USO without TxChecksum; a link that cuts datagrams must finish their checksums", cfg.Name)
	case len(cfg.Addrs) > maxAddrs:
		return fmt.Errorf("link %q: %d addresses; accepted: at most %d", cfg.Name, len(cfg.Addrs), maxAddrs)
	}
	for _, p := range cfg.Addrs {
		a := p.Addr()
		if !p.IsValid() || a.Is4In6() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
			return fmt.Errorf("link %q: address %v; accepted: a unicast address with prefix length", cfg.Name, p)
		}
		if a.Is6() && cfg.MTU < wire.IPv6MinMTU {
			return fmt.Errorf("link %q: MTU %d with address %v; IPv6 needs %d", cfg.Name, cfg.MTU, p, wire.IPv6MinMTU)
		}
	}
	return s.checkPeer(cfg)
}

// lastAddr is the highest address of an IPv4 prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := range b {
		host := min(max(8*(i+1)-p.Bits(), 0), 8)
		b[i] |= byte(1<<host - 1)
	}
	return netip.AddrFrom4(b)
}

func (l *link) has(a netip.Addr) bool {
	for i := range l.addrs {
		if l.addrs[i].Addr() == a {
			return true
		}
	}
	return false
}

// onLink reports whether a is a neighbour by one of the link's prefixes.
func (l *link) onLink(a netip.Addr) bool {
	for i := range l.addrs {
		if l.addrs[i].Contains(a) {
			return true
		}
	}
	return false
}

// hears reports whether frames to the group address m are for this stack.
func (l *link) hears(m wire.MAC) bool {
	if m == wire.Broadcast || m == (wire.MAC{0x01, 0x00, 0x5e, 0, 0, 1}) {
		return true
	}
	for i := range l.groups {
		if wire.MulticastMAC(l.groups[i]) == m {
			return true
		}
	}
	return false
}

// link returns the link of number n, or nil.
func (s *Stack) link(n int) *link {
	if n < 1 || n > len(s.links) {
		return nil
	}
	return s.links[n-1]
}

// LinkByName finds a link's number by its name.
func (s *Stack) LinkByName(name string) (int, bool) {
	for _, l := range s.links {
		if l.name == name {
			return l.num, true
		}
	}
	return 0, false
}

// LinkName returns the name of a link.
func (s *Stack) LinkName(n int) (string, bool) {
	l := s.link(n)
	if l == nil {
		return "", false
	}
	return l.name, true
}

// LinkAddrs returns the addresses of a link with their prefix lengths,
// link-local ones included; nil when there is no such link.
func (s *Stack) LinkAddrs(n int) []netip.Prefix {
	l := s.link(n)
	if l == nil {
		return nil
	}
	return slices.Clone(l.addrs)
}

// LinkMTU returns the MTU of a link in bytes, 0 when there is no such link.
func (s *Stack) LinkMTU(n int) int {
	l := s.link(n)
	if l == nil {
		return 0
	}
	return l.mtu
}

// owner returns the link that has address a, or nil.
func (s *Stack) owner(a netip.Addr) *link {
	for _, l := range s.links {
		if l.has(a) {
			return l
		}
	}
	return nil
}

// IsLocal reports whether packets to a are for this stack: a loopback address
// or an address of one of its links.
func (s *Stack) IsLocal(a netip.Addr) bool {
	return a.IsLoopback() || s.owner(a) != nil
}
