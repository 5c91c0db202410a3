package sockopt

// IPV6_PKTINFO as an option: RFC 3542 section 6.

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
		to.Link = unknownLink
		if x, ok := c.p.Links.(Indexes); ok {
			if link, ok := x.LinkByIndex(index); ok {
				to.Link = int32(link)
			}
		} else if c.p.Links != nil && index > 0 {
			if _, ok := c.p.Links.LinkName(index); ok {
				to.Link = int32(index)
			}
		}
	}
	if c.o.BindToIf != 0 && to.Link != c.o.BindToIf {
		return errno.EINVAL
	}
	if to != c.o.Rare().Sticky6 {
		c.o.SetRare(func(r *Rare) { r.Sticky6 = to })
	}
	return nil
}
