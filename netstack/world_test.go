package netstack

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A world is two stacks on one wire, in virtual time.
type world struct {
	t    *testing.T
	a, b *Stack
	ab   *cable // frames from a
	ba   *cable
	now  time.Duration
}

// cable takes the frames of one direction.
type cable struct {
	frames []frame
	log    []frame // everything that was ever sent
	drop   func(f frame) bool
}

type frame struct {
	data []byte
	tx   TxFrame // without the memory
}

func (c *cable) Transmit(f *TxFrame) {
	data := append([]byte(nil), f.Buf[VnetRoom:]...)
	for _, p := range f.Payload {
		data = append(data, p...)
	}
	x := frame{data: data, tx: *f}
	x.tx.Buf, x.tx.Payload = nil, nil
	c.log = append(c.log, x)
	if c.drop == nil || !c.drop(x) {
		c.frames = append(c.frames, x)
	}
}

var (
	macA  = wire.MAC{2, 0, 10, 87, 0, 1}
	macB  = wire.MAC{2, 0, 10, 87, 0, 2}
	addrA = netip.MustParseAddr("10.87.0.1")
	addrB = netip.MustParseAddr("10.87.0.2")
	ipA6  = netip.MustParseAddr("fd87::1")
	ipB6  = netip.MustParseAddr("fd87::2")
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

type option func(a, b *LinkConfig)

func offload(a, b *LinkConfig) { a.TxChecksum, a.TSO, b.TxChecksum, b.TSO = true, true, true, true }

func withMTU(n int) option { return func(a, b *LinkConfig) { a.MTU, b.MTU = n, n } }

func newWorld(t *testing.T, opts ...option) *world {
	w := &world{t: t, a: New(Config{Seed: [32]byte{1}}), b: New(Config{Seed: [32]byte{2}}), ab: &cable{}, ba: &cable{}, now: time.Second}
	ca := LinkConfig{Name: "eth0", MAC: macA, MTU: 1500, Addrs: prefixes("10.87.0.1/24", "fd87::1/64"), Sink: w.ab}
	cb := LinkConfig{Name: "eth0", MAC: macB, MTU: 1500, Addrs: prefixes("10.87.0.2/24", "fd87::2/64"), Sink: w.ba}
	for _, o := range opts {
		o(&ca, &cb)
	}
	for _, x := range []struct {
		s *Stack
		c LinkConfig
	}{{w.a, ca}, {w.b, cb}} {
		if _, err := x.s.AddLink(x.c); err != nil {
			t.Fatal(err)
		}
		x.s.Advance(w.now)
		x.s.Flush()
	}
	w.wait(2 * time.Second) // everything is announced
	w.ab.log, w.ba.log = nil, nil
	return w
}

// settle carries frames until both stacks are quiet, without moving the clock.
func (w *world) settle() {
	for range 10000 {
		w.a.Flush()
		w.b.Flush()
		if len(w.ab.frames)+len(w.ba.frames) == 0 {
			return
		}
		carry(w.ab, w.b)
		carry(w.ba, w.a)
	}
	w.t.Fatal("the stacks do not come to rest")
}

func carry(c *cable, to *Stack) {
	list := c.frames
	c.frames = nil
	for _, f := range list {
		to.Input(1, &RxFrame{Data: f.data, NeedsCsum: f.tx.NeedsCsum, GSOType: f.tx.GSOType, GSOSize: f.tx.GSOSize})
	}
}

// wait moves the clock by d, stopping at every deadline.
func (w *world) wait(d time.Duration) {
	end := w.now + d
	for range 100000 {
		w.settle()
		next := end
		for _, s := range []*Stack{w.a, w.b} {
			if at, ok := s.Deadline(); ok && at < next {
				next = at
			}
		}
		w.now = max(next, w.now)
		w.a.Advance(w.now)
		w.b.Advance(w.now)
		w.settle()
		if next == end {
			return
		}
	}
	w.t.Fatal("deadlines without end")
}

// decode has an independent implementation look at every frame of a cable: its
// structure, lengths and checksums. Frames whose checksum the link was to finish
// are left alone.
func decode(t *testing.T, log []frame) (out []gopacket.Packet) {
	t.Helper()
	for i, f := range log {
		p := gopacket.NewPacket(f.data, layers.LayerTypeEthernet, gopacket.Default)
		if e := p.ErrorLayer(); e != nil {
			t.Fatalf("frame %d: %v\n%s", i, e.Error(), p.Dump())
		}
		out = append(out, p)
		if ip, ok := p.NetworkLayer().(*layers.IPv4); ok {
			if int(ip.Length) != len(f.data)-14 {
				t.Fatalf("frame %d: IPv4 length %d of %d", i, ip.Length, len(f.data)-14)
			}
			if wire.Sum(ip.Contents, 0) != 0xffff {
				t.Fatalf("frame %d: IPv4 header checksum", i)
			}
			if ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0 {
				continue
			}
		}
		if p.Layer(layers.LayerTypeIPv6Fragment) != nil || f.tx.NeedsCsum {
			continue
		}
		if l, ok := p.TransportLayer().(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			mustNot(t, l.SetNetworkLayerForChecksum(p.NetworkLayer()))
		}
		if l, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok {
			mustNot(t, l.SetNetworkLayerForChecksum(p.NetworkLayer()))
		}
		errs, mismatches := p.VerifyChecksums()
		if errs != nil || len(mismatches) != 0 {
			t.Fatalf("frame %d: checksums %v %v\n%s", i, errs, mismatches, p.Dump())
		}
	}
	return out
}

// udpApp records what a UDP socket gets.
type udpApp struct {
	from []netip.AddrPort
	to   []netip.Addr
	data [][]byte
	errs []errno.Errno
	full bool
}

func (u *udpApp) Deliver(from netip.AddrPort, to netip.Addr, _ udp.Marks, p []byte) bool {
	if u.full {
		return false
	}
	u.from, u.to, u.data = append(u.from, from), append(u.to, to), append(u.data, append([]byte(nil), p...))
	return true
}

func (u *udpApp) Error(e errno.Errno) { u.errs = append(u.errs, e) }

// tcpApp records what a TCP socket gets.
type tcpApp struct {
	events tcp.Events
	data   []byte
}

func (a *tcpApp) Deliver(p []byte) int { a.data = append(a.data, p...); return len(p) }
func (a *tcpApp) Event(ev tcp.Events)  { a.events |= ev }
func ap(s string) netip.AddrPort       { return netip.MustParseAddrPort(s) }
func be16(b []byte) uint16             { return binary.BigEndian.Uint16(b) }
func mustNot(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// filler is n bytes that are not periodic in small steps.
func filler(n int) []byte {
	b := make([]byte, n)
	x := uint32(n)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func (f frame) String() string { return hex.EncodeToString(f.data) }
