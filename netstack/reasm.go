package netstack

// Reassembly: RFC 815 (the idea), RFC 1122 section 3.3.2, RFC 8200 section 4.5,
// RFC 5722 and RFC 8900 section 3 (overlaps, bounds), RFC 3168 section 5.3 (ECN).

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/netstack/buf"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// How long fragments wait for the rest (Linux's ipfrag_time; RFC 8200 section
// 4.5).
const (
	reasmTime4 = 30 * time.Second
	reasmTime6 = 60 * time.Second
)

// Bounds. When they are reached the oldest datagram goes.
const (
	reasmMaxBytes     = 2 << 20 // of chunks
	reasmMaxDatagrams = 128
	reasmMaxSpans     = 64 // separate islands of one datagram
)

type reasmKey struct {
	link     int
	src, dst netip.Addr
	id       uint32
	proto    uint8
}

type fragment struct {
	key    reasmKey
	offset int // bytes
	more   bool
	proto  uint8
	data   []byte // not empty; a multiple of 8 bytes when more
}

// span is a run of bytes that have arrived: [from, to).
type span struct{ from, to int }

// A datagram is collecting its fragments.
type datagram struct {
	key       reasmKey
	proto     uint8 // upper-layer protocol, or next header of the first fragment
	expires   time.Duration
	chunk     *buf.Chunk // nil iff spoilt
	spans     []span     // in order, apart from each other
	total     int        // bytes, -1 while the last fragment is missing
	spoilt    bool       // fragments overlapped: the rest is dropped until it expires
	ecnSeen   uint8      // bit i: a fragment with ECN codepoint i
	maxFrag   int        // the largest fragment, in bytes of IP packet
	cut       bool       // header is not all of it
	headerLen int        // of header; 0 while the first fragment is missing
	header    [128]byte  // IP header of the first fragment, cut
	start     [8]byte    // first bytes behind it, for an ICMP error
}

func (d *datagram) bytes() []byte { return d.chunk.B[:d.total] }

func (d *datagram) whole() bool {
	return d.total >= 0 && len(d.spans) == 1 && d.spans[0] == span{0, d.total} && d.headerLen > 0
}

// ecn is the codepoint of the whole (RFC 3168 section 5.3): congestion was
// experienced when any fragment says so.
func (d *datagram) ecn() uint8 {
	for _, e := range [...]uint8{3, 2, 1} {
		if d.ecnSeen&(1<<e) != 0 {
			return e
		}
	}
	return 0
}

// mixedECN: fragments of a sender that marks cannot be unmarked and marked CE.
func (d *datagram) mixedECN() bool { return d.ecnSeen&(1<<0) != 0 && d.ecnSeen&(1<<3) != 0 }

type reassembler struct {
	byKey map[reasmKey]*datagram
	list  []*datagram // the same, oldest first
	used  int         // bytes of their chunks
	next  time.Duration
}

func (r *reassembler) init() { r.byKey = make(map[reasmKey]*datagram) }

// reassemble adds f, of the packet s.in, and returns its datagram when that has
// become whole. The caller releases it.
func (s *Stack) reassemble(f *fragment) *datagram {
	r, c := &s.reasm, s.ipCounters(f.key.dst)
	end := f.offset + len(f.data)
	d := r.byKey[f.key]
	if d == nil {
		d = s.newDatagram(f.key)
	}
	if d.spoilt {
		return nil
	}
	if end > wire.IPv4MaxPacket || !d.fits(f, end) {
		s.spoil(d)
		return nil
	}
	dup, ok := d.place(f, end)
	if !ok {
		s.spoil(d)
		return nil
	}
	if dup {
		return nil
	}
	if !s.reserve(d, end) {
		s.spoil(d)
		return nil
	}
	copy(d.chunk.B[f.offset:end], f.data)
	d.ecnSeen |= 1 << (s.in.tos & 3)
	d.maxFrag = max(d.maxFrag, len(s.in.packet))
	if f.offset == 0 {
		d.proto = f.proto
		d.headerLen = copy(d.header[:], s.in.header)
		d.cut = d.headerLen < len(s.in.header)
		copy(d.start[:], f.data)
	}
	if !d.whole() {
		return nil
	}
	if d.mixedECN() {
		s.spoil(d)
		return nil
	}
	c.ReasmOKs++
	return d
}

// fits checks what f says about the datagram's length and remembers it.
func (d *datagram) fits(f *fragment, end int) bool {
	last := 0
	if n := len(d.spans); n > 0 {
		last = d.spans[n-1].to
	}
	switch {
	case f.more:
		return d.total < 0 || end <= d.total
	case d.total >= 0:
		return d.total == end
	case last > end:
		return false
	}
	d.total = end
	return true
}

