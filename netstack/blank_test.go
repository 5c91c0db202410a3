package netstack

import (
	"bytes"
	"testing"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/sockopt"
)

// A placer notes at which sequence numbers it was given what, and takes no more
// than its room.
type placer struct {
	s     *tcp.Socket
	first uint32 // of what was sent
	data  []byte
	room  int
	wrong int // calls that offered another place than the next
}

func (p *placer) Deliver(b []byte) int {
	if p.s.ReadPlace() != p.first+uint32(len(p.data)) {
		p.wrong++
	}
	n := min(len(b), p.room)
	p.room -= n
	p.data = append(p.data, b[:n]...)
	return n
}

func (p *placer) Event(tcp.Events) {}

// TestBlankBytes: blank bytes take their place among others, also where the
// receiver stops in the middle of them, and cost no memory on the way.
func TestBlankBytes(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:9000", "[::1]:9000"} {
		w := newWorld(t)
		ls := w.a.NewTCP(10, nil)
		if addr[0] != '[' {
			ls = w.a.NewTCP(2, nil)
		}
		mustNot(t, ls.Bind(ap(addr), 0, sockopt.Privilege{}))
		mustNot(t, ls.Listen(8))
		client := &tcpApp{}
		domain := 2
		if addr[0] == '[' {
			domain = 10
		}
		cs := w.a.NewTCP(domain, client)
		_ = cs.Connect(ap(addr))
		if cs.Peer() != nil {
			t.Error("a peer before there is a connection")
		}
		w.settle()
		srv, err := ls.Accept()
		mustNot(t, err)
		server := &placer{s: srv, first: cs.WritePlace()}
		srv.SetOwner(server)
		srv.Resume()
		if cs.Peer() != srv || srv.Peer() != cs || cs.Peer().Owner() != server {
			t.Fatalf("%s: the ends do not know each other", addr)
		}
		var want []byte
		for i, n := range []int{1, 70000, 200, 65536, 65483, 3} {
			real := bytes.Repeat([]byte{byte(i + 1)}, 100+i)
			cs.Write(real)
			cs.WriteBlank(n)
			want = append(append(want, real...), make([]byte, n)...)
		}
		if got := cs.WritePlace(); got != server.first+uint32(len(want)) {
			t.Errorf("%s: the next byte is at %d, want %d", addr, got-server.first, len(want))
		}
		for range 100 {
			server.room = 7777
			srv.Resume()
			w.settle()
		}
		if !bytes.Equal(server.data, want) || server.wrong != 0 {
			t.Errorf("%s: %d bytes arrived, want %d; %d calls at a wrong place", addr, len(server.data), len(want), server.wrong)
		}
		server.room, server.data = 1<<30, make([]byte, len(want), 128<<20)
		if n := testing.AllocsPerRun(100, func() { cs.WriteBlank(256 << 10); w.a.Flush() }); n != 0 {
			t.Errorf("%s: %v allocations for blank bytes", addr, n)
		}
		w.settle()
		cs.Close()
		srv.Close()
		w.settle()
		if n := w.a.Pool().InUse(); n != 0 {
			t.Errorf("%s: %d bytes of chunks leaked", addr, n)
		}
	}
}

// TestPeerIsOfTheStack: who is elsewhere is no peer.
func TestPeerIsOfTheStack(t *testing.T) {
	w := newWorld(t)
	ls := w.b.NewTCP(2, nil)
	mustNot(t, ls.Bind(ap("10.87.0.2:9000"), 0, sockopt.Privilege{}))
	mustNot(t, ls.Listen(8))
	cs := w.a.NewTCP(2, &tcpApp{})
	_ = cs.Connect(ap("10.87.0.2:9000"))
	w.settle()
	if cs.State() != tcp.StateEstablished || cs.Peer() != nil {
		t.Errorf("%v, peer %v", cs.State(), cs.Peer())
	}
}
