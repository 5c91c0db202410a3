package tli

// Data and orderly release: t_snd, t_rcv, t_sndrel, t_rcvrel.

// Flags of Snd and Rcv, by the numbers of xti.h.
const (
	TMore      = 0x001 // T_MORE: there is more of this unit
	TExpedited = 0x002 // T_EXPEDITED
)

// Snd is t_snd. It sends what there is room for and returns how much that was;
// with TExpedited all or nothing, and the last byte is the urgent one. Errors:
// TBADFLAG, TBADDATA, TOUTSTATE, TLOOK, TFLOW: T_GODATA tells when there is room.
func (e *Endpoint) Snd(b []byte, flags int) (int, error) {
	switch {
	case flags&^(TMore|TExpedited) != 0:
		return 0, TBADFLAG
	case !e.may(evSnd):
		return 0, TOUTSTATE
	case e.blocked(evSnd):
		return 0, TLOOK
	case len(b) == 0:
		return 0, TBADDATA // T_SNDZERO is not offered
	}
	send := e.sock.Write
	if flags&TExpedited != 0 {
		if e.sock.SendSpace() < len(b) {
			e.stuck = true
			return 0, TFLOW
		}
		send = e.sock.WriteUrgent
	}
	n := send(b)
	if n < len(b) {
		e.stuck = e.sock.SendSpace() == 0 // asks to be told
	}
	if n == 0 {
		return 0, TFLOW
	}
	e.moved(evSnd)
	return n, nil
}

// Rcv is t_rcv. The flags tell of expedited data, which comes apart from the rest.
// Errors: TOUTSTATE, TLOOK, TNODATA, TBADDATA (no room).
func (e *Endpoint) Rcv(b []byte) (n, flags int, err error) {
	switch {
	case !e.may(evRcv):
		return 0, 0, TOUTSTATE
	case e.blocked(evRcv):
		return 0, 0, TLOOK
	case len(b) == 0:
		return 0, 0, TBADDATA
	}
	e.into, e.got, e.urgent = b, 0, false
	e.sock.Resume()
	e.into = nil
	if e.got == 0 {
		return 0, 0, TNODATA
	}
	if e.urgent {
		flags = TExpedited
	}
	e.moved(evRcv)
	return e.got, flags, nil
}

// Deliver implements tcp.Owner: bytes stay with the stack until Rcv wants them.
func (e *Endpoint) Deliver(p []byte) int {
	if e.into == nil {
		if e.state == TDataXfer || e.state == TOutRel {
			e.notify()
		}
		return 0
	}
	if ahead, urgent := e.sock.UrgentOffset(); urgent && ahead == 0 {
		if e.got > 0 {
			return 0 // by itself, with the next call
		}
		e.urgent = true
	} else if e.urgent {
		return 0
	}
	n := copy(e.into[e.got:], p)
	e.got += n
	return n
}

// SndRel is t_sndrel: nothing more is sent. Errors: TOUTSTATE, TLOOK.
func (e *Endpoint) SndRel() error {
	switch {
	case !e.may(evSndRel):
		return TOUTSTATE
	case e.blocked(evSndRel):
		return TLOOK
	}
	e.sock.CloseWrite()
	e.moved(evSndRel)
	return nil
}

// RcvRel is t_rcvrel: the peer sends nothing more, and everything was received.
// Errors: TOUTSTATE, TLOOK, TNOREL.
func (e *Endpoint) RcvRel() error {
	switch {
	case !e.may(evRcvRel):
		return TOUTSTATE
	case e.blocked(evRcvRel):
		return TLOOK
	case e.events()&TOrdRel == 0:
		return TNOREL
	}
	e.moved(evRcvRel)
	return nil
}
