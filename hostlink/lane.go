package hostlink

import "time"

// A prng is SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, OOPSLA 2014): small, and the same everywhere and for ever, which
// the runtime's generators do not promise.
type prng uint64

func (p *prng) next() uint64 {
	*p += 0x9e3779b97f4a7c15
	z := uint64(*p)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// chance is true with probability f. It always draws one number.
func (p *prng) chance(f float64) bool {
	return float64(p.next()>>11)*(1.0/(1<<53)) < f
}

// A parcel is one packet on its way through a lane, with a complete checksum
// unless needsCsum is set.
type parcel struct {
	room      []byte // VnetRoom spare bytes, then the frame
	valid     bool   // the transport checksum is known to be right
	needsCsum bool   // of a kind that finishChecksum does not know
	start     uint16 // valid iff needsCsum, as in TxFrame
	offset    uint16
	due       time.Duration
	seq       uint64 // order of entry
	overtake  int    // a held parcel leaves behind this many later ones
}

// A lane is one direction of an impaired link: packets go in, and come out
// late, twice, in another order, damaged or not at all.
type lane struct {
	imp   Impairment
	rng   prng
	seq   uint64
	line  []*parcel // in order of due
	head  int       // of line
	held  []*parcel // overtaken ones
	ready []*parcel // were overtaken often enough
	free  []*parcel
	bytes int // in line, held and ready
	stats ImpairStats
}

// Limits of a lane. A held packet does not wait longer than reorderWait for
// others to overtake it: below the smallest retransmission timeout, above what
// a batch takes.
const (
	maxOvertake  = 3
	reorderWait  = 5 * time.Millisecond
	maxLaneBytes = 64 << 20
	maxFree      = 1024
)

// ImpairStats counts what an impaired link did to the packets of one direction.
type ImpairStats struct {
	Packets    uint64 // that went in
	Lost       uint64
	Duplicated uint64
	Reordered  uint64
	Corrupted  uint64
	Overflowed uint64 // dropped because 64 MiB were already on their way in this direction
}

// take returns a parcel with room for a frame of n bytes.
func (l *lane) take(n int) *parcel {
	var p *parcel
	if last := len(l.free) - 1; last >= 0 {
		p = l.free[last]
		l.free = l.free[:last]
	} else {
		p = new(parcel)
	}
	if cap(p.room) < VnetRoom+n {
		p.room = make([]byte, VnetRoom+n)
	}
	*p = parcel{room: p.room[:VnetRoom+n]}
	return p
}

func (l *lane) give(p *parcel) {
	if len(l.free) < maxFree {
		l.free = append(l.free, p)
	}
}

func (p *parcel) frame() []byte { return p.room[VnetRoom:] }

// enter decides p's fate at the instant now. Every packet draws the same number
// of random numbers, so that its fate does not depend on its neighbours'.
func (l *lane) enter(p *parcel, now time.Duration) {
	l.stats.Packets++
	loss, dup := l.rng.chance(l.imp.Loss), l.rng.chance(l.imp.Duplicate)
	reorder, corrupt := l.rng.chance(l.imp.Reorder), l.rng.chance(l.imp.Corrupt)
	detail := l.rng.next()
	if loss {
		l.stats.Lost++
		l.give(p)
		return
	}
	if l.bytes+len(p.room) > maxLaneBytes {
		l.stats.Overflowed++
		l.give(p)
		return
	}
	if corrupt {
		l.stats.Corrupted++
		if !p.flip(detail >> 8) {
			// No checksum of the packet would notice; the frame's own does.
			l.give(p)
			return
		}
	}
	if dup {
		l.stats.Duplicated++
		c := l.take(len(p.frame()))
		room := c.room
		*c = *p
		c.room = room
		copy(c.room, p.room)
		l.queue(c, now)
	}
	if reorder {
		l.stats.Reordered++
		l.hold(p, now, 1+int(detail&0xff)%maxOvertake)
		return
	}
	l.queue(p, now)
}

// flip inverts one bit behind the IP header, where the transport checksum
// notices it; false if the packet has no such checksum.
func (p *parcel) flip(random uint64) bool {
	frame := p.frame()
	at, ok := findLayout(frame)
	if !ok || p.needsCsum || at.l4 >= at.end || !at.covered(frame) {
		return false
	}
	bit := int(random % uint64((at.end-at.l4)*8))
	frame[at.l4+bit/8] ^= 1 << (bit % 8)
	p.valid = false
	return true
}

func (l *lane) stamp(p *parcel, due time.Duration) {
	l.seq++
	p.seq, p.due = l.seq, due
	l.bytes += len(p.room)
}

func (l *lane) queue(p *parcel, now time.Duration) {
	l.stamp(p, now+l.imp.Delay)
	if len(l.line) == cap(l.line) && l.head > len(l.line)/2 {
		n := copy(l.line, l.line[l.head:])
		clear(l.line[n:])
		l.line, l.head = l.line[:n], 0
	}
	l.line = append(l.line, p)
}

func (l *lane) hold(p *parcel, now time.Duration, overtake int) {
	l.stamp(p, now+l.imp.Delay+reorderWait)
	p.overtake = overtake
	l.held = append(l.held, p)
}

// leave returns the next packet that is due at the instant now, nil if none is.
// The caller gives it back.
func (l *lane) leave(now time.Duration) *parcel {
	p := l.pick(now)
	if p != nil {
		l.bytes -= len(p.room)
	}
	return p
}

func (l *lane) pick(now time.Duration) *parcel {
	if len(l.ready) > 0 {
		p := l.ready[0]
		l.ready = append(l.ready[:0], l.ready[1:]...)
		return p
	}
	if l.head < len(l.line) && l.line[l.head].due <= now {
		p := l.line[l.head]
		l.line[l.head] = nil
		if l.head++; l.head == len(l.line) {
			l.line, l.head = l.line[:0], 0
		}
		l.passed(p)
		return p
	}
	for i, p := range l.held {
		if p.due <= now {
			l.held = append(l.held[:i], l.held[i+1:]...)
			return p
		}
	}
	return nil
}

// passed lets go of the held packets that p overtook as the last.
func (l *lane) passed(p *parcel) {
	kept := l.held[:0]
	for _, h := range l.held {
		if h.seq < p.seq {
			h.overtake--
		}
		if h.overtake == 0 {
			l.ready = append(l.ready, h)
		} else {
			kept = append(kept, h)
		}
	}
	clear(l.held[len(kept):])
	l.held = kept
}

// deadline returns when the next packet is due, false when the lane is empty.
func (l *lane) deadline() (at time.Duration, ok bool) {
	if len(l.ready) > 0 {
		return 0, true // at once
	}
	if l.head < len(l.line) {
		at, ok = l.line[l.head].due, true
	}
	for _, p := range l.held {
		if !ok || p.due < at {
			at, ok = p.due, true
		}
	}
	return at, ok
}
