package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// A bottleneck is a line that bulk senders of one algorithm each share.
type bottleneck struct {
	mbit  int
	rtt   time.Duration
	loss  int     // per thousand packets
	queue float64 // in what the path holds
	mark  int     // bytes that wait from which on packets are marked; 0: never
	seed  uint64
}

// leastQueue keeps short paths from having no queue at all, in bytes.
const leastQueue = 60_000

func (b bottleneck) bdp() float64 { return float64(b.mbit) * 1e6 / 8 * b.rtt.Seconds() }

// flow is a bulk sender in a bottleneck.
type flow struct {
	client *Program
	server *Server
}

func (f *flow) got() int {
	if len(f.server.Accepted) == 0 {
		return 0
	}
	return f.server.Accepted[0].Got
}

// share lets flows with the given algorithms run, each start later than the one
// before, and returns what each got during the span that follows, as a share of
// the text that the line could have carried.
func (b bottleneck) share(t testing.TB, names []string, start, settle, span time.Duration) []float64 {
	t.Helper()
	got, _ := b.run(t, names, start, settle, span)
	return got
}

// run is share with what the line counted during the span.
func (b bottleneck) run(t testing.TB, names []string, start, settle, span time.Duration) ([]float64, LineStats) {
	t.Helper()
	w := New(b.seed)
	forward := w.Line(Way{
		Rate: b.mbit * 1_000_000, Delay: b.rtt / 2, Loss: b.loss,
		Queue: max(int(b.queue*b.bdp()), leastQueue), Mark: b.mark,
	})
	back := w.Line(Way{Delay: b.rtt / 2})
	large := "4096 4194304 67108864"
	ecn := "2"
	if b.mark > 0 {
		ecn = "1"
	}
	// What the receiver echoes is its own algorithm's, too: RFC 8257 section 3.2.
	sink := w.HostWith(map[string]string{"tcp_rmem": large, "tcp_ecn": ecn, "tcp_congestion_control": names[0]}, "10.0.1.1")
	var flows []*flow
	for i, name := range names {
		h := w.HostWith(map[string]string{"tcp_congestion_control": name, "tcp_wmem": large, "tcp_ecn": ecn}, fmt.Sprintf("10.0.0.%d", i+1))
		w.Route(h, sink, forward)
		w.Route(sink, h, back)
		addr := fmt.Sprintf("10.0.1.1:%d", 80+i)
		f := &flow{client: &Program{Name: name, Key: 1, PeerKey: 2, ToSend: 1 << 40, KeepOpen: true}}
		var err error
		f.server, err = sink.Listen(addr, 1, func() *Program {
			return &Program{Name: "sink", Key: 2, PeerKey: 1, Expect: -1, KeepOpen: true}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Connect(addr, f.client); err != nil {
			t.Fatal(err)
		}
		flows = append(flows, f)
		w.Run(start, nil)
	}
	w.Run(settle, nil)
	forward.Stats = LineStats{}
	before := make([]int, len(flows))
	for i, f := range flows {
		before[i] = f.got()
	}
	w.Run(span, nil)
	full := float64(b.mbit) * 1e6 / 8 * span.Seconds() * 1448 / 1500 // text in packets of 1500
	got := make([]float64, len(flows))
	for i, f := range flows {
		if f.client.Bad != nil || f.server.Accepted[0].Bad != nil {
			t.Fatal(f.client.Bad, f.server.Accepted[0].Bad)
		}
		got[i] = float64(f.got()-before[i]) / full
	}
	if err := w.Broken(); err != nil {
		t.Fatal(err)
	}
	return got, forward.Stats
}

// jain is Jain's index of fairness: one when all get the same.
func jain(x []float64) float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum * sum / (float64(len(x)) * squares)
}

const (
	tableRate   = 20 // megabits per second
	tableSettle = 5 * time.Second
	tableSpan   = 15 * time.Second
)

// utilisation is one cell of the table of docs/congestion.md.
func utilisation(t testing.TB, name string, perMille, ms int) float64 {
	b := bottleneck{mbit: tableRate, rtt: time.Duration(ms) * time.Millisecond, loss: perMille, queue: 1, seed: 1}
	return b.share(t, []string{name}, 0, tableSettle, tableSpan)[0]
}

// rivals has two flows share a line of 50 ms, the second of which comes later.
func rivals(t testing.TB, first, second string) []float64 {
	b := bottleneck{mbit: tableRate, rtt: 50 * time.Millisecond, queue: 1, seed: 1}
	return b.share(t, []string{first, second}, 5*time.Second, 10*time.Second, 30*time.Second)
}

// marked is one sender on a line that marks.
func marked(t testing.TB, name string) (float64, LineStats) {
	b := bottleneck{mbit: 50, rtt: 20 * time.Millisecond, queue: 4, mark: 18_000, seed: 1}
	got, line := b.run(t, []string{name}, 0, 3*time.Second, 5*time.Second)
	return got[0], line
}

// TestLineIsFilled: alone on a line without loss, every algorithm takes nearly
// all of it, whatever the round trip.
func TestLineIsFilled(t *testing.T) {
	t.Parallel()
	for _, name := range tcp.CongestionNames() {
		for ms, least := range map[int]float64{1: 0.97, 50: 0.85, 200: 0.8} {
			if got := utilisation(t, name, 0, ms); got < least || got > 1.001 {
				t.Errorf("%s, %d ms: %.3f of the line", name, ms, got)
			}
		}
	}
}

// TestLossCosts: the least that each algorithm keeps of the line when every
// hundredth packet is lost.
func TestLossCosts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		ms    int
		least float64
	}{
		{"cubic", 1, 0.95}, {"reno", 1, 0.95}, {"bbr", 1, 0.95}, {"dctcp", 1, 0.95},
		{"htcp", 1, 0.95}, {"vegas", 1, 0.9}, {"cdg", 1, 0.95},
		// 1.22 MSS / (RTT sqrt(p)) is 0.14 of this line: Mathis et al., 1997.
		{"cubic", 50, 0.1}, {"reno", 50, 0.1}, {"htcp", 50, 0.09}, {"bbr", 50, 0.5}, {"bbr", 200, 0.5},
	} {
		if got := utilisation(t, c.name, 10, c.ms); got < c.least {
			t.Errorf("%s, %d ms: %.3f of the line", c.name, c.ms, got)
		}
	}
}

