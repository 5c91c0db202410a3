package tcp

// TCP_TX_DELAY of Linux (net/ipv4/tcp_output.c, tcp_add_tx_delay): every segment
// of a connection leaves later by a fixed time, as over a longer line, and what
// is measured is the longer round trip. Linux leaves the waiting to a queueing
// discipline; here it is a line of segments beside the connection.
//
// Segments in a line are headers. Their text stays in the send queue, which they
// refer to by number: what the peer has acknowledged by the time they leave need
// not be sent.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Bounds on what waits, in segments of at most 64 KiB: of one connection, and of
// all. What is beyond is lost, as in a router's full queue.
const (
	maxLine  = 4096
	maxLines = 65536
)

// A txLine is what waits of one connection, oldest first. It outlives the
// connection, whose last segments wait like any others.
type txLine struct {
	l     *Layer
	c     *conn // whose text it is; nil: has ended, or there is none
	path  Path
	auth  *auth
	delay time.Duration
	torn  bool // text was lost with the connection: what says less than a reset is of no use behind it

	list      []heldSegment // from head on
	head      int
	heapIndex int32
}

// A heldSegment leaves at an instant. n bytes of text from h.Seq on go with it
// in parts of gso bytes, or text as it is.
type heldSegment struct {
	at   time.Duration
	h    wire.TCP
	n    uint32
	gso  int
	tos  uint8
	text []byte // of a SYN, whose text is not in the queue by its number
}

func (q *txLine) heapPos() *int32 { return &q.heapIndex }

// bare reports whether a segment is an acknowledgement and nothing else.
func (s *heldSegment) bare() bool {
	return s.n == 0 && s.text == nil && s.h.Flags&(wire.TCPSyn|wire.TCPFin|wire.TCPRst) == 0
}

// push has a segment wait for d, and for those before it.
func (q *txLine) push(s heldSegment, d time.Duration) {
	l := q.l
	s.at = l.net.Now() + d
	waiting := len(q.list) - q.head
	if waiting > 0 {
		s.at = max(s.at, q.list[len(q.list)-1].at)
	}
	if waiting >= maxLine || l.lined >= maxLines {
		// A later acknowledgement says what an earlier one does.
		if last := len(q.list) - 1; waiting > 0 && s.bare() && q.list[last].bare() {
			s.at = q.list[last].at
			q.list[last] = s
		}
		return
	}
	if q.head > 32 && q.head*2 > len(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, s)
	l.lined++
	l.timers.arm(q, q.list[q.head].at)
}

// runTimers sends what is due.
func (q *txLine) runTimers(now time.Duration) time.Duration {
	for q.head < len(q.list) {
		s := &q.list[q.head]
		if s.at > now {
			return s.at
		}
		q.leave(s)
		*s = heldSegment{}
		q.head++
		q.l.lined--
	}
	q.list, q.head = q.list[:0], 0
	if c := q.c; c != nil && q.delay == 0 {
		c.rare.line = nil // nothing waits any more
	}
	return never
}

// leave sends a segment, without the text that the peer has by now.
func (q *txLine) leave(s *heldSegment) {
	l, h := q.l, &s.h
	if q.torn && h.Flags&wire.TCPRst == 0 {
		return
	}
	c, payload := q.c, l.iov[:0]
	path, a := &q.path, q.auth
	if c != nil {
		path, a = &c.path, c.auth
		a.numbers(c.iss, c.irs)
	}
	switch {
	case s.text != nil:
		payload = append(payload, s.text)
	case s.n == 0:
	case c == nil:
		q.torn = true // the text is gone with the connection
		return
	default:
		if cut := c.sq.start - h.Seq; seqLT(h.Seq, c.sq.start) {
			cut = min(cut, s.n)
			h.Seq, s.n = h.Seq+cut, s.n-cut
			h.Urgent -= min(h.Urgent, uint16(min(cut, 65535)))
		}
		if s.n > 0 {
			payload = c.sq.slices(payload, h.Seq, int(s.n))
		}
		if s.n > uint32(c.mss) && (s.gso == 0 || s.gso > int(c.mss)) && c.flags&flagOneSegment == 0 {
			s.gso = int(c.mss) // the path has become narrower
		}
	}
	tos := path.TOS
	path.TOS = s.tos
	l.send(a, path, h, payload, s.gso)
	path.TOS = tos
	l.iov = payload
}

// hold puts a segment of the connection into its line.
func (c *conn) hold(h *wire.TCP, payload [][]byte, gso int) {
	s := heldSegment{h: *h, gso: gso, tos: c.path.TOS}
	s.h.Extra = append([]byte(nil), h.Extra...)
	for _, p := range payload {
		if s.n += uint32(len(p)); h.Flags&wire.TCPSyn != 0 {
			s.text = append(s.text, p...)
		}
	}
	q := c.rare.line
	q.push(s, q.delay)
}

// delayChanged takes TCP_TX_DELAY into use. What is known of the path changes
// with it, as in Linux.
func (c *conn) delayChanged() {
	d := time.Duration(c.s.opts.Rare().TxDelay) * time.Microsecond
	q := c.line()
	if q == nil {
		if d == 0 {
			return
		}
		q = &txLine{l: c.l, c: c}
		c.cold().line = q
	}
	longer := d - q.delay
	q.delay = d
	if d == 0 && q.head == len(q.list) {
		c.rare.line = nil
	}
	if longer != 0 && c.state == StateEstablished && c.srtt != 0 {
		c.srtt = max(c.srtt+longer, time.Microsecond)
		c.minRTT = 0
		c.setRTO()
	}
}

func (c *conn) line() *txLine {
	if c.rare == nil {
		return nil
	}
	return c.rare.line
}

// leaveLine lets go of the line of a connection that ends; text that waits there
// is lost with it.
func (c *conn) leaveLine() {
	if q := c.line(); q != nil {
		q.path, q.auth, q.c = c.path, c.auth, nil
		c.rare.line = nil
	}
}

// sendLater is send for a segment without text of those who are no connection yet,
// or none any more, micros microseconds later.
func (l *Layer) sendLater(a *auth, p *Path, h *wire.TCP, micros int32) {
	if micros == 0 {
		l.send(a, p, h, nil, 0)
		return
	}
	q := &txLine{l: l, path: *p, auth: a}
	s := heldSegment{h: *h, tos: p.TOS}
	s.h.Extra = append([]byte(nil), h.Extra...)
	q.push(s, time.Duration(micros)*time.Microsecond)
}
