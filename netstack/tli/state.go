package tli

// The state table of the XTI specification, for a connection-mode service with
// orderly release: "Initialisation", "Connection/Release/Data-Transfer".

// State is a state of an endpoint, by the numbers of xti.h.
type State int

// The states.
const (
	TUninit   State = 0 // T_UNINIT: closed
	TUnbnd    State = 1 // T_UNBND: no address
	TIdle     State = 2 // T_IDLE: an address, no connection
	TOutCon   State = 3 // T_OUTCON: has asked for a connection
	TInCon    State = 4 // T_INCON: was asked for one
	TDataXfer State = 5 // T_DATAXFER: connected
	TOutRel   State = 6 // T_OUTREL: has released its side
	TInRel    State = 7 // T_INREL: the peer has released its side
	numStates       = 8
)

var stateNames = [numStates]string{"T_UNINIT", "T_UNBND", "T_IDLE", "T_OUTCON", "T_INCON", "T_DATAXFER", "T_OUTREL", "T_INREL"}

// String is the state's name in xti.h.
func (s State) String() string {
	if s < 0 || int(s) >= numStates {
		return "unknown state"
	}
	return stateNames[s]
}

// event is a successful call, as the specification's tables distinguish them.
type event int

// The events. Numbers at the end tell apart how many connection indications are
// outstanding (ocnt), and where a connection goes.
const (
	evOpened event = iota
	evBind
	evOptmgmt
	evUnbind
	evClosed
	evConnect1 // connected at once
	evConnect2 // TNODATA: the outcome is open
	evAccept1  // ocnt 1, onto the same endpoint
	evAccept2  // ocnt 1, onto another
	evAccept3  // ocnt more than 1, onto another
	evSnd
	evSndDis1 // ocnt at most 1
	evSndDis2 // ocnt more than 1
	evSndRel
	evListen
	evRcvConnect
	evRcv
	evRcvDis1 // ocnt 0
	evRcvDis2 // ocnt 1
	evRcvDis3 // ocnt more than 1
	evRcvRel
	evPassConn // a connection was accepted onto this endpoint by another
	numEvents
)

// table is what state an event leads to, by the state that it happens in. A pair
// that is not here cannot be: TOUTSTATE.
var table = [numEvents]map[State]State{
	evOpened:  {TUninit: TUnbnd},
	evBind:    {TUnbnd: TIdle},
	evOptmgmt: {TUnbnd: TUnbnd, TIdle: TIdle, TOutCon: TOutCon, TInCon: TInCon, TDataXfer: TDataXfer, TOutRel: TOutRel, TInRel: TInRel},
	evUnbind:  {TIdle: TUnbnd},
	evClosed: {TUnbnd: TUninit, TIdle: TUninit, TOutCon: TUninit, TInCon: TUninit, TDataXfer: TUninit, TOutRel: TUninit,
		TInRel: TUninit},

	evConnect1:   {TIdle: TDataXfer},
	evConnect2:   {TIdle: TOutCon},
	evRcvConnect: {TOutCon: TDataXfer},
	evListen:     {TIdle: TInCon, TInCon: TInCon},
	evAccept1:    {TInCon: TDataXfer},
	evAccept2:    {TInCon: TIdle},
	evAccept3:    {TInCon: TInCon},
	evPassConn:   {TUnbnd: TDataXfer, TIdle: TDataXfer},

	evSnd:     {TDataXfer: TDataXfer, TInRel: TInRel},
	evRcv:     {TDataXfer: TDataXfer, TOutRel: TOutRel},
	evSndDis1: {TOutCon: TIdle, TInCon: TIdle, TDataXfer: TIdle, TOutRel: TIdle, TInRel: TIdle},
	evSndDis2: {TInCon: TInCon},
	evRcvDis1: {TOutCon: TIdle, TDataXfer: TIdle, TOutRel: TIdle, TInRel: TIdle},
	evRcvDis2: {TInCon: TIdle},
	evRcvDis3: {TInCon: TInCon},
	evSndRel:  {TDataXfer: TOutRel, TInRel: TIdle},
	evRcvRel:  {TDataXfer: TInRel, TOutRel: TIdle},
}

// may reports whether the event can happen now.
func (e *Endpoint) may(ev event) bool {
	_, ok := table[ev][e.state]
	return ok
}

// moved takes the state that the event leads to. The caller has asked may.
func (e *Endpoint) moved(ev event) {
	was := e.state
	e.state = table[ev][was]
	if e.state == TIdle && was != TIdle && was != TUnbnd {
		e.idle()
	}
}
