package udp

// The source of datagrams where a program asks for one: IP_PKTINFO and IPV6_PKTINFO of
// ip(7) and RFC 3542 section 6.

import "net/netip"

// SendFrom is SendSegments from an address of this stack, whatever the socket is
// bound to; an unspecified src is what the route has. An invalid one, and one of
// another family than the destination, leaves the source to the socket.
// EADDRNOTAVAIL: src is not an address of the stack.
func (s *Socket) SendFrom(src netip.Addr, p []byte, a netip.AddrPort, size int) error {
	s.from = src.Unmap()
	err := s.SendSegments(p, a, size)
	s.from = netip.Addr{}
	return err
}

// asked is the source that the program wants for what goes to a native address;
// invalid: none.
func (s *Socket) asked(to netip.Addr) netip.Addr {
	switch {
	case s.from.IsValid() && s.from.Is4() == to.Is4():
		return s.from
	case to.Is6() && !s.fixed.IsValid():
		return s.opts.Rare().Sticky6.Src
	}
	return netip.Addr{}
}

// link is the link that it wants; 0: any.
func (s *Socket) link(to netip.Addr) int32 {
	r := s.opts.Rare()
	switch {
	case s.opts.BindToIf != 0:
		return s.opts.BindToIf
	case to.Is6() && r.Sticky6.Link != 0:
		return r.Sticky6.Link
	case to.IsMulticast():
		return 0
	case to.Is6():
		return r.UnicastIf6
	}
	return r.UnicastIf4
}
