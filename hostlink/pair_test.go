package hostlink

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func addressOf(b *byte) uint64 { return uint64(uintptr(unsafe.Pointer(b))) }

func newPair(t *testing.T, typ int) (e, p int) {
	t.Helper()
	e, p, errno := NewPair(typ, false)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { CloseFD(e); CloseFD(p) })
	return e, p
}

func pollOut(t *testing.T, fd int) bool {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if _, err := unix.Poll(p, 0); err != nil {
		t.Fatal(err)
	}
	return p[0].Revents&unix.POLLOUT != 0
}

// A filled pair is not writable and becomes so when it is drained and raised.
func TestPairWritability(t *testing.T) {
	e, p := newPair(t, PairStream)
	if !pollOut(t, p) {
		t.Fatal("a fresh pair is not writable")
	}
	SetSendBuffer(p, 1)
	filler := make([]byte, 16<<10)
	n, errno := Send(p, filler, 0)
	if errno != 0 || n == 0 || n == len(filler) {
		t.Fatalf("filler: %d bytes, %v", n, errno)
	}
	if _, errno := Send(p, filler[:1], 0); errno != unix.EAGAIN || pollOut(t, p) {
		t.Fatalf("filled: %v", errno)
	}
	if QueuedIn(e) != n || QueuedOut(p) == 0 {
		t.Errorf("queued %d in, %d out", QueuedIn(e), QueuedOut(p))
	}
	SetSendBuffer(p, 1<<16)
	for got := 0; got < n; {
		k, errno := Recv(e, filler, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		got += k
	}
	if !pollOut(t, p) || QueuedOut(p) != 0 {
		t.Error("drained and raised, still not writable")
	}
}

// Closing an end that holds unread bytes is a reset for the other.
func TestPairReset(t *testing.T) {
	e, p, errno := NewPair(PairStream, true)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer CloseFD(p)
	if !NonBlocking(p) {
		t.Error("not non-blocking")
	}
	_, _ = Send(p, []byte("unread"), 0)
	_, _ = Send(e, []byte("last"), 0)
	CloseFD(e)
	var b [8]byte
	if n, errno := Recv(p, b[:], 0); n != 4 || errno != 0 {
		t.Errorf("data first: %d, %v", n, errno)
	}
	if _, errno := Recv(p, b[:], 0); errno != unix.ECONNRESET {
		t.Errorf("then the reset: %v", errno)
	}
	if n, errno := Recv(p, b[:], 0); n != 0 || errno != 0 {
		t.Errorf("then the end: %d, %v", n, errno)
	}
}

func TestPairUrgent(t *testing.T) {
	e, p := newPair(t, PairStream)
	_, _ = Send(p, []byte("ab"), 0)
	_, _ = Send(p, []byte("U"), unix.MSG_OOB)
	var b [8]byte
	if AtMark(e) {
		t.Error("at the mark before the bytes in front of it")
	}
	if n, _ := Recv(e, b[:], 0); n != 2 || !AtMark(e) {
		t.Errorf("read %d bytes, at the mark: %v", n, AtMark(e))
	}
	if n, errno := Recv(e, b[:], unix.MSG_OOB); n != 1 || errno != 0 || b[0] != 'U' {
		t.Errorf("urgent: %d, %v, %q", n, errno, b[:1])
	}
	if _, errno := Recv(e, b[:], unix.MSG_OOB); errno != unix.EINVAL {
		t.Errorf("taken twice: %v", errno)
	}
}

func TestPairPackets(t *testing.T) {
	e, p := newPair(t, PairPacket)
	for _, s := range []string{"one", "", "three"} {
		if _, errno := Send(e, []byte(s), 0); errno != 0 {
			t.Fatal(errno)
		}
	}
	if QueuedIn(p) != 8 {
		t.Errorf("queued %d bytes, want the sum of all", QueuedIn(p))
	}
	var b [8]byte
	for _, want := range []int{3, 0, 5} {
		if n, errno := Recv(p, b[:], 0); n != want || errno != 0 {
			t.Errorf("got %d, %v, want %d", n, errno, want)
		}
	}
	if QueuedOut(e) != 0 {
		t.Error("all read, but charged")
	}
}
