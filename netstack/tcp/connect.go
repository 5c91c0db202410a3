package tcp

// Active open: RFC 9293 section 3.10.1, connect(2).

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Connect starts a connection to a. A start is EINPROGRESS and the outcome
// comes as EventConnected or EventError; nil is a start that waits for the first
// bytes (TCP_FASTOPEN_CONNECT). Other errors: EALREADY, EISCONN,
// EAFNOSUPPORT, the profile's for
// broadcast, multicast and port 0, EADDRNOTAVAIL (no port left, or the pair of addresses is taken, unless
// the profile says otherwise), and what routing says (ENETUNREACH, EHOSTUNREACH, …). After a
// failure the socket may connect again.
func (s *Socket) Connect(a netip.AddrPort) error {
	if err := s.mayConnect(); err != nil {
		return err
	}
	if e := s.l.profile.ConnectNoPort; e != 0 && a.Port() == 0 {
		return e
	}
	dst, err := s.nativeAddr(a.Addr())
	if err != nil {
		return err
	}
	dst = s.loopbackIfUnspecified(dst)
	if dst.IsMulticast() {
		return s.l.profile.ConnectMulticast
	}
	src := s.source()
	if sticky := s.opts.Rare().Sticky6.Src; sticky.IsValid() && dst.Is6() && (!src.IsValid() || src.IsUnspecified()) {
		src = sticky // RFC 3542 section 6.2
	}
	if src.IsValid() && !src.IsUnspecified() && src.Is4() != dst.Is4() {
		return errno.ENETUNREACH
	}
	// A link-local destination needs its zone, which the IP layer reads.
	path, err := s.way(src, dst.WithZone(a.Addr().Zone()))
	if err != nil {
		return err
	}
	if path.Gateway && s.opts.DontRoute {
		return errno.ENETUNREACH
	}
	if err := s.connectPort(&path, a.Port()); err != nil {
		return err
	}
	return s.open(path, s.claim.Port, a.Port())
}

// mayConnect is the error of a socket that is something already.
func (s *Socket) mayConnect() error {
	switch {
	case s.lst != nil:
		return errno.EISCONN
	case s.live() != nil && !s.conn.state.rule().synced:
		return errno.EALREADY
	case s.live() != nil:
		return errno.EISCONN
	}
	return nil
}

// open starts the connection.
func (s *Socket) open(path Path, lport, rport uint16) error {
	if s.conn != nil {
		s.conn.discardInput()
	}
	s.err, s.lastErr, s.events = 0, 0, 0
	c := s.l.newConn(s, path, lport, rport)
	c.activeOpen()
	if c.fastWaits() {
		s.raise(EventWritable)
		return nil
	}
	return errno.EINPROGRESS
}

// loopbackIfUnspecified follows Linux and BSD: the unspecified address as a
// destination is this host.
func (s *Socket) loopbackIfUnspecified(dst netip.Addr) netip.Addr {
	switch {
	case !dst.IsUnspecified():
		return dst
	case dst.Is4(), s.bound.Is4():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// connectPort makes sure that the socket has a port with which the connection
// is unique.
func (s *Socket) connectPort(p *Path, rport uint16) error {
	l := s.l
	used := func(lport uint16) bool { return !l.tupleFree(makeTuple(p.Src, p.Dst, lport, rport)) }
	if s.claim != nil {
		if used(s.claim.Port) {
			return l.profile.Bind.PairTaken
		}
		return nil
	}
	addr := p.Src
	if s.bound.IsValid() {
		addr = s.bound
	}
	claim := s.newClaim(addr, 0)
	lo, hi := s.opts.PortRange(s.l.tun)
	if err := l.ports.Ephemeral(claim, l.net.Rand32, l.candidates(lo, hi), used); err != nil {
		return err
	}
	s.claim, s.autoPort = claim, true
	return nil
}

// tupleFree reports whether a new connection may have the tuple. One in
// TIME-WAIT is given up when the tunable tcp_tw_reuse allows it and timestamps
// tell the two apart (RFC 6191, and RFC 7323 section 5.4: by more than a tick).
func (l *Layer) tupleFree(k tuple) bool {
	if l.conns[k] != nil || l.half[k] != nil {
		return false
	}
	w := l.waits.byTuple[k]
	return w == nil || l.mayReuse(w)
}
