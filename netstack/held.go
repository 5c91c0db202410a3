package netstack

import (
	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A held packet is a frame that was copied, from the IP header on, because it
// cannot go yet: its neighbour is not resolved, or it waits in the loopback.
type held struct {
	chunk      *buf.Chunk
	blank      int // bytes of payload behind the chunk that are blank; see loop.go
	hdrLen     int // bytes of IP and transport headers, which TxFrame.Buf holds
	needsCsum  bool
	csumStart  uint16
	csumOffset uint16
	gsoType    uint8
	gsoSize    uint16
}

// hold copies f.
func (s *Stack) hold(f *TxFrame) (held, bool) {
	n := f.Len() - wire.EthernetLen
	if n > buf.LargeSize {
		return held{}, false
	}
	c := s.pool.Get(n)
	c.B = append(c.B, f.Buf[ipStart:]...)
	for _, p := range f.Payload {
		c.B = append(c.B, p...)
	}
	return held{
		chunk: c, hdrLen: len(f.Buf) - ipStart,
		needsCsum: f.NeedsCsum, csumStart: f.CsumStart, csumOffset: f.CsumOffset,
		gsoType: f.GSOType, gsoSize: f.GSOSize,
	}, true
}

// frame makes h a frame again. It lives until the builder's next frame.
func (b *builder) frame(h *held) *TxFrame {
	buf := append(b.room[:ipStart], h.chunk.B[:h.hdrLen]...)
	b.one[0] = h.chunk.B[h.hdrLen:]
	b.f = TxFrame{
		Buf: buf, Payload: b.one[:],
		NeedsCsum: h.needsCsum, CsumStart: h.csumStart, CsumOffset: h.csumOffset,
		GSOType: h.gsoType, GSOSize: h.gsoSize,
	}
	if h.gsoType != wire.GSONone {
		b.f.HdrLen = uint16(len(buf) - VnetRoom)
	}
	return &b.f
}
