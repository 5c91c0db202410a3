package tli

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Stack makes sockets; netstack.Stack is one.
type Stack interface {
	NewTCP(domain int, o tcp.Owner) *tcp.Socket
}

// A Provider is the transport provider TCP of one stack.
type Provider struct {
	Stack   Stack
	Profile *sockopt.Profile // of the stack
	UID     uint32           // of the user, who owns the ports
	Priv    sockopt.Privilege
	// Notify is called when an endpoint has something new to look at. It runs
	// inside the stack, and may call the endpoint.
	Notify func(*Endpoint)
}

// devices are the names that Open takes, with the domain of their addresses.
var devices = map[string]int{"/dev/tcp": sockopt.AFInet, "/dev/tcp6": sockopt.AFInet6}

// Service types: servtype of struct t_info.
const (
	TCOTS    = 1 // T_COTS
	TCOTSOrd = 2 // T_COTS_ORD
	TCLTS    = 3 // T_CLTS
)

// Values of Info that are no sizes.
const (
	TInfinite = -1 // T_INFINITE
	TInvalid  = -2 // T_INVALID: there is no such thing
)

// Info is struct t_info. Sizes are in bytes.
type Info struct {
	Addr     int // of an address
	Options  int // of all options of one call
	TSDU     int // 0: a stream without boundaries
	ETSDU    int // of expedited data
	Connect  int // of data with a connect
	Discon   int // of data with a disconnect
	ServType int
	Flags    int
}

// Sizes of struct sockaddr_in and sockaddr_in6.
const (
	sizeofIn  = 16
	sizeofIn6 = 28
)

func infoOf(domain int) Info {
	i := Info{Addr: sizeofIn, Options: maxOptions, TSDU: 0, ETSDU: TInfinite, Connect: TInvalid, Discon: TInvalid, ServType: TCOTSOrd}
	if domain == sockopt.AFInet6 {
		i.Addr = sizeofIn6
	}
	return i
}

// Open is t_open. Errors: TBADNAME.
func (p *Provider) Open(name string) (*Endpoint, Info, error) {
	domain, ok := devices[name]
	if !ok {
		return nil, Info{}, TBADNAME
	}
	e := &Endpoint{p: p, domain: domain}
	e.sock = p.Stack.NewTCP(domain, e)
	e.moved(evOpened)
	return e, infoOf(domain), nil
}

// An Endpoint is a transport endpoint. It belongs to the stack's event loop.
type Endpoint struct {
	p      *Provider
	domain int
	state  State
	sock   *tcp.Socket      // nil: there is none, see idle
	local  netip.AddrPort   // of Bind
	qlen   int              // of Bind
	kept   *sockopt.Options // of the socket that there was
	remade errno.Errno      // why there is none

	// Of the connection.
	connected bool        // as the stack says
	failed    errno.Errno // the connection is gone
	stuck     bool        // Snd met TFLOW
	flowing   bool        // T_GODATA
	into      []byte      // where Rcv wants bytes
	got       int         // how many are there
	urgent    bool        // what is there is expedited

	// Of a listener.
	calls    []*incoming // connection indications that Listen has told of
	sequence uint32      // of the last
}

// Bind is what Endpoint.Bind asks for and what it gives.
type Bind struct {
	Addr netip.AddrPort // the zero value: any address and port
	Qlen int            // connection indications that may wait; 0: none is taken
}

// Bind is t_bind. Errors: TOUTSTATE, TBADADDR, TACCES, TNOADDR, TADDRBUSY,
// TSYSERR.
func (e *Endpoint) Bind(req Bind) (Bind, error) {
	if !e.may(evBind) {
		return Bind{}, TOUTSTATE
	}
	if !req.Addr.IsValid() {
		wild := netip.IPv4Unspecified()
		if e.domain == sockopt.AFInet6 {
			wild = netip.IPv6Unspecified()
		}
		req.Addr = netip.AddrPortFrom(wild, req.Addr.Port())
	}
	if a := req.Addr.Addr(); (e.domain == sockopt.AFInet) != a.Is4() || a.IsMulticast() {
		return Bind{}, TBADADDR
	}
	if err := e.claim(e.sock, req.Addr); err != nil {
		if req.Addr.Port() == 0 && err == TADDRBUSY {
			err = TNOADDR
		}
		e.renew()
		return Bind{}, err
	}
	e.local, e.qlen = e.sock.LocalAddr(), max(req.Qlen, 0)
	if limit := int(e.p.Profile.Tunables.Somaxconn); e.qlen > limit {
		e.qlen = limit
	}
	if err := e.hear(); err != nil {
		e.local, e.qlen = netip.AddrPort{}, 0
		e.renew()
		return Bind{}, err
	}
	e.moved(evBind)
	return Bind{e.local, e.qlen}, nil
}

