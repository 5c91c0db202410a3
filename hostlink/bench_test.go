package hostlink

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// The sizes of the payloads: a super-segment, and a segment at an MTU of 1500.
var benchSizes = []int{65160, 1460}

// benchFrame is a segment to no socket, which the kernel answers with a reset:
// the cost is the link's and that of the way into the kernel.
func benchFrame(size int) *TxFrame {
	f := testSegment(wire.TCPAck, make([]byte, size))
	// In pieces of a stack's chunks.
	p := f.Payload[0]
	f.Payload = nil
	for len(p) > 0 {
		n := min(len(p), 16<<10)
		f.Payload, p = append(f.Payload, p[:n]), p[n:]
	}
	return f
}

func benchTransmit(b *testing.B, l Link) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			f := benchFrame(size)
			before := l.Stats()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				l.Transmit(f)
			}
			if s := l.Stats(); s.TxDropped+s.TxErrors != before.TxDropped+before.TxErrors {
				b.Errorf("counters %+v, before %+v", s, before)
			}
		})
	}
}

func BenchmarkTAPTransmit(b *testing.B) {
	tap, _ := openTestTAP(b)
	benchTransmit(b, tap)
}

func BenchmarkPacketTransmit(b *testing.B) {
	p, _ := openTestPacket(b)
	benchTransmit(b, p)
}

// benchRead reads frames that feed put in, a batch at a time.
func benchRead(b *testing.B, l Link, feed Link) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			f, buf := benchFrame(size), make([]byte, FrameRoom)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for {
					got, err := l.ReadFrame(buf)
					if err == nil && len(got.Data) < size {
						continue // the kernel's own
					}
					if err == nil {
						n++
						break
					}
					if !errors.Is(err, ErrAgain) {
						b.Fatal(err)
					}
					b.StopTimer()
					for range 64 {
						feed.Transmit(f)
					}
					b.StartTimer()
				}
			}
			if n == 0 {
				b.Error("nothing read")
			}
		})
	}
}

// BenchmarkTAPRead feeds the TAP through a packet socket on its device.
func BenchmarkTAPRead(b *testing.B) {
	tap, ns := openTestTAP(b)
	feed, err := OpenPacket("tap0", ns)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = feed.Close() }()
	benchRead(b, tap, feed)
}

// BenchmarkPacketRead feeds one end of a veth pair through the other.
func BenchmarkPacketRead(b *testing.B) {
	p, ns := openTestPacket(b)
	feed, err := OpenPacket("veth0", ns)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = feed.Close() }()
	benchRead(b, p, feed)
}

// The data path neither allocates on the way out nor on the way in.
func TestTAPDoesNotAllocate(t *testing.T) {
	tap, ns := openTestTAP(t)
	f, buf := benchFrame(60000), make([]byte, FrameRoom)
	if n := testing.AllocsPerRun(100, func() { tap.Transmit(f) }); n != 0 {
		t.Errorf("%v allocations to transmit", n)
	}
	err := InNetNS(ns, func() error {
		dev, err := netlink.LinkByName("tap0")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: dev.Attrs().Index, IP: peerIP.AsSlice(), HardwareAddr: peerMAC, State: netlink.NUD_PERMANENT})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = InNetNS(ns, func() error {
		c, err := net.Dial("udp4", peerIP.String()+":9")
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		for range 200 {
			if _, err := c.Write(make([]byte, 1000)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = tap.ReadFrame(buf) }); n != 0 {
		t.Errorf("%v allocations to read", n)
	}
}
