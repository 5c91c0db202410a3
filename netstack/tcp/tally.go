package tcp

// What struct tcp_info counts of a connection beside its state: linux/tcp.h and
// RFC 4898, by whose names tcp(7) has them.

import (
	"math"
	"time"

	"github.com/tcpcni/tcpcni/sockopt"
)

// What a connection with something to send waits for: tcp_chrono of Linux.
const (
	chronoIdle   uint8 = iota
	chronoBusy         // acknowledgements, or its own window
	chronoRwnd         // the peer's window
	chronoSndBuf       // the program, which waits for room in the send buffer
)

// A tally is the part of it that every connection has. Times are milliseconds of
// the layer's clock, like the ticks of Linux: differences of them lose nothing
// when they are added up.
type tally struct {
	rate            uint64 // of delivery, bytes per second: the last one that the program did not limit, or a higher one
	segsOut, segsIn uint32
	dataOut, dataIn uint32 // of those, with text
	lastText        uint32 // when text came last
	since           uint32 // when state began
	spent           [3]uint32
	state           uint8 // chronoBusy …
	rateLimited     bool  // the program limited rate
}

// rareTally is the part of few: of connections that had losses.
type rareTally struct {
	bytesRetrans uint64
	dsackDups    uint32 // segments of ours that arrived twice
	ahead        uint32 // segments of the peer's that arrived out of order
	zeroWindows  uint32 // segments that offered no window
	reordered    uint32 // times that the network was seen to reorder
	rtoMillis    uint32 // spent between timeouts and what ended them
	rtoAt        uint32 // first timeout of the present run; 0: none
	rtos, runs   uint16 // timeouts; runs of them
}

func clockMillis(now time.Duration) uint32 { return uint32(now / time.Millisecond) }

// sent counts a transmission of n bytes in super-segments of gso.
func (c *conn) sent(n uint32, gso int) {
	segs := uint32(1)
	if gso > 0 {
		segs = (n + uint32(gso) - 1) / uint32(gso)
	}
	c.tally.segsOut += segs - 1 // send counts one
	if n > 0 {
		c.tally.dataOut += segs
	}
}

// arrived counts a segment, or a super-segment of several.
func (c *conn) arrived(rx *Rx) {
	segs, n := uint32(1), len(rx.Payload)
	if rx.GSOSize > 0 && n > rx.GSOSize {
		segs = uint32((n + rx.GSOSize - 1) / rx.GSOSize)
	}
	c.tally.segsIn += segs
	if n > 0 {
		c.tally.dataIn += segs
	}
}

// clocked notes what the connection waits for from now on.
func (c *conn) clocked(now time.Duration) {
	state := chronoIdle
	switch {
	case c.sq.len() == 0:
	case c.unsent() == 0 && c.flags&flagWantSpace != 0:
		state = chronoSndBuf
	case c.unsent() > 0 && c.sndUna+c.sndWnd-c.sndNxt < min(c.unsent(), uint32(c.mss)):
		state = chronoRwnd
	default:
		state = chronoBusy
	}
	t := &c.tally
	at := clockMillis(now)
	if state == t.state && at-t.since < tallyTurn {
		return
	}
	if t.state != chronoIdle {
		addMillis(&t.spent[t.state-1], at-t.since)
	}
	t.state, t.since = state, at
}

// tallyTurn is how long a state is left to itself: less than the clock takes to
// come round, in milliseconds.
const tallyTurn = 1 << 30

// addMillis adds up times to the most that is kept, 49 days.
func addMillis(sum *uint32, d uint32) {
	if *sum += d; *sum < d {
		*sum = math.MaxUint32
	}
}

// rated keeps the rate of a sample as Linux does: one that the program limited
// only counts when it is higher.
func (c *conn) rated(r *rateSample) {
	if rate := r.rate(); rate != 0 && (!r.appLimited || rate >= c.tally.rate) {
		c.tally.rate, c.tally.rateLimited = rate, r.appLimited
	}
}

// timedOut counts a retransmission timeout.
func (c *conn) timedOut(now time.Duration) {
	t := &c.cold().rareTally
	if t.rtos < 1<<16-1 {
		t.rtos++
	}
	if t.rtoAt == 0 {
		t.rtoAt = max(clockMillis(now), 1)
		t.runs += uint16(min(1, 1<<16-1-int(t.runs)))
	}
}

// answered ends a run of timeouts.
func (c *conn) answered(now time.Duration) {
	if t := &c.rare.rareTally; t.rtoAt != 0 {
		addMillis(&t.rtoMillis, clockMillis(now)-t.rtoAt)
		t.rtoAt = 0
	}
}

// infoTally fills in what is counted.
func (c *conn) infoTally(i *sockopt.TCPInfo, now time.Duration) {
	t, mss := &c.tally, uint32(max(c.mss, 1))
	i.SegsOut, i.SegsIn, i.DataSegsOut, i.DataSegsIn = t.segsOut, t.segsIn, t.dataOut, t.dataIn
	i.DeliveryRate, i.AppLimited = t.rate, t.rateLimited
	if t.lastText != 0 {
		i.LastDataRecv = clockMillis(now) - t.lastText
	}
	spent := t.spent
	if t.state != chronoIdle {
		addMillis(&spent[t.state-1], clockMillis(now)-t.since)
	}
	const micro = 1000 // in a millisecond
	i.RwndLimited, i.SndBufLimited = uint64(spent[chronoRwnd-1])*micro, uint64(spent[chronoSndBuf-1])*micro
	i.BusyTime = uint64(spent[chronoBusy-1])*micro + i.RwndLimited + i.SndBufLimited
	// What was sent is what was acknowledged and what is outstanding.
	i.BytesSent = c.bytesAcked + uint64(c.sndNxt-c.sndUna)
	if c.flags&flagFinSent != 0 {
		i.BytesSent--
	}
	i.Retrans = (c.resentOut() + mss - 1) / mss
	i.RcvSsthresh = c.rcvLimit()
	if c.rare == nil {
		return
	}
	r := &c.rare.rareTally
	i.BytesSent += r.bytesRetrans
	i.BytesRetrans, i.DSACKDups, i.ReordSeen = r.bytesRetrans, r.dsackDups, r.reordered
	i.TotalRTO, i.TotalRTORecoveries, i.TotalRTOTime = r.rtos, r.runs, r.rtoMillis
	i.RcvOOOPack, i.ZeroWindows = r.ahead, r.zeroWindows
	i.RcvRTT = micros(c.rare.wndTook)
}

// resentOut is how many bytes are in the network that were sent more than once.
func (c *conn) resentOut() (n uint32) {
	if c.log == nil {
		return 0
	}
	for _, k := range c.log.order[c.log.off:] {
		if r := &c.log.recs[k]; r.flags&(recRexmt|recSacked|recLost) == recRexmt {
			n += r.len()
		}
	}
	return n
}
