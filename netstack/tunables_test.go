package netstack

import (
	"bytes"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// What tunables that can only be read show of a stack, and what a change does to
// one that runs.

func value(t *testing.T, s *Stack, name, want string) {
	t.Helper()
	if got, ok := s.profile.Value(name); !ok || got != want {
		t.Errorf("%s is %q, want %q", name, got, want)
	}
}

func TestReadOnlyTunables(t *testing.T) {
	w := newWorld(t)
	value(t, w.b, "net.inet.tcp.pcbcount", "0")
	value(t, w.b, "net.inet.tcp.tcbhashsize", "512")
	ls := w.b.NewTCP(2, nil)
	mustNot(t, ls.Bind(ap("10.87.0.2:8080"), 0, sockopt.Privilege{}))
	mustNot(t, ls.Listen(8))
	value(t, w.b, "net.inet.tcp.pcbcount", "1")
	cs := w.a.NewTCP(2, &tcpApp{})
	if err := cs.Connect(ap("10.87.0.2:8080")); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	w.settle()
	value(t, w.a, "net.inet.tcp.pcbcount", "1")
	value(t, w.b, "net.inet.tcp.pcbcount", "2")

	// The first of three segments is lost, however often it is sent: two wait
	// behind the gap, and the peer hears of one hole.
	var lost []byte
	w.ab.drop = func(f frame) bool {
		if len(f.data) < 1000 {
			return false
		}
		seq := f.data[14+20+4:][:4]
		if lost == nil {
			lost = bytes.Clone(seq)
		}
		return bytes.Equal(seq, lost)
	}
	cs.Write(filler(3 * 1448))
	w.settle()
	value(t, w.b, "net.inet.tcp.reass.cursegments", "2")
	value(t, w.a, "net.inet.tcp.sack.globalholes", "1")
	w.ab.drop = nil
	w.wait(10 * time.Second)
	value(t, w.b, "net.inet.tcp.reass.cursegments", "0")
	value(t, w.a, "net.inet.tcp.sack.globalholes", "0")
	value(t, w.a, "net.inet.tcp.pmtud_blackhole_activated", "0")
	value(t, w.a, "net.inet.tcp.pmtud_blackhole_activated_min_mss", "0")
	value(t, w.a, "net.inet.tcp.pmtud_blackhole_failed", "0")
	n := w.a.tcp.Counters()
	n.PMTUDBlackholeActivated, n.PMTUDBlackholeMinMSS, n.PMTUDBlackholeFailed = 3, 4, 5
	value(t, w.a, "net.inet.tcp.pmtud_blackhole_activated", "3")
	value(t, w.a, "net.inet.tcp.pmtud_blackhole_activated_min_mss", "4")
	value(t, w.a, "net.inet.tcp.pmtud_blackhole_failed", "5")
}

// A connection within the stack leaves no record in TIME-WAIT with FreeBSD's
// net.inet.tcp.nolocaltimewait.
func TestNoLocalTimeWait(t *testing.T) {
	for value, want := range map[string]int{"0": 1, "1": 0} {
		w := newWorld(t)
		mustNot(t, w.a.profile.ChangeTunables(map[string]string{"net.inet.tcp.nolocaltimewait": value}))
		ls := w.a.NewTCP(2, nil)
		mustNot(t, ls.Bind(ap("127.0.0.1:8080"), 0, sockopt.Privilege{}))
		mustNot(t, ls.Listen(8))
		cs := w.a.NewTCP(2, &tcpApp{})
		if err := cs.Connect(ap("127.0.0.1:8080")); err != errno.EINPROGRESS {
			t.Fatal(err)
		}
		w.settle()
		srv, err := ls.Accept()
		mustNot(t, err)
		cs.Close()
		w.settle()
		srv.Close()
		w.settle()
		if got := w.a.tcp.Blocks() - 1; got != want { // without the listener
			t.Errorf("nolocaltimewait=%s: %d blocks are left, want %d", value, got, want)
		}
	}
}

// What was negotiated stays when a tunable changes in the middle of a handshake:
// else one end would leave out timestamps that the other insists on.
func TestTunablesChangeDuringAHandshake(t *testing.T) {
	for _, from := range []string{"0", "1"} {
		to := map[string]string{"0": "1", "1": "0"}[from]
		w := newWorld(t)
		names := []string{"tcp_timestamps", "tcp_sack", "tcp_window_scaling"}
		for _, name := range names {
			mustNot(t, w.a.profile.ChangeTunables(map[string]string{name: from}))
		}
		ls := w.b.NewTCP(2, nil)
		mustNot(t, ls.Bind(ap("10.87.0.2:8080"), 0, sockopt.Privilege{}))
		mustNot(t, ls.Listen(8))
		app := &tcpApp{}
		cs := w.a.NewTCP(2, app)
		if err := cs.Connect(ap("10.87.0.2:8080")); err != errno.EINPROGRESS {
			t.Fatal(err)
		}
		w.a.Flush()
		for _, name := range names {
			mustNot(t, w.a.profile.ChangeTunables(map[string]string{name: to}))
			mustNot(t, w.b.profile.ChangeTunables(map[string]string{name: to}))
		}
		w.a.Retune()
		w.b.Retune()
		w.settle()
		srv, err := ls.Accept()
		mustNot(t, err)
		server := &tcpApp{}
		srv.SetOwner(server)
		srv.Resume()
		cs.Write(filler(10000))
		w.wait(time.Second)
		if len(server.data) != 10000 {
			t.Errorf("from %s to %s: %d bytes arrived", from, to, len(server.data))
		}
		var mine, theirs sockopt.TCPInfo
		cs.Info(&mine)
		srv.Info(&theirs)
		if mine.Options != theirs.Options {
			t.Errorf("from %s to %s: agreed on %b and %b", from, to, mine.Options, theirs.Options)
		}
	}
}

// tcp_mem is one of the values that the layer keeps a copy of.
func TestRetuneTakesMemory(t *testing.T) {
	w := newWorld(t)
	mustNot(t, w.a.profile.ChangeTunables(map[string]string{"tcp_mem": "16 16 16"}))
	w.a.Retune()
	ls := w.b.NewTCP(2, nil)
	mustNot(t, ls.Bind(ap("10.87.0.2:8080"), 0, sockopt.Privilege{}))
	mustNot(t, ls.Listen(8))
	cs := w.a.NewTCP(2, &tcpApp{})
	if err := cs.Connect(ap("10.87.0.2:8080")); err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	w.settle()
	w.ab.drop = func(frame) bool { return true }
	total := 0
	for range 100 {
		total += cs.Write(filler(8192))
	}
	if total > 16*4096+2*65536 {
		t.Errorf("%d bytes are queued with %d of memory", total, 16*4096)
	}
}
