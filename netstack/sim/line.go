package sim

import (
	"net/netip"
	"time"
)

// A Way is what one direction of a line does to packets. Chances are per
// thousand packets.
type Way struct {
	Rate   int           // bits per second, 0: no limit
	Delay  time.Duration // one way
	Jitter time.Duration // added at random, which reorders when it exceeds the spacing

	Queue int           // bytes that may wait for the line, 0: no limit; more is dropped
	Mark  int           // bytes waiting from which on packets get CE, or are dropped when they are not ECN-capable; 0: never
	CoDel time.Duration // target of the time in the queue (RFC 8289), 0: no such control

	Loss      int
	Burst     Burst
	Duplicate int
	Reorder   int // held back by up to four times Delay, at least a millisecond
	Corrupt   int // one byte of the segment is changed

	MTU    int  // bytes, 0: 1500
	TooBig bool // what exceeds MTU is answered by ICMP; else it vanishes

	Boxes []Box // what middleboxes do, in this order
}

// A Burst loses packets in runs: the model of Gilbert and Elliott. Chances are
// per thousand packets.
type Burst struct {
	Enter int // of going bad
	Leave int // of being good again
	Loss  int // while bad
}

// LineStats count packets of a line.
type LineStats struct {
	Carried, Bytes uint64 // handed on, and their length with IP headers
	Lost           uint64 // by Loss, Burst, or because the line was down
	Full           uint64 // dropped by the queue
	Marked         uint64 // given CE
	TooBig         uint64
	Waited         time.Duration // longest time in the queue
}

// A Line carries packets one way. Several routes may share it, which makes it a
// bottleneck.
type Line struct {
	Way
	Stats LineStats

	w     *World // nil: whoever made the line calls Pass
	rng   *Rand
	free  time.Duration // when the line is idle again
	down  bool
	bad   bool // Burst
	codel codel
}

// Line makes one direction of a line, for Route.
func (w *World) Line(way Way) *Line { return &Line{Way: way, w: w, rng: &w.rng} }

// Route sends what a has for the addresses of b through lines, in this order.
func (w *World) Route(a, b *Host, lines ...*Line) {
	for _, addr := range b.addrs {
		a.routes[addr] = &route{b, lines}
	}
}

// A route is the way to a host.
type route struct {
	to    *Host
	lines []*Line
}

// Down takes the line down, or up again.
func (l *Line) Down(down bool) { l.down = down }

func (l *Line) mtu() int {
	if l.MTU == 0 {
		return 1500
	}
	return l.MTU
}

// time is how long n bytes occupy the line.
func (l *Line) time(n int) time.Duration {
	return time.Duration(int64(n) * 8 * int64(time.Second) / int64(l.Rate))
}

// carry takes p over the first of lines, and on.
func (r *route) carry(p packet, lines []*Line) {
	if len(lines) == 0 {
		r.to.arrive(p)
		return
	}
	l, w := lines[0], r.to.W
	for _, box := range l.Boxes {
		if !box(&p) {
			l.Stats.Lost++
			return
		}
	}
	size := p.size()
	if size > l.mtu() && !p.mayFragment {
		l.tooBig(p)
		return
	}
	fate := l.Pass(w.now, size, &p.tos)
	if !fate.Carried {
		return
	}
	if fate.Flip != 0 {
		p.corrupt(fate)
	}
	onward := lines[1:]
	w.After(fate.At-w.now, func() { r.carry(p, onward) })
	if fate.Again != 0 {
		w.After(fate.Again-w.now, func() { r.carry(p, onward) })
	}
}

// loses draws whether a packet is lost.
func (l *Line) loses() bool {
	rng := l.rng
	if b := &l.Burst; b.Enter > 0 {
		if l.bad {
			l.bad = !rng.Chance(b.Leave)
		} else {
			l.bad = rng.Chance(b.Enter)
		}
		if l.bad && rng.Chance(b.Loss) {
			return true
		}
	}
	return l.down || rng.Chance(l.Loss)
}

// tooBig is a router's answer to a packet that does not fit: RFC 1191 section 4.
func (l *Line) tooBig(p packet) {
	l.Stats.TooBig++
	if !l.TooBig {
		return
	}
	mtu, from := l.mtu(), p.from
	l.w.After(l.Delay, func() { from.tooBig(p.src, p.dst, p.segment, mtu) })
}

// packet is a segment under way.
type packet struct {
	from        *Host
	src, dst    netip.Addr
	segment     []byte // TCP header and text; shared with other copies of the packet
	tos, ttl    uint8
	mayFragment bool
}

// size is the packet's length with its IP header.
func (p *packet) size() int {
	if p.src.Is4() {
		return len(p.segment) + 20
	}
	return len(p.segment) + 40
}

// corrupt changes one byte, which a sum of ones' complements always notices.
func (p *packet) corrupt(f Fate) {
	p.segment = append([]byte(nil), p.segment...)
	p.segment[f.Where%uint64(len(p.segment))] ^= f.Flip
}
