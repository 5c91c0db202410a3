package tli

// t_look, and the calls that an event stands in the way of.

import (
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Look is an event of t_look, by the numbers of xti.h.
type Look int

// The events. One call of Look tells of one, the most urgent.
const (
	TListen     Look = 0x0001 // T_LISTEN: somebody asks for a connection
	TConnect    Look = 0x0002 // T_CONNECT: the peer has accepted
	TData       Look = 0x0004 // T_DATA
	TExData     Look = 0x0008 // T_EXDATA: expedited data
	TDisconnect Look = 0x0010 // T_DISCONNECT
	TOrdRel     Look = 0x0080 // T_ORDREL: the peer has released its side
	TGoData     Look = 0x0100 // T_GODATA: flow control is lifted
)

// Look is t_look: the event that is next to be taken, 0 when there is none. It
// takes nothing, but for T_GODATA, which is told once.
func (e *Endpoint) Look() Look {
	now := e.events()
	for _, ev := range [...]Look{TDisconnect, TListen, TConnect, TExData, TData, TOrdRel} {
		if now&ev != 0 {
			return ev
		}
	}
	if e.flowing {
		e.flowing = false
		return TGoData
	}
	return 0
}

// events are all that there are now, but for TGoData.
func (e *Endpoint) events() (now Look) {
	if e.sock == nil {
		return 0
	}
	if e.gone() != 0 || e.lostCall() != nil {
		now |= TDisconnect
	}
	if e.qlen > 0 && e.sock.AcceptQueueLen() > 0 {
		now |= TListen
	}
	if e.connected && e.state == TOutCon {
		now |= TConnect
	}
	if e.state != TDataXfer && e.state != TOutRel {
		return now
	}
	if e.sock.Unread() > 0 {
		if ahead, urgent := e.sock.UrgentOffset(); urgent && ahead == 0 {
			now |= TExData
		} else {
			now |= TData
		}
	} else if e.released() {
		now |= TOrdRel
	}
	return now
}

// inTheWay are the events that a call fails with TLOOK for.
var inTheWay = map[event]Look{
	evUnbind:     TListen | TData,
	evConnect2:   TDisconnect | TListen,
	evListen:     TDisconnect,
	evAccept2:    TDisconnect | TListen,
	evRcvConnect: TDisconnect,
	evSnd:        TDisconnect | TOrdRel,
	evRcv:        TDisconnect | TOrdRel,
	evSndRel:     TDisconnect,
	evRcvRel:     TDisconnect,
	evSndDis1:    TDisconnect,
}

// gone is why the connection has failed, 0 when it has not. The stack knows before
// its owners are told.
func (e *Endpoint) gone() errno.Errno {
	if e.failed == 0 && table[evRcvDis1][e.state] != 0 {
		e.failed = e.sock.Err()
	}
	return e.failed
}

// released reports whether the peer has released its side.
func (e *Endpoint) released() bool {
	switch e.sock.State() {
	case tcp.StateCloseWait, tcp.StateLastAck, tcp.StateClosing, tcp.StateTimeWait, tcp.StateClosed:
		return true
	}
	return false
}

func (e *Endpoint) blocked(ev event) bool { return e.events()&inTheWay[ev] != 0 }

// Event implements tcp.Owner.
func (e *Endpoint) Event(ev tcp.Events) {
	if ev&tcp.EventConnected != 0 {
		e.connected = true
	}
	if ev&tcp.EventWritable != 0 && e.stuck {
		e.stuck, e.flowing = false, true
	}
	e.notify()
}

func (e *Endpoint) notify() {
	if e.p.Notify != nil {
		e.p.Notify(e)
	}
}
