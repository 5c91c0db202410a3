package hostlink

import (
	"testing"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// FuzzCutter feeds super-segments of any content: what comes out must fit
// together, and nothing may be read beyond the frame.
//
// The seeds are small: the fuzzer spends its time on making them smaller.
func FuzzCutter(f *testing.F) {
	f.Add(gather(nil, testSegment(wire.TCPAck, pattern(64))), 20)
	f.Add(gather(nil, frameOf(wire.EtherIPv4, ipv4(wire.ProtoUDP, make([]byte, 48), 0))), 16)
	v6 := make([]byte, wire.IPv6Len+40)
	v6[0], v6[4], v6[5], v6[6] = 0x60, 0, 40, wire.ProtoUDP
	f.Add(gather(nil, frameOf(wire.EtherIPv6, v6)), 9)
	f.Fuzz(func(t *testing.T, frame []byte, size int) {
		if len(frame) > FrameRoom {
			return
		}
		if at, ok := findLayout(frame); ok {
			if at.ip > at.l4 || at.l4 > at.end || at.end > len(frame) {
				t.Fatalf("%+v in %d bytes", at, len(frame))
			}
			at.covered(frame)
		}
		size %= 1 << 16
		var c cutter
		if !c.start(frame, size) {
			return
		}
		total := 0
		for c.more() {
			dst := make([]byte, c.length())
			c.next(dst)
			total += len(dst) - c.hdrLen
			if at, ok := findLayout(dst); !ok || at.end != len(dst) || at.l4 != c.at.l4 {
				t.Fatalf("segment of %d bytes: %+v %v", len(dst), at, ok)
			}
		}
		if want := c.at.end - c.hdrLen; total != want {
			t.Fatalf("segments carry %d bytes of %d", total, want)
		}
	})
}

func FuzzParseImpairment(f *testing.F) {
	f.Add("seed=1,loss=0.02,reorder=0.02,duplicate=0.01,corrupt=0,delay=5ms")
	f.Add("loss=1e-3,,delay=10s")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := ParseImpairment(text)
		if err != nil {
			return
		}
		if again, err := ParseImpairment(i.String()); err != nil || again != i {
			t.Fatalf("%q reads as %+v, written %q reads as %+v, %v", text, i, i, again, err)
		}
	})
}
