package hostlink

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A clock is one that a test moves.
type testClock struct{ at time.Duration }

func (c *testClock) now() time.Duration { return c.at }

// departure is a frame that left a link, and when.
type departure struct {
	at    time.Duration
	bytes int
}

// plainFrame is a frame that no link looks into.
func plainFrame(n int) *TxFrame { return &TxFrame{Buf: make([]byte, VnetRoom+n)} }

// runDown lets everything that waits leave in its time.
func runDown(m *ShapedLink, inner *pipeLink, clock *testClock) (list []departure) {
	for {
		for _, frame := range inner.out {
			list = append(list, departure{clock.at, len(frame)})
		}
		inner.out = nil
		at, ok := m.Deadline()
		if !ok {
			return list
		}
		clock.at = max(clock.at, at)
		m.Tick()
	}
}

// within checks that in no stretch of time more went than the rate and the burst
// allow, in bytes.
func within(t *testing.T, list []departure, rate, burst int) {
	t.Helper()
	for i := range list {
		sum := 0
		for j := i; j < len(list); j++ {
			sum += list[j].bytes
			if allowed := burst + int((list[j].at-list[i].at)*time.Duration(rate)/time.Second) + 1; sum > allowed {
				t.Fatalf("%d bytes between %v and %v, allowed are %d", sum, list[i].at, list[j].at, allowed)
			}
		}
	}
}

func TestShapeEgress(t *testing.T) {
	clock, inner := &testClock{at: time.Hour}, &pipeLink{}
	m := Shape(inner, Rate{}, Rate{BitsPerSecond: 1_000_000, Burst: 24_000}, clock.now)
	for range 50 {
		m.Transmit(plainFrame(1000))
	}
	if len(inner.out) != 3 {
		t.Fatalf("%d frames passed at once, want the burst of 3", len(inner.out))
	}
	list := runDown(m, inner, clock)
	if len(list) != 50 || clock.at != time.Hour+47*8*time.Millisecond {
		t.Fatalf("%d frames until %v", len(list), clock.at-time.Hour)
	}
	within(t, list, 125_000, 3000)
	// A silence fills the bucket, and no more than that.
	clock.at += time.Minute
	for range 10 {
		m.Transmit(plainFrame(1000))
	}
	if len(inner.out) != 3 {
		t.Fatalf("%d frames after a silence, want 3", len(inner.out))
	}
}

// A frame larger than the burst is not stuck, and pays for itself afterwards.
func TestShapeFrameLargerThanBurst(t *testing.T) {
	clock, inner := &testClock{at: time.Hour}, &pipeLink{}
	m := Shape(inner, Rate{}, Rate{BitsPerSecond: 8000, Burst: 800}, clock.now)
	for range 3 {
		m.Transmit(plainFrame(1500))
	}
	list := runDown(m, inner, clock)
	// Each goes when the bucket is full again: 1.5 s after the one before.
	for i, want := range []time.Duration{0, 1500, 3000} {
		if got := list[i].at - time.Hour; got != want*time.Millisecond {
			t.Errorf("frame %d left at %v", i, got)
		}
	}
}

func TestShapeUnlimitedPassesUntouched(t *testing.T) {
	inner := &pipeLink{in: []RxFrame{{Data: []byte{1}, GSOType: wire.GSOTCP4}}}
	m := Shape(inner, Rate{}, Rate{}, (&testClock{}).now)
	f := testSegment(wire.TCPAck, pattern(60000))
	m.Transmit(f)
	if len(inner.raw) != 1 || inner.raw[0].GSOType != f.GSOType || &inner.raw[0].Buf[0] != &f.Buf[0] {
		t.Fatalf("%d frames", len(inner.raw))
	}
	if _, ok := m.Deadline(); ok {
		t.Error("something waits")
	}
}

