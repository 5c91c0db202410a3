package engine

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// TestLostPassage: where the kernel does not hand over what is in a passage, the
// connection ends, and nothing stands in the place of the bytes.
func TestLostPassage(t *testing.T) {
	var pair, other [2]int
	for _, p := range []*[2]int{&pair, &other} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		*p = fds
		defer hostlink.CloseFD(fds[0])
		defer hostlink.CloseFD(fds[1])
	}
	e := &engine{}
	s := &stream{sock: sock{eng: e, fd: pair[0]}, tcp: new(tcp.Socket), phase: phaseConnected}
	// No pipe: splice fails by EINVAL.
	q := &passage{r: other[0], w: other[1], to: s, next: 10, n: 100}
	s.pathways().in = q
	e.passages = append(e.passages, q)
	for i := range 3 {
		if n := s.Deliver(make([]byte, 60)); n != 60 {
			t.Errorf("%d bytes of call %d taken", n, i)
		}
	}
	if !s.abortDue || !s.robbed() || len(e.dirty) != 1 {
		t.Error("the connection goes on")
	}
	var b [256]byte
	if n, err := hostlink.Recv(pair[1], b[:], 0); n != 10 {
		t.Errorf("the program has %d bytes, %v; want those in front of the passage", n, err)
	}
}
