package sockopt

// IPV6_PKTINFO as an option, RFC 3542 section 6, and the interface of datagrams.

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Sticky is where packets to IPv6 addresses come from.
type Sticky struct {
	Src  netip.Addr // invalid: as the route has it
	Link int32      // of datagrams; 0: as the route has it
}

// Sizes of struct in6_pktinfo: an address and an interface.
const (
	in6AddrLen  = 16
	pktInfo6Len = in6AddrLen + sizeofInt
)

// unknownLink is a number that no link has.
const unknownLink = 1 << 30

// setSticky6 takes any address and any interface, as Linux does: what is sent then
// fails if they are not there.
func setSticky6(c *call, val []byte) error {
	if len(val) < pktInfo6Len {
		return errno.EINVAL
	}
	var to Sticky
	if a := netip.AddrFrom16([16]byte(val)); !a.IsUnspecified() {
		to.Src = a
	}
	if index := int(int32(binary.NativeEndian.Uint32(val[in6AddrLen:]))); index != 0 {
		to.Link = linkOf(c.p, index)
	}
	if c.o.BindToIf != 0 && to.Link != c.o.BindToIf {
		return errno.EINVAL
	}
	if to != c.o.Rare().Sticky6 {
		c.o.SetRare(func(r *Rare) { r.Sticky6 = to })
	}
	return nil
}

// linkOf is the link that programs know by the index; unknownLink: there is none.
func linkOf(p *Profile, index int) int32 {
	if x, ok := p.Links.(Indexes); ok {
		if link, ok := x.LinkByIndex(index); ok {
			return int32(link)
		}
	} else if p.Links != nil && index > 0 {
		if _, ok := p.Links.LinkName(index); ok {
			return int32(index)
		}
	}
	return unknownLink
}

// setUnicastIf is for IP_UNICAST_IF and IPV6_UNICAST_IF of ip(7).
func setUnicastIf(field func(*Rare) *int32) func(*call, []byte) error {
	return func(c *call, val []byte) error {
		if len(val) != sizeofInt {
			return errno.EINVAL
		}
		link := int32(0)
		if index := int(int32(binary.BigEndian.Uint32(val))); index != 0 {
			link = linkOf(c.p, index)
		}
		switch {
		case link == unknownLink:
			return errno.EADDRNOTAVAIL
		case link != 0 && c.o.BindToIf != 0 && link != c.o.BindToIf:
			return errno.EINVAL
		}
		c.o.SetRare(func(r *Rare) { *field(r) = link })
		return nil
	}
}

func getUnicastIf(field func(*Rare) *int32) func(*call) (int, error) {
	return func(c *call) (int, error) {
		r := *c.o.Rare()
		index := int(*field(&r))
		if x, ok := c.p.Links.(Indexes); ok && index != 0 {
			index = x.IndexOf(index)
		}
		var b [sizeofInt]byte
		binary.BigEndian.PutUint32(b[:], uint32(index))
		return int(int32(binary.NativeEndian.Uint32(b[:]))), nil
	}
}
