package udp

// The socket calls: udp(7), ip(7), ipv6(7), bind(2), connect(2).

import (
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/netstack/ports"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Socket is a UDP socket. It implements sockopt.Target. All methods belong to
// the stack's event loop.
type Socket struct {
	l     *Layer
	owner Owner
	opts  sockopt.Options
	claim *ports.Claim // the port; nil: none

	uid       uint32 // owner, for the ports that the socket gets
	domain    uint8
	closed    bool
	portFixed bool           // Bind chose the port: it outlives Disconnect
	fixed     netip.Addr     // address of Bind, invalid for none or any
	local     netip.Addr     // address that datagrams must come to; invalid for any
	only4     bool           // bound to ::ffff:0.0.0.0
	remote    netip.AddrPort // the peer, with its link as the zone if it is link-local
	err       errno.Errno    // SO_ERROR: read once
	drops     uint32         // datagrams that the owner had no room for
	queue     *errorQueue    // nil: empty

	path     Path       // to the peer, or to the last destination
	pathTo   netip.Addr // what path was asked for; invalid: nothing
	pathLink int32
	pathFrom netip.Addr // the source that was asked for then; invalid: none
	from     netip.Addr // the source of the datagrams that are being sent; invalid: as the settings have it
}

var _ sockopt.Target = (*Socket)(nil)

// NewSocket returns a socket of the domain, which is 2 (AF_INET) or 10
// (AF_INET6).
func (l *Layer) NewSocket(domain int, o Owner) *Socket {
	return &Socket{l: l, owner: o, domain: uint8(domain), opts: l.profile.NewDatagramOptions()}
}

// SetUser says whose the socket is, for a port that it gets without Bind.
func (s *Socket) SetUser(uid uint32) { s.uid = uid }

// SetOwner makes o receive what arrives from now on.
func (s *Socket) SetOwner(o Owner) { s.owner = o }

// native is addr without IPv4 mapping, if the socket's domain can use it.
func (s *Socket) native(addr netip.Addr) (netip.Addr, errno.Errno) {
	switch {
	case s.domain == sockopt.AFInet && addr.Is4():
		return addr, 0
	case s.domain == sockopt.AFInet6 && addr.Is4In6():
		if s.opts.V6Only {
			return addr, errno.ENETUNREACH
		}
		return addr.Unmap(), 0
	case s.domain == sockopt.AFInet6 && addr.Is6():
		return addr, 0
	}
	return addr, errno.EAFNOSUPPORT
}

// peer is native for a destination: there an AF_INET6 socket takes a plain IPv4
// address as well, as Linux does.
func (s *Socket) peer(addr netip.Addr) (netip.Addr, errno.Errno) {
	if s.domain == sockopt.AFInet6 && addr.Is4() {
		addr = netip.AddrFrom16(addr.As16())
	}
	return s.native(addr)
}

// Bind gives the socket a local address and port; port 0 chooses one. Broadcast
// and multicast addresses are allowed. Errors: EINVAL (bound already),
// EAFNOSUPPORT, EADDRNOTAVAIL, EACCES (a privileged port), EADDRINUSE.
func (s *Socket) Bind(a netip.AddrPort, uid uint32, priv sockopt.Privilege) error {
	if s.claim != nil || s.closed {
		return errno.EINVAL
	}
	addr, no := s.native(a.Addr())
	switch {
	case no == errno.ENETUNREACH:
		return s.l.profile.Bind.MappedV6Only
	case no != 0:
		return no
	}
	addr = addr.WithZone("")
	if !s.bindable(addr) {
		return errno.EADDRNOTAVAIL
	}
	if s.l.tun.PortPrivileged(a.Port()) && !priv.NetBindService {
		return errno.EACCES
	}
	if a.Port() != 0 || !s.opts.BindNoPort {
		s.uid = uid
		if err := s.takePort(addr, a.Port(), priv); err != nil {
			return err
		}
		s.portFixed = true
	}
	s.only4 = s.domain == sockopt.AFInet6 && addr.Is4()
	if !addr.IsUnspecified() {
		s.fixed, s.local = addr, addr
	}
	return nil
}

func (s *Socket) bindable(a netip.Addr) bool {
	return a.IsUnspecified() || a.IsMulticast() || s.opts.FreeBind || s.l.tun.Nonlocal(a) || s.l.net.IsLocal(a) || s.l.net.IsBroadcast(a)
}

// takePort claims port for addr, or a random one of the range when it is 0.
func (s *Socket) takePort(addr netip.Addr, port uint16, priv sockopt.Privilege) error {
	if s.domain == sockopt.AFInet6 && addr.Is4() {
		addr = netip.AddrFrom16(addr.As16()) // the table tells families by the form
	}
	c := &ports.Claim{
		Addr: addr, Port: port, UID: s.uid, Super: priv.NetBindService, Agreed: priv.Agreed,
		V6: s.domain == sockopt.AFInet6, V6Only: s.opts.V6Only,
		Link: int(s.opts.BindToIf), Of: s,
	}
	c.Follow(&s.opts)
	lo, hi := s.opts.PortRange(s.l.tun)
	candidates := ports.Candidates{Lo: lo, Hi: hi, Reserved: s.l.tun.PortWithheld(lo, hi)}
	if err := s.l.ports.Bind(c, s.l.net.Rand32, candidates); err != nil {
		return err
	}
	s.claim = c
	s.l.byPort[c.Port] = append(s.l.byPort[c.Port], s)
	return nil
}

// PortState implements ports.Holder.
func (s *Socket) PortState() ports.State {
	if s.remote.IsValid() {
		return ports.Active
	}
	return ports.Bound
}

// autobind takes a port for a socket that sends or connects without one. None is
// free: as the profile says.
func (s *Socket) autobind() error {
	if s.claim != nil {
		return nil
	}
	addr := s.fixed // IP_BIND_ADDRESS_NO_PORT leaves an address without a port
	switch {
	case addr.IsValid():
	case s.domain == sockopt.AFInet || s.only4:
		addr = netip.IPv4Unspecified()
	default:
		addr = netip.IPv6Unspecified()
	}
	if s.takePort(addr, 0, sockopt.Privilege{}) != nil {
		return s.l.profile.Bind.DatagramExhausted
	}
	return nil
}

// Connect fixes the peer: only its datagrams arrive, sends go to it, and ICMP
// errors about them are reported. It also fixes the local address. Errors:
// EAFNOSUPPORT, EACCES (broadcast without SO_BROADCAST), ENETUNREACH, the
// profile's when no port is free, …
func (s *Socket) Connect(a netip.AddrPort) error {
	if s.closed {
		return errno.EINVAL
	}
	to, no := s.peer(a.Addr())
	if no != 0 {
		return no
	}
	if err := s.familyAllowed(to); err != nil {
		return err
	}
	p, err := s.route(to)
	if err != nil {
		return err
	}
	if err := s.autobind(); err != nil {
		return err
	}
	s.unpair()
	peer := scoped(p.Dst, p.Link)
	s.path, s.pathTo, s.pathLink, s.pathFrom = p, peer, s.link(to), s.asked(to)
	s.local = p.Src
	s.remote = netip.AddrPortFrom(peer, a.Port())
	s.l.pairs[s.pair()] = s
	return nil
}

// familyAllowed refuses a destination of the family that the bound address
// excludes, as Linux does (ENETUNREACH).
func (s *Socket) familyAllowed(to netip.Addr) error {
	if s.only4 && !to.Is4() || s.fixed.IsValid() && s.fixed.Is4() != to.Is4() {
		return errno.ENETUNREACH
	}
	return nil
}

// route finds the way to a native address, with the permissions of the socket.
func (s *Socket) route(to netip.Addr) (Path, error) {
	src := s.fixed
	if src.IsValid() && (src.IsMulticast() || s.l.net.IsBroadcast(src)) {
		src = netip.Addr{} // such an address receives, but never sends
	}
	if from := s.asked(to); from.IsValid() {
		if src = from; src.IsUnspecified() {
			src = netip.Addr{}
		}
	}
	options, hop := s.optionsTo(to)
	if options != nil && options.First.IsValid() && to.IsUnspecified() {
		return Path{}, errno.EINVAL
	}
	p, err := s.l.net.Route(src, hop, int(s.link(to)))
	switch {
	case err == errno.ENODEV && s.link(to) != s.opts.BindToIf:
		return p, errno.ENETUNREACH // the interface of IPV6_PKTINFO
	case err != nil:
		return p, err
	case options != nil && options.Strict && p.Gateway:
		return p, errno.ENETUNREACH
	case p.Broadcast && !s.opts.Broadcast:
		return p, errno.EACCES
	case p.Gateway && s.opts.DontRoute:
		return p, errno.ENETUNREACH
	}
	if p.Options = options; hop != to {
		p.Dst = to
	}
	return p, nil
}

// optionsTo are the IPv4 options of packets to an address, and where they lead.
func (s *Socket) optionsTo(to netip.Addr) (o *wire.OutOptions, hop netip.Addr) {
	given := s.opts.Rare().IPOptions
	if given == "" || !to.Is4() {
		return nil, to
	}
	o = wire.NewOutOptions([]byte(given), to, s.l.net.IsLocal)
	return o, o.Hop(to)
}

// Disconnect undoes Connect (connect(2) with AF_UNSPEC): address and port go
// unless Bind gave them.
func (s *Socket) Disconnect() {
	if s.closed {
		return
	}
	s.unpair()
	s.remote, s.pathTo = netip.AddrPort{}, netip.Addr{}
	s.local = s.fixed
	if !s.portFixed {
		s.releasePort()
	}
}

func (s *Socket) pair() pair {
	peer := netip.AddrPortFrom(s.remote.Addr().WithZone(""), s.remote.Port())
	return pair{netip.AddrPortFrom(s.local, s.claim.Port), peer}
}

func (s *Socket) unpair() {
	if s.remote.IsValid() && s.l.pairs[s.pair()] == s {
		delete(s.l.pairs, s.pair())
	}
}

func (s *Socket) releasePort() {
	if s.claim == nil {
		return
	}
	port := s.claim.Port
	list := slices.DeleteFunc(s.l.byPort[port], func(x *Socket) bool { return x == s })
	if len(list) == 0 {
		delete(s.l.byPort, port)
	} else {
		s.l.byPort[port] = list
	}
	s.l.ports.Release(s.claim)
	s.claim = nil
}

// Close ends the socket. The owner hears nothing from then on.
func (s *Socket) Close() {
	s.portFixed = false
	s.Disconnect()
	s.closed, s.owner = true, nil
}

// shown is a native address as the socket's domain shows it.
func (s *Socket) shown(a netip.Addr) netip.Addr {
	if s.domain == sockopt.AFInet6 && a.Is4() {
		return netip.AddrFrom16(a.As16())
	}
	return a
}

// LocalAddr is where the socket is bound; port 0 means not yet.
func (s *Socket) LocalAddr() netip.AddrPort {
	a := s.local
	switch {
	case a.IsValid():
	case s.only4 || s.domain == sockopt.AFInet:
		a = netip.IPv4Unspecified()
	default:
		a = netip.IPv6Unspecified()
	}
	if s.claim == nil {
		return netip.AddrPortFrom(s.shown(a), 0)
	}
	return netip.AddrPortFrom(s.shown(a), s.claim.Port)
}

// RemoteAddr is the peer; invalid when the socket is not connected.
func (s *Socket) RemoteAddr() netip.AddrPort {
	if !s.remote.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(s.shown(s.remote.Addr()), s.remote.Port())
}

// Options are the socket's settings.
func (s *Socket) Options() *sockopt.Options { return &s.opts }

// Changed takes note of a new setting.
func (s *Socket) Changed(id sockopt.ID) {
	if id == sockopt.RecvErr && !s.opts.RecvErr || id == sockopt.RecvErr6 && !s.opts.RecvErr6 {
		s.queue = nil
	}
	s.pathTo = netip.Addr{} // the link, or the leave to broadcast, may have changed
	if s.claim != nil {
		s.claim.Follow(&s.opts)
	}
}

// Kind is the socket's domain, type and protocol by Linux numbers.
func (s *Socket) Kind() (domain, typ, protocol int) {
	return int(s.domain), sockopt.SockDgram, protoUDP
}

const protoUDP = 17

// TakeError returns the pending error and clears it.
func (s *Socket) TakeError() errno.Errno {
	e := s.err
	s.err = 0
	return e
}

// Drops is how many datagrams the owner had no room for.
func (s *Socket) Drops() uint32 { return s.drops }

// Listening is always false.
func (s *Socket) Listening() bool { return false }

// Connected reports whether Connect fixed a peer.
func (s *Socket) Connected() bool { return s.remote.IsValid() }

// MSS is 0: UDP has no segments.
func (s *Socket) MSS() int { return 0 }

// PathMTU is that of the way to the peer in bytes, 0 when there is none.
func (s *Socket) PathMTU() int {
	if !s.remote.IsValid() || s.wayTo(s.remote.Addr()) != nil {
		return 0
	}
	return s.path.MTU
}

// Info leaves i as it is: there is no TCP state.
func (s *Socket) Info(i *sockopt.TCPInfo) {}
