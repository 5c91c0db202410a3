package tcp

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// checkLog holds what is true of every log: it covers what is in flight without
// a gap, its sums are right, and its list by time has what is in the network.
func checkLog(t testing.TB, c *conn) {
	t.Helper()
	b := c.log
	if b == nil {
		if c.state.rule().synced && c.sndUna != c.sndNxt {
			t.Fatalf("%v: %d bytes in flight without a log", c.state, c.sndNxt-c.sndUna)
		}
		return
	}
	if b.records() == 0 || b.at(0).start != c.sndUna || b.at(b.records()-1).end != c.sndNxt {
		t.Fatalf("%d records for %d bytes in flight", b.records(), c.sndNxt-c.sndUna)
	}
	var sacked, lost, segs uint32
	inNetwork := 0
	for i := range b.records() {
		r := b.at(i)
		switch {
		case i > 0 && r.start != b.at(i-1).end, !seqLT(r.start, r.end), r.segs == 0:
			t.Fatalf("record %d: %+v", i, r)
		case r.flags&recSacked != 0:
			sacked += r.len()
			segs += uint32(r.segs)
		case r.flags&recLost != 0:
			lost += r.len()
			if seqLT(r.start, b.lostFrom) {
				t.Fatalf("record %d is lost, the first was to be at %d", i, b.lostFrom-c.iss)
			}
		default:
			inNetwork++
		}
	}
	if sacked != b.sacked || lost != b.lost || segs != b.sackedSegs {
		t.Fatalf("%d sacked in %d segments, %d lost, counted %d, %d and %d", sacked, segs, lost, b.sacked, b.sackedSegs, b.lost)
	}
	last := noRecord
	for e := b.oldest; e != noRecord; e = b.recs[e].newer {
		if b.recs[e].older != last || last != noRecord && b.recs[e].sentAt < b.recs[last].sentAt {
			t.Fatal("the list by time is out of order")
		}
		last = e
		inNetwork--
	}
	if inNetwork != 0 || last != b.newest {
		t.Fatalf("%d records more by sequence than by time", inNetwork)
	}
}

// logConn is a connection that only keeps its log.
func logConn(t *testing.T) (*quietNet, *conn) {
	n, _, s, _ := benchConn(t)
	c := s.conn
	c.sndUna, c.sndNxt = 1<<32-100, 1<<32-100 // the numbers wrap
	return n, c
}

func send(c *conn, n uint32, now time.Duration) {
	seq := c.sndNxt
	c.sndNxt += n
	c.logSent(seq, (n+1447)/1448, now)
}

func TestSendLogSplitsAndJoins(t *testing.T) {
	_, c := logConn(t)
	una := c.sndUna
	count := func(want int) {
		t.Helper()
		checkLog(t, c)
		if n := c.log.records(); n != want {
			t.Fatalf("%d records, want %d", n, want)
		}
	}
	c.beginSample(&wire.TCP{})
	send(c, 20000, 1)
	send(c, 20000, 1)
	count(1) // one instant
	send(c, 1<<16-40000, 1)
	count(1)
	send(c, 4464, 1)
	count(2) // no record beyond what one transmission carries
	send(c, 10000, 2)
	count(3)
	if n := c.sacked(una+1448, una+2896, 3); n != 1448 {
		t.Fatal(n)
	}
	count(5)
	if n := c.sacked(una+1448, una+2896, 3); n != 0 {
		t.Fatal(n)
	}
	c.sacked(una+2896, una+4344, 3)
	count(5) // joined
	c.sacked(una+70000, una+80000, 3)
	count(5)
	c.sacked(una+4344, una+70000, 3)
	count(2)
	c.log.setLost(0)
	count(2)
	c.logResent(una, una+500, 4)
	count(3)
	c.logResent(una+500, una+1448, 4)
	count(2) // one retransmission
	c.sndUna += 700
	c.logAcked(5)
	count(2)
	c.sndUna = c.sndNxt
	c.logAcked(6)
	if c.log != nil || c.l.spareRecords == 0 {
		t.Fatal("the log was not given back")
	}
}

// TestSendLogCountsSegments: where records are cut between segments their parts
// have as many as were sent, however short the last one is, and a cut within one
// counts it on the left.
func TestSendLogCountsSegments(t *testing.T) {
	const mss = 1448
	for _, last := range []uint32{1, mss / 2, mss - 1, mss} {
		all := 10*mss + last
		for _, x := range []struct{ left, right, want uint32 }{
			{0, mss, 1}, {mss, 2 * mss, 1}, {0, 3 * mss, 3}, {7 * mss, 10 * mss, 3}, {9 * mss, 10 * mss, 1},
			{10 * mss, all, 1}, {0, 10 * mss, 10}, {0, all, 11}, {0, mss - 1, 1}, {0, mss + 200, 2},
		} {
			_, c := logConn(t)
			c.beginSample(&wire.TCP{})
			una := c.sndUna
			send(c, all, 1)
			c.sacked(una+x.left, una+x.right, 2)
			checkLog(t, c)
			if got := c.log.sackedSegs; got != x.want {
				t.Errorf("[%d, %d) of %d: %d segments, want %d", x.left, x.right, all, got, x.want)
			}
		}
	}
}

