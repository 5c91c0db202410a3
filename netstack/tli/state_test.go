package tli

import (
	"strings"
	"testing"
)

// specification is the state table as the XTI specification prints it, by hand:
// a line for each event, a column for each state from T_UNINIT on, and a dash for
// what cannot be.
const specification = `
opened      1 - - - - - - -
bind        - 2 - - - - - -
optmgmt     - 1 2 3 4 5 6 7
unbind      - - 1 - - - - -
closed      - 0 0 0 0 0 0 0
connect1    - - 5 - - - - -
connect2    - - 3 - - - - -
accept1     - - - - 5 - - -
accept2     - - - - 2 - - -
accept3     - - - - 4 - - -
snd         - - - - - 5 - 7
snddis1     - - - 2 2 2 2 2
snddis2     - - - - 4 - - -
sndrel      - - - - - 6 - 2
listen      - - 4 - 4 - - -
rcvconnect  - - - 5 - - - -
rcv         - - - - - 5 6 -
rcvdis1     - - - 2 - 2 2 2
rcvdis2     - - - - 2 - - -
rcvdis3     - - - - 4 - - -
rcvrel      - - - - - 7 2 -
pass_conn   - 5 5 - - - - -
`

func TestStateTable(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(specification), "\n")
	if len(lines) != int(numEvents) {
		t.Fatalf("%d events, want %d", len(lines), numEvents)
	}
	for ev, line := range lines {
		f := strings.Fields(line)
		for s := range numStates {
			to, ok := table[ev][State(s)]
			got := "-"
			if ok {
				got = string(rune('0' + to))
			}
			if got != f[1+s] {
				t.Errorf("%s in %v leads to %s, want %s", f[0], State(s), got, f[1+s])
			}
		}
	}
}

func TestNames(t *testing.T) {
	if TDataXfer.String() != "T_DATAXFER" || State(9).String() != "unknown state" || TLOOK.Error() != "TLOOK" || Error(99).Error() != "t_errno unknown" {
		t.Error("names")
	}
}

// inState are endpoints in every state.
func inState(w *world) map[State]*Endpoint {
	all := map[State]*Endpoint{TUnbnd: w.open(0), TIdle: w.bound(0, 0, 0)}
	closed := w.open(0)
	w.want("close", closed.Close(), nil)
	all[TUninit] = closed
	l := w.bound(1, 8001, 2)
	w.calling(l)
	_, err := l.Listen()
	w.want("listen", err, nil)
	all[TInCon] = l
	a, b := w.connected()
	all[TDataXfer] = a
	_ = b
	c, d := w.connected()
	w.want("sndrel", c.SndRel(), nil)
	all[TOutRel] = c
	w.settle()
	w.want("rcvrel", d.RcvRel(), nil)
	all[TInRel] = d
	calling := w.bound(0, 0, 0)
	quiet := w.bound(1, 9000, 1) // the frames are never carried
	w.want("connect", calling.Connect(quiet.local), TNODATA)
	all[TOutCon] = calling
	for s, e := range all {
		w.in(e, s)
	}
	return all
}

// TestCallsOutOfState makes every call in every state. One that the table does
// not have there is TOUTSTATE and changes nothing; one that it has is not.
func TestCallsOutOfState(t *testing.T) {
	calls := []struct {
		name string
		ev   event
		do   func(e *Endpoint) error
		bad  error // of a state that is not right
	}{
		{"bind", evBind, func(e *Endpoint) error { _, err := e.Bind(Bind{Qlen: 1}); return err }, TOUTSTATE},
		{"unbind", evUnbind, (*Endpoint).Unbind, TOUTSTATE},
		{"connect", evConnect2, func(e *Endpoint) error { return e.Connect(e.local) }, TOUTSTATE},
		{"rcvconnect", evRcvConnect, func(e *Endpoint) error { _, err := e.RcvConnect(); return err }, TOUTSTATE},
		{"listen", evListen, func(e *Endpoint) error { _, err := e.Listen(); return err }, TOUTSTATE},
		{"accept", evAccept2, func(e *Endpoint) error { return e.Accept(e, 99) }, TOUTSTATE},
		{"snd", evSnd, func(e *Endpoint) error { _, err := e.Snd([]byte("x"), 0); return err }, TOUTSTATE},
		{"rcv", evRcv, func(e *Endpoint) error { _, _, err := e.Rcv(make([]byte, 1)); return err }, TOUTSTATE},
		{"sndrel", evSndRel, (*Endpoint).SndRel, TOUTSTATE},
		{"rcvrel", evRcvRel, (*Endpoint).RcvRel, TOUTSTATE},
		{"snddis", evSndDis1, func(e *Endpoint) error { return e.SndDis(99) }, TOUTSTATE},
		{"rcvdis", numEvents, func(e *Endpoint) error { _, err := e.RcvDis(); return err }, TOUTSTATE},
		{"optmgmt", evOptmgmt, func(e *Endpoint) error { _, _, err := e.OptMgmt(TCurrent, nil); return err }, TOUTSTATE},
		{"getinfo", numEvents + 1, func(e *Endpoint) error { _, err := e.GetInfo(); return err }, TBADF},
		{"sync", numEvents + 1, func(e *Endpoint) error { _, err := e.Sync(); return err }, TBADF},
		{"addrs", numEvents + 1, func(e *Endpoint) error { _, _, err := e.Addrs(); return err }, TBADF},
		{"close", evClosed, (*Endpoint).Close, TBADF},
	}
	for _, c := range calls {
		for s, e := range inState(newWorld(t)) {
			legal := false
			switch c.ev {
			case numEvents: // any of the three
				legal = table[evRcvDis1][s] != 0 || table[evRcvDis2][s] != 0
			case numEvents + 1:
				legal = s != TUninit
			default:
				_, legal = table[c.ev][s]
			}
			err := c.do(e)
			if legal == (err == c.bad) {
				t.Errorf("%s in %v: %v", c.name, s, err)
			}
			if !legal && e.State() != s {
				t.Errorf("%s in %v led to %v", c.name, s, e.State())
			}
		}
	}
}
