package tcp

// Ports and addresses of sockets: bind(2), RFC 6056 (choice of ports).

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/ports"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Bind gives the socket a local address and port; port 0 chooses one. Errors:
// EINVAL (bound or connected already), EAFNOSUPPORT, EADDRNOTAVAIL (not an
// address of this stack), EACCES (a privileged port), EADDRINUSE.
func (s *Socket) Bind(a netip.AddrPort, uid uint32, priv sockopt.Privilege) error {
	if s.bound.IsValid() || s.claim != nil || s.live() != nil || s.lst != nil {
		return errno.EINVAL
	}
	addr, err := s.nativeAddr(a.Addr())
	switch {
	case err == errno.ENETUNREACH:
		return errno.EINVAL // an IPv4-mapped address on an IPv6-only socket
	case err != nil:
		return err
	}
	if !addr.IsUnspecified() && !s.opts.FreeBind && !s.l.net.IsLocal(addr) {
		return errno.EADDRNOTAVAIL
	}
	if a.Port() != 0 && a.Port() < s.l.tun.UnprivilegedPortStart && !priv.NetBindService {
		return errno.EACCES
	}
	if a.Port() != 0 || !s.opts.BindNoPort {
		if err := s.takePort(addr, a.Port(), uid); err != nil {
			return err
		}
	}
	s.bound = addr
	return nil
}

// nativeAddr is addr without IPv4 mapping, if the socket's domain can use it.
func (s *Socket) nativeAddr(addr netip.Addr) (netip.Addr, error) {
	switch {
	case s.domain == afInet && addr.Is4():
		return addr, nil
	case s.domain == afInet6 && addr.Is4In6():
		if s.opts.V6Only {
			return addr, errno.ENETUNREACH
		}
		return addr.Unmap(), nil
	case s.domain == afInet6 && addr.Is6():
		return addr.WithZone(""), nil
	}
	return addr, errno.EAFNOSUPPORT
}

func (s *Socket) newClaim(addr netip.Addr, port uint16, uid uint32) *ports.Claim {
	return &ports.Claim{
		// The table tells the families of an AF_INET6 socket by the form.
		Addr: netip.AddrFrom16(addr.As16()), Port: port, UID: uid,
		V6: s.domain == afInet6, V6Only: s.opts.V6Only,
		ReuseAddr: s.opts.ReuseAddr, ReusePort: s.opts.ReusePort, ExclBind: s.opts.ExclBind,
		Link: int(s.opts.BindToIf),
	}
}

// takePort claims port, or a random one of the range when it is 0.
func (s *Socket) takePort(addr netip.Addr, port uint16, uid uint32) error {
	c := s.newClaim(addr, port, uid)
	lo, hi := s.opts.PortRange(s.l.tun)
	if err := s.l.ports.Bind(c, s.l.net.Rand32, lo, hi); err != nil {
		return err
	}
	s.claim = c
	return nil
}

// release gives the port back.
func (s *Socket) release() {
	if s.claim != nil {
		s.l.ports.Release(s.claim)
		s.claim = nil
	}
	if s.share != nil {
		s.l.unshare(s.share)
		s.share = nil
	}
}
