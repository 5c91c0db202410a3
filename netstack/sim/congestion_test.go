package sim

import (
	"fmt"
	"testing"
	"time"
)

// A bottleneck is a line that bulk senders of one algorithm each share, for the
// table of docs/congestion.md and the tests of it.
type bottleneck struct {
	mbit  int
	rtt   time.Duration
	loss  int     // per thousand packets
	queue float64 // in what the path holds
	seed  uint64
}

// leastQueue keeps short paths from having no queue at all, in bytes.
const leastQueue = 60_000

func (b bottleneck) bdp() int { return int(float64(b.mbit) * 1e6 / 8 * b.rtt.Seconds()) }

// flow is a bulk sender in a bottleneck.
type flow struct {
	from   *Host
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
// before, and returns what each got of the line in the span that follows, as a
// share of what the line could have carried in text.
func (b bottleneck) share(t *testing.T, names []string, start, settle, span time.Duration) []float64 {
	t.Helper()
	w := New(b.seed)
	forward := w.Line(Way{
		Rate: b.mbit * 1_000_000, Delay: b.rtt / 2, Loss: b.loss,
		Queue: max(int(b.queue*float64(b.bdp())), leastQueue),
	})
	back := w.Line(Way{Delay: b.rtt / 2})
	sink := w.HostWith(map[string]string{"tcp_rmem": "4096 4194304 67108864"}, "10.0.1.1")
	var flows []*flow
	for i, name := range names {
		f := &flow{from: w.HostWith(map[string]string{
			"tcp_congestion_control": name, "tcp_wmem": "4096 4194304 67108864",
		}, fmt.Sprintf("10.0.0.%d", i+1))}
		w.Route(f.from, sink, forward)
		w.Route(sink, f.from, back)
		addr := fmt.Sprintf("10.0.1.1:%d", 80+i)
		var err error
		f.server, err = sink.Listen(addr, 1, func() *Program { return &Program{Name: "sink", Key: 2, PeerKey: 1, Expect: -1, KeepOpen: true} })
		if err != nil {
			t.Fatal(err)
		}
		f.client = &Program{Name: name, Key: 1, PeerKey: 2, ToSend: 1 << 40, KeepOpen: true}
		if err := f.from.Connect(addr, f.client); err != nil {
			t.Fatal(err)
		}
		flows = append(flows, f)
		w.Run(start, nil)
	}
	w.Run(settle, nil)
	var before []int
	for _, f := range flows {
		before = append(before, f.got())
	}
	w.Run(span, nil)
	var got []float64
	// 1448 bytes of text in packets of 1500.
	full := float64(b.mbit) * 1e6 / 8 * span.Seconds() * 1448 / 1500
	for i, f := range flows {
		if f.client.Bad != nil {
			t.Fatal(f.client.Bad)
		}
		got = append(got, float64(f.got()-before[i])/full)
	}
	if err := w.Broken(); err != nil {
		t.Fatal(err)
	}
	return got
}

// jain is Jain's index of fairness.
func jain(x []float64) float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum * sum / (float64(len(x)) * squares)
}