// place enters f's bytes into the spans. A fragment whose bytes are all there
// already, and the same, is a duplicate; any other overlap is an attack and not
// ok (RFC 5722 section 3, MUST).
func (d *datagram) place(f *fragment, end int) (dup, ok bool) {
	i := 0
	for i < len(d.spans) && d.spans[i].to < f.offset {
		i++
	}
	for _, s := range d.spans[i:] {
		if s.from <= f.offset && end <= s.to {
			same := bytes.Equal(d.chunk.B[f.offset:end], f.data)
			return same, same
		}
		if s.from < end && f.offset < s.to {
			return false, false
		}
	}
	n := span{f.offset, end}
	j := i
	for j < len(d.spans) && d.spans[j].from <= end {
		n.from, n.to = min(n.from, d.spans[j].from), max(n.to, d.spans[j].to)
		j++
	}
	if i == j && len(d.spans) >= reasmMaxSpans {
		return false, false
	}
	d.spans = slices.Replace(d.spans, i, j, n)
	return false, true
}

func (s *Stack) newDatagram(k reasmKey) *datagram {
	r := &s.reasm
	for len(r.list) >= reasmMaxDatagrams {
		s.ipCounters(r.list[0].key.dst).ReasmFails++
		r.release(s, r.list[0])
	}
	d := &datagram{key: k, total: -1, expires: s.now + reasmTime4}
	if k.dst.Is6() {
		d.expires = s.now + reasmTime6
	}
	r.byKey[k] = d
	r.list = append(r.list, d)
	if r.next == 0 || d.expires < r.next {
		r.next = d.expires
	}
	return d
}

// reserve gives d memory for n bytes, at the cost of older datagrams.
func (s *Stack) reserve(d *datagram, n int) bool {
	r := &s.reasm
	if d.chunk != nil && n <= cap(d.chunk.B) {
		d.chunk.B = d.chunk.B[:max(n, len(d.chunk.B))]
		return true
	}
	c := s.pool.Get(n)
	for r.used+cap(c.B) > reasmMaxBytes {
		if !s.evictDatagram(d) {
			s.pool.Put(c)
			return false
		}
	}
	r.used += cap(c.B)
	c.B = c.B[:n]
	if d.chunk != nil {
		copy(c.B, d.chunk.B)
		r.used -= cap(d.chunk.B)
		s.pool.Put(d.chunk)
	}
	d.chunk = c
	return true
}

func (s *Stack) evictDatagram(but *datagram) bool {
	for _, d := range s.reasm.list {
		if d != but && d.chunk != nil {
			s.ipCounters(d.key.dst).ReasmFails++
			s.reasm.release(s, d)
			return true
		}
	}
	return false
}

// spoil discards what d has; its other fragments are dropped silently while it
// is remembered (RFC 5722 section 3, MUST).
func (s *Stack) spoil(d *datagram) {
	s.ipCounters(d.key.dst).ReasmFails++
	s.reasm.free(s, d)
	d.spoilt, d.spans = true, nil
}

func (r *reassembler) free(s *Stack, d *datagram) {
	if d.chunk != nil {
		r.used -= cap(d.chunk.B)
		s.pool.Put(d.chunk)
		d.chunk = nil
	}
}

func (r *reassembler) release(s *Stack, d *datagram) {
	r.free(s, d)
	delete(r.byKey, d.key)
	r.list = slices.DeleteFunc(r.list, func(x *datagram) bool { return x == d })
}

// reasmTimers gives up on datagrams that waited too long.
func (s *Stack) reasmTimers() {
	r := &s.reasm
	if r.next == 0 || s.now < r.next {
		return
	}
	r.next = 0
	for i := 0; i < len(r.list); {
		d := r.list[i]
		if s.now < d.expires {
			if r.next == 0 || d.expires < r.next {
				r.next = d.expires
			}
			i++
			continue
		}
		if !d.spoilt {
			s.reasmTimeout(d)
		}
		r.release(s, d)
	}
}

// reasmTimeout tells the sender, when the first fragment is there to quote
// (RFC 1122 section 3.3.2, RFC 8200 section 4.5, MUST).
func (s *Stack) reasmTimeout(d *datagram) {
	c := s.ipCounters(d.key.dst)
	c.ReasmTimeout++
	c.ReasmFails++
	l := s.link(d.key.link)
	if d.headerLen == 0 || l == nil {
		return
	}
	s.in = inbound{link: l, src: d.key.src, dst: d.key.dst, group: l.peer == nil && s.owner(d.key.dst) == nil || d.key.dst.IsMulticast() || d.key.dst == broadcast4, header: d.header[:d.headerLen], body: d.start[:], isError: errorMessage(d.proto, d.start[:])}
	if d.key.dst.Is4() {
		s.sendError4(wire.ICMP4TimeExceeded, wire.ICMP4CodeReassembly, 0)
	} else {
		s.sendError6(wire.ICMP6TimeExceeded, wire.ICMP6CodeReassembly, 0)
	}
}