// A super-segment that the burst has room for goes whole, also when it waited;
// a larger one is cut, and its packets keep to the rate.
func TestShapeSuperSegments(t *testing.T) {
	payload := pattern(20_000)
	t.Run("whole", func(t *testing.T) {
		clock, inner := &testClock{at: time.Hour}, &pipeLink{}
		m := Shape(inner, Rate{}, Rate{BitsPerSecond: 8_000_000, Burst: 8 * 30_000}, clock.now)
		want := gather(nil, testSegment(wire.TCPAck, payload))
		for range 3 {
			m.Transmit(testSegment(wire.TCPAck, payload))
		}
		runDown(m, inner, clock)
		if len(inner.raw) != 3 {
			t.Fatalf("%d frames, want 3", len(inner.raw))
		}
		for i, f := range inner.raw {
			if f.GSOType != wire.GSOTCP4 || f.GSOSize != 1460 || !f.NeedsCsum || int(f.HdrLen) != len(f.Buf)-VnetRoom {
				t.Errorf("frame %d: %+v", i, f)
			}
		}
		// 13 headers of 54 bytes more than the frame itself count on the wire.
		size := onWire(len(want), 54, 1460)
		if size != len(want)+13*54 {
			t.Fatalf("%d bytes on the wire", size)
		}
		if took := clock.at - time.Hour; took != time.Duration(3*size-30_000)*time.Microsecond {
			t.Errorf("the last left after %v", took)
		}
	})
	t.Run("cut", func(t *testing.T) {
		clock, inner := &testClock{at: time.Hour}, &pipeLink{}
		m := Shape(inner, Rate{}, Rate{BitsPerSecond: 1_000_000, Burst: 8 * 4000}, clock.now)
		m.Transmit(testSegment(wire.TCPAck|wire.TCPPsh, payload))
		var frames [][]byte
		var list []departure
		for {
			for _, f := range inner.out {
				frames = append(frames, f)
				list = append(list, departure{clock.at, len(f)})
			}
			inner.out = nil
			at, ok := m.Deadline()
			if !ok {
				break
			}
			clock.at = max(clock.at, at)
			m.Tick()
		}
		within(t, list, 125_000, 4000)
		var got []byte
		for i, frame := range frames {
			var ip wire.IPv4
			segment, err := wire.ParseIPv4(frame[ethLen:], &ip)
			if err != nil || !wire.TransportChecksumOK(ip.Src, ip.Dst, wire.ProtoTCP, segment) {
				t.Fatalf("frame %d: %v", i, err)
			}
			var h wire.TCP
			data, err := wire.ParseTCP(segment, &h)
			if err != nil || h.Seq != 5000+uint32(len(got)) {
				t.Fatalf("frame %d: %+v, %v", i, h, err)
			}
			got = append(got, data...)
		}
		if !bytes.Equal(got, payload) {
			t.Errorf("%d bytes arrived", len(got))
		}
	})
	t.Run("malformed", func(t *testing.T) {
		clock, inner := &testClock{at: time.Hour}, &pipeLink{}
		m := Shape(inner, Rate{BitsPerSecond: 8000}, Rate{BitsPerSecond: 8000, Burst: 8}, clock.now)
		m.Transmit(plainFrame(1)) // takes the burst
		m.Transmit(&TxFrame{Buf: make([]byte, VnetRoom+40_000), GSOType: wire.GSOTCP4, GSOSize: 1})
		m.Transmit(&TxFrame{Buf: make([]byte, VnetRoom+40_000), GSOType: wire.GSOTCP4, HdrLen: 60_000})
		inner.in = []RxFrame{{Data: make([]byte, 3000), GSOType: wire.GSOTCP4, GSOSize: 100}}
		if _, err := m.ReadFrame(nil); err != ErrAgain {
			t.Error(err)
		}
		if s := m.Stats(); s.TxDropped != 2 || s.RxDropped != 1 || len(inner.out) != 1 {
			t.Errorf("%+v, %d sent", s, len(inner.out))
		}
	})
}

