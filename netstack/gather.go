package netstack

// Datagrams of one flow that leave together, as one frame that the link cuts: what
// UDP_SEGMENT, sendmmsg and a program that writes one after the other make. They have
// everything but their payload in common, and all but the last are as long as the
// first (Documentation/networking/segmentation-offloads.rst of Linux, UDP).

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// maxGathered bounds the datagrams of one frame: what a device that cuts is sure to
// take (UDP_MAX_SEGMENTS of Linux before 6.9).
const maxGathered = 64

// gathered are the datagrams that wait for more of their flow.
type gathered struct {
	depth  int // of Gather
	n      int
	closed bool // the last was shorter
	size   int  // bytes of each
	nb     *neighbour
	spec   ipSpec // of the first
	header wire.UDP
	chunk  *buf.Chunk // payloads, one behind the other; nil: none
}

// Gather makes UDP datagrams wait for others of their flow until EmitGathered; the two
// may be nested. Only links with USO carry several in one frame; others get each at
// once, as without it.
func (s *Stack) Gather() { s.gather.depth++ }

// EmitGathered ends a Gather. The last one sends the datagrams that wait.
func (s *Stack) EmitGathered() {
	if s.gather.depth--; s.gather.depth == 0 {
		s.emitGathered()
	}
}

// takesSeveral reports whether datagrams to n may go as one frame.
func (n *neighbour) takesSeveral(now time.Duration) bool {
	return n.link != nil && n.link.uso && (n.state == neighReachable && now < n.timer || n.state == neighPermanent)
}

// gatherUDP puts a datagram behind those that wait, after sending them if it does not
// belong to them.
func (s *Stack) gatherUDP(nb *neighbour, spec *ipSpec, h *wire.UDP, payload []byte) {
	g := &s.gather
	if !g.takes(nb, spec, h, payload) {
		s.emitGathered()
	}
	if g.n == 0 {
		g.nb, g.spec, g.header, g.size, g.closed = nb, *spec, *h, len(payload), len(payload) == 0
		g.chunk = s.pool.Get(buf.LargeSize)
	}
	g.closed = g.closed || len(payload) < g.size
	g.chunk.B = append(g.chunk.B, payload...)
	g.n++
}

// takes reports whether a datagram can go behind those that wait.
func (g *gathered) takes(nb *neighbour, spec *ipSpec, h *wire.UDP, payload []byte) bool {
	first := &g.spec
	return g.n > 0 && g.n < maxGathered && !g.closed && len(payload) > 0 && len(payload) <= g.size &&
		wire.IPv4MinHeader+wire.UDPLen+len(g.chunk.B)+len(payload) <= wire.IPv4MaxPacket && len(g.chunk.B)+len(payload) <= cap(g.chunk.B) &&
		g.nb == nb && h.SrcPort == g.header.SrcPort && h.DstPort == g.header.DstPort &&
		spec.src == first.src && spec.dst == first.dst && spec.tos == first.tos && spec.ttl == first.ttl &&
		spec.df == first.df && (spec.df || spec.id == first.id+uint16(g.n)) // whoever cuts counts up
}

// emitGathered sends the datagrams that wait.
func (s *Stack) emitGathered() {
	g := &s.gather
	if g.n == 0 {
		return
	}
	g.spec.length = wire.UDPLen + len(g.chunk.B)
	g.header.Length = uint16(g.spec.length)
	f := s.tx.begin(&g.spec)
	l4 := len(f.Buf)
	f.Buf = g.header.AppendTo(f.Buf)
	s.tx.one[0] = g.chunk.B
	f.Payload = s.tx.one[:]
	f.partial(&g.spec, l4, udpCsumOffset)
	if g.n > 1 {
		f.GSOType, f.GSOSize, f.HdrLen = wire.GSOUDP, uint16(g.size), uint16(len(f.Buf)-VnetRoom)
	}
	g.n = 0
	s.output(g.nb, f)
	s.tx.one[0] = nil
	s.pool.Put(g.chunk)
	g.chunk, g.nb = nil, nil
}
