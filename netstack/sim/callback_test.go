package sim

import (
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// meddler is an owner that calls its socket from inside Deliver.
type meddler struct {
	s    *tcp.Socket
	got  int
	act  func(*meddler)
	when int
	ev   tcp.Events
}

func (m *meddler) Deliver(p []byte) int {
	m.got += len(p)
	if m.got >= m.when && m.act != nil {
		act := m.act
		m.act = nil
		act(m)
	}
	return len(p)
}

func (m *meddler) Event(ev tcp.Events) { m.ev |= ev }

// TestCallsFromInsideDeliver: whatever an owner calls while it is being handed
// bytes, nothing is delivered twice and nothing is left behind.
func TestCallsFromInsideDeliver(t *testing.T) {
	for name, act := range map[string]func(*meddler){
		"abort":       func(m *meddler) { m.s.Abort() },
		"close":       func(m *meddler) { m.s.Close() },
		"close read":  func(m *meddler) { m.s.CloseRead() },
		"close write": func(m *meddler) { m.s.CloseWrite() },
		"write":       func(m *meddler) { m.s.Write(make([]byte, 5000)) },
		"resume":      func(m *meddler) { m.s.Resume() },
	} {
		for seed := uint64(1); seed <= 20; seed++ {
			w := New(seed)
			a, b := w.Host("10.0.0.1"), w.Host("10.0.0.2")
			w.Join(a, b, Way{Delay: time.Millisecond, Loss: 50, Reorder: 50})
			var m *meddler
			v, err := b.Listen("10.0.0.2:80", 5, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := &Program{Name: "client", ToSend: 200_000, Expect: -1}
			if err := a.Connect("10.0.0.2:80", p); err != nil {
				t.Fatal(err)
			}
			w.Run(time.Hour, func() bool { return v.S.AcceptQueueLen() > 0 })
			s, err := v.S.Accept()
			if err != nil {
				t.Fatal(err)
			}
			m = &meddler{s: s, act: act, when: 1 + w.Rand().Intn(150_000)}
			s.SetOwner(m)
			s.Resume()
			w.Run(time.Minute, func() bool { return p.Closed })
			if m.got > p.ToSend {
				t.Errorf("%s, seed %d: %d bytes of %d delivered", name, seed, m.got, p.ToSend)
			}
			if (name == "resume" || name == "write" || name == "close write") && (m.got != p.ToSend || m.ev&tcp.EventEOF == 0) {
				t.Errorf("%s, seed %d: %d bytes of %d, events %b", name, seed, m.got, p.ToSend, m.ev)
			}
			s.Close()
			p.S.Close()
			v.S.Close()
			w.Run(time.Hour, nil)
			if n := a.Pool.InUse() + b.Pool.InUse(); n != 0 {
				t.Errorf("%s, seed %d: %d bytes left", name, seed, n)
			}
			for _, h := range []*Host{a, b} {
				for s := range h.TCP.Sockets {
					t.Errorf("%s, seed %d: left in %s", name, seed, s.State())
				}
			}
		}
	}
}