// What waits is bounded, and what finds the queue full is counted.
func TestShapeQueueIsBounded(t *testing.T) {
	clock, inner := &testClock{at: time.Hour}, &pipeLink{}
	m := Shape(inner, Rate{BitsPerSecond: 1000}, Rate{BitsPerSecond: 1000, Burst: 8}, clock.now)
	for range 1000 {
		m.Transmit(testSegment(wire.TCPAck, pattern(50_000)))
		inner.in = append(inner.in, RxFrame{Data: make([]byte, 1500)})
	}
	for range 1000/maxReads + 2 {
		for {
			if _, err := m.ReadFrame(nil); err != nil {
				break
			}
		}
	}
	s := m.Stats()
	if m.tx.bytes > minQueue || m.rx.bytes > minQueue || len(inner.in) != 0 {
		t.Errorf("%d and %d bytes wait, %d frames were left", m.tx.bytes, m.rx.bytes, len(inner.in))
	}
	if s.TxDropped < 900 || s.RxDropped < 900 {
		t.Errorf("%+v", s)
	}
	for _, r := range []Rate{{BitsPerSecond: 1}, {BitsPerSecond: 1e15}, {BitsPerSecond: 1, Burst: 1 << 35}} {
		b := newBucket(r)
		if n := b.limit(); n < minQueue || n > maxQueue {
			t.Errorf("%+v: %d bytes may wait", r, n)
		}
		b.take(FrameRoom, time.Hour)
		// Only the first has spent more than it had.
		if at := b.due(FrameRoom); (at > time.Hour) != (r == Rate{BitsPerSecond: 1}) {
			t.Errorf("%+v: due at %v", r, at)
		}
	}
}

// Ingress keeps to the rate as egress does, and what waited is as it came.
func TestShapeIngress(t *testing.T) {
	clock, inner := &testClock{at: time.Hour}, &pipeLink{}
	m := Shape(inner, Rate{BitsPerSecond: 8_000_000, Burst: 8 * 25_000}, Rate{}, clock.now)
	super := gather(nil, testSegment(wire.TCPAck, pattern(20_000)))
	for range 3 {
		inner.in = append(inner.in, RxFrame{Data: super, NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSOType: wire.GSOTCP4, GSOSize: 1460})
	}
	var list []departure
	buf := make([]byte, FrameRoom)
	for {
		f, err := m.ReadFrame(buf)
		if err == nil {
			if !bytes.Equal(f.Data, super) || !f.NeedsCsum || f.CsumStart != 34 || f.CsumOffset != 16 || f.GSOSize != 1460 {
				t.Errorf("%+v", f)
			}
			list = append(list, departure{clock.at, onWire(len(f.Data), 54, int(f.GSOSize))})
			continue
		}
		at, ok := m.Deadline()
		if !ok {
			break
		}
		clock.at = max(clock.at, at)
		m.Tick()
	}
	if len(list) != 3 {
		t.Fatalf("%d frames", len(list))
	}
	within(t, list, 1_000_000, 25_000)
}

// A wired is a stack of a test with one link.
type wired struct {
	stack *netstack.Stack
	link  *ShapedLink
	pipe  *pipeLink
	num   int
}

func newWired(t *testing.T, clock *testClock, n byte, ingress, egress Rate) *wired {
	t.Helper()
	p, err := sockopt.ProfileByName("linux")
	if err != nil {
		t.Fatal(err)
	}
	w := &wired{pipe: &pipeLink{}}
	w.link = Shape(w.pipe, ingress, egress, clock.now)
	w.stack = netstack.New(netstack.Config{Profile: p, Tunables: p.Tunables, Seed: [32]byte{n}})
	w.stack.Advance(clock.at)
	w.num, err = w.stack.AddLink(netstack.LinkConfig{
		Name: "eth0", MAC: [6]byte{2, 0, 0, 0, 0, n}, MTU: 1500, TxChecksum: true, TSO: true, Sink: w.link,
		Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 99, 0, n}), 24)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.stack.AddRoute(netstack.Route{Dst: netip.MustParsePrefix("10.99.0.0/24"), Link: w.num}); err != nil {
		t.Fatal(err)
	}
	return w
}

// pump carries what a has sent to b.
func (w *wired) pump(to *wired) (moved bool) {
	for i, f := range w.pipe.raw {
		to.pipe.in = append(to.pipe.in, RxFrame{
			Data: w.pipe.out[i], NeedsCsum: f.NeedsCsum, CsumStart: f.CsumStart, CsumOffset: f.CsumOffset,
			CsumValid: !f.NeedsCsum, GSOType: f.GSOType, GSOSize: f.GSOSize,
		})
		moved = true
	}
	w.pipe.raw, w.pipe.out = nil, nil
	return moved
}

func (w *wired) turn(now time.Duration) {
	w.stack.Advance(now)
	if at, ok := w.link.Deadline(); ok && at <= now {
		w.link.Tick()
	}
	for {
		f, err := w.link.ReadFrame(nil)
		if err != nil {
			break
		}
		w.stack.Input(w.num, &f)
	}
	w.stack.Flush()
}

