package tcp

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// log_in_vain tells of SYNs, or of all segments, that nobody waits for.
func TestLogInVain(t *testing.T) {
	for value, want := range map[string][]wire.TCPFlags{
		"0": nil, "1": {wire.TCPSyn}, "2": {wire.TCPSyn, wire.TCPAck},
		"3": nil, "-1": nil,
	} {
		s := newScript(t, map[string]string{"net.inet.tcp.log_in_vain": value})
		var told []wire.TCPFlags
		s.l.SetVain(func(local, remote netip.AddrPort, flags wire.TCPFlags) {
			if local != addrPort("10.0.0.1:81") || remote != addrPort("10.0.0.2:5000") {
				t.Errorf("from %v to %v", remote, local)
			}
			told = append(told, flags)
		})
		s.steps("listen 5", "< S seq 0 to 81", "< . seq 0 ack 5 to 81", "< S seq 0", "skip")
		if !slices.Equal(told, want) {
			t.Errorf("log_in_vain=%s tells of %v, want %v", value, told, want)
		}
	}
}

// do_tcpdrain off: text behind a gap is kept when memory is short.
func TestReassemblyIsNotDrained(t *testing.T) {
	s := story(t, "with net.inet.tcp.do_tcpdrain=0\nfrom sack\ntake 0\n< . seq 1 ack 1 len 1000\n< . seq 3001 ack 1 len 1000\nskip\nooo 2048\nunread 1000")
	s.l.memory = memoryLimits{soft: 1, hard: s.n.pool.InUse()}
	s.steps("< . seq 1001 ack 1 len 1000", "skip", "ooo 2048", "counter OOOPruned 0", "counter MemoryDrops 1")
}

// tcp_limit_output_bytes: connections take turns.
func TestLimitOutput(t *testing.T) {
	for value, want := range map[string][]int{"4096": {1, 2, 1, 2, 1, 2}, "4194304": {1, 2}} {
		s := story(t, "with tcp_limit_output_bytes="+value+"\nfrom established\nuse b 5002\nconnect\n> S seq 0\n< S. seq 0 ack 1 mss 1460\n> . seq 1 ack 1\ngso 4380")
		for _, f := range s.flows {
			f.s.conn.path.GSOMax = 4380
			f.s.Write(patterned(0, 3*4380))
		}
		s.out = nil
		s.l.Flush()
		var order []int
		for _, x := range s.out {
			n := 1 + slices.Index(s.flows, x.f)
			if len(order) == 0 || order[len(order)-1] != n {
				order = append(order, n)
			}
		}
		s.out = nil
		if !slices.Equal(order, want) {
			t.Errorf("%s bytes: turns %v, want %v", value, order, want)
		}
	}
}

// TestTimesDoNotStartAgain: what TCP_INFO says of months stands still at the most
// that is kept.
func TestTimesDoNotStartAgain(t *testing.T) {
	s := story(t, "from established\n< . seq 1 ack 1 win 0\nwrite 10\n> none")
	c := s.s.conn
	if c.tally.state != chronoRwnd {
		t.Fatal(c.tally.state)
	}
	at := c.now()
	most := uint64(math.MaxUint32) * 1000
	for range 60 { // days in which the window stays shut
		at += 24 * time.Hour
		c.clocked(at)
		var i sockopt.TCPInfo
		c.infoTally(&i, at)
		if want := min(uint64(at-s.n.now)/1000, most); i.RwndLimited < want-1000 || i.RwndLimited > want+1000 {
			t.Fatalf("%v: %d µs, want %d", at-s.n.now, i.RwndLimited, want)
		}
	}
	c.cold().rareTally = rareTally{rtoMillis: math.MaxUint32 - 5, rtoAt: clockMillis(at) - 10}
	c.answered(at)
	if n := c.rare.rtoMillis; n != math.MaxUint32 {
		t.Errorf("%d ms between timeouts", n)
	}
}

// SACK holes are counted while a limit is set, and the count goes with the
// connection.
func TestSACKHolesAreCounted(t *testing.T) {
	s := story(t, "with net.inet.tcp.sack.maxholes=5\nfrom sack\nwrite 14600\nskip\n< . seq 1 ack 1 sack 1461-2921,4381-5841\nskip")
	if s.l.holes != 2 || s.l.SACKHoles() != 2 {
		t.Errorf("%d holes are counted, there are %d", s.l.holes, s.l.SACKHoles())
	}
	s.steps("< . seq 1 ack 2921 sack 4381-5841", "skip")
	if s.l.holes != 1 {
		t.Errorf("%d holes after the first was filled", s.l.holes)
	}
	s.steps("abort", "skip")
	if s.l.holes != 0 {
		t.Errorf("%d holes without a connection", s.l.holes)
	}
}

// Function blocks are counted by connection.
func TestFunctionBlockUsers(t *testing.T) {
	s := story(t, "from sack")
	if n := s.s.FunctionBlockUsers("default"); n != 1 {
		t.Errorf("default: %d", n)
	}
	if err := s.s.SetFunctionBlock("rack"); err != nil {
		t.Fatal(err)
	}
	if d, r := s.s.FunctionBlockUsers("default"), s.s.FunctionBlockUsers("rack"); d != 0 || r != 1 {
		t.Errorf("default: %d, rack: %d", d, r)
	}
	s.steps("abort", "skip")
	if n := s.s.FunctionBlockUsers("rack"); n != 0 {
		t.Errorf("after the end: %d", n)
	}
	if len(stackBlocks) > maxBlocks {
		t.Errorf("%d blocks", len(stackBlocks))
	}
}
