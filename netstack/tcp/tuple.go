package tcp

import "net/netip"

// tuple identifies a connection of one stack. IPv4 addresses are held mapped,
// which is unambiguous as no packet carries an IPv4-mapped IPv6 address.
type tuple struct {
	local, remote [16]byte
	lport, rport  uint16
}

func makeTuple(local, remote netip.Addr, lport, rport uint16) tuple {
	return tuple{local.As16(), remote.As16(), lport, rport}
}

// self and peer are the addresses, unmapped.
func (k *tuple) self() netip.Addr { return netip.AddrFrom16(k.local).Unmap() }
func (k *tuple) peer() netip.Addr { return netip.AddrFrom16(k.remote).Unmap() }

// shown is addr as a socket of the domain shows it: AF_INET6 sockets show IPv4
// addresses mapped (RFC 3493 section 3.7).
func shown(domain int, a netip.AddrPort) netip.AddrPort {
	if domain == afInet6 && a.Addr().Is4() {
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
	}
	return a
}

// wildcard is the unspecified address of the domain.
func wildcard(domain int) netip.Addr {
	if domain == afInet6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
