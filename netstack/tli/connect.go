package tli

// Connections: t_connect, t_rcvconnect, t_listen, t_accept, t_snddis, t_rcvdis.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// An incoming is a connection indication that Listen has told of. It owns the
// connection until Accept gives that to an endpoint. Nothing is delivered.
type incoming struct {
	on       *Endpoint
	sock     *tcp.Socket
	sequence uint32
}

// Deliver implements tcp.Owner.
func (*incoming) Deliver([]byte) int { return 0 }

// Event implements tcp.Owner.
func (c *incoming) Event(ev tcp.Events) {
	if ev&tcp.EventError != 0 {
		c.on.notify()
	}
}

// A Call is struct t_call.
type Call struct {
	Addr     netip.AddrPort // of the peer
	Sequence uint32         // of a connection indication, not 0
}

// call finds an indication, nil when there is none.
func (e *Endpoint) call(sequence uint32) *incoming {
	for _, c := range e.calls {
		if c.sequence == sequence {
			return c
		}
	}
	return nil
}

// lostCall is an indication whose peer has gone, nil when there is none.
func (e *Endpoint) lostCall() *incoming {
	for _, c := range e.calls {
		if c.sock.Err() != 0 {
			return c
		}
	}
	return nil
}

func (e *Endpoint) forget(c *incoming) {
	for i, x := range e.calls {
		if x == c {
			e.calls = append(e.calls[:i:i], e.calls[i+1:]...)
			return
		}
	}
}

// Connect is t_connect. A start is TNODATA and the outcome an event: T_CONNECT,
// or T_DISCONNECT with its reason. An endpoint that listens stops that for the
// time of the connection. Errors: TOUTSTATE, TLOOK, TBADADDR, TADDRBUSY, TSYSERR.
func (e *Endpoint) Connect(to netip.AddrPort) error {
	switch {
	case !e.may(evConnect2):
		return TOUTSTATE
	case e.blocked(evConnect2):
		return TLOOK
	case !to.IsValid() || to.Port() == 0 || to.Addr().IsMulticast() || to.Addr().Is4() != (e.domain == sockopt.AFInet):
		return TBADADDR
	}
	if err := e.ready(); err != nil {
		return err
	}
	if e.qlen > 0 {
		e.renew()
		if err := e.claim(e.sock, e.local); err != nil {
			e.lose()
			return err
		}
	}
	switch err := e.sock.Connect(to); {
	case err == errno.EINPROGRESS || err == nil:
	default:
		no := asErrno(err)
		if at, ok := connectErrors[no]; ok {
			e.idle() // as before, listening perhaps
			return at
		}
		e.failed = no
	}
	e.moved(evConnect2)
	return TNODATA
}

// RcvConnect is t_rcvconnect. Errors: TOUTSTATE, TLOOK, TNODATA.
func (e *Endpoint) RcvConnect() (Call, error) {
	switch {
	case !e.may(evRcvConnect):
		return Call{}, TOUTSTATE
	case e.blocked(evRcvConnect):
		return Call{}, TLOOK
	case !e.connected:
		return Call{}, TNODATA
	}
	e.moved(evRcvConnect)
	return Call{Addr: e.sock.RemoteAddr()}, nil
}

// Listen is t_listen. Errors: TBADQLEN, TOUTSTATE, TLOOK, TQFULL, TNODATA,
// TSYSERR.
func (e *Endpoint) Listen() (Call, error) {
	switch {
	case e.qlen == 0 && e.state == TIdle:
		return Call{}, TBADQLEN
	case !e.may(evListen):
		return Call{}, TOUTSTATE
	case e.blocked(evListen):
		return Call{}, TLOOK
	case len(e.calls) >= e.qlen:
		return Call{}, TQFULL
	}
	if err := e.ready(); err != nil {
		return Call{}, err
	}
	s, err := e.sock.Accept()
	if err == errno.EAGAIN {
		return Call{}, TNODATA
	}
	if err != nil {
		return Call{}, system(err)
	}
	e.sequence++
	if e.sequence == 0 {
		e.sequence++
	}
	c := &incoming{on: e, sock: s, sequence: e.sequence}
	e.calls = append(e.calls, c)
	s.SetOwner(c)
	e.moved(evListen)
	return Call{Addr: s.RemoteAddr(), Sequence: c.sequence}, nil
}