// TestTwoShareFairly: two flows of one kind end with like shares, though one was
// there first.
func TestTwoShareFairly(t *testing.T) {
	t.Parallel()
	for _, name := range tcp.CongestionNames() {
		got := rivals(t, name, name)
		if jain(got) < 0.9 || got[0]+got[1] < 0.85 {
			t.Errorf("%s: %.3f and %.3f, Jain's index %.3f", name, got[0], got[1], jain(got))
		}
	}
}

// TestMarksInsteadOfLoss: with a line that marks, who reacts to marks fills it
// without losing anything, and dctcp does so with a queue that stays about as long
// as the marking allows, a seventh of what the path holds (RFC 8257 section 5.1).
func TestMarksInsteadOfLoss(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		least float64
		most  time.Duration // in the queue
	}{
		{"cubic", 0.85, 5 * time.Millisecond}, {"reno", 0.9, 5 * time.Millisecond}, {"htcp", 0.9, 5 * time.Millisecond},
		{"bbr", 0.8, 15 * time.Millisecond}, {"dctcp", 0.98, 5 * time.Millisecond},
	} {
		got, line := marked(t, c.name)
		if got < c.least || line.Marked == 0 || line.Full > 0 || line.Waited > c.most {
			t.Errorf("%s: %.3f of the line, %d packets marked, %d dropped, %v in the queue", c.name, got, line.Marked, line.Full, line.Waited)
		}
	}
}

// TestRunsRepeat: the same seed gives the same bytes.
func TestRunsRepeat(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bbr", "cdg"} { // these draw lots
		if a, b := utilisation(t, name, 10, 50), utilisation(t, name, 10, 50); a != b {
			t.Errorf("%s: %v and %v", name, a, b)
		}
	}
}
