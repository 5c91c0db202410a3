package rpc

import (
	"testing"

	"github.com/tcpcni/tcpcni/hostlink"
)

// TestEndAfterClose ends a conversation that the other process has ended already:
// whoever was given the descriptor's number since then must not notice.
func TestEndAfterClose(t *testing.T) {
	near, far, e := hostlink.NewPacketPair()
	if e != 0 {
		t.Fatal(e)
	}
	c := NewConn(near)
	c.Close()
	hostlink.CloseFD(far)
	a, b, e := hostlink.NewPacketPair()
	if e != 0 {
		t.Fatal(e)
	}
	x, y := NewConn(a), NewConn(b)
	defer x.Close()
	defer y.Close()
	if a != near && b != near {
		t.Skipf("the number %d was given to somebody else", near)
	}
	c.End()
	c.Close()
	if err := x.Send(&Message{Op: OpReady}, true); err != nil {
		t.Errorf("another conversation was ended: %v", err)
	}
	var m Message
	if err := y.Receive(&m, true); err != nil || m.Op != OpReady {
		t.Errorf("received %+v, %v", m, err)
	}
}
