package hostlink

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A ShapedLink is a link of limited bandwidth. It is a Timed link: what waits
// needs Deadline and Tick.
//
// Both directions queue, in order, and drop what arrives at a full queue. A
// sender, the sandbox's own stack or one behind the wire, sees what a slow line
// shows: the round-trip time grows while the queue fills, then packets are lost,
// and its congestion control finds the rate. Only packets that wait are copied.
//
// A super-segment passes whole when the bucket has enough for all of its packets.
// One that is larger than the burst would hold up what comes behind it for too
// long and arrive faster than the configuration says, so it is cut into its
// packets, which go one by one.
type ShapedLink struct {
	inner  Link
	now    func() time.Duration
	rx, tx shaper
	lent   *held // whose data the last ReadFrame returned
	stage  []byte
	cut    cutter
	out    TxFrame
	rest   [1][]byte // out.Payload
}

// Shape limits what the user of l receives (ingress) and sends (egress). now is
// the clock, as a rule Now.
func Shape(l Link, ingress, egress Rate, now func() time.Duration) *ShapedLink {
	return &ShapedLink{inner: l, now: now, rx: newShaper(ingress), tx: newShaper(egress)}
}

// A held is a frame that waits.
type held struct {
	room  []byte // VnetRoom spare bytes, then the frame
	bytes int    // on the wire: each packet of a super-segment has its headers

	needsCsum, csumValid  bool
	csumStart, csumOffset uint16
	gsoType               uint8
	gsoSize, hdrLen       uint16
}

// A shaper is one direction.
type shaper struct {
	bucket
	line    []*held // in order
	head    int     // of line
	bytes   int     // of memory in line
	room    int     // bytes that line may hold
	free    []*held
	spare   int // bytes of memory in free
	dropped uint64
}

func newShaper(r Rate) shaper {
	s := shaper{bucket: newBucket(r)}
	s.room = s.limit()
	return s
}

func (s *shaper) empty() bool { return s.head == len(s.line) }

// passes reports whether a frame of so many bytes may go at once.
func (s *shaper) passes(bytes int, now time.Duration) bool {
	return s.empty() && s.due(bytes) <= now
}

// enter makes room for a frame of n bytes at the end of the line; nil: it is
// full, and the frame is dropped.
func (s *shaper) enter(n int) *held {
	if s.bytes+VnetRoom+n > s.room {
		s.dropped++
		return nil
	}
	var h *held
	if last := len(s.free) - 1; last >= 0 {
		h = s.free[last]
		s.free = s.free[:last]
		s.spare -= cap(h.room)
	} else {
		h = new(held)
	}
	if cap(h.room) < VnetRoom+n {
		h.room = make([]byte, VnetRoom+n)
	}
	*h = held{room: h.room[:VnetRoom+n], bytes: n}
	if len(s.line) == cap(s.line) && s.head > len(s.line)/2 {
		kept := copy(s.line, s.line[s.head:])
		clear(s.line[kept:])
		s.line, s.head = s.line[:kept], 0
	}
	s.line = append(s.line, h)
	s.bytes += len(h.room)
	return h
}

// leave takes the first frame if it is due. The caller gives it back.
func (s *shaper) leave(now time.Duration) *held {
	if s.empty() || s.due(s.line[s.head].bytes) > now {
		return nil
	}
	h := s.line[s.head]
	s.line[s.head] = nil
	if s.head++; s.empty() {
		s.line, s.head = s.line[:0], 0
	}
	s.bytes -= len(h.room)
	s.take(h.bytes, now)
	return h
}

// give keeps a frame's memory for another, up to what the line may hold.
func (s *shaper) give(h *held) {
	if s.spare+cap(h.room) <= s.room {
		s.spare += cap(h.room)
		s.free = append(s.free, h)
	}
}

func (s *shaper) deadline() (time.Duration, bool) {
	if s.empty() {
		return 0, false
	}
	return s.due(s.line[s.head].bytes), true
}

func (h *held) frame() []byte { return h.room[VnetRoom:] }

// onWire is the size in bytes of the packets of a super-segment: n bytes with one
// header of hdrLen.
func onWire(n, hdrLen, gsoSize int) int {
	if gsoSize <= 0 || hdrLen <= 0 || hdrLen >= n {
		return n
	}
	packets := (n - hdrLen + gsoSize - 1) / gsoSize
	return n + (packets-1)*hdrLen
}

