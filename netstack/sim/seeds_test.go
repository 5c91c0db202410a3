package sim

import (
	"flag"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
)

var (
	oneSeed = flag.Uint64("seed", 0, "run only this seed")
	seeds   = flag.Int("seeds", 1000, "how many seeds to run")
)

// scene draws hosts, a link and two programs from the seed.
func scene(t *testing.T, seed uint64) *pair {
	w := New(seed)
	r := w.Rand()
	pick := func(list ...int) int { return list[r.Intn(len(list))] }
	word := func(list ...string) string { return list[r.Intn(len(list))] }
	tunables := func() map[string]string {
		return map[string]string{
			"tcp_sack":               word("1", "1", "0"),
			"tcp_timestamps":         word("1", "1", "0"),
			"tcp_window_scaling":     word("1", "1", "0"),
			"tcp_congestion_control": word(tcp.CongestionNames()...),
		}
	}
	p := &pair{w: w}
	p.a = w.HostWith(tunables(), "10.0.0.1", "fd00::1")
	p.b = w.HostWith(tunables(), "10.0.0.2", "fd00::2")
	way := func() Way {
		return Way{
			Rate:      pick(0, 0, 2_000_000, 50_000_000, 1_000_000_000),
			Delay:     time.Duration(pick(0, 20, 500, 5000, 40000)) * time.Microsecond,
			Jitter:    time.Duration(pick(0, 0, 0, 100, 3000)) * time.Microsecond,
			Queue:     pick(0, 20_000, 200_000),
			Loss:      pick(0, 0, 5, 20, 50, 100),
			Duplicate: pick(0, 0, 10, 50),
			Reorder:   pick(0, 0, 20, 100),
			MTU:       pick(1500, 1500, 576, 9000),
		}
	}
	there, back := way(), way()
	there.MTU = max(there.MTU, 1280)
	back.MTU = there.MTU
	w.JoinWays(p.a, p.b, there, back)
	p.a.SetGSO(pick(0, 5000, 65000))
	p.b.SetGSO(pick(0, 65000))
	program := func() Program {
		q := Program{
			ToSend: pick(0, 1, 100, 5000, 100_000, 400_000),
			Write:  pick(0, 0, 100, 3000, 70_000),
		}
		if r.Intn(3) == 0 {
			q.Read = pick(500, 20_000, 100_000)
			q.Pause = time.Duration(pick(1, 10, 700)) * time.Millisecond
			q.ToSend = min(q.ToSend, 100_000)
			q.Read = max(q.Read, q.ToSend/50)
		}
		return q
	}
	client, server := program(), program()
	server.CloseOnEOF = r.Intn(3) == 0
	p.start(t, word("10.0.0.2:80", "[fd00::2]:80"), client, server)
	return p
}

// TestSeeds runs conversations over links of every kind and checks that each
// delivers every byte once, in order and unchanged, ends, gives all memory back
// and breaks no rule. Two hosts on one line; TestWorlds has more of everything.
func TestSeeds(t *testing.T) {
	if *oneSeed != 0 {
		if err := scene(t, *oneSeed).check(4 * time.Hour); err != nil {
			t.Fatal(err)
		}
		return
	}
	for seed := 1; seed <= min(*seeds, 500); seed++ {
		if err := scene(t, uint64(seed)).check(4 * time.Hour); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
