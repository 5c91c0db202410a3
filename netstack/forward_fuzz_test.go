package netstack

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// watch is a link that checks what leaves by it.
type watch struct {
	t     *testing.T
	check func(f []byte) bool
	n     int
}

func (w *watch) Transmit(f *TxFrame) {
	b := append([]byte(nil), f.Buf[VnetRoom:]...)
	for _, p := range f.Payload {
		b = append(b, p...)
	}
	w.n++
	if len(b) > 1514 && f.GSOType == wire.GSONone || !w.check(b) {
		w.t.Fatalf("%x left", b)
	}
}

// handOn is a forwarder as the engine has it.
type handOn struct{ from, to *Stack }

func (h handOn) Packet(p *ForwardPacket) bool {
	q := *p
	q.Link = 0
	if err := h.to.Forward(&q); err != nil {
		p.MTU = q.MTU
		h.from.Reject(p, 0)
	}
	return true
}

// FuzzBump feeds the two stacks of the inline path with frames from both sides.
// Whatever comes, towards the network goes only what carries the peer's
// addresses, towards the peer only what is for it, and memory
// stays within its bounds. The input is as that of
// FuzzInput; flag 4 is the side.
func FuzzBump(f *testing.F) {
	pack := func(flags byte, frames ...[]byte) (b []byte) {
		for _, x := range frames {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(x))), flags)
			b = append(b, x...)
		}
		return b
	}
	syn := build(eth4(), ip4(6, "10.87.0.1", "10.87.0.2"), &layers.TCP{SrcPort: 9, DstPort: 80, SYN: true, Window: 99})
	for _, side := range []byte{0, 4} {
		f.Add(pack(side, unhex(arpAsk), unhex(arpReply), unhex(arpForged)))
		f.Add(pack(side, cutUp(false, 1, 40, filler(100))...))
		f.Add(pack(side, cutUp(true, 1, 40, filler(100))...))
		f.Add(pack(side|8, syn, udpFrame(false, 100), udpFrame(true, 2000)))
		f.Add(pack(side|1, tooBig(udpFrame(false, 100)[14:], 1000), tooBig(udpFrame(true, 100)[14:], 1290)))
		f.Add(pack(side, nd(255, "fd87::1", "ff02::1:ff00:2", 135, 0, "fd87::2", &macA), nd(255, "fd87::1", "ff02::1", 134, 0, "fd87::1", nil)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ours := func(a netip.Addr) bool {
			return a == addrA || a == ipA6 || a == wire.LinkLocal(macA)
		}
		inner, outer := New(Config{Seed: [32]byte{3}}), New(Config{Seed: [32]byte{4}})
		near := &watch{t: t, check: func(f []byte) bool {
			dst := netip.Addr{}
			switch be16(f[12:]) {
			case wire.EtherARP:
				return f[21] == arpReplyOp
			case wire.EtherIPv4:
				dst, _ = netip.AddrFromSlice(f[30:34])
			case wire.EtherIPv6:
				dst, _ = netip.AddrFromSlice(f[38:54])
			}
			return wire.MAC(f[6:12]) == macB && (wire.MAC(f) == macA && ours(dst) || f[0]&1 == 1)
		}}
		far := &watch{t: t, check: func(f []byte) bool {
			src := netip.Addr{}
			switch be16(f[12:]) {
			case wire.EtherARP:
				return true
			case wire.EtherIPv4:
				src, _ = netip.AddrFromSlice(f[26:30])
			case wire.EtherIPv6:
				src, _ = netip.AddrFromSlice(f[22:38])
			}
			return wire.MAC(f[6:12]) == macA && ours(src)
		}}
		_, err := inner.AddLink(LinkConfig{Name: "in", MAC: macB, MTU: 1500, Transparent: true, PeerMAC: macA, Peers: []netip.Addr{addrA, ipA6}, Sink: near})
		mustNot(t, err)
		_, err = outer.AddLink(LinkConfig{Name: "out", MAC: macA, MTU: 1400, Addrs: prefixes("10.87.0.1/24", "fd87::1/64"), Sink: far})
		mustNot(t, err)
		inner.SetForwarder(handOn{inner, outer})
		outer.SetForwarder(handOn{outer, inner})
		offered := func(p *tcp.Pending) bool {
			switch p.Header().Seq % 4 {
			case 0:
				return false
			case 1:
				p.Refuse()
			case 2:
				p.Unreachable(0)
			}
			return true
		}
		inner.TCP().SetOffer(offered)
		outer.TCP().SetOffer(offered)
		now := time.Second
		for len(b) >= 3 {
			n, flags := int(binary.BigEndian.Uint16(b)), b[2]
			b = b[3:]
			n = min(n, len(b))
			x := RxFrame{Data: fix(append([]byte(nil), b[:n]...)), CsumValid: flags&1 != 0, NeedsCsum: flags&2 != 0, CsumStart: uint16(flags >> 3 & 1 * 34)}
			b = b[n:]
			if flags&4 != 0 {
				if len(x.Data) > 12 { // the other way round
					copy(x.Data[6:], macB[:])
					if x.Data[0]&1 == 0 {
						copy(x.Data, macA[:])
					}
				}
				outer.Input(1, &x)
			} else {
				inner.Input(1, &x)
			}
			now += time.Duration(flags>>4) * 100 * time.Millisecond
			for _, s := range []*Stack{inner, outer} {
				s.Advance(now)
				s.Flush()
				if s.reasm.used > reasmMaxBytes || s.neigh.held > maxHeldTotal || len(s.neigh.list) > maxNeighbours || s.TCP().PendingLen() > tcp.MaxPending {
					t.Fatal("a bound is passed")
				}
			}
		}
		for range 10 {
			now += 60 * time.Second
			for _, s := range []*Stack{inner, outer} {
				s.Advance(now)
				s.Flush()
			}
		}
		for _, s := range []*Stack{inner, outer} {
			if s.Pool().InUse() != 0 || s.TCP().PendingLen() != 0 {
				t.Fatalf("%d bytes and %d offers for ever", s.Pool().InUse(), s.TCP().PendingLen())
			}
		}
	})
}

// arpReplyOp is the low byte of the operation of an ARP reply.
const arpReplyOp = 2