// Accept is t_accept: the connection of an indication becomes that of onto, which
// may be e itself when nothing else is outstanding; e listens again when the
// connection has ended. Errors: TOUTSTATE, TLOOK, TBADSEQ, TPROVMISMATCH, TINDOUT,
// TRESQLEN, TBADF.
func (e *Endpoint) Accept(onto *Endpoint, sequence uint32) error {
	c := e.call(sequence)
	ev := evAccept3
	switch {
	case !e.may(evAccept2):
		return TOUTSTATE
	case onto == nil || onto.state == TUninit:
		return TBADF
	case onto.p != e.p || onto.domain != e.domain:
		return TPROVMISMATCH
	case onto == e && len(e.calls) > 1:
		return TINDOUT
	case onto != e && !onto.may(evPassConn):
		return TOUTSTATE
	case onto != e && onto.qlen > 0:
		return TRESQLEN
	case e.blocked(evAccept2):
		return TLOOK
	case c == nil:
		return TBADSEQ
	case onto == e:
		ev = evAccept1
	case len(e.calls) == 1:
		ev = evAccept2
	}
	e.forget(c)
	if onto != e && onto.state == TUnbnd {
		onto.local = c.sock.LocalAddr()
	}
	onto.take(c)
	if e.moved(ev); onto != e {
		onto.moved(evPassConn)
	}
	return nil
}

// take makes the connection the endpoint's, with the options that it has.
func (e *Endpoint) take(c *incoming) {
	if e.sock != nil {
		e.sock.SetOwner(nil)
		e.sock.Close()
	}
	e.sock, e.into, e.connected, e.failed = c.sock, nil, true, 0
	e.stuck, e.flowing = false, false
	e.sock.SetOwner(e)
	e.sock.Resume()
}

// SndDis is t_snddis: it refuses a connection indication by its sequence, or
// resets the connection of the endpoint. Errors: TOUTSTATE, TLOOK, TBADSEQ.
func (e *Endpoint) SndDis(sequence uint32) error {
	ev := evSndDis1
	if len(e.calls) > 1 {
		ev = evSndDis2
	}
	switch {
	case !e.may(ev):
		return TOUTSTATE
	case e.blocked(evSndDis1):
		return TLOOK
	}
	if e.state == TInCon {
		c := e.call(sequence)
		if c == nil {
			return TBADSEQ
		}
		e.forget(c)
		c.sock.SetOwner(nil)
		c.sock.Abort()
	} else {
		e.sock.SetOwner(nil)
		e.sock.Abort()
	}
	e.moved(ev)
	return nil
}

// A Discon is struct t_discon.
type Discon struct {
	Reason   errno.Errno // why
	Sequence uint32      // of the connection indication, 0: the endpoint's connection
}

// RcvDis is t_rcvdis. Errors: TNODIS, TOUTSTATE.
func (e *Endpoint) RcvDis() (Discon, error) {
	ev := evRcvDis1
	switch len(e.calls) {
	case 0:
	case 1:
		ev = evRcvDis2
	default:
		ev = evRcvDis3
	}
	if !e.may(ev) {
		return Discon{}, TOUTSTATE
	}
	if e.events()&TDisconnect == 0 {
		return Discon{}, TNODIS
	}
	d := Discon{Reason: e.failed}
	if c := e.lostCall(); c != nil {
		d = Discon{c.sock.Err(), c.sequence}
		e.forget(c)
		c.sock.SetOwner(nil)
		c.sock.Close()
	}
	e.moved(ev)
	return d, nil
}
