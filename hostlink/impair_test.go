package hostlink

import (
	"bytes"
	"encoding/binary"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A pipeLink gives out frames that a test put in and keeps what is sent.
type pipeLink struct {
	in  []RxFrame
	out [][]byte
	raw []TxFrame
}

func (l *pipeLink) FD() int          { return -1 }
func (l *pipeLink) Stats() LinkStats { return LinkStats{} }
func (l *pipeLink) Close() error     { return nil }

func (l *pipeLink) ReadFrame([]byte) (RxFrame, error) {
	if len(l.in) == 0 {
		return RxFrame{}, ErrAgain
	}
	f := l.in[0]
	l.in = l.in[1:]
	return f, nil
}

func (l *pipeLink) Transmit(f *TxFrame) {
	l.out = append(l.out, gather(nil, f))
	l.raw = append(l.raw, *f)
}

// testSegment is a frame with a TCP segment, its checksum unfinished.
func testSegment(flags wire.TCPFlags, payload []byte) *TxFrame {
	p := &peer{}
	p.tcp.local, p.tcp.remote, p.tcp.next, p.tcp.ack = 1, 2, 5000, 1
	return p.tcpFrame(flags, payload)
}

func TestCutSuperSegment(t *testing.T) {
	payload := pattern(5000)
	inner := &pipeLink{}
	m := Impair(inner, Impairment{}, func() time.Duration { return 1 })
	m.Transmit(testSegment(wire.TCPAck|wire.TCPPsh|wire.TCPFin|wire.TCPCwr, payload))
	if len(inner.out) != 4 {
		t.Fatalf("%d frames, want 4", len(inner.out))
	}
	var got []byte
	for i, frame := range inner.out {
		var ip wire.IPv4
		segment, err := wire.ParseIPv4(frame[ethLen:], &ip)
		if err != nil || ip.ID != uint16(i) || len(frame) != ethLen+ip.TotalLen {
			t.Fatalf("frame %d: %+v, %v", i, ip, err)
		}
		if !wire.TransportChecksumOK(ip.Src, ip.Dst, wire.ProtoTCP, segment) {
			t.Errorf("frame %d: wrong checksum", i)
		}
		var h wire.TCP
		data, err := wire.ParseTCP(segment, &h)
		if err != nil || h.Seq != 5000+uint32(len(got)) {
			t.Fatalf("frame %d: %+v, %v", i, h, err)
		}
		got = append(got, data...)
		want := wire.TCPAck
		if i == 0 {
			want |= wire.TCPCwr
		}
		if i == 3 {
			want |= wire.TCPPsh | wire.TCPFin
		}
		if h.Flags != want {
			t.Errorf("frame %d: flags %v, want %v", i, h.Flags, want)
		}
		if inner.raw[i].NeedsCsum || inner.raw[i].GSOType != wire.GSONone {
			t.Errorf("frame %d still asks for offload", i)
		}
	}
	if !bytes.Equal(got, payload) {
		t.Error("payload differs")
	}
}

func TestCutSuperSegmentIPv6(t *testing.T) {
	src, dst := net.ParseIP("fd00::1"), net.ParseIP("fd00::2")
	payload := pattern(3001)
	h := wire.TCP{SrcPort: 1, DstPort: 2, Seq: 7, Flags: wire.TCPAck, WScale: -1}
	l4 := append(h.AppendTo(nil), payload...)
	// A destination options header of eight bytes stands in between.
	body := append([]byte{wire.ProtoTCP, 0, 1, 4, 0, 0, 0, 0}, l4...)
	ip := make([]byte, wire.IPv6Len)
	ip[0], ip[6], ip[7] = 0x60, wire.ProtoDstOpts, 64
	binary.BigEndian.PutUint16(ip[4:], uint16(len(body)))
	copy(ip[8:], src)
	copy(ip[24:], dst)
	eth := wire.Ethernet{Type: wire.EtherIPv6}
	frame := append(append(eth.AppendTo(nil), ip...), body...)

	inner := &pipeLink{in: []RxFrame{{Data: frame, NeedsCsum: true, GSOType: wire.GSOTCP6, GSOSize: 1000}}}
	m := Impair(inner, Impairment{}, func() time.Duration { return 1 })
	var got []byte
	for {
		f, err := m.ReadFrame(nil)
		if err != nil {
			break
		}
		var ip6 wire.IPv6
		rest, err := wire.ParseIPv6(f.Data[ethLen:], &ip6)
		if err != nil || !f.CsumValid || f.NeedsCsum {
			t.Fatalf("%+v %v", f, err)
		}
		segment := rest[8:]
		if !wire.TransportChecksumOK(ip6.Src, ip6.Dst, wire.ProtoTCP, segment) {
			t.Error("wrong checksum")
		}
		data, err := wire.ParseTCP(segment, &h)
		if err != nil || h.Seq != 7+uint32(len(got)) {
			t.Fatalf("%+v %v", h, err)
		}
		got = append(got, data...)
	}
	if !bytes.Equal(got, payload) {
		t.Error("payload differs")
	}
}

// run sends n numbered packets through the impairment and returns the numbers
// in the order of arrival, -1 for a damaged packet. Time stands still until all
// were sent.
func run(t *testing.T, i Impairment, n int) (order []int, s ImpairStats) {
	t.Helper()
	var now time.Duration = 1
	inner := &pipeLink{}
	m := Impair(inner, i, func() time.Duration { return now })
	for k := range n {
		m.Transmit(testSegment(wire.TCPAck, binary.BigEndian.AppendUint32(nil, uint32(k))))
	}
	for {
		at, ok := m.Deadline()
		if !ok {
			break
		}
		now = max(now, at)
		m.Tick()
	}
	for _, frame := range inner.out {
		if !wire.TransportChecksumOK(peerIP, kernelIP, wire.ProtoTCP, frame[ethLen+wire.IPv4MinHeader:]) {
			order = append(order, -1)
			continue
		}
		order = append(order, int(binary.BigEndian.Uint32(frame[len(frame)-4:])))
	}
	_, s = m.Impaired()
	return order, s
}

func TestImpairIsDeterministic(t *testing.T) {
	i := Impairment{Seed: 42, Loss: 0.02, Duplicate: 0.01, Reorder: 0.02, Corrupt: 0.01, Delay: 5 * time.Millisecond}
	a, stats := run(t, i, 2000)
	b, _ := run(t, i, 2000)
	if !reflect.DeepEqual(a, b) {
		t.Error("one seed, two outcomes")
	}
	i.Seed = 43
	if c, _ := run(t, i, 2000); reflect.DeepEqual(a, c) {
		t.Error("two seeds, one outcome")
	}
	if stats.Packets != 2000 || stats.Lost == 0 || stats.Duplicated == 0 || stats.Reordered == 0 || stats.Corrupted == 0 {
		t.Errorf("%+v", stats)
	}
}

func TestImpairRates(t *testing.T) {
	const n = 20000
	count := func(order []int) (arrived, twice, late, damaged int) {
		seen, highest := make(map[int]int), -1
		for _, k := range order {
			if k == -1 {
				damaged++
				continue
			}
			if seen[k]++; seen[k] == 2 {
				twice++
			} else if k < highest {
				late++
			}
			highest = max(highest, k)
		}
		return len(seen), twice, late, damaged
	}
	near := func(what string, got int, p float64) {
		t.Helper()
		if want := p * n; float64(got) < 0.8*want || float64(got) > 1.2*want {
			t.Errorf("%s: %d of %d, want about %.0f", what, got, n, want)
		}
	}
	order, _ := run(t, Impairment{Seed: 1, Loss: 0.05}, n)
	arrived, _, _, _ := count(order)
	near("lost", n-arrived, 0.05)
	order, _ = run(t, Impairment{Seed: 1, Duplicate: 0.05}, n)
	_, twice, _, _ := count(order)
	near("duplicated", twice, 0.05)
	order, _ = run(t, Impairment{Seed: 1, Reorder: 0.05}, n)
	arrived, _, late, _ := count(order)
	near("reordered", late, 0.05)
	if arrived != n {
		t.Errorf("reordering lost %d", n-arrived)
	}
	order, _ = run(t, Impairment{Seed: 1, Corrupt: 0.05}, n)
	_, _, _, damaged := count(order)
	near("corrupted", damaged, 0.05)
	if order, _ = run(t, Impairment{Seed: 1}, n); len(order) != n {
		t.Errorf("nothing asked for, %d of %d arrived", len(order), n)
	}
}

func TestImpairDelay(t *testing.T) {
	var now time.Duration = 1
	inner := &pipeLink{in: []RxFrame{{Data: gather(nil, testSegment(wire.TCPAck, nil))}}}
	m := Impair(inner, Impairment{Delay: time.Second}, func() time.Duration { return now })
	if _, err := m.ReadFrame(nil); err != ErrAgain {
		t.Fatalf("read at once: %v", err)
	}
	m.Transmit(testSegment(wire.TCPAck, nil))
	if at, ok := m.Deadline(); !ok || at != now+time.Second {
		t.Errorf("deadline %v %v", at, ok)
	}
	now += time.Second - 1
	if m.Tick(); len(inner.out) != 0 {
		t.Error("sent too early")
	}
	now++
	if m.Tick(); len(inner.out) != 1 {
		t.Error("not sent at the deadline")
	}
	if _, err := m.ReadFrame(nil); err != nil {
		t.Errorf("read at the deadline: %v", err)
	}
	if at, ok := m.Deadline(); ok {
		t.Errorf("deadline %v of an empty link", at)
	}
}

func TestImpairHeldFrameDoesNotWaitForever(t *testing.T) {
	var now time.Duration = 1
	inner := &pipeLink{}
	m := Impair(inner, Impairment{Reorder: 1}, func() time.Duration { return now })
	m.Transmit(testSegment(wire.TCPAck, nil))
	at, ok := m.Deadline()
	if !ok || at != now+reorderWait || len(inner.out) != 0 {
		t.Fatalf("deadline %v %v, %d sent", at, ok, len(inner.out))
	}
	now = at
	if m.Tick(); len(inner.out) != 1 {
		t.Error("not sent at the deadline")
	}
}

func TestImpairDropsWhatIsNoSuperSegment(t *testing.T) {
	m := Impair(&pipeLink{in: []RxFrame{
		{Data: make([]byte, 14), GSOType: wire.GSOTCP4, GSOSize: 100},
		{Data: make([]byte, 60), GSOType: wire.GSOTCP4, GSOSize: 100},
		{Data: gather(nil, testSegment(wire.TCPAck, make([]byte, 2000))), GSOType: wire.GSOTCP4},
	}}, Impairment{}, func() time.Duration { return 1 })
	if _, err := m.ReadFrame(nil); err != ErrAgain || m.Stats().RxDropped != 3 {
		t.Errorf("%v, %+v", err, m.Stats())
	}
}

// A TCP transfer from a kernel sender arrives whole over a link that loses,
// duplicates, reorders and corrupts.
func TestImpairedTAPTransfer(t *testing.T) {
	tap, ns := openTestTAP(t)
	m := Impair(tap, Impairment{Seed: 7, Duplicate: 0.05, Reorder: 0.05, Corrupt: 0.02, Loss: 0.02}, Now)
	p := newPeer(t, m)
	want := pattern(256 << 10)
	done := make(chan error, 1)
	go func() {
		done <- InNetNS(ns, func() error {
			c, err := net.Dial("tcp4", peerIP.String()+":7")
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			_, err = c.Write(want)
			return err
		})
	}()
	p.accept()
	for got := 0; got < len(want); {
		f, payload := p.receive()
		if len(f.Data) > 1514 {
			t.Fatalf("a frame of %d bytes passed uncut", len(f.Data))
		}
		if !bytes.Equal(payload, want[got:got+len(payload)]) {
			t.Fatalf("payload at %d differs", got)
		}
		got += len(payload)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if rx, _ := m.Impaired(); rx.Lost == 0 || rx.Corrupted == 0 {
		t.Errorf("nothing happened: %+v", rx)
	}
}

func TestParseImpairment(t *testing.T) {
	got, err := ParseImpairment("seed=1,loss=0.02, reorder=0.02,duplicate=0.01,corrupt=0,delay=5ms")
	want := Impairment{Seed: 1, Loss: 0.02, Reorder: 0.02, Duplicate: 0.01, Delay: 5 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if again, err := ParseImpairment(got.String()); err != nil || again != want {
		t.Errorf("%q reads as %+v, %v", got, again, err)
	}
	if got, err := ParseImpairment(" "); err != nil || got != (Impairment{}) {
		t.Errorf("nothing reads as %+v, %v", got, err)
	}
	for text, words := range map[string][]string{
		"loss=2":          {`"loss"`, `"2"`, "from 0 to 1"},
		"loss=NaN":        {`"loss"`, `"NaN"`},
		"loss":            {`"loss"`, `""`},
		"loss=0,loss=0":   {`"loss"`, "twice"},
		"delay=-1s":       {`"delay"`, `"-1s"`, "10s"},
		"delay=5":         {`"delay"`, `"5"`, "5ms"},
		"seed=x":          {`"seed"`, `"x"`, "integer"},
		"lose=1":          {`"lose"`, "seed, loss, duplicate, reorder, corrupt, delay"},
		"loss=0,,delay=0": {`""`},
	} {
		_, err := ParseImpairment(text)
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %v, want %q", text, err, w)
			}
		}
	}
}