func TestSendLogIsBounded(t *testing.T) {
	_, c := logConn(t)
	c.beginSample(&wire.TCP{})
	for i := range 3 * maxRecords {
		send(c, 100, time.Duration(i+1))
	}
	checkLog(t, c)
	if n := c.log.records(); n > maxRecords {
		t.Fatalf("%d records", n)
	}
	c.sndUna = c.sndNxt
	c.logAcked(1 << 20)
	// A peer that acknowledges every other byte.
	una := c.sndUna
	send(c, 60000, 1<<21)
	for i := uint32(0); i < 60000; i += 2 {
		c.sacked(una+i, una+i+1, 1<<22)
	}
	checkLog(t, c)
	if n := c.log.records(); n > 64+2*60000/1448 {
		t.Fatalf("%d records", n)
	}
}

// TestSendLogAgainstBytes compares the log with one that keeps a state for
// every byte.
func TestSendLogAgainstBytes(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		_, c := logConn(t)
		base := c.sndUna
		var bytes []byte // 0: in the network, 's', 'l'
		now := time.Duration(1)
		for range 200 {
			now += time.Duration(rnd.IntN(2))
			c.beginSample(&wire.TCP{})
			una, end := int(c.sndUna-base), len(bytes)
			span := func() (int, int) {
				if una == end {
					return una, una
				}
				i, j := una+rnd.IntN(end-una+1), una+rnd.IntN(end-una+1)
				return min(i, j), max(i, j)
			}
			switch rnd.IntN(6) {
			case 0, 1:
				n := 1 + rnd.IntN(40)
				bytes = append(bytes, make([]byte, n)...)
				send(c, uint32(n), now)
			case 2:
				i, j := span()
				if i < j && j-i < 30 {
					before := c.log.records()
					c.sacked(base+uint32(i), base+uint32(j), now)
					if before < 60 {
						for ; i < j; i++ {
							bytes[i] = 's'
						}
					}
				}
			case 3:
				i, j := span()
				if i < j {
					p, q := c.log.cut(base+uint32(i), base+uint32(j), math.MaxInt)
					for k := p; k < q; k++ {
						if c.log.at(k).inNetwork() {
							c.markLost(k)
						}
					}
					for ; i < j; i++ {
						if bytes[i] == 0 {
							bytes[i] = 'l'
						}
					}
				}
			case 4:
				if c.log == nil {
					break
				}
				if left, right, ok := c.log.firstLost(); ok {
					right = left + 1 + rnd.Uint32N(right-left)
					c.logResent(left, right, now)
					for i := left - base; i < right-base; i++ {
						if bytes[i] != 'l' {
							t.Fatalf("seed %d: byte %d is not lost", seed, i)
						}
						bytes[i] = 0
					}
				}
			case 5:
				i, _ := span()
				c.sndUna = base + uint32(i)
				c.logAcked(now)
			}
			if c.log == nil {
				continue
			}
			checkLog(t, c)
			if c.log.records() >= 60 {
				break // from here on the log refuses
			}
			for i := int(c.sndUna - base); i < len(bytes); i++ {
				r := c.log.at(c.log.seek(base + uint32(i)))
				want := map[byte]uint8{'s': recSacked, 'l': recLost}[bytes[i]]
				if r.flags&(recSacked|recLost) != want {
					t.Fatalf("seed %d: byte %d is %q, record %+v", seed, i, bytes[i], r)
				}
			}
		}
	}
}

// TestNoAllocationInRecovery loses a segment of every flight.
func TestNoAllocationInRecovery(t *testing.T) {
	n, l, s, rx := benchConn(t)
	c := s.conn
	p := make([]byte, 10*1448)
	lose := func() {
		c.cwnd = 20 * 1448
		una := c.sndUna
		s.Write(p)
		l.Flush()
		n.now += 10 * time.Millisecond
		ackOf(l, rx, una, wire.SACKBlock{Left: una + 1448, Right: una + 4*1448}, wire.SACKBlock{Left: una + 6*1448, Right: una + 10*1448})
		n.now += 10 * time.Millisecond
		ackOf(l, rx, c.sndNxt)
	}
	for range 100 {
		lose()
	}
	if a := testing.AllocsPerRun(1000, lose); a != 0 {
		t.Errorf("%v allocations for a recovery", a)
	}
	if l.counters.FastRetrans < 1000 || c.log != nil {
		t.Errorf("%d recoveries", l.counters.FastRetrans)
	}
	if l.spareRecords > spareRecords {
		t.Errorf("%d records are kept", l.spareRecords)
	}
}
