package engine

// Socket addresses as the C ABI has them: ip(7), ipv6(7), struct sockaddr_in
// and sockaddr_in6.

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Sizes in bytes.
const (
	sockaddrInLen  = 16
	sockaddrIn6Len = 28
	// sockaddrIn6Min is an address without a scope, as RFC 2133 had it; Linux
	// still takes it.
	sockaddrIn6Min = 24
	// sockaddrMax is sizeof(struct sockaddr_storage), the most that Linux copies.
	sockaddrMax = 128
)

const afUnspec = 0

// sockaddrFamily is the family of an address; false when it is too short to
// have one.
func sockaddrFamily(b []byte) (int, bool) {
	if len(b) < 2 {
		return 0, false
	}
	return int(binary.NativeEndian.Uint16(b)), true
}

// parseSockaddr reads an address for a socket of the given domain. A socket of
// domain AF_INET6 gets 16-byte addresses. alsoV4 allows AF_INET addresses on
// such a socket, as Linux does for UDP.
func parseSockaddr(b []byte, domain int, alsoV4 bool) (netip.AddrPort, error) {
	family, ok := sockaddrFamily(b)
	if !ok {
		return netip.AddrPort{}, errno.EINVAL
	}
	if domain == sockopt.AFInet6 && family == sockopt.AFInet && alsoV4 {
		a, err := parseSockaddr(b, sockopt.AFInet, false)
		return netip.AddrPortFrom(mapped(a.Addr()), a.Port()), err
	}
	short := domain == sockopt.AFInet && len(b) < sockaddrInLen || domain == sockopt.AFInet6 && len(b) < sockaddrIn6Min
	switch {
	case short:
		return netip.AddrPort{}, errno.EINVAL
	case family != domain:
		return netip.AddrPort{}, errno.EAFNOSUPPORT
	}
	port := binary.BigEndian.Uint16(b[2:])
	if domain == sockopt.AFInet {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port), nil
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), port), nil
}

// appendSockaddr writes a as a socket of the domain shows it. An invalid
// address is the unspecified one.
func appendSockaddr(b []byte, domain int, a netip.AddrPort) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(domain))
	b = binary.BigEndian.AppendUint16(b, a.Port())
	if domain == sockopt.AFInet {
		var ip [4]byte
		if u := a.Addr().Unmap(); u.Is4() {
			ip = u.As4()
		}
		b = append(b, ip[:]...)
		return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	var ip [16]byte
	if a.Addr().IsValid() {
		ip = a.Addr().As16()
	}
	b = append(b, 0, 0, 0, 0)
	b = append(b, ip[:]...)
	return append(b, 0, 0, 0, 0)
}

// mapped is the 16-byte form of an address, ::ffff:a.b.c.d for IPv4.
func mapped(a netip.Addr) netip.Addr {
	if !a.Is4() {
		return a
	}
	return netip.AddrFrom16(a.As16())
}
