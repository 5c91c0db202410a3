package engine

import (
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
)

// After a burst, and not before a second of rest, the pool's chunks go and the
// collector is asked; without a burst nothing is due.
func TestIdleEngineGivesMemoryBack(t *testing.T) {
	e := bare(t)
	e.now = time.Minute
	e.tidying.saw(burst-1, e.now)
	if _, due := e.tidying.deadline(); due {
		t.Error("due without a burst")
	}
	e.tidying.saw(1, e.now)
	pool := e.stack.Pool()
	one := pool.Get(buf.LargeSize)
	pool.Put(one)
	e.now += idleAfter - 1
	if e.tidy(); pool.Get(buf.LargeSize) != one {
		t.Fatal("given back while busy")
	}
	pool.Put(one)
	e.tidying.saw(1, e.now) // something happens: the second begins anew
	e.now += idleAfter - 1
	e.tidy()
	if at, due := e.tidying.deadline(); !due || at != e.now+1 {
		t.Errorf("due %v at %v, now %v", due, at, e.now)
	}
	e.now++
	if e.tidy(); pool.Get(buf.LargeSize) == one {
		t.Error("the pool has kept its chunk")
	}
	if _, due := e.tidying.deadline(); due {
		t.Error("due again without a burst")
	}
}