// Transmit implements Link.
func (m *ShapedLink) Transmit(f *TxFrame) {
	now := m.now()
	m.drain(now)
	n, whole := f.Len(), f.GSOType == wire.GSONone
	size := n
	if !whole {
		size = onWire(n, int(f.HdrLen), int(f.GSOSize))
	}
	if (whole || m.tx.holds(size)) && m.tx.passes(size, now) {
		m.tx.take(size, now)
		m.inner.Transmit(f)
		return
	}
	if !whole && (!m.tx.holds(size) || m.tx.bytes+VnetRoom+n > m.tx.room) {
		m.stage = gather(m.stage[:0], f)
		m.cutInto(&m.tx, m.stage, int(f.GSOSize))
		m.drain(now)
		return
	}
	h := m.tx.enter(n)
	if h == nil {
		return
	}
	gather(h.room[:VnetRoom], f)
	h.bytes = size
	h.needsCsum, h.csumStart, h.csumOffset = f.NeedsCsum, f.CsumStart, f.CsumOffset
	h.gsoType, h.gsoSize, h.hdrLen = f.GSOType, f.GSOSize, f.HdrLen
}

// cutInto puts the packets of a super-segment in line, with their checksums, as
// far as there is room.
func (m *ShapedLink) cutInto(s *shaper, frame []byte, size int) {
	if !m.cut.start(frame, size) {
		s.dropped++
		return
	}
	for first := true; first || m.cut.more(); first = false {
		h := s.enter(m.cut.length())
		if h == nil {
			return
		}
		m.cut.next(h.frame())
		h.csumValid = true
	}
}

// drain transmits what is due.
func (m *ShapedLink) drain(now time.Duration) {
	for h := m.tx.leave(now); h != nil; h = m.tx.leave(now) {
		headers := len(h.room)
		if h.gsoType != wire.GSONone {
			headers = VnetRoom + int(h.hdrLen)
		}
		m.rest[0] = h.room[headers:]
		m.out = TxFrame{
			Buf: h.room[:headers:headers], Payload: m.rest[:], NeedsCsum: h.needsCsum, CsumStart: h.csumStart, CsumOffset: h.csumOffset,
			GSOType: h.gsoType, GSOSize: h.gsoSize, HdrLen: h.hdrLen,
		}
		m.inner.Transmit(&m.out)
		m.tx.give(h)
	}
}

// FD implements Link.
func (m *ShapedLink) FD() int { return m.inner.FD() }

// maxReads bounds the frames that one ReadFrame takes from the link below while
// none of them may pass: a flood must not keep its user from other work.
const maxReads = 64

// ReadFrame implements Link.
func (m *ShapedLink) ReadFrame(buf []byte) (RxFrame, error) {
	if m.lent != nil {
		m.rx.give(m.lent)
		m.lent = nil
	}
	for range maxReads {
		now := m.now()
		if h := m.rx.leave(now); h != nil {
			m.lent = h
			return RxFrame{
				Data: h.frame(), NeedsCsum: h.needsCsum, CsumValid: h.csumValid,
				CsumStart: h.csumStart, CsumOffset: h.csumOffset, GSOType: h.gsoType, GSOSize: h.gsoSize,
			}, nil
		}
		f, err := m.inner.ReadFrame(buf)
		if err != nil {
			return RxFrame{}, err
		}
		if m.receive(&f, now) {
			return f, nil
		}
	}
	return RxFrame{}, ErrAgain
}

// receive reports whether f may pass at once; else it waits or is dropped.
func (m *ShapedLink) receive(f *RxFrame, now time.Duration) bool {
	size, whole := len(f.Data), f.GSOType == wire.GSONone
	if !whole {
		if !m.cut.start(f.Data, int(f.GSOSize)) {
			m.rx.dropped++
			return false
		}
		size = onWire(size, m.cut.hdrLen, m.cut.size)
	}
	if (whole || m.rx.holds(size)) && m.rx.passes(size, now) {
		m.rx.take(size, now)
		return true
	}
	if !whole && (!m.rx.holds(size) || m.rx.bytes+VnetRoom+len(f.Data) > m.rx.room) {
		m.cutInto(&m.rx, f.Data, int(f.GSOSize))
		return false
	}
	if h := m.rx.enter(len(f.Data)); h != nil {
		copy(h.frame(), f.Data)
		h.bytes = size
		h.needsCsum, h.csumValid, h.csumStart, h.csumOffset = f.NeedsCsum, f.CsumValid, f.CsumStart, f.CsumOffset
		h.gsoType, h.gsoSize = f.GSOType, f.GSOSize
	}
	return false
}

// Deadline implements Timed.
func (m *ShapedLink) Deadline() (time.Duration, bool) {
	at, ok := deadlineOf(m.inner)
	for _, s := range [2]*shaper{&m.rx, &m.tx} {
		if d, has := s.deadline(); has && (!ok || d < at) {
			at, ok = d, true
		}
	}
	return at, ok
}

// Tick implements Timed.
func (m *ShapedLink) Tick() {
	tick(m.inner)
	m.drain(m.now())
}

// Stats implements Link: those of the inner link, and what found its queue full.
func (m *ShapedLink) Stats() LinkStats {
	s := m.inner.Stats()
	s.RxDropped += m.rx.dropped
	s.TxDropped += m.tx.dropped
	return s
}

// Close closes the inner link; what waits is lost.
func (m *ShapedLink) Close() error { return m.inner.Close() }

var _ Timed = (*ShapedLink)(nil)