// A flow is the program on either end.
type flow struct {
	sock *tcp.Socket
	send []byte
	got  []byte
	ev   tcp.Events
}

func (f *flow) Event(ev tcp.Events) { f.ev |= ev }
func (f *flow) Deliver(p []byte) int {
	f.got = append(f.got, p...)
	return len(p)
}

// TCP of the stack itself finds the rate, with super-segments larger than the
// burst, whichever side is shaped, and everything arrives.
func TestShapedTCP(t *testing.T) {
	const size = 2 << 20
	slow := Rate{BitsPerSecond: 8_000_000, Burst: 8 * 20_000}
	for name, c := range map[string]struct{ egress, ingress Rate }{
		"egress of the sender": {egress: slow}, "ingress of the receiver": {ingress: slow},
		"a burst smaller than a packet": {egress: Rate{BitsPerSecond: 8_000_000, Burst: 8}},
	} {
		t.Run(name, func(t *testing.T) {
			clock := &testClock{at: time.Hour}
			a := newWired(t, clock, 1, Rate{}, c.egress)
			b := newWired(t, clock, 2, c.ingress, Rate{})
			lst, out := &flow{}, &flow{send: pattern(size)}
			lst.sock = b.stack.NewTCP(sockopt.AFInet, lst)
			to := netip.MustParseAddrPort("10.99.0.2:8080")
			if err := lst.sock.Bind(to, 0, sockopt.Privilege{}); err != nil {
				t.Fatal(err)
			}
			if err := lst.sock.Listen(1); err != nil {
				t.Fatal(err)
			}
			out.sock = a.stack.NewTCP(sockopt.AFInet, out)
			if err := out.sock.Connect(to); err != errno.EINPROGRESS {
				t.Fatal(err)
			}
			var in flow
			for len(in.got) < size {
				if n := min(out.sock.SendSpace(), len(out.send)); n > 0 && out.sock.Connected() {
					out.send = out.send[out.sock.Write(out.send[:n]):]
				}
				if in.sock == nil {
					if s, err := lst.sock.Accept(); err == nil {
						in.sock = s
						s.SetOwner(&in)
						s.Resume()
					}
				}
				a.turn(clock.at)
				b.turn(clock.at)
				if moved := a.pump(b); b.pump(a) || moved {
					continue
				}
				at, found := time.Duration(0), false
				for _, d := range []func() (time.Duration, bool){a.stack.Deadline, b.stack.Deadline, a.link.Deadline, b.link.Deadline} {
					if when, ok := d(); ok && (!found || when < at) {
						at, found = when, true
					}
				}
				if !found {
					t.Fatalf("nothing moves with %d bytes received", len(in.got))
				}
				clock.at = max(clock.at, at)
				if clock.at > time.Hour+time.Minute {
					t.Fatalf("%d bytes in a minute", len(in.got))
				}
			}
			if !bytes.Equal(in.got, pattern(size)) {
				t.Error("other bytes arrived")
			}
			took := clock.at - time.Hour
			line := time.Duration(size) * time.Microsecond // with the headers a little more
			if took < line || took > line*3/2 {
				t.Errorf("%d bytes took %v, the line alone takes %v", size, took, line)
			}
			t.Logf("took %v, %d frames dropped", took, a.link.Stats().TxDropped+b.link.Stats().RxDropped)
		})
	}
}

// A queue that has found its size needs no memory for what passes through it.
func TestShapeDoesNotAllocate(t *testing.T) {
	clock, inner := &testClock{at: time.Hour}, &sink{}
	m := Shape(inner, Rate{}, Rate{BitsPerSecond: 100_000_000, Burst: 8 * 3000}, clock.now)
	f := plainFrame(1500)
	turn := func() {
		for range 1000 {
			m.Transmit(f)
		}
		for at, ok := m.Deadline(); ok; at, ok = m.Deadline() {
			clock.at = max(clock.at, at)
			m.Tick()
		}
	}
	turn()
	if n := testing.AllocsPerRun(20, turn); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if inner.frames == 0 || m.Stats().TxDropped == 0 {
		t.Errorf("%d frames, %+v", inner.frames, m.Stats())
	}
}

// A sink counts what is sent.
type sink struct {
	pipeLink
	frames int
}

func (s *sink) Transmit(*TxFrame) { s.frames++ }
