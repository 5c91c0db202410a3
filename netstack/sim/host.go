package sim

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Host is one TCP layer with addresses, and the Network below it.
type Host struct {
	W    *World
	TCP  *tcp.Layer
	Pool buf.Pool
	// Tap sees every segment that the host sends or receives, before loss.
	Tap func(out bool, src, dst netip.Addr, h *wire.TCP, payload []byte)

	addrs   []netip.Addr
	routes  map[netip.Addr]*route // by the peer's address
	secret  [32]byte
	inbox   []packet
	rx      tcp.Rx
	watches map[watchKey]*watch
	// Broken is the first rule that the host was seen to break.
	Broken error
	// Profile is that of the host's options.
	Profile *sockopt.Profile
	// BadSums counts segments that were dropped for their checksum.
	BadSums  int
	gso      int
	searches bool // for the path's MTU without ICMP
	coarse   bool // programs make their receive buffers smaller
}

// Host adds a host with the given addresses and the default options.
func (w *World) Host(addrs ...string) *Host { return w.HostWith(nil, addrs...) }

// HostWith is Host with tunables by name; it panics on a bad one.
func (w *World) HostWith(set map[string]string, addrs ...string) *Host {
	profile, err := sockopt.ProfileByName(cmp.Or(w.Profile, "linux"))
	if err != nil {
		panic(err)
	}
	tun, err := sockopt.NewTunables(profile, set)
	if err != nil {
		panic(err)
	}
	h := &Host{W: w, routes: make(map[netip.Addr]*route), watches: make(map[watchKey]*watch), gso: 65000, Profile: profile}
	for _, a := range addrs {
		h.addrs = append(h.addrs, netip.MustParseAddr(a))
	}
	for i := range h.secret {
		h.secret[i] = byte(w.rng.Uint64())
	}
	h.TCP = tcp.NewLayer(h, &h.Pool, profile, tun)
	w.hosts = append(w.hosts, h)
	return h
}

// Join connects two hosts; the same impairments hold both ways.
func (w *World) Join(a, b *Host, way Way) { w.JoinWays(a, b, way, way) }

// JoinWays connects two hosts by different ways there and back.
func (w *World) JoinWays(a, b *Host, there, back Way) {
	w.Route(a, b, w.Line(there))
	w.Route(b, a, w.Line(back))
}

// Lines are those that packets to addr take, nearest first.
func (h *Host) Lines(addr string) []*Line { return h.routes[netip.MustParseAddr(addr)].lines }

// Cut takes the host's line to addr down or up again; it is how a peer falls
// silent.
func (h *Host) Cut(addr string, down bool) { h.Lines(addr)[0].Down(down) }

// SetMTU changes what the host's line to addr carries; larger packets are lost,
// or answered by ICMP if the line's TooBig says so.
func (h *Host) SetMTU(addr string, mtu int) { h.Lines(addr)[0].MTU = mtu }

// SetOption sets an option of s by its name, to numbers or to a word.
func (h *Host) SetOption(s *tcp.Socket, name string, values ...any) error {
	for _, r := range h.Profile.Rows() {
		if r.Name != name {
			continue
		}
		var val []byte
		for _, v := range values {
			switch v := v.(type) {
			case int:
				val = binary.NativeEndian.AppendUint32(val, uint32(v))
			case string:
				val = append(val, v...)
			}
		}
		_, err := h.Profile.Set(s, r.Level, r.Number, val, sockopt.Privilege{})
		return err
	}
	return errno.ENOPROTOOPT
}

// SetGSO bounds the payload of super-segments; 0 switches them off.
func (h *Host) SetGSO(n int) { h.gso = n }

// Now implements tcp.Network.
func (h *Host) Now() time.Duration { return h.W.now }

// Rand32 implements tcp.Network.
func (h *Host) Rand32() uint32 { return h.W.rng.Uint32() }

// Secret implements tcp.Network.
func (h *Host) Secret() *[32]byte { return &h.secret }

// Wake implements tcp.Network; hosts are flushed at every step anyway.
func (h *Host) Wake() {}

// Unreachable is part of tcp.Network; nothing offers SYNs here.
func (h *Host) Unreachable(*tcp.Rx, errno.Errno) {}

// IsLocal implements tcp.Network.
func (h *Host) IsLocal(addr netip.Addr) bool {
	return addr.IsLoopback() || slices.Contains(h.addrs, addr)
}

// IsBroadcast implements tcp.Network; hosts here have no such address.
func (h *Host) IsBroadcast(netip.Addr) bool { return false }

// Route implements tcp.Network.
func (h *Host) Route(src, dst netip.Addr, _ int) (tcp.Path, error) {
	if src.IsValid() && !h.IsLocal(src) {
		return tcp.Path{}, errno.EADDRNOTAVAIL
	}
	if h.IsLocal(dst) {
		if !src.IsValid() {
			src = dst
		}
		return tcp.Path{Src: src, Dst: dst, MTU: 65535, GSOMax: h.gso, Link: -1, Local: true}, nil
	}
	r := h.routes[dst]
	if r == nil {
		return tcp.Path{}, errno.ENETUNREACH
	}
	for _, a := range h.addrs {
		if !src.IsValid() && a.Is4() == dst.Is4() {
			src = a
		}
	}
	if !src.IsValid() {
		return tcp.Path{}, errno.EADDRNOTAVAIL
	}
	return tcp.Path{Src: src, Dst: dst, MTU: r.lines[0].mtu(), GSOMax: h.gso, Link: 1}, nil
}

