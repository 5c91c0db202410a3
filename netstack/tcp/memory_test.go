package tcp

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/tcpcni/tcpcni/netstack/buf"
)

// exhaust takes memory until the layer has none left, and returns how to give
// it back.
func (s *script) exhaust() (release func()) {
	s.l.memory = memoryLimits{soft: s.n.pool.InUse() + 1, hard: s.n.pool.InUse() + 2}
	c := s.n.pool.Get(buf.LargeSize)
	return func() { s.n.pool.Put(c) }
}

func (s *script) steps(lines ...string) {
	s.t.Helper()
	for i, line := range lines {
		s.num, s.line = i+1, line
		s.step(line)
	}
}

func TestUnreadTextIsDroppedWithoutMemory(t *testing.T) {
	s := story(t, "from established\ntake 100\n< . seq 1 ack 1 len 1000\n> . seq 1 ack 1001\ngot 100\nunread 900")
	held := s.n.pool.InUse()
	release := s.exhaust()
	s.steps("< . seq 1001 ack 1 len 1000", "> . seq 1 ack 1001", "unread 900", // again, please
		"take 900", "resume", "got 1000", "unread 0", "take -1",
		"< . seq 1001 ack 1 len 1000", "got 2000", "skip") // what is read at once needs no memory
	if s.l.counters.MemoryDrops != 1 {
		t.Errorf("%d drops", s.l.counters.MemoryDrops)
	}
	s.steps("take 0", "< . seq 2001 ack 1 len 1000", "skip")
	if now := s.n.pool.InUse(); now > held+buf.LargeSize {
		t.Errorf("%d bytes in use", now)
	}
	release()
	s.steps("< . seq 3001 ack 1 len 1000", "> . seq 1 ack 4001", "unread 2000")
}

func TestUnacceptedTextIsDroppedWithoutMemory(t *testing.T) {
	s := story(t, "listen 5\n< S seq 0\n> S. seq 0 ack 1\n< . seq 1 ack 1")
	release := s.exhaust()
	s.steps("< . seq 1 ack 1 len 1000", "> . seq 1 ack 1", "accept", "< . seq 1 ack 1 len 1000", "> . seq 1 ack 1001", "got 1000")
	release()
}

func TestWritersWaitForMemory(t *testing.T) {
	s := story(t, "from established")
	if n := s.s.SendSpace(); n < minSendQueue {
		t.Fatalf("%d bytes", n)
	}
	release := s.exhaust()
	if n := s.s.SendSpace(); n != 4096 {
		t.Errorf("%d bytes without memory", n)
	}
	s.steps("write 4096", "skip", "event none")
	if n := s.s.SendSpace(); n != 0 {
		t.Errorf("%d bytes more", n)
	}
	s.steps("< . seq 1 ack 4097", "event writable", "write 4096")
	s.s.SendSpace()
	release()
	s.steps("skip", "< . seq 1 ack 8193", "event writable")
	if n := s.s.SendSpace(); n < minSendQueue {
		t.Errorf("%d bytes when there is memory again", n)
	}
}

func TestBuffersDoNotGrowUnderPressure(t *testing.T) {
	for _, pressure := range []bool{false, true} {
		s := story(t, "from established")
		if pressure {
			s.l.memory.soft = 0
		}
		for seq := 1; seq < 1<<20; seq += 60000 {
			s.s.conn.take(make([]byte, 60000))
			s.s.conn.tuneRcvBuf(s.n.now)
			s.step("skip")
		}
		if grown := s.s.conn.rcvBuf > s.l.tun.TCPRmem.Default; grown == pressure {
			t.Errorf("pressure %v: receive buffer of %d bytes", pressure, s.s.conn.rcvBuf)
		}
		s.s.conn.cwnd = 1 << 20
		if grown := s.s.SendSpace() > minSendQueue; grown == pressure {
			t.Errorf("pressure %v: send queue of %d bytes", pressure, s.s.SendSpace())
		}
	}
}

