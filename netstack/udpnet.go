package netstack

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// udpNetwork is the stack as its UDP layer sees it.
type udpNetwork Stack

var _ udp.Network = (*udpNetwork)(nil)

func (n *udpNetwork) Rand32() uint32               { return n.rng.uint32() }
func (n *udpNetwork) Secret() *[32]byte            { return &n.secret }
func (n *udpNetwork) IsLocal(addr netip.Addr) bool { return (*Stack)(n).IsLocal(addr) }

// IsBroadcast reports whether addr is a broadcast address of a link.
func (n *udpNetwork) IsBroadcast(addr netip.Addr) bool {
	if addr == broadcast4 {
		return true
	}
	for _, l := range n.links {
		for _, b := range l.bcast {
			if b == addr {
				return true
			}
		}
	}
	return false
}

// Route finds the way to dst for datagrams.
func (n *udpNetwork) Route(src, dst netip.Addr, link int) (udp.Path, error) {
	s := (*Stack)(n)
	w, no := s.route(src, dst, link)
	if no != 0 {
		return udp.Path{}, no
	}
	p := udp.Path{
		Src: w.src, Dst: w.dst, MTU: w.mtu, LinkMTU: w.linkMTU, NoDF: w.noDF,
		Broadcast: w.kind == wayBroadcast, Multicast: w.kind == wayMulticast,
		Gateway: w.hop != w.dst,
		Link:    LoopbackLink, Expires: s.now + pmtuTime, Generation: s.gen,
	}
	if w.link != nil {
		p.Link = w.link.num
	}
	return p, nil
}

// Fresh reports whether p still says what Route would.
func (n *udpNetwork) Fresh(p *udp.Path) bool {
	return p.Generation == n.gen && n.now < p.Expires
}

// Transmit sends a datagram, in fragments if o allows and needs it.
func (n *udpNetwork) Transmit(p *udp.Path, h *wire.UDP, payload []byte, o *udp.Sending) error {
	s := (*Stack)(n)
	hop := p.Options.Hop(p.Dst)
	nb := s.neighbourOf(&p.Handle, p.Src, hop, p.Link)
	if nb == nil {
		return errno.ENOBUFS
	}
	v4 := p.Dst.Is4()
	spec := ipSpec{
		src: p.Src, dst: p.Dst, proto: wire.ProtoUDP, tos: o.TOS, ttl: o.TTL, df: o.DF,
		length: wire.UDPLen + len(payload),
	}
	header := wire.IPv6Len
	if v4 {
		header = wire.IPv4MinHeader + p.Options.Len()
		if !o.DF {
			spec.id = uint16(s.ids.next(p.Src, p.Dst, wire.ProtoUDP))
		}
	}
	fits := header+spec.length <= o.MTU
	if !fits && !o.Fragment {
		return errno.EMSGSIZE
	}
	if s.gather.depth > 0 && fits && p.Options == nil && nb.takesSeveral(s.now) {
		s.ipCounters(p.Dst).OutRequests++
		s.gatherUDP(nb, &spec, h, payload)
		return nil
	}
	s.emitGathered() // these go first
	if p.Options != nil {
		spec.take(p.Options, hop, s.now)
	}
	f := s.tx.begin(&spec)
	l4 := len(f.Buf)
	f.Buf = h.AppendTo(f.Buf)
	s.tx.one[0] = payload
	f.Payload = s.tx.one[:]
	f.partial(&spec, l4, udpCsumOffset)
	s.ipCounters(p.Dst).OutRequests++
	s.sendSized(nb, f, &spec, l4, o.MTU)
	return nil
}

func (n *udpNetwork) Now() time.Duration { return n.now }
