package tcp

import (
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// FuzzConversation lets a hostile peer talk to a listener and to an active
// open: every 12 bytes of input are one segment near the numbers in use, a
// call of the program's or time that passes. Whatever comes, nothing panics,
// memory stays bounded, and closing gives everything back.
func FuzzConversation(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 16, 0, 1, 0, 1, 0, 255, 255, 20, 0, 0, 0})
	f.Add([]byte{18, 0, 0, 0, 1, 0, 255, 255, 0, 0, 0, 1, 24, 0, 1, 0, 1, 0, 255, 255, 200, 0, 0, 1, 17, 0, 201, 0, 1, 0, 255, 255, 0, 0, 0, 1})
	f.Add([]byte{2, 0, 0, 0, 0, 7, 9, 9, 0, 0, 0, 0, 16, 0, 9, 0, 1, 0, 0, 1, 9, 3, 0, 0, 48, 0, 1, 0, 1, 0, 9, 9, 99, 5, 1, 0, 255, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 12*200 {
			return
		}
		runConversation(t, in)
	})
}

func runConversation(t *testing.T, in []byte) {
	blocks := FunctionBlocks()
	set := map[string]string{"functions_default": blocks[len(in)%len(blocks)]}
	fast := len(in)/12%2 == 1
	if fast {
		set["tcp_fastopen"] = "1543" // text in SYNs, either way, without cookies
	}
	s := newScript(t, set)
	s.step("listen 3")
	active := s.l.NewSocket(afInet, s)
	s.rport = 6000
	prev := s.s
	s.s = active
	if fast {
		s.step("connectdata 700")
	} else {
		s.step("connect")
	}
	s.s = prev
	s.l.Flush()
	socks := []*Socket{active}
	for ; len(in) >= 12; in = in[12:] {
		if in[0] == 255 {
			socks = fuzzCall(s, socks, in)
		} else {
			s.l.Input(fuzzSegment(s, socks, in))
		}
		if in[0]&1 == 0 {
			s.l.Flush()
			if err := s.l.Audit(); err != nil {
				t.Fatal(err)
			}
			for _, c := range s.l.conns {
				checkLog(t, c)
			}
		}
		s.out = s.out[:0]
		if held := s.n.pool.InUse(); held > 64<<20 {
			t.Fatalf("%d bytes held", held)
		}
	}
	s.lst.Close()
	for _, c := range socks {
		c.Close()
	}
	s.pass(2 * time.Hour)
	if n := s.n.pool.InUse(); n != 0 || len(s.l.conns) != 0 || len(s.l.half) != 0 || s.l.ooo.bytes != 0 || s.l.orphans != 0 {
		t.Fatalf("left: %d bytes, %d connections, %d half-open, %d bytes ahead, %d orphans", n, len(s.l.conns), len(s.l.half), s.l.ooo.bytes, s.l.orphans)
	}
	if len(s.l.timers) != 0 || len(s.l.waits.byTuple) != 0 || len(s.l.shared) != 0 {
		t.Fatalf("left: %d timers, %d in TIME-WAIT, %d shared ports", len(s.l.timers), len(s.l.waits.byTuple), len(s.l.shared))
	}
}

// fuzzCall is a call of the program's.
func fuzzCall(s *script, socks []*Socket, in []byte) []*Socket {
	c := socks[int(in[2])%len(socks)]
	switch in[1] % 10 {
	case 0:
		if child, err := s.lst.Accept(); err == nil {
			child.SetOwner(s)
			child.Resume()
			socks = append(socks, child)
		}
	case 1:
		c.Write(make([]byte, int(in[3])<<8|int(in[4])))
	case 2:
		b := s.n.pool.Get(65536)
		b.B = b.B[:int(in[3])<<8|int(in[4])]
		c.WriteChunk(b)
	case 3:
		c.CloseWrite()
	case 4:
		s.room = int(in[3])
		c.Resume()
	case 5:
		c.CloseRead()
	case 6:
		c.WriteUrgent(make([]byte, int(in[3])))
	case 7:
		s.pass(time.Duration(in[3]) * 10 * time.Millisecond)
	case 8:
		s.room = -1
		c.Resume()
	case 9:
		if in[3] > 200 {
			c.Abort()
		}
	}
	return socks
}

// fuzzSegment is a segment close enough to what is expected to get somewhere.
func fuzzSegment(s *script, socks []*Socket, in []byte) *Rx {
	rx := &Rx{Src: testRemote, Dst: testLocal, Link: 1, TTL: 64}
	h := &rx.Header
	seq, ack, size := uint32(in[1])<<8|uint32(in[2]), uint32(in[3])<<8|uint32(in[4]), int(in[8])
	*h = wire.TCP{SrcPort: 5000 + uint16(in[10]&1), DstPort: 80, Flags: wire.TCPFlags(in[0]), Window: uint16(in[6])<<8 | uint16(in[7]), WScale: -1, Urgent: uint16(in[9])}
	if in[9]&8 != 0 {
		size <<= 8
	}
	rx.Payload = make([]byte, min(size, 60000))
	base, irs := uint32(0), uint32(peerISS)
	if in[11]&1 != 0 {
		c := socks[int(in[11]>>1)%len(socks)]
		h.SrcPort, h.DstPort = 6000, socks[0].port()
		if c.conn != nil {
			base = c.conn.iss
			if in[11]&128 != 0 {
				base, irs = c.conn.sndUna, c.conn.rcvNxt-1
			}
			h.SrcPort, h.DstPort = c.conn.rport, c.conn.lport
		}
	} else if x := s.l.half[makeTuple(testLocal, testRemote, 80, h.SrcPort)]; x != nil {
		base = x.iss
	}
	h.Seq, h.Ack = irs+seq, base+ack
	if h.Flags&wire.TCPSyn != 0 {
		h.MSS, h.SACKPermitted = uint16(in[5])*8, in[5]&1 != 0
		if in[5]&2 != 0 {
			h.WScale = int8(in[5] & 15)
		}
	} else {
		for i := range in[10] & 3 {
			h.SACK[i].Left = base + ack + uint32(in[4+i])*100
			h.SACK[i].Right = h.SACK[i].Left + uint32(in[5+i])*50
			h.NSACK++
		}
	}
	if in[5]&4 != 0 {
		h.HasTS, h.TSVal, h.TSEcr = true, uint32(in[7])*10, s.tsBase
	}
	return rx
}