// Transmit implements tcp.Network: super-segments are cut here.
func (h *Host) Transmit(p *tcp.Path, t *wire.TCP, payload [][]byte, gso int) {
	all := slices.Concat(payload...)
	if gso <= 0 {
		gso = max(len(all), 1)
	}
	flags := t.Flags
	for off := 0; ; {
		n := min(gso, len(all)-off)
		seg := *t
		seg.Seq += uint32(off)
		if off+n < len(all) {
			seg.Flags = flags &^ (wire.TCPFin | wire.TCPPsh)
		}
		if off > 0 {
			seg.Flags &^= wire.TCPCwr // only the first tells (RFC 3168 section 6.1.2)
		}
		h.emit(p, &seg, all[off:off+n])
		if off += n; off >= len(all) {
			return
		}
	}
}

func (h *Host) emit(p *tcp.Path, t *wire.TCP, payload []byte) {
	if h.Tap != nil {
		h.Tap(true, p.Src, p.Dst, t, payload)
	}
	if err := h.watchOut(t, p.Src, p.Dst, len(payload)); err != nil {
		h.breaks(err)
	}
	pk := packet{from: h, src: p.Src, dst: p.Dst, segment: append(t.AppendTo(nil), payload...), tos: p.TOS, ttl: p.TTL, mayFragment: p.NoDF && p.Src.Is4()}
	if pk.ttl == 0 {
		pk.ttl = 64
	}
	sign(&pk)
	h.W.note(pk.segment[:min(len(pk.segment), 80)])
	if p.Local {
		h.W.After(0, func() { h.arrive(pk) })
		return
	}
	r := h.routes[p.Dst]
	r.carry(pk, r.lines)
}

// tooBig is an ICMP error about a packet of this host's.
func (h *Host) tooBig(src, dst netip.Addr, segment []byte, mtu int) {
	h.TCP.ICMP(src, dst, segment[:8], tcp.ICMPError{MTU: mtu})
}

func (h *Host) arrive(p packet) { h.inbox = append(h.inbox, p) }

// settle takes in what has arrived and sends what is owed.
func (h *Host) settle() {
	for i := 0; i < len(h.inbox); {
		i += h.take(h.inbox[i:])
	}
	h.inbox = h.inbox[:0]
	h.TCP.Flush()
}

// take gives the first packet of list to TCP, merged with those that continue
// it, and returns how many that was.
func (h *Host) take(list []packet) int {
	if !wire.TransportChecksumOK(list[0].src, list[0].dst, 6, list[0].segment) {
		h.BadSums++
		return 1
	}
	h.rx = tcp.Rx{Src: list[0].src, Dst: list[0].dst, Link: 1, TTL: list[0].ttl, TOS: list[0].tos}
	payload, err := wire.ParseTCP(list[0].segment, &h.rx.Header)
	if err != nil {
		return 1
	}
	n := 1
	if h.routes[h.rx.Src] != nil && len(payload) > 0 && h.mergeable() {
		payload, n = h.merge(list, payload)
	}
	h.rx.Payload = payload
	if h.Tap != nil {
		h.Tap(false, h.rx.Src, h.rx.Dst, &h.rx.Header, payload)
	}
	h.watchIn(&h.rx.Header, h.rx.Src, h.rx.Dst, len(payload))
	h.TCP.Input(&h.rx)
	return n
}

// breaks notes that the host broke a rule.
func (h *Host) breaks(err error) {
	if h.Broken == nil {
		h.Broken = err
		h.W.broken = true
	}
}

func (h *Host) mergeable() bool {
	return h.rx.Header.Raw == nil && h.rx.Header.Flags&^(wire.TCPAck|wire.TCPPsh) == 0
}

// merge is what GRO does: consecutive segments of one flow with equal headers.
func (h *Host) merge(list []packet, first []byte) ([]byte, int) {
	all, size := slices.Clone(first), len(first)
	n := 1
	for ; n < len(list) && h.rx.Header.Flags&wire.TCPPsh == 0; n++ {
		var t wire.TCP
		p, err := wire.ParseTCP(list[n].segment, &t)
		in := &h.rx.Header
		if err != nil || t.Raw != nil || list[n].src != h.rx.Src || list[n].dst != h.rx.Dst || list[n].tos != h.rx.TOS ||
			t.SrcPort != in.SrcPort || t.DstPort != in.DstPort ||
			t.Seq != in.Seq+uint32(len(all)) || t.Ack != in.Ack || t.Window != in.Window ||
			t.TSVal != in.TSVal || t.NSACK != in.NSACK || len(p) == 0 || len(p) > size ||
			t.Flags&^(wire.TCPAck|wire.TCPPsh) != 0 || len(all)+len(p) > 65000 ||
			!wire.TransportChecksumOK(list[n].src, list[n].dst, 6, list[n].segment) {
			break
		}
		in.Flags |= t.Flags
		all = append(all, p...)
		if len(p) < size {
			n++
			break
		}
	}
	if n > 1 {
		h.rx.GSOSize = size
	}
	return all, n
}
