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
// address of this stack), EACCES (a reserved port), EADDRINUSE, and those of
// the profile's policy.
func (s *Socket) Bind(a netip.AddrPort, uid uint32, priv sockopt.Privilege) error {
	if s.bound.IsValid() || s.claim != nil || s.live() != nil || s.lst != nil {
		return errno.EINVAL
	}
	addr, err := s.nativeAddr(a.Addr())
	switch {
	case err == errno.ENETUNREACH:
		return s.l.profile.Bind.MappedV6Only
	case err != nil:
		return err
	}
	if e := s.addrRefused(addr); e != 0 {
		return e
	}
	if s.l.tun.PortPrivileged(a.Port()) && !priv.NetBindService {
		return errno.EACCES
	}
	if a.Port() != 0 || !s.opts.BindNoPort {
		s.uid = uid
		c := s.newClaim(addr, a.Port())
		c.Super, c.Agreed = priv.NetBindService, priv.Agreed
		if err := s.takePort(c); err != nil {
			return err
		}
	}
	s.bound = addr
	return nil
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// addrRefused is why the socket cannot be bound to addr; 0: it can.
func (s *Socket) addrRefused(addr netip.Addr) errno.Errno {
	policy := &s.l.profile.Bind
	switch {
	case addr.IsUnspecified():
		return 0
	case addr.IsMulticast() && addr.Is4():
		return policy.Multicast4
	case addr.IsMulticast():
		return policy.Multicast6
	case addr == broadcast4:
		return policy.LimitedBroadcast
	case s.l.net.IsBroadcast(addr):
		return policy.LinkBroadcast
	case s.opts.FreeBind || s.l.net.IsLocal(addr) || s.l.tun.Nonlocal(addr):
		return 0
	}
	return errno.EADDRNOTAVAIL
}

// source is the bound address as connections carry it: a broadcast or multicast
// address never sends, the interface's stands for it.
func (s *Socket) source() netip.Addr {
	if a := s.bound; a.IsValid() && (a.IsMulticast() || a == broadcast4 || s.l.net.IsBroadcast(a)) {
		return wildcard(int(s.domain))
	}
	return s.bound
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

func (s *Socket) newClaim(addr netip.Addr, port uint16) *ports.Claim {
	if s.domain == afInet6 && addr.Is4() {
		addr = netip.AddrFrom16(addr.As16()) // the table tells families by the form
	}
	c := &ports.Claim{
		Addr: addr, Port: port, UID: s.uid,
		V6: s.domain == afInet6, V6Only: s.opts.V6Only,
		Link: int(s.opts.BindToIf), Of: s,
	}
	c.Follow(&s.opts)
	return c
}

// PortState implements ports.Holder.
func (s *Socket) PortState() ports.State {
	switch {
	case s.lst != nil:
		return ports.Listen
	case s.live() == nil:
		return ports.Bound
	case s.conn.state.rule().open:
		return ports.Active
	}
	return ports.Closing
}

// takePort claims c's port, or a random one of the range when it is 0.
func (s *Socket) takePort(c *ports.Claim) error {
	lo, hi := s.opts.PortRange(s.l.tun)
	if p := &s.l.profile.Bind; s.opts.Rare().AnonPrivBind && p.AnonPrivMax != 0 {
		lo, hi = s.l.tun.AnonPrivMin, p.AnonPrivMax
	}
	if err := s.l.ports.Bind(c, s.l.net.Rand32, s.l.candidates(lo, hi)); err != nil {
		return err
	}
	s.claim = c
	return nil
}

// candidates are the ports of a range that may be chosen.
func (l *Layer) candidates(lo, hi uint16) ports.Candidates {
	return ports.Candidates{Lo: lo, Hi: hi, Share: l.tun.AutobindReuse, Reserved: l.tun.PortWithheld(lo, hi)}
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
