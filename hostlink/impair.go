package hostlink

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// An ImpairedLink is a link through a bad network. It is a Timed link: what it
// delays needs Deadline and Tick.
type ImpairedLink struct {
	inner  Link
	now    func() time.Duration
	rx, tx lane
	lent   *parcel // whose data the last ReadFrame returned
	stage  []byte  // a super-segment in one piece
	cut    cutter
	out    TxFrame
	drops  LinkStats // frames that could not be read as what they claimed to be
}

// Impair puts a bad network between l and its user. now is the clock of the
// delays, as a rule Now. Super-segments are cut in both directions, so the user
// sees and the wire carries packets no larger than the sender's segment size.
func Impair(l Link, i Impairment, now func() time.Duration) *ImpairedLink {
	m := &ImpairedLink{inner: l, now: now}
	m.rx = lane{imp: i, rng: prng(i.Seed)}
	// The directions draw from different sequences of one seed.
	m.tx = lane{imp: i, rng: prng(i.Seed ^ 0xa5a5a5a5a5a5a5a5)}
	return m
}

// FD implements Link.
func (m *ImpairedLink) FD() int { return m.inner.FD() }

// ReadFrame implements Link.
func (m *ImpairedLink) ReadFrame(buf []byte) (RxFrame, error) {
	if m.lent != nil {
		m.rx.give(m.lent)
		m.lent = nil
	}
	for {
		now := m.now()
		if p := m.rx.leave(now); p != nil {
			m.lent = p
			return RxFrame{Data: p.frame(), CsumValid: p.valid, NeedsCsum: p.needsCsum}, nil
		}
		f, err := m.inner.ReadFrame(buf)
		if err != nil {
			return RxFrame{}, err
		}
		m.receive(&f, now)
	}
}

// receive puts the packets of f, which came from the inner link, on their way.
func (m *ImpairedLink) receive(f *RxFrame, now time.Duration) {
	if f.GSOType != wire.GSONone {
		if !m.cutInto(&m.rx, f.Data, int(f.GSOSize), now) {
			m.drops.RxDropped++
		}
		return
	}
	p := m.rx.take(len(f.Data))
	copy(p.frame(), f.Data)
	p.valid = f.CsumValid
	if f.NeedsCsum {
		at, ok := findLayout(p.frame())
		p.valid = ok && at.whole && finishChecksum(p.frame(), at.l4, checksumField(at.proto), at.end)
		p.needsCsum = !p.valid
	}
	m.rx.enter(p, now)
}

// Transmit implements Link.
func (m *ImpairedLink) Transmit(f *TxFrame) {
	now := m.now()
	if f.GSOType != wire.GSONone {
		m.stage = gather(m.stage[:0], f)
		if !m.cutInto(&m.tx, m.stage, int(f.GSOSize), now) {
			m.drops.TxDropped++
		}
	} else {
		n := len(f.Buf) - VnetRoom
		for _, b := range f.Payload {
			n += len(b)
		}
		p := m.tx.take(n)
		gather(p.room[:VnetRoom], f)
		if f.NeedsCsum && !finishChecksum(p.frame(), int(f.CsumStart), int(f.CsumOffset), n) {
			p.needsCsum, p.start, p.offset = true, f.CsumStart, f.CsumOffset
		}
		m.tx.enter(p, now)
	}
	m.drain(now)
}

// gather appends f's bytes, without the spare ones, to b.
func gather(b []byte, f *TxFrame) []byte {
	b = append(b, f.Buf[VnetRoom:]...)
	for _, p := range f.Payload {
		b = append(b, p...)
	}
	return b
}

// cutInto sends the segments of a super-segment into a lane, each for itself.
func (m *ImpairedLink) cutInto(l *lane, frame []byte, size int, now time.Duration) bool {
	if !m.cut.start(frame, size) {
		return false
	}
	for first := true; first || m.cut.more(); first = false {
		p := l.take(m.cut.length())
		m.cut.next(p.frame())
		p.valid = true
		l.enter(p, now)
	}
	return true
}

// drain transmits what is due.
func (m *ImpairedLink) drain(now time.Duration) {
	for p := m.tx.leave(now); p != nil; p = m.tx.leave(now) {
		m.out = TxFrame{Buf: p.room, NeedsCsum: p.needsCsum, CsumStart: p.start, CsumOffset: p.offset}
		m.inner.Transmit(&m.out)
		m.tx.give(p)
	}
}

// Deadline implements Timed.
func (m *ImpairedLink) Deadline() (time.Duration, bool) {
	at, ok := deadlineOf(m.inner)
	for _, l := range [2]*lane{&m.rx, &m.tx} {
		if d, has := l.deadline(); has && (!ok || d < at) {
			at, ok = d, true
		}
	}
	return at, ok
}

// Tick implements Timed.
func (m *ImpairedLink) Tick() {
	tick(m.inner)
	m.drain(m.now())
}

// Stats implements Link: those of the inner link and what could not be cut.
func (m *ImpairedLink) Stats() LinkStats {
	s := m.inner.Stats()
	s.RxDropped += m.drops.RxDropped
	s.TxDropped += m.drops.TxDropped
	return s
}

// Impaired returns what happened to packets so far.
func (m *ImpairedLink) Impaired() (rx, tx ImpairStats) { return m.rx.stats, m.tx.stats }

// Close closes the inner link; what is on its way is lost.
func (m *ImpairedLink) Close() error { return m.inner.Close() }
