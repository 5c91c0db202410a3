package sim

import (
	"testing"
	"time"
)

// count sends n packets of size bytes through a line at the given spacing and
// returns the instants at which they arrive, and the line.
func count(way Way, n, size int, spacing time.Duration, tos uint8) (arrived []time.Duration, l *Line) {
	w := New(1)
	a, b := w.Host("10.0.0.1"), w.Host("10.0.0.2")
	l = w.Line(way)
	w.Route(a, b, l)
	r := a.routes[b.addrs[0]]
	watch := func(p *packet) bool { arrived = append(arrived, w.now); return false }
	end := w.Line(Way{Boxes: []Box{watch}})
	for i := range n {
		w.After(time.Duration(i)*spacing, func() {
			r.carry(packet{from: a, src: a.addrs[0], dst: b.addrs[0], segment: make([]byte, size-20), tos: tos}, []*Line{l, end})
		})
	}
	w.Run(time.Hour, nil)
	return arrived, l
}

func TestLineRateAndTailDrop(t *testing.T) {
	// 1000 bytes take 1 ms; a queue of 5000 bytes behind the packet in service.
	got, l := count(Way{Rate: 8_000_000, Delay: 10 * time.Millisecond, Queue: 5000}, 20, 1000, 0, 0)
	if len(got) != 5 || l.Stats.Full != 15 || l.Stats.Carried != 5 || l.Stats.Bytes != 5000 {
		t.Fatalf("%d arrived, %+v", len(got), l.Stats)
	}
	for i, at := range got {
		if want := 1000*time.Second + time.Duration(11+i)*time.Millisecond; at != want {
			t.Errorf("packet %d at %v, want %v", i, at, want)
		}
	}
}

func TestLineMarks(t *testing.T) {
	way := Way{Rate: 8_000_000, Queue: 10_000, Mark: 3000}
	if got, l := count(way, 8, 1000, 0, 2); len(got) != 8 || l.Stats.Marked != 5 {
		t.Errorf("ECN-capable: %d arrived, %+v", len(got), l.Stats)
	}
	if got, l := count(way, 8, 1000, 0, 0); len(got) != 3 || l.Stats.Marked != 0 || l.Stats.Full != 5 {
		t.Errorf("not ECN-capable: %d arrived, %+v", len(got), l.Stats)
	}
}

// TestLineCoDel: a queue that stands is thinned out more and more, one that
// drains in time is left alone.
func TestLineCoDel(t *testing.T) {
	way := Way{Rate: 8_000_000, CoDel: 5 * time.Millisecond}
	if _, l := count(way, 1000, 1000, 950*time.Microsecond, 0); l.Stats.Full < 5 || l.Stats.Full > 60 {
		t.Errorf("5%% too much: %+v", l.Stats)
	}
	if _, l := count(way, 1000, 1000, 1050*time.Microsecond, 0); l.Stats.Full != 0 {
		t.Errorf("not too much: %+v", l.Stats)
	}
	if _, l := count(way, 50, 1000, 0, 0); l.Stats.Full != 0 {
		t.Errorf("a burst shorter than the interval: %+v", l.Stats)
	}
}

// TestLineBursts: the losses of a burst come in runs, and are as many as the
// model says.
func TestLineBursts(t *testing.T) {
	got, l := count(Way{Burst: Burst{Enter: 10, Leave: 200, Loss: 1000}}, 20_000, 100, time.Millisecond, 0)
	// Bad for 1/0.2 = 5 packets out of 100 + 5.
	if share := float64(l.Stats.Lost) / 20_000; share < 0.035 || share > 0.06 {
		t.Errorf("%.3f are lost", share)
	}
	runs := 0
	for i := 1; i < len(got); i++ {
		if got[i]-got[i-1] > time.Millisecond {
			runs++
		}
	}
	if mean := float64(l.Stats.Lost) / float64(runs); mean < 4 || mean > 6 {
		t.Errorf("runs of %.1f", mean)
	}
}

// TestSharedBottleneck has two hosts behind one line: together they get what the
// line carries, and no more.
func TestSharedBottleneck(t *testing.T) {
	w := New(5)
	srv := w.Host("10.0.0.9")
	shared := w.Line(Way{Rate: 20_000_000, Delay: 5 * time.Millisecond, Queue: 50_000})
	var ends []*Program
	for _, addr := range []string{"10.0.0.1", "10.0.0.2"} {
		h := w.Host(addr)
		w.Route(h, srv, w.Line(Way{Delay: time.Millisecond}), shared)
		w.Route(srv, h, w.Line(Way{Delay: 6 * time.Millisecond}))
		p := &Program{Name: addr, ToSend: 10_000_000}
		ends = append(ends, p)
		defer func() { p.S.Abort() }()
		if len(ends) == 1 {
			if _, err := srv.Listen("10.0.0.9:80", 5, func() *Program { return &Program{Name: "server", Expect: 10_000_000} }); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Connect("10.0.0.9:80", p); err != nil {
			t.Fatal(err)
		}
	}
	start := w.Now()
	if !w.Run(time.Minute, func() bool { return ends[0].Closed && ends[1].Closed }) {
		t.Fatal("did not end")
	}
	took := w.Now() - start
	if rate := float64(20_000_000*8) / took.Seconds(); rate > 20_000_000 || rate < 15_000_000 {
		t.Errorf("%.1f Mbit/s of 20", rate/1e6)
	}
	if shared.Stats.Full == 0 || shared.Stats.Waited > 20*time.Millisecond {
		t.Errorf("%+v", shared.Stats)
	}
}

// TestMiddleboxes: whatever boxes do to options, the ends agree on less and
// every byte arrives.
func TestMiddleboxes(t *testing.T) {
	for name, box := range map[string]Box{
		"none":       func(*packet) bool { return true },
		"timestamps": StripOptions(OptTimestamp),
		"SACK":       StripOptions(OptSACKPerm),
		"blocks":     StripOptions(OptSACK),
		"scale":      StripOptions(OptWScale),
		"MSS":        ClampMSS(536),
		"everything": StripOptions(OptMSS, OptWScale, OptSACKPerm, OptSACK, OptTimestamp, OptMD5, OptAO, OptFastOpen),
		"bleach":     BleachECN,
		"CE":         MarkAll,
		"ECN SYNs":   DropECNSyn,
		"ECN flags":  ClearECNFlags,
		"SYN data":   DropSynData,
		"cut data":   CutSynData,
	} {
		w := New(3)
		way := Way{Delay: 2 * time.Millisecond, Loss: 10, Corrupt: 20, Boxes: []Box{box}}
		p := newPair(t, w, way, Program{ToSend: 300_000}, Program{ToSend: 200_000})
		if err := p.check(time.Hour); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p.a.BadSums == 0 || p.b.BadSums == 0 {
			t.Errorf("%s: no segment was corrupted", name)
		}
	}
}
