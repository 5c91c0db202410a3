package netstack

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// tcpNetwork is the stack as its TCP layer sees it.
type tcpNetwork Stack

var _ tcp.Network = (*tcpNetwork)(nil)

func (n *tcpNetwork) Now() time.Duration           { return n.now }
func (n *tcpNetwork) Rand32() uint32               { return n.rng.uint32() }
func (n *tcpNetwork) Secret() *[32]byte            { return &n.secret }
func (n *tcpNetwork) IsLocal(addr netip.Addr) bool { return (*Stack)(n).IsLocal(addr) }

// IsBroadcast reports whether addr is a broadcast address of a link.
func (n *tcpNetwork) IsBroadcast(addr netip.Addr) bool { return (*udpNetwork)(n).IsBroadcast(addr) }
func (n *tcpNetwork) Wake()                            { n.woken = true }

// maxTCPHeaders is the most that IP and TCP headers take of a packet.
const maxTCPHeaders = wire.IPv6Len + wire.TCPMaxHeader

// Route finds the way to dst for a TCP connection. The destination 0.0.0.0 or
// :: means this host, so Path.Dst may differ from dst. Broadcast and multicast
// are refused as the profile has it (RFC 9293 section 3.9.2.3, MUST-46).
func (n *tcpNetwork) Route(src, dst netip.Addr, link int) (tcp.Path, error) {
	w, no := (*Stack)(n).route(src, dst, link)
	if no != 0 {
		return tcp.Path{}, no
	}
	p := tcp.Path{Src: w.src, Dst: w.dst, MTU: w.mtu, GSOMax: wire.IPv4MaxPacket - maxTCPHeaders, NoDF: w.noDF, Gateway: w.hop != w.dst}
	switch w.kind {
	case wayLocal:
		p.Link, p.Local = LoopbackLink, true
	case wayUnicast:
		p.Link, p.Gateway = w.link.num, w.hop != w.dst
	case wayBroadcast:
		return tcp.Path{}, n.profile.ConnectBroadcast
	default:
		return tcp.Path{}, n.profile.ConnectMulticast
	}
	return p, nil
}

// neighbourOf returns the neighbour that p's packets go to. The path remembers
// it, so that a segment needs no lookup.
func (s *Stack) neighbourOf(handle *any, src, dst netip.Addr, num int) *neighbour {
	if nb, ok := (*handle).(*neighbour); ok && !nb.gone {
		return nb
	}
	if num == LoopbackLink {
		*handle = &s.neigh.loopback
		return &s.neigh.loopback
	}
	w, no := s.route(src, dst, num)
	if no != 0 {
		s.ipCounters(dst).OutNoRoutes++
		return nil
	}
	nb := s.neighbourFor(&w)
	*handle = nb
	return nb
}

// Transmit sends a segment, or a super-segment that is cut every gso bytes.
func (n *tcpNetwork) Transmit(p *tcp.Path, h *wire.TCP, payload [][]byte, gso int) {
	s := (*Stack)(n)
	size := sizeOf(payload)
	if gso <= 0 || size <= gso {
		s.transmitTCP(p, h, payload, size, 0)
		return
	}
	if h.Flags&wire.TCPCwr != 0 {
		// Only the first segment may say CWR (RFC 3168 section 6.1.2), and not
		// every network card knows that: send it by itself.
		all := cursor{pieces: payload}
		s.tx.head = all.take(s.tx.head[:0], gso)
		s.tx.tail = all.take(s.tx.tail[:0], size)
		first := *h
		first.Flags &^= wire.TCPFin | wire.TCPPsh
		s.transmitTCP(p, &first, s.tx.head, gso, 0)
		rest := *h
		rest.Seq += uint32(gso)
		rest.Flags &^= wire.TCPCwr
		s.transmitTCP(p, &rest, s.tx.tail, size-gso, gso)
		return
	}
	s.transmitTCP(p, h, payload, size, gso)
}

func (s *Stack) transmitTCP(p *tcp.Path, h *wire.TCP, payload [][]byte, size, gso int) {
	hop := p.Options.Hop(p.Dst)
	nb := s.neighbourOf(&p.Handle, p.Src, hop, p.Link)
	if nb == nil {
		return
	}
	v4 := p.Src.Is4()
	c := s.ipCounters(p.Src)
	spec := ipSpec{
		src: p.Src, dst: p.Dst, proto: wire.ProtoTCP, tos: p.TOS, ttl: p.TTL, df: !p.NoDF,
		length: h.HeaderLen() + size}
	if p.Options != nil {
		spec.take(p.Options, hop, s.now)
	}
	if spec.ttl == 0 {
		spec.ttl = s.defaultTTL(v4)
	}
	if v4 && p.NoDF {
		// With DF the identification has no meaning (RFC 6864 section 4.1) and
		// stays 0; a cut super-segment counts up from it.
		spec.id = uint16(s.ids.next(p.Src, p.Dst, wire.ProtoTCP))
	}
	f := s.tx.begin(&spec)
	l4 := len(f.Buf)
	ipLen := l4 - ipStart
	packet := ipLen + spec.length
	switch {
	case packet > loopbackMTU6, v4 && packet > wire.IPv4MaxPacket,
		gso > 0 && nb.link != nil && packet-size+gso > nb.link.mtu,
		gso <= 0 && nb.link != nil && packet > nb.link.mtu:
		c.OutDiscards++
		return
	}
	f.Buf = h.AppendTo(f.Buf)
	f.Payload = payload
	f.partial(&spec, l4, tcpCsumOffset)
	if gso > 0 && size > gso {
		f.GSOType, f.GSOSize, f.HdrLen = wire.GSOTCP6, uint16(gso), uint16(len(f.Buf)-VnetRoom)
		if v4 {
			f.GSOType = wire.GSOTCP4
		}
	}
	c.OutRequests++
	s.output(nb, f)
}
