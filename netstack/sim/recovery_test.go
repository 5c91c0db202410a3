package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// recoveryRun moves size bytes over a path and tells of the sender.
func recoveryRun(t *testing.T, seed uint64, block string, way Way, size int) (time.Duration, *tcp.Counters) {
	t.Helper()
	w := New(seed)
	block, most, _ := strings.Cut(block, " ")
	set := map[string]string{"functions_default": block}
	if most != "" {
		set["tcp_max_reordering"] = most
	}
	p := &pair{w: w, a: w.HostWith(set, "10.0.0.1"), b: w.HostWith(set, "10.0.0.2")}
	w.Join(p.a, p.b, way)
	start := w.Now()
	p.start(t, "10.0.0.2:80", Program{ToSend: size}, Program{})
	if !w.Run(time.Hour, func() bool { return p.peer() != nil && p.peer().EOF }) {
		t.Fatalf("seed %d: got %d of %d bytes", seed, p.peer().Got, size)
	}
	took := w.Now() - start
	if err := p.check(time.Hour); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return took, p.a.TCP.Counters()
}

// TestReorderingIsNoLoss sends over a path that reorders and loses nothing: RACK
// learns how far, and stops to retransmit; counting segments does so only where
// tcp_max_reordering lets it.
func TestReorderingIsNoLoss(t *testing.T) {
	way := Way{Rate: 100_000_000, Delay: 10 * time.Millisecond, Jitter: 4 * time.Millisecond}
	sent := map[string]uint64{}
	for seed := range uint64(5) {
		for _, block := range []string{"default", "classic", "classic 3"} {
			_, n := recoveryRun(t, seed, block, way, 4<<20)
			sent[block] += n.RetransSegs
			if block == "default" && n.Timeouts > 0 {
				t.Errorf("seed %d: %d timeouts", seed, n.Timeouts)
			}
		}
	}
	t.Logf("segments retransmitted: %v", sent)
	if sent["default"]*4 > sent["classic 3"] || sent["classic"]*4 > sent["classic 3"] {
		t.Errorf("segments retransmitted: %v", sent)
	}
}

// TestLostRetransmissionsNeedNoTimeout loses one segment of twelve, so that many
// retransmissions are lost as well.
func TestLostRetransmissionsNeedNoTimeout(t *testing.T) {
	way := Way{Rate: 100_000_000, Delay: 10 * time.Millisecond, Loss: 80}
	timeouts := map[string]uint64{}
	for _, block := range []string{"default", "classic"} {
		var again, segs uint64
		for seed := range uint64(5) {
			_, n := recoveryRun(t, seed, block, way, 1<<20)
			again += n.LostRetransmits
			timeouts[block] += n.Timeouts
			segs += n.RetransSegs
		}
		t.Logf("%s: %d retransmissions, %d lost, %d timeouts", block, segs, again, timeouts[block])
		if block == "default" && (again < 20 || timeouts[block] >= again) {
			t.Errorf("%d retransmissions, %d lost, %d timeouts", segs, again, timeouts[block])
		}
	}
	if timeouts["default"]*3 > timeouts["classic"] {
		t.Errorf("timeouts: %v", timeouts)
	}
}

// TestSpuriousTimeoutsAreUndone holds packets up for longer than the timeout now
// and then. The window is too small to fill a queue, so nothing is ever lost.
func TestSpuriousTimeoutsAreUndone(t *testing.T) {
	for _, set := range []map[string]string{
		{"tcp_timestamps": "0"},                                 // F-RTO alone
		{"tcp_timestamps": "0", "tcp_sack": "0"},                // its basic form
		{"tcp_timestamps": "1"},                                 // Eifel
		{"tcp_timestamps": "1", "functions_default": "classic"}, // without RACK
	} {
		t.Run(fmt.Sprint(set), func(t *testing.T) {
			set["tcp_rmem"] = "4096 65536 65536"
			w := New(1)
			p := &pair{w: w, a: w.HostWith(set, "10.0.0.1"), b: w.HostWith(set, "10.0.0.2")}
			w.Join(p.a, p.b, Way{Rate: 20_000_000, Delay: 20 * time.Millisecond})
			p.start(t, "10.0.0.2:80", Program{ToSend: 8 << 20}, Program{})
			line := p.a.Lines("10.0.0.2")[0]
			for i := 0; i < 5 && !p.done(); i++ {
				w.Run(400*time.Millisecond, p.done)
				line.free = w.now + 450*time.Millisecond
				w.Run(600*time.Millisecond, p.done)
			}
			if err := p.check(time.Hour); err != nil {
				t.Fatal(err)
			}
			n := p.a.TCP.Counters()
			t.Logf("%d timeouts, %d by F-RTO, %d by timestamps, %d undone in all, %d retransmitted", n.Timeouts, n.SpuriousRTOs, n.EifelUndos, n.Undos, n.RetransSegs)
			if n.Timeouts == 0 || n.EifelUndos+n.SpuriousRTOs == 0 || n.RetransSegs > 50 {
				t.Error("timeouts that were none are not taken back")
			}
		})
	}
}

// TestBlocksUnderImpairment runs every block by seed over paths with losses in
// bursts, reordering, duplication and small queues; everything arrives.
func TestBlocksUnderImpairment(t *testing.T) {
	for _, block := range tcp.FunctionBlocks() {
		for seed := range uint64(20) {
			r := New(seed).Rand()
			way := Way{
				Rate: 1_000_000 << r.Intn(10), Delay: time.Duration(r.Intn(30)) * time.Millisecond,
				Jitter: time.Duration(r.Intn(3)) * time.Millisecond,
				Queue:  20_000 << r.Intn(5), Loss: r.Intn(80), Reorder: r.Intn(100), Duplicate: r.Intn(50),
			}
			recoveryRun(t, seed, block, way, 200_000)
		}
	}
}
