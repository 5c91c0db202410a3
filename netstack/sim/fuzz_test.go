package sim

// Whole conversations by a fuzzer: it chooses the world, the calls, and what
// happens to each segment on the wire.

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// FuzzPair: the first eight bytes choose tunables, options and whether segments
// may be forged; every four bytes after that are a call, time that passes, or
// the fate of a segment to come. Without forgeries everything that a world is
// checked for must hold; with them, that nothing panics, hangs, leaks, or breaks
// what a layer says of itself.
func FuzzPair(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0, 50, 0, 0, 1, 1, 200, 0, 0, 250, 0, 0})
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 1, 0, 255, 255, 16, 0, 0, 0, 17, 3, 1, 0, 18, 5, 9, 0, 0, 255, 0, 0, 2, 0, 0, 0, 2, 1, 0, 0})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9, 9, 20, 1, 5, 200, 21, 2, 7, 3, 22, 1, 16, 0, 0, 20, 0, 0, 23, 0, 4, 0, 1, 1, 8, 8, 0, 200, 0, 0})
	f.Add(bytes.Repeat([]byte{1, 1, 4, 200, 16, 2, 1, 0, 19, 1, 0, 3, 0, 9, 0, 0}, 12))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < 8 || len(in) > 8+4*300 {
			return
		}
		if err := playPair(in[:8], in[8:]); err != nil {
			t.Fatal(err)
		}
	})
}

// A fuzzPair is two hosts, a line between them that a fuzzer holds, and up to
// three connections.
type fuzzPair struct {
	w       *World
	a, b    *Host
	server  *Server
	clients []*Program
	forging bool
	gentle  bool // nobody has given a connection up
	fates   []fate4
	last    packet
}

// A fate4 is what four bytes say about the n-th segment after they were read.
type fate4 struct {
	kind, n, x, y byte
}

func playPair(head, ops []byte) error {
	pick := func(i int, list ...string) string { return list[int(head[i])%len(list)] }
	set := func(i int) map[string]string {
		return map[string]string{
			"tcp_sack":               pick(i, "1", "1", "0"),
			"tcp_timestamps":         pick(i+1, "1", "0"),
			"tcp_window_scaling":     pick(i+1, "1", "1", "1", "0"),
			"tcp_syncookies":         pick(i+2, "1", "0", "2"),
			"tcp_congestion_control": tcp.CongestionNames()[int(head[i+2])%len(tcp.CongestionNames())],
			"tcp_rmem":               pick(i, "4096 131072 6291456", "4096 8192 16384"),
		}
	}
	w := New(uint64(head[7]))
	w.Audit, w.MaxSteps = true, 1_000_000
	p := &fuzzPair{w: w, a: w.HostWith(set(1), "10.0.0.1", "fd00::1"), b: w.HostWith(set(4), "10.0.0.2", "fd00::2")}
	p.forging, p.gentle = head[0]&1 != 0, head[0]&1 == 0
	way := Way{Delay: 5 * time.Millisecond, Boxes: []Box{p.fate}}
	w.Join(p.a, p.b, way)
	p.a.SetGSO(int(head[0]&2) * 5000)
	addr := "10.0.0.2:80"
	if head[0]&4 != 0 {
		addr = "[fd00::2]:80"
	}
	var err error
	p.server, err = p.b.Listen(addr, int(head[0]>>4), func() *Program {
		return &Program{Name: "server", Key: 2, PeerKey: 1, Expect: -1, KeepOpen: true}
	})
	if err != nil {
		return err
	}
	for ; len(ops) >= 4; ops = ops[4:] {
		p.step(addr, ops[0], ops[1], ops[2], ops[3])
		if err := p.check(); err != nil {
			return err
		}
	}
	return p.finish()
}