// claim binds a socket. Endpoints that do not listen share addresses, as far as
// the bind rule of the profile lets sockets with SO_REUSEADDR.
func (e *Endpoint) claim(s *tcp.Socket, at netip.AddrPort) error {
	s.Options().ReuseAddr = true
	s.Changed(sockopt.ReuseAddr)
	if err := s.Bind(at, e.p.UID, e.p.Priv); err != nil {
		return bindError(err)
	}
	return nil
}

// hear makes the socket of an endpoint with a queue listen.
func (e *Endpoint) hear() error {
	if e.qlen == 0 {
		return nil
	}
	if err := e.sock.Listen(e.qlen); err != nil {
		return bindError(err)
	}
	return nil
}

// renew gives the endpoint a socket that is as new, with the options of the old
// one, which is left to end by itself.
func (e *Endpoint) renew() {
	s := e.p.Stack.NewTCP(e.domain, e)
	if old := e.sock; old != nil {
		*s.Options() = *old.Options()
		s.CopyKeys(old)
		old.SetOwner(nil)
		old.Close()
	} else if e.kept != nil {
		*s.Options() = *e.kept
	}
	e.sock = s
	e.connected, e.failed, e.stuck, e.flowing = false, 0, false, false
}

// idle is the return to T_IDLE: the endpoint has its address and its queue
// again. When the address cannot be had, which the next call is told, it has no
// socket.
func (e *Endpoint) idle() {
	if e.qlen > 0 && e.sock != nil && e.sock.Listening() {
		return // connections went elsewhere
	}
	e.renew()
	err := e.claim(e.sock, e.local)
	if err == nil {
		err = e.hear()
	}
	if err != nil {
		e.lose()
	}
}

func (e *Endpoint) lose() {
	if e.sock != nil {
		o := *e.sock.Options()
		e.kept = &o
		e.sock.SetOwner(nil)
		e.sock.Close()
	}
	e.sock, e.remade = nil, errno.EADDRINUSE
}

// ready gives an endpoint that lost its address another chance.
func (e *Endpoint) ready() error {
	if e.sock != nil {
		return nil
	}
	if e.idle(); e.sock == nil {
		return &SystemError{e.remade}
	}
	return nil
}

// Unbind is t_unbind. Errors: TOUTSTATE, TLOOK.
func (e *Endpoint) Unbind() error {
	switch {
	case !e.may(evUnbind):
		return TOUTSTATE
	case e.blocked(evUnbind):
		return TLOOK
	}
	e.renew()
	e.local, e.qlen = netip.AddrPort{}, 0
	e.moved(evUnbind)
	return nil
}

// Close is t_close. A connection is ended as XTI_LINGER says, at first in the
// background; who waits to be accepted is refused. Errors: TBADF.
func (e *Endpoint) Close() error {
	if !e.may(evClosed) {
		return TBADF
	}
	for _, c := range e.calls {
		c.sock.Abort()
	}
	e.calls = nil
	if e.sock != nil {
		e.sock.SetOwner(nil)
		e.sock.Close()
		e.sock = nil
	}
	e.moved(evClosed)
	return nil
}

// GetInfo is t_getinfo. Errors: TBADF.
func (e *Endpoint) GetInfo() (Info, error) {
	if e.state == TUninit {
		return Info{}, TBADF
	}
	return infoOf(e.domain), nil
}

// State is t_getstate.
func (e *Endpoint) State() State { return e.state }

// Sync is t_sync: the state of the endpoint as the provider sees it. Errors:
// TBADF.
func (e *Endpoint) Sync() (State, error) {
	if e.state == TUninit {
		return 0, TBADF
	}
	return e.state, nil
}

// Addrs is t_getprotaddr: the address of Bind or of the connection, and the
// peer's. What there is not is invalid. Errors: TBADF.
func (e *Endpoint) Addrs() (local, peer netip.AddrPort, err error) {
	switch e.state {
	case TUninit:
		return local, peer, TBADF
	case TDataXfer, TOutRel, TInRel:
		return e.sock.LocalAddr(), e.sock.RemoteAddr(), nil
	}
	return e.local, peer, nil
}
