package hostlink

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/test/needroot"
)

// A peer that was taken over: it never ends its answer.
func endless(t *testing.T, pause time.Duration, b []byte) *ControlConn {
	t.Helper()
	needroot.Check(t, "be a peer that the control socket accepts")
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := ListenControl(path)
	if err != nil {
		t.Fatal(err)
	}
	defer CloseFD(l)
	c, err := DialControl(path, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	peer, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		defer CloseFD(peer)
		for {
			if _, err := unix.SendmsgN(peer, b, nil, nil, unix.MSG_NOSIGNAL); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return c
}

// TestControlAnswerTooLong reads an answer without an end.
func TestControlAnswerTooLong(t *testing.T) {
	c := endless(t, 0, make([]byte, 4096))
	c.Limit(100_000)
	if _, err := c.ReadLine(); !errors.Is(err, ErrLineTooLong) {
		t.Error(err)
	}
	if len(c.in) > 200_000 {
		t.Errorf("%d bytes are kept", len(c.in))
	}
}

// TestControlAnswerDrips reads an answer of which there is always a bit more.
func TestControlAnswerDrips(t *testing.T) {
	c := endless(t, 10*time.Millisecond, []byte("x"))
	c.Limit(1 << 20)
	if _, err := c.ReadLine(); !errors.Is(err, ErrAgain) {
		t.Error(err)
	}
}