// TestOutOfOrderTextGoesFirst: RFC 2018 section 8 lets a receiver forget what it
// has not acknowledged in order; text that is next is kept instead.
func TestOutOfOrderTextGoesFirst(t *testing.T) {
	s := story(t, "from sack\ntake 0\n< . seq 1 ack 1 len 1000\n< . seq 3001 ack 1 len 1000\nskip\nooo 2048\nunread 1000")
	s.l.memory = memoryLimits{soft: 1, hard: s.n.pool.InUse()}
	s.steps("< . seq 1001 ack 1 len 1000", "> . seq 1 ack 2001 nosack", "unread 2000", "ooo 0", "counter OOOPruned 1", "counter MemoryDrops 0")
	if s.s.conn.ooo != nil || s.l.ooo.oldest != nil {
		t.Error("the queue is still there")
	}
	// Nothing is stored ahead while there is no memory, and everything is later.
	s.l.memory.hard = 1
	s.steps("< . seq 3001 ack 1 len 1000", "> . seq 1 ack 2001 nosack", "ooo 0", "counter ReasmDrops 1")
	s.l.memory = limitsOf(s.l.tun)
	s.steps("< . seq 3001 ack 1 len 1000", "> . seq 1 ack 2001 sack 3001-4001", "< . seq 2001 ack 1 len 1000", "> . seq 1 ack 4001", "unread 4000", "ooo 0")
}

// TestWindowShrinksToWhatIsOwed: under pressure a reader that is behind is
// promised next to nothing more, and no promise is taken back.
func TestWindowShrinksToWhatIsOwed(t *testing.T) {
	s := story(t, "from established\ntake 0")
	right := s.s.conn.rcvAdv
	s.l.memory = memoryLimits{soft: 1, hard: 1 << 30}
	seq := uint32(1)
	for range 40 {
		s.steps(fmt.Sprintf("< . seq %d ack 1 len 1000", seq))
		seq += 1000
	}
	s.steps("+1s", "skip")
	if got := s.s.conn.rcvAdv; got != right {
		t.Errorf("the right edge moved by %d", int32(got-right))
	}
	s.steps("take -1", "resume", "got 40000", "skip")
	if got := s.s.conn.rcvAdv; !seqLT(right, got) {
		t.Errorf("the window did not open for a reader that has caught up: %d", int32(got-right))
	}
}

// TestRecordsAreSmall: what anybody can bring about in numbers has a small
// record, in bytes. The bounds of what an idle connection has are size classes of
// the allocator; what only some connections have goes into rare.
func TestRecordsAreSmall(t *testing.T) {
	for _, c := range []struct {
		name    string
		n, most uintptr
	}{
		{"TIME-WAIT", unsafe.Sizeof(timeWait{}), 144},
		{"SYN-RECEIVED", unsafe.Sizeof(halfOpen{}), 320},
		{"connection", unsafe.Sizeof(conn{}), 704},
		{"socket", unsafe.Sizeof(Socket{}), 320},
		{"CUBIC", unsafe.Sizeof(cubic{}), 96},
	} {
		if c.n > c.most {
			t.Errorf("%s: %d bytes, want at most %d", c.name, c.n, c.most)
		}
		t.Logf("%s: %d bytes", c.name, c.n)
	}
}

// TestReadersAreOfferedAWindowWithoutMemory: text that goes straight to the program
// takes none, so the window stays open for who reads.
func TestReadersAreOfferedAWindowWithoutMemory(t *testing.T) {
	s := story(t, "from established")
	release := s.exhaust()
	s.steps("< . seq 1 ack 1 len 1460", "> . seq 1 ack 1461 win 65535", "< . seq 1461 ack 1 len 1460", "> . seq 1 ack 2921 win 65535")
	release()
}

// TestTextOfASynIsDroppedWithoutMemory: the SYN is acknowledged and its text is
// not, so that it comes again (RFC 7413 section 4.2.2).
func TestTextOfASynIsDroppedWithoutMemory(t *testing.T) {
	s := story(t, "with tcp_fastopen=2\nlisten 5\nfastopen 5")
	release := s.exhaust()
	s.steps("< S seq 0 len 100 fo", "> S. seq 0 ack 1")
	release()
	s.steps("< . seq 1 ack 1 len 100", "accept", "got 100", "+1ms > . seq 1 ack 101")
}
