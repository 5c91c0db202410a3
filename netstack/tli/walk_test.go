package tli

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// TestRandomWalks: programs that call anything at any time, by seed. Whatever a
// call answers, a state is left only by a way that the table has, what succeeded
// was allowed, and in the end nothing is left behind.
func TestRandomWalks(t *testing.T) {
	seen := make(map[[2]State]int)
	for seed := range uint64(60) {
		walk(t, seed, seen)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	// Every way that the table has was gone; connect1 is of blocking calls.
	for ev, row := range table {
		for from, to := range row {
			if n := seen[[2]State{from, to}]; n == 0 && event(ev) != evConnect1 && event(ev) != evOpened && event(ev) != evClosed {
				t.Errorf("nobody went from %v to %v", from, to)
			}
		}
	}
}

// sensible is what a program calls for an event.
var sensible = map[Look]event{TListen: evListen, TConnect: evRcvConnect, TData: evRcv, TExData: evRcv, TOrdRel: evRcvRel}

func walk(t *testing.T, seed uint64, seen map[[2]State]int) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(seed, 1))
	var all [2][]*Endpoint
	for i := range all {
		for range 4 {
			all[i] = append(all[i], w.open(i))
		}
	}
	ways := make(map[[2]State]bool)
	for _, row := range table {
		for from, to := range row {
			ways[[2]State{from, to}] = true
		}
	}
	port := func() uint16 { return uint16(8000 + r.IntN(3)) }
	buf := make([]byte, 3000)
	calls := []struct {
		ev event
		do func(i int, e *Endpoint) error
	}{
		{evBind, func(i int, e *Endpoint) error {
			_, err := e.Bind(Bind{netip.AddrPortFrom(netip.MustParseAddr(addrs[i]), port()), r.IntN(3)})
			return err
		}},
		{evUnbind, func(_ int, e *Endpoint) error { return e.Unbind() }},
		{evConnect2, func(i int, e *Endpoint) error {
			return e.Connect(netip.AddrPortFrom(netip.MustParseAddr(addrs[1-i]), port()))
		}},
		{evRcvConnect, func(_ int, e *Endpoint) error { _, err := e.RcvConnect(); return err }},
		{evListen, func(_ int, e *Endpoint) error { _, err := e.Listen(); return err }},
		{evAccept2, func(i int, e *Endpoint) error {
			onto := all[i][r.IntN(4)]
			was := onto.State()
			err := e.Accept(onto, e.sequence-uint32(r.IntN(2)))
			if onto != e {
				seen[[2]State{was, onto.State()}]++
			}
			return err
		}},
		{evSnd, func(_ int, e *Endpoint) error { _, err := e.Snd(buf[:r.IntN(3000)], r.IntN(4)); return err }},
		{evRcv, func(_ int, e *Endpoint) error { _, _, err := e.Rcv(buf[:r.IntN(3000)]); return err }},
		{evSndRel, func(_ int, e *Endpoint) error { return e.SndRel() }},
		{evRcvRel, func(_ int, e *Endpoint) error { return e.RcvRel() }},
		{evSndDis1, func(_ int, e *Endpoint) error { return e.SndDis(e.sequence - uint32(r.IntN(2))) }},
		{numEvents, func(_ int, e *Endpoint) error { _, err := e.RcvDis(); return err }},
		{numEvents, func(_ int, e *Endpoint) error { e.Look(); return TNODATA }},
		{evOptmgmt, func(_ int, e *Endpoint) error {
			_, _, err := e.OptMgmt(TCurrent, []Option{{Level: InetTCP, Name: TAllOpt}})
			return err
		}},
	}
	for step := range 1500 {
		i, n := r.IntN(2), r.IntN(4)
		e := all[i][n]
		if r.IntN(200) == 0 {
			if e.Close() != nil {
				t.Errorf("step %d: close", step)
			}
			all[i][n] = w.open(i)
			continue
		}
		c := calls[r.IntN(len(calls))]
		if next, ok := sensible[e.Look()]; ok && r.IntN(2) == 0 { // else few would come far
			for _, x := range calls {
				if x.ev == next {
					c = x
				}
			}
		}
		was := e.State()
		what := fmt.Sprintf("step %d: event %d in %v", step, c.ev, was)
		err := c.do(i, e)
		now := e.State()
		if err == nil || now != was {
			seen[[2]State{was, now}]++
		}
		if now != was && !ways[[2]State{was, now}] {
			t.Fatalf("%s led to %v", what, now)
		}
		if c.ev < numEvents {
			_, legal := table[c.ev][was]
			if !legal && (err == nil || now != was) {
				t.Fatalf("%s: %v, and then %v", what, err, now)
			}
		}
		if err != nil && err != TNODATA && now != was {
			t.Fatalf("%s: %v, and then %v", what, err, now)
		}
		switch r.IntN(3) {
		case 0:
			w.settle()
		case 1:
			w.wait(time.Duration(r.IntN(300)) * time.Millisecond)
		}
	}
	for i := range all {
		for _, e := range all[i] {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	w.wait(10 * time.Minute)
	for i, s := range w.stacks {
		for x := range s.TCP().Sockets {
			t.Errorf("stack %d: a socket is left in %v", i, x.State())
		}
		if n := s.Pool().InUse(); n != 0 {
			t.Errorf("stack %d: %d bytes are left", i, n)
		}
	}
}
