package hostlink

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newCourier(t *testing.T) (*Courier, *Poller) {
	t.Helper()
	p, err := NewPoller(4)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCourier(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		_ = p.Close()
	})
	return c, p
}

// ways are how the loop may learn of an outcome.
var ways = map[string]func(t *testing.T, c *Courier, p *Poller){
	"finish": func(*testing.T, *Courier, *Poller) {},
	"look": func(_ *testing.T, c *Courier, _ *Poller) {
		for !c.Done() {
			runtime.Gosched()
		}
	},
	"sleep": func(t *testing.T, c *Courier, p *Poller) {
		if c.WakeWhenDone() {
			if _, err := p.Wait(time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if !c.Done() {
			t.Fatal("the poller woke up before there was an outcome")
		}
	},
}

func TestCourierHandsOver(t *testing.T) {
	for name, learn := range ways {
		t.Run(name, func(t *testing.T) {
			f := newFiltered(t)
			c, p := newCourier(t)
			for i := range 200 {
				e, end, errno := NewPair(PairStream, false)
				if errno != 0 {
					t.Fatal(errno)
				}
				want, _ := SocketCookie(end)
				done := f.do(inetSocket)
				cloexec := i%2 == 0
				c.Post(f.on, f.next().ID, end, cloexec)
				learn(t, c, p)
				given, errno := c.Finish()
				got := <-done
				if cookie, _ := SocketCookie(got.v); errno != 0 || got.err != nil || got.v != given || cookie != want {
					t.Fatalf("socket returned %d, %v; the courier said %d, %v", got.v, got.err, given, errno)
				}
				if fl, _ := unix.FcntlInt(uintptr(got.v), unix.F_GETFD, 0); fl == unix.FD_CLOEXEC != cloexec {
					t.Fatalf("close-on-exec: asked for %v, flags are %d", cloexec, fl)
				}
				for _, fd := range []int{e, end, got.v} {
					CloseFD(fd)
				}
			}
		})
	}
}

func TestCourierSaysWhatWentWrong(t *testing.T) {
	f := newFiltered(t)
	c, _ := newCourier(t)
	done := f.do(inetSocket)
	id := f.next().ID
	c.Post(f.on, id, -1, false)
	if _, errno := c.Finish(); errno != unix.EBADF {
		t.Errorf("a descriptor that is none: %v", errno)
	}
	if !f.on.Valid(id) {
		t.Fatal("the call ended without a descriptor")
	}
	f.on.Reply(id, 0, unix.EMFILE)
	if got := <-done; got.err != unix.EMFILE {
		t.Errorf("socket: %v", got.err)
	}
	c.Post(f.on, id, f.on.FD(), false)
	if _, errno := c.Finish(); errno != unix.ENOENT {
		t.Errorf("a call that has ended: %v", errno)
	}
}

// courierThread finds a thread of this process that blocks every signal that can be
// blocked, which no thread of the Go runtime does for long; 0: there is none.
func courierThread(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		text, err := os.ReadFile("/proc/self/task/" + entry.Name() + "/status")
		if err != nil || !bytes.Contains(text, []byte("SigBlk:\tfffffffffffbfeff\n")) {
			continue
		}
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	return 0
}

// noCourier waits until no thread of a courier is left.
func noCourier(t *testing.T) {
	t.Helper()
	for range 10000 {
		if courierThread(t) == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the thread of a courier that was closed is there for ever")
}

// The Go runtime interrupts threads with SIGURG, and others send what they like: see
// TestReplyFDSurvivesSignals. No signal of any kind reaches the courier.
func TestCourierSurvivesSignals(t *testing.T) {
	noCourier(t) // of a test before
	f := newFiltered(t)
	pid := unix.Getpid()
	var over atomic.Bool
	c, _ := newCourier(t)
	tid := courierThread(t)
	if tid == 0 {
		t.Fatal("no thread that blocks every signal")
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for !over.Load() {
			for range 20 {
				_ = unix.Tgkill(pid, tid, unix.SIGURG)
			}
			runtime.Gosched()
		}
	}()
	defer func() { over.Store(true); <-stopped }()
	e, p, errno := NewPair(PairStream, false)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer CloseFD(e)
	defer CloseFD(p)
	want, _ := SocketCookie(p)
	for range 300 {
		done := f.do(inetSocket)
		c.Post(f.on, f.next().ID, p, true)
		given, errno := c.Finish()
		got := <-done
		if cookie, _ := SocketCookie(got.v); errno != 0 || got.err != nil || got.v != given || cookie != want {
			t.Fatalf("socket returned %d, %v; the courier said %d, %v", got.v, got.err, given, errno)
		}
		CloseFD(got.v)
	}
}

// A courier that was closed leaves no thread.
func TestCourierEnds(t *testing.T) {
	noCourier(t)
	p, err := NewPoller(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	c, err := NewCourier(p)
	if err != nil {
		t.Fatal(err)
	}
	if courierThread(t) == 0 {
		t.Fatal("there is no thread")
	}
	c.Close()
	noCourier(t)
}

// A courier that was closed is over: the number of the descriptor that it wakes the
// poller by may mean something else from then on.
func TestCourierWritesNothingLater(t *testing.T) {
	none, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // no listener of calls: the outcome is ENOTTY
	if err != nil {
		t.Fatal(err)
	}
	defer CloseFD(none)
	for range 1000 {
		p, err := NewPoller(1)
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewCourier(p)
		if err != nil {
			t.Fatal(err)
		}
		c.Post(NewNotifier(none), 1, none, false)
		c.WakeWhenDone()
		for !c.Done() {
		}
		if _, errno := c.Finish(); errno != unix.ENOTTY {
			t.Fatal(errno)
		}
		c.Close()
		// The same number for another counter.
		other, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(other, p.wakefd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		noCourier(t)
		var b [8]byte
		if _, err := unix.Read(other, b[:]); err != unix.EAGAIN {
			t.Fatalf("somebody has written to it: %v", err)
		}
		CloseFD(other)
		_ = p.Close()
	}
}
