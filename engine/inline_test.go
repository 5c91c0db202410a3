package engine

import (
	"net"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
)

// dialFrom connects from a namespace by the kernel's sockets.
func dialFrom(ns, addr string) (c net.Conn, err error) {
	e := hostlink.InNetNS(ns, func() error {
		c, err = net.DialTimeout("tcp", addr, patience)
		return nil
	})
	if err == nil {
		err = e
	}
	return c, err
}

// eventually asks the engine until its status is as wanted.
func (s *sandbox) eventually(what string, ok func(*Status) bool) {
	s.t.Helper()
	c := s.client()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		st, err := c.Status()
		if err != nil {
			s.t.Fatal(err)
		}
		if ok(&st) {
			return
		}
	}
	s.t.Fatalf("never: %s", what)
}

// TestInlineBound fills the inline path: one connection more waits until there is
// room again, and none is kept after its end.
func TestInlineBound(t *testing.T) {
	const bound = 4
	s := newSandbox(t, func(c *Config) { c.MaxSockets = bound })
	var l net.Listener
	inNS(t, s.host, func() (err error) {
		l, err = net.Listen("tcp", "10.98.0.1:7000")
		return err
	})
	defer func() { _ = l.Close() }()
	accepted := make(chan net.Conn, 2*bound)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	var held []net.Conn
	for range bound {
		c, err := dialFrom(s.ns, "10.98.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	type result struct {
		c   net.Conn
		err error
	}
	more := make(chan result, 1)
	go func() {
		c, err := dialFrom(s.ns, "10.98.0.1:7000")
		more <- result{c, err}
	}()
	s.eventually("a connection is dropped", func(st *Status) bool { return st.Inline.Dropped > 0 && st.Inline.Connections == bound })
	select {
	case r := <-more:
		t.Fatalf("one more than %d: %v", bound, r.err)
	default:
	}
	_ = held[0].Close()
	_ = (<-accepted).Close()
	r := <-more
	if r.err != nil {
		t.Fatalf("after one has ended: %v", r.err)
	}
	for _, c := range append(held[1:], r.c) {
		_ = c.Close()
	}
	for range bound {
		_ = (<-accepted).Close()
	}
	s.eventually("all are gone", func(st *Status) bool { return st.Inline.Connections == 0 })
}

// TestInlineOff drops what comes out of the interface.
func TestInlineOff(t *testing.T) {
	off := false
	s := newSandbox(t, func(c *Config) { c.Inline = &off })
	inNS(t, s.ns, func() error {
		c, err := net.Dial("udp", "10.98.0.1:9")
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("x"))
		_ = c.Close()
		return err
	})
	s.eventually("a frame from the interface", func(st *Status) bool { return st.Links[1].RxFrames > 0 })
	if st, err := s.client().Status(); err != nil || st.Inline != nil || st.Links[1].TxFrames != 0 {
		t.Errorf("status %+v, %v", st, err)
	}
}
