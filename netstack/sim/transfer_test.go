package sim

import (
	"fmt"
	"testing"
	"time"
)

// pair is a client and a server program on two hosts.
type pair struct {
	w      *World
	a, b   *Host
	client *Program
	server *Server
}

// newPair connects client to a server whose program is made from serverSide.
func newPair(t *testing.T, w *World, way Way, client, serverSide Program) *pair {
	t.Helper()
	p := &pair{w: w, a: w.Host("10.0.0.1", "fd00::1"), b: w.Host("10.0.0.2", "fd00::2")}
	w.Join(p.a, p.b, way)
	p.start(t, "10.0.0.2:80", client, serverSide)
	return p
}

func (p *pair) start(t *testing.T, addr string, client, serverSide Program) {
	t.Helper()
	client.Name, client.Key, client.PeerKey = "client", 1, 2
	serverSide.Name, serverSide.Key, serverSide.PeerKey = "server", 2, 1
	client.Expect, serverSide.Expect = serverSide.ToSend, client.ToSend
	var err error
	p.server, err = p.b.Listen(addr, 128, func() *Program { s := serverSide; return &s })
	if err != nil {
		t.Fatal(err)
	}
	p.client = &client
	if err := p.a.Connect(addr, p.client); err != nil {
		t.Fatal(err)
	}
}

func (p *pair) peer() *Program {
	if len(p.server.Accepted) == 0 {
		return nil
	}
	return p.server.Accepted[0]
}

func (p *pair) done() bool {
	s := p.peer()
	return p.client.Bad != nil || s != nil && s.Bad != nil || p.client.Closed && s != nil && s.Closed
}

// check runs the pair to its end and verifies everything that must hold.
func (p *pair) check(limit time.Duration) error {
	start := p.w.Now()
	p.w.Audit = true
	if !p.w.Run(limit, p.done) {
		if err := p.w.Broken(); err != nil {
			return err
		}
		return fmt.Errorf("did not end: client %s got %d sent %d, server %+v", p.client.S.State(), p.client.Got, p.client.Sent, p.peer())
	}
	_ = start
	for _, q := range []*Program{p.client, p.peer()} {
		switch {
		case q.Bad != nil:
			return q.Bad
		case q.Err != 0:
			return fmt.Errorf("%s: %w", q.Name, q.Err)
		case q.Got != q.Expect:
			return fmt.Errorf("%s: got %d of %d bytes", q.Name, q.Got, q.Expect)
		}
		q.S.Close()
	}
	p.server.S.Close()
	p.w.Run(5*time.Minute, nil)
	if err := p.w.Broken(); err != nil {
		return err
	}
	for i, h := range []*Host{p.a, p.b} {
		if n := h.Pool.InUse(); n != 0 {
			return fmt.Errorf("host %d: %d bytes of the pool are still in use", i, n)
		}
		if d, ok := h.TCP.Deadline(); ok {
			return fmt.Errorf("host %d: a timer is left at %v", i, d)
		}
		for s := range h.TCP.Sockets {
			return fmt.Errorf("host %d: socket left in %s", i, s.State())
		}
	}
	return nil
}

func TestTransferOnAPerfectLink(t *testing.T) {
	w := New(1)
	p := newPair(t, w, Way{Delay: time.Millisecond}, Program{ToSend: 3_000_000}, Program{ToSend: 2_000_000})
	if err := p.check(time.Hour); err != nil {
		t.Fatal(err)
	}
	c := p.a.TCP.Counters()
	if c.RetransSegs != 0 || c.Timeouts != 0 {
		t.Errorf("retransmissions without loss: %+v", *c)
	}
}
