package tcp

// When text arrived, for programs that ask by SO_TIMESTAMP and its like (socket(7)).
// As on Linux, what was merged into one has the later time.

import "time"

// An arrival is when a piece of the stream was there, in order.
type arrival struct {
	start, end uint64 // bytes since the connection began
	at         time.Duration
}

// maxArrivals bounds the times kept of one connection; beyond, the newest two are
// merged.
const maxArrivals = 512

// noteArrival notes the time for the n bytes that have just been counted in
// bytesRcvd.
func (c *conn) noteArrival(n int) {
	if !c.s.opts.Rare().WantsStamps() {
		return
	}
	r, now := c.cold(), c.now()
	last := len(r.arrivals) - 1
	if last >= 0 && r.arrivals[last].at == now || last+1 >= maxArrivals {
		r.arrivals[last].end, r.arrivals[last].at = c.bytesRcvd, now
		return
	}
	r.arrivals = append(r.arrivals, arrival{c.bytesRcvd - uint64(n), c.bytesRcvd, now})
}

// Received is how many bytes have arrived in order since the connection began.
func (s *Socket) Received() uint64 {
	if s.conn == nil {
		return 0
	}
	return s.conn.bytesRcvd
}

// ArrivedBy is the time, on the stack's clock, at which byte n of the stream was
// there, counted from 1; ok is false when it was not noted. Those of the first
// read bytes are forgotten afterwards.
func (s *Socket) ArrivedBy(n, read uint64) (at time.Duration, ok bool) {
	if s.conn == nil || s.conn.rare == nil {
		return 0, false
	}
	r := s.conn.rare
	for i := range r.arrivals {
		if a := &r.arrivals[i]; n <= a.end {
			at, ok = a.at, n > a.start
			break
		}
	}
	done := 0
	for done < len(r.arrivals) && r.arrivals[done].end <= read {
		done++
	}
	r.arrivals = r.arrivals[:copy(r.arrivals, r.arrivals[done:])]
	return at, ok
}

// PeerEnded reports whether the peer's FIN has arrived in its turn.
func (s *Socket) PeerEnded() bool { return s.conn != nil && s.conn.flags&flagFinRcvd != 0 }
