package sim

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tcpcni/tcpcni/sockopt"
)

// world runs one seed. A panic is an error with its place.
func world(seed uint64) (digest uint64, err error) { return worldOf("", seed) }

func worldOf(profile string, seed uint64) (digest uint64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	x := newWorldOf(profile, seed)
	if *show {
		x.traceAll()
		defer x.report()
	}
	err = x.run()
	return x.w.Digest(), err
}

// TestWorlds runs worlds drawn from seeds, each on one goroutine. What fails is
// run again by its seed alone.
func TestWorlds(t *testing.T) {
	if *oneSeed != 0 {
		if _, err := world(*oneSeed); err != nil {
			t.Fatal(err)
		}
		return
	}
	var next, failed atomic.Uint64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for {
				seed := next.Add(1)
				if seed > uint64(*seeds) || failed.Load() >= 20 {
					return
				}
				if _, err := world(seed); err != nil {
					failed.Add(1)
					t.Errorf("seed %d: %v\n\tagain: go test ./netstack/sim -run 'TestWorlds$' -seed %d", seed, err, seed)
				}
			}
		}()
	}
	workers.Wait()
}

// TestWorldsOfProfiles are worlds whose hosts are of the other systems.
func TestWorldsOfProfiles(t *testing.T) {
	for _, profile := range sockopt.ProfileNames() {
		if profile == "linux" {
			continue
		}
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			first, last := uint64(1), uint64(*seeds/10)
			if *oneSeed != 0 {
				first, last = *oneSeed, *oneSeed
			}
			for seed := first; seed <= last && !t.Failed(); seed++ {
				if _, err := worldOf(profile, seed); err != nil {
					t.Errorf("seed %d: %v\n\tagain: go test ./netstack/sim -run 'TestWorldsOfProfiles/%s$' -seed %d", seed, err, profile, seed)
				}
			}
		})
	}
}

// TestWorldsRepeat: one seed, one run, to the bit.
func TestWorldsRepeat(t *testing.T) {
	for seed := uint64(1); seed <= 40; seed++ {
		a, _ := world(seed)
		b, _ := world(seed)
		if a != b {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
}

// TestWorldsAreVaried: seeds make worlds in which things go wrong, and of which
// much is asked nevertheless.
func TestWorldsAreVaried(t *testing.T) {
	kinds := make(map[string]int)
	seen := make(map[string]int)
	for seed := uint64(1); seed <= 200; seed++ {
		x := newRandomWorld(seed)
		if err := x.run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, c := range x.talks {
			kinds[c.kind]++
			if !c.lenient && !x.harsh {
				seen["conversations of which all is asked"]++
			}
			for _, p := range c.programs() {
				seen["bytes"] += p.Got
				seen["urgent marks"] += p.Urgent
				if p.Err != 0 {
					seen["errors"]++
				}
			}
		}
		for _, h := range x.hosts {
			n := h.TCP.Counters()
			seen["bad checksums"] += h.BadSums
			seen["retransmissions"] += int(n.RetransSegs)
			seen["timeouts"] += int(n.Timeouts)
			seen["fast retransmissions"] += int(n.FastRetrans)
			seen["cookies"] += int(n.SyncookiesRecv)
			seen["resets"] += int(n.OutRsts)
			seen["listen overflows"] += int(n.ListenOverflows)
		}
		for _, l := range x.lines {
			seen["lost"] += int(l.Stats.Lost)
			seen["dropped by queues"] += int(l.Stats.Full)
			seen["too big"] += int(l.Stats.TooBig)
		}
	}
	for what, least := range map[string]int{
		"conversations of which all is asked": 70, "bytes": 10_000_000, "urgent marks": 20, "errors": 20, "bad checksums": 100,
		"retransmissions": 1000, "timeouts": 200, "fast retransmissions": 100, "cookies": 20, "resets": 50, "listen overflows": 5,
		"lost": 1000, "dropped by queues": 200, "too big": 10,
	} {
		if seen[what] < least {
			t.Errorf("%s: %d, want %d at least", what, seen[what], least)
		}
	}
	for _, kind := range []string{"bulk", "requests", "half-close", "quit", "storm", "cross"} {
		if kinds[kind] < 20 {
			t.Errorf("%d conversations are of the kind %s", kinds[kind], kind)
		}
	}
	t.Log(seen, kinds)
}