// step does what four bytes say.
func (p *fuzzPair) step(addr string, kind, x, y, z byte) {
	if kind >= 16 {
		if len(p.fates) < 64 {
			p.fates = append(p.fates, fate4{kind - 16, x, y, z})
		}
		return
	}
	if len(p.clients) == 0 || kind == 15 && len(p.clients) < 3 {
		c := &Program{Name: "client", Key: 1, PeerKey: 2, Expect: -1, KeepOpen: true}
		if p.a.Connect(addr, c) == nil {
			p.clients = append(p.clients, c)
		}
	}
	all := append(append([]*Program(nil), p.clients...), p.server.Accepted...)
	q := all[int(x)%len(all)]
	n := int(y)<<8 | int(z)
	switch kind {
	case 0:
		p.w.Run(time.Duration(int(x)*int(x))*time.Millisecond, func() bool { return false })
	case 1, 2, 3:
		q.ToSend += n
		q.Pump()
	case 4:
		q.MarkLater(n)
	case 5: // read in pieces, of a byte at least and not for ever
		q.turn, q.Read, q.Pause = 0, n, time.Duration(20+int(z))*time.Millisecond
	case 6:
		q.KeepOpen = false
		q.Pump()
	case 7:
		q.S.Resume()
	case 8:
		for _, o := range []string{"TCP_NODELAY", "TCP_CORK", "TCP_QUICKACK", "SO_KEEPALIVE"} {
			if y&1 != 0 {
				q.H.SetOption(q.S, o, int(z&1))
			}
			y >>= 1
		}
	case 9:
		q.H.coarse = true
		q.H.SetOption(q.S, "SO_RCVBUF", n)
	case 10:
		q.H.SetOption(q.S, "TCP_MAXSEG", 88+n%1400)
	case 11:
		p.gentle = false
		if z > 200 {
			q.S.Close()
		}
	case 12:
		p.gentle = false
		if z > 200 {
			q.S.Abort()
		}
	case 13:
		p.gentle = false
		if z > 200 {
			q.S.CloseRead()
		}
	case 14:
		q.H.SetOption(q.S, "TCP_CONGESTION", tcp.CongestionNames()[n%len(tcp.CongestionNames())])
	}
}

// MarkLater has a byte that is still to be written sent as urgent.
func (p *Program) MarkLater(n int) {
	if p.UrgentAt <= p.Sent {
		p.UrgentAt = p.Sent + 1 + n%1000
	}
}

// fate is the box on both directions of the line.
func (p *fuzzPair) fate(k *packet) bool {
	for i := range p.fates {
		f := &p.fates[i]
		if f.n > 0 {
			f.n--
			continue
		}
		this := *f
		p.fates = append(p.fates[:i], p.fates[i+1:]...)
		return p.befall(k, this)
	}
	p.last = *k
	return true
}

// befall does to a packet what was drawn; false drops it.
func (p *fuzzPair) befall(k *packet, f fate4) bool {
	to := p.a.routes[k.dst]
	if to == nil {
		to = p.b.routes[k.dst]
	}
	again := func(c packet, after time.Duration) {
		p.w.After(after, func() { to.to.arrive(c) })
	}
	late := time.Duration(int(f.x)*int(f.x)) * 100 * time.Microsecond
	switch f.kind % 16 {
	case 0:
		return false
	case 1:
		again(*k, late)
	case 2:
		again(*k, late)
		return false
	case 3:
		k.segment = bytes.Clone(k.segment)
		k.segment[int(f.x)%len(k.segment)] ^= 1 + f.y&0x7f
	case 4:
		StripOptions(OptSACK)(k)
	case 5:
		MarkAll(k)
	case 6:
		again(p.last.orElse(*k), late)
	default:
		if p.forging {
			k.edit(func(seg []byte) { forge(seg, f) })
			if f.kind&32 != 0 { // both the forged one and the true one
				again(*k, late)
			}
		}
	}
	return true
}

// orElse is the packet, if there is one.
func (k packet) orElse(other packet) packet {
	if k.segment == nil || k.dst != other.dst {
		return other
	}
	return k
}

