package hostlink

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newTestPoller(t testing.TB) *Poller {
	t.Helper()
	p, err := NewPoller(8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func testPipe(t testing.TB) (r, w int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func wait(t testing.TB, p *Poller, d time.Duration) []Event {
	t.Helper()
	ready, err := p.Wait(d)
	if err != nil {
		t.Fatal(err)
	}
	return ready
}

func TestPollerLevelAndEdge(t *testing.T) {
	p := newTestPoller(t)
	r, w := testPipe(t)
	const data = 0xfedcba9876543210
	if err := p.Add(r, In, data); err != nil {
		t.Fatal(err)
	}
	if ready := wait(t, p, 0); len(ready) != 0 {
		t.Fatalf("ready %v", ready)
	}
	_, _ = unix.Write(w, []byte{1})
	for range 2 {
		if ready := wait(t, p, Forever); len(ready) != 1 || ready[0].Data() != data || ready[0].Ready() != In {
			t.Fatalf("level: ready %+v", ready)
		}
	}
	if err := p.Modify(r, In|Edge, data-1); err != nil {
		t.Fatal(err)
	}
	if ready := wait(t, p, Forever); len(ready) != 1 || ready[0].Data() != data-1 {
		t.Fatalf("edge: ready %+v", ready)
	}
	if ready := wait(t, p, 0); len(ready) != 0 {
		t.Fatalf("edge reported twice: %+v", ready)
	}
	if err := p.Remove(r); err != nil {
		t.Fatal(err)
	}
	_, _ = unix.Write(w, []byte{1})
	if ready := wait(t, p, 0); len(ready) != 0 {
		t.Fatalf("removed, yet ready: %+v", ready)
	}
	if err := p.Remove(r); err == nil {
		t.Error("removed twice")
	}
}

func TestPollerTimeout(t *testing.T) {
	for _, spin := range []time.Duration{0, 50 * time.Microsecond, time.Second} {
		p := newTestPoller(t)
		p.SetSpin(spin)
		for _, d := range []time.Duration{0, 300 * time.Microsecond, 3 * time.Millisecond} {
			start := Now()
			if ready := wait(t, p, d); len(ready) != 0 {
				t.Errorf("ready %v", ready)
			}
			if took := Now() - start; took < d {
				t.Errorf("spin %v: waited %v, want at least %v", spin, took, d)
			}
		}
	}
}

func TestPollerWake(t *testing.T) {
	for _, spin := range []time.Duration{0, 10 * time.Second} {
		p := newTestPoller(t)
		p.SetSpin(spin)
		for range 3 {
			go p.Wake()
			if ready := wait(t, p, Forever); len(ready) != 0 {
				t.Errorf("waking shows as %+v", ready)
			}
		}
		if ready := wait(t, p, time.Millisecond); len(ready) != 0 {
			t.Errorf("ready %v", ready)
		}
	}
}

// It spins only while that has paid, and a wait for nothing counts against it. What
// is ready before the wait says nothing.
func TestPollerSpinsWhileEventsAreDense(t *testing.T) {
	p := newTestPoller(t)
	p.SetSpin(10 * time.Second)
	r, w := testPipe(t)
	if err := p.Add(r, In|Edge, 7); err != nil {
		t.Fatal(err)
	}
	for range denseMax {
		_, _ = unix.Write(w, []byte{1})
		wait(t, p, Forever)
	}
	if p.dense != 0 {
		t.Errorf("dense %d without a wait", p.dense)
	}
	waits := func(n int) {
		for range n {
			_, _ = unix.Write(w, []byte{1})
			if ready, e := p.pause(Forever); e != 0 || len(ready) != 1 {
				t.Fatalf("ready %v, %v", ready, e)
			}
		}
	}
	waits(denseEnough)
	if p.dense != denseEnough {
		t.Errorf("dense %d after %d short waits", p.dense, denseEnough)
	}
	waits(denseMax)
	if p.dense != denseMax {
		t.Errorf("dense %d at most, want %d", p.dense, denseMax)
	}
	for range denseMax {
		wait(t, p, time.Microsecond)
	}
	if p.dense != 0 {
		t.Errorf("dense %d when nothing came", p.dense)
	}
}

func TestPollerWakeBesidesEvents(t *testing.T) {
	p := newTestPoller(t)
	r, w := testPipe(t)
	if err := p.Add(r, In, 7); err != nil {
		t.Fatal(err)
	}
	p.Wake()
	_, _ = unix.Write(w, []byte{1})
	if ready := wait(t, p, Forever); len(ready) != 1 || ready[0].Data() != 7 {
		t.Errorf("ready %+v, want the pipe alone", ready)
	}
}

func TestPollerDoesNotAllocate(t *testing.T) {
	p := newTestPoller(t)
	r, w := testPipe(t)
	_ = p.Add(r, In, 7)
	_, _ = unix.Write(w, []byte{1})
	if n := testing.AllocsPerRun(100, func() { _, _ = p.Wait(Forever) }); n != 0 {
		t.Errorf("%v allocations when ready", n)
	}
	_ = p.Remove(r)
	if n := testing.AllocsPerRun(10, func() { _, _ = p.Wait(time.Microsecond) }); n != 0 {
		t.Errorf("%v allocations when not", n)
	}
}
