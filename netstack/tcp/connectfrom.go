package tcp

// Connections on behalf of somebody else, whose address they carry: what Linux
// has as IP_TRANSPARENT (ip(7)).

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// ConnectFrom is Connect from a given address and port. local may be an address
// that is not of this stack if the stack has a transparent link; such a
// connection takes no port, only its pair of addresses must be free, and one in
// TIME-WAIT is given up for it. With an address of this stack the port is held
// like one that Connect chose: EADDRINUSE when a socket was bound to it; port 0
// chooses one. An invalid or unspecified address leaves the choice to routing.
// A link-local remote needs its zone or SO_BINDTODEVICE.
//
// Errors: EINPROGRESS is the start, EADDRNOTAVAIL (the pair of addresses is
// taken, or local is foreign and must not be), EINVAL (s was bound; port 0 with
// a foreign address), EAFNOSUPPORT, and those of Connect. The socket's domain
// must fit both addresses.
func (s *Socket) ConnectFrom(local, remote netip.AddrPort) error {
	if err := s.mayConnect(); err != nil {
		return err
	}
	if s.bound.IsValid() || s.claim != nil {
		return errno.EINVAL
	}
	dst, err := s.nativeAddr(remote.Addr())
	if err != nil {
		return err
	}
	src := local.Addr()
	if src.IsValid() {
		if src, err = s.nativeAddr(src); err != nil {
			return err
		}
		if src.Is4() != dst.Is4() {
			return errno.EAFNOSUPPORT
		}
	}
	if dst.IsMulticast() || dst.IsUnspecified() {
		return errno.ENETUNREACH
	}
	path, err := s.way(src, dst.WithZone(remote.Addr().Zone()))
	if err != nil {
		return err
	}
	if err := s.fromPort(&path, local.Port(), remote.Port()); err != nil {
		return err
	}
	lport := local.Port()
	if s.claim != nil {
		lport = s.claim.Port
	}
	return s.open(path, lport, remote.Port())
}

// fromPort makes sure that the connection is unique with lport, and holds the
// port if the address is this stack's.
func (s *Socket) fromPort(p *Path, lport, rport uint16) error {
	l := s.l
	if l.net.IsLocal(p.Src) {
		return s.exactPort(p, lport, rport)
	}
	if lport == 0 {
		return errno.EINVAL
	}
	k := makeTuple(p.Src, p.Dst, lport, rport)
	if l.conns[k] != nil || l.half[k] != nil {
		return errno.EADDRNOTAVAIL
	}
	return nil
}

// exactPort is connectPort for a port that is given.
func (s *Socket) exactPort(p *Path, lport, rport uint16) error {
	if lport == 0 {
		return s.connectPort(p, rport)
	}
	claim := s.newClaim(p.Src, lport)
	err := s.l.ports.Exact(claim, func(lport uint16) bool { return !s.l.tupleFree(makeTuple(p.Src, p.Dst, lport, rport)) })
	if err != nil {
		return err
	}
	s.claim, s.autoPort = claim, true
	return nil
}