// forge changes a field of the segment.
func forge(seg []byte, f fate4) {
	add := func(at int, by int32) {
		binary.BigEndian.PutUint32(seg[at:], binary.BigEndian.Uint32(seg[at:])+uint32(by))
	}
	n := int32(int8(f.x))
	if f.y&1 != 0 {
		n *= 1000
	}
	switch f.kind % 16 {
	case 7:
		add(4, n)
	case 8:
		add(8, n)
	case 9:
		seg[13] = f.x
	case 10:
		seg[14], seg[15] = f.x, f.y
	case 11:
		seg[18], seg[19] = 0, f.x
		seg[13] |= byte(wire.TCPUrg)
	case 12:
		if off := int(seg[12]>>4) * 4; off > 20 {
			seg[20+int(f.x)%(off-20)] = f.y
		}
	case 13:
		seg[12] = seg[12]&0x0f | f.x<<4
	case 14:
		seg[13] ^= 1 << (f.x & 7)
	case 15:
		if len(seg) > 20 {
			seg[20+int(f.x)%(len(seg)-20)] ^= f.y
		}
	}
}

// check is what must hold at any time.
func (p *fuzzPair) check() error {
	for i, h := range []*Host{p.a, p.b} {
		if err := h.TCP.Audit(); err != nil {
			return fmt.Errorf("host %d: %w", i, err)
		}
		if p.forging {
			// What a bystander believes was forged too.
			h.Broken, p.w.broken = nil, false
		}
	}
	if p.forging {
		return nil
	}
	for _, q := range append(append([]*Program(nil), p.clients...), p.server.Accepted...) {
		if q.Bad != nil {
			return q.Bad
		}
	}
	return p.w.Broken()
}

// finish lets everything arrive, closes, and looks for what is left.
func (p *fuzzPair) finish() error {
	p.fates = nil
	all := append(append([]*Program(nil), p.clients...), p.server.Accepted...)
	for range 4 { // what a bystander believes makes the world stop after a forgery
		p.w.Run(10*time.Minute, func() bool { return false })
		if err := p.check(); err != nil {
			return err
		}
	}
	if p.gentle {
		if err := p.whole(); err != nil {
			return err
		}
	}
	p.server.S.Close()
	for _, q := range append(all, p.server.Accepted...) {
		q.S.Close()
	}
	p.w.Run(300*time.Hour, nil)
	for p.forging && p.w.broken && p.w.steps <= p.w.MaxSteps {
		p.a.Broken, p.b.Broken, p.w.broken = nil, nil, false
		p.w.Run(300*time.Hour, nil)
	}
	if err := p.w.Broken(); err != nil {
		return err
	}
	for i, h := range []*Host{p.a, p.b} {
		for s := range h.TCP.Sockets {
			return fmt.Errorf("host %d: left in %v", i, s.State())
		}
		if n := h.Pool.InUse(); n != 0 {
			return fmt.Errorf("host %d: %d bytes are left", i, n)
		}
		if at, ok := h.TCP.Deadline(); ok {
			return fmt.Errorf("host %d: a timer is left at %v", i, at)
		}
	}
	return nil
}

// whole: what was written has arrived, in connections that nobody gave up.
func (p *fuzzPair) whole() error {
	servers := make(map[netip.AddrPort]*Program)
	for _, q := range p.server.Accepted {
		if servers[q.S.RemoteAddr()] == nil {
			servers[q.S.RemoteAddr()] = q
		}
	}
	for _, c := range p.clients {
		q := servers[c.S.LocalAddr()]
		if q == nil || c.Err != 0 || q.Err != 0 {
			if c.Err != 0 && c.Err != errno.ETIMEDOUT && c.Err != errno.ECONNRESET {
				return fmt.Errorf("client: %w", c.Err)
			}
			continue // a cookie that did not fit, a SYN that had no room
		}
		slow := func(r *Program) bool { return r.paused || r.Read > 0 }
		if q.Got != c.Sent && !slow(q) || c.Got != q.Sent && !slow(c) {
			return fmt.Errorf("%v: server got %d of %d, client %d of %d", c.S.LocalAddr(), q.Got, c.Sent, c.Got, q.Sent)
		}
	}
	return nil
}
