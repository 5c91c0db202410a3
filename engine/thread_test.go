package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
)

// TestThreadPlaces has more threads come, come back and end than there are places:
// no two that are known share one, and a place that was given up is used again.
func TestThreadPlaces(t *testing.T) {
	var c threads
	rnd := rand.New(rand.NewPCG(1, 2))
	var ended []*thread
	for i := range 20000 {
		tid := uint32(1 + rnd.IntN(3*maxThreads))
		if th := c.known(tid); th != nil {
			if rnd.IntN(2) == 0 {
				c.forget(th)
				ended = append(ended, th)
			}
			th.used = true
			continue
		}
		place := c.vacate()
		if again := c.vacate(); again != place { // the holder said no to the first
			t.Fatalf("step %d: place %d, and then %d", i, place, again)
		}
		th := c.add(tid, hostlink.Task{PidFD: -1, Mem: -1})
		if th.place != place || place < 0 || place >= hostlink.KeeperPlace {
			t.Fatalf("step %d: place %d, vacated was %d", i, th.place, place)
		}
		if len(ended) > 0 { // what a call still has of it
			c.forget(ended[rnd.IntN(len(ended))])
		}
		taken := map[int]uint32{}
		for tid, th := range c.byTID {
			if other, ok := taken[th.place]; ok || th.tid != tid || c.places[th.place] != th {
				t.Fatalf("step %d: threads %d and %d in place %d", i, tid, other, th.place)
			}
			taken[th.place] = tid
		}
		if len(taken)+len(c.free) != len(c.places) || len(c.places) > maxThreads {
			t.Fatalf("step %d: %d known, %d free, %d places", i, len(taken), len(c.free), len(c.places))
		}
	}
	if len(c.places) != maxThreads {
		t.Errorf("only %d places were used", len(c.places))
	}
}
