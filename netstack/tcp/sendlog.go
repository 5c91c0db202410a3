package tcp

// What is in flight, transmission by transmission: RFC 8985 section 5.2 (the
// per-segment state of RACK), RFC 6675 section 2 (the scoreboard) and
// draft-ietf-ccwg-bbr section 4.1.2.2 (what rate samples need), in one
// structure.
//
// A record stands for one super-segment, not for each segment that the link
// cuts it into; a selective acknowledgement or a loss in its middle splits it,
// and neighbours that have become equal are joined again. A connection has a
// log while something is in flight and gives it back to its layer afterwards.

import (
	"slices"
	"sort"
	"time"
)

// State of a record. One that is neither sacked nor lost is in the network.
const (
	recSacked uint8 = 1 << iota // the peer has it out of order
	recLost                     // taken for lost and not sent again yet
	recRexmt                    // was sent more than once
	recApp                      // P.is_app_limited
)

// A txRecord is the last transmission of [start, end); the number of a FIN
// counts. It holds no pointer, so that the collector passes over it.
type txRecord struct {
	start, end uint32
	inFlight   uint32 // bytes in flight with this transmission: P.tx_in_flight
	segs       uint16 // segments that it left in
	flags      uint8
	rexmts     uint8 // retransmissions, up to 255

	sentAt      time.Duration // P.send_time
	firstSent   time.Duration // P.first_send_time
	deliveredAt time.Duration // P.delivered_time
	delivered   uint64        // P.delivered
	lost        uint64        // P.lost

	older, newer int32 // Valid iff in the network: neighbours by time of transmission
}

func (r *txRecord) len() uint32 { return r.end - r.start }

const (
	// maxRecords bounds a log. Beyond, what is sent joins the record before it
	// and selective acknowledgements that would split one are not entered: they
	// are advice, and what they told is retransmitted needlessly, no more.
	maxRecords = 4096
	// maxRecordLen is what one transmission carries at most.
	maxRecordLen = 1 << 16
	noRecord     = int32(-1)
)

// A sendLog covers [SND.UNA, SND.NXT) without a gap.
type sendLog struct {
	recs   []txRecord
	free   int32   // first unused entry of recs, linked by newer
	order  []int32 // entries by sequence number
	off    int     // those before are gone
	oldest int32   // of those in the network, by time of transmission
	newest int32

	sacked, lost uint32 // bytes in that state
	sackedSegs   uint32
	holes        int    // that the layer has counted
	dups         uint32 // without SACK: bytes that duplicate acknowledgements stand for

	// RACK of RFC 8985 section 5.3: the latest transmission that has arrived, by
	// rackAt and rackEnd.
	rackAt, rackRTT time.Duration
	rackEnd, fack   uint32
	reoAt           time.Duration // when what is not overdue yet will be; 0: nothing
	dsackRound      uint32        // RACK.dsack_round, valid iff inRound
	inRound         bool

	// Proportional rate reduction; see prr.go.
	recoverFS, prrDelivered, prrOut uint32

	frto     uint8  // see frto.go
	eifel    uint8  // see eifel.go
	rexmtTS  uint32 // timestamp of the first retransmission
	lostFrom uint32 // nothing below is lost

	highRxt uint32 // HighRxt of RFC 6675 section 2; see nextseg.go
	rescued bool   // its rescue retransmission was sent in this recovery

	firstSent   time.Duration // C.first_send_time
	deliveredAt time.Duration // C.delivered_time
}

// spareRecords bounds the memory that a layer keeps for the next flights, in
// records.
const spareRecords = 1 << 14

func (l *Layer) takeLog() *sendLog {
	n := len(l.spareLogs)
	if n == 0 {
		return &sendLog{free: noRecord, oldest: noRecord, newest: noRecord}
	}
	b := l.spareLogs[n-1]
	l.spareLogs[n-1] = nil
	l.spareLogs = l.spareLogs[:n-1]
	l.spareRecords -= cap(b.recs)
	return b
}

// dropLog forgets what is in flight.
func (c *conn) dropLog() {
	b, l := c.log, c.l
	c.log = nil
	if b != nil {
		l.holes -= b.holes
	}
	if b == nil || l.spareRecords+cap(b.recs) > spareRecords {
		return
	}
	l.spareRecords += cap(b.recs)
	*b = sendLog{recs: b.recs[:0], order: b.order[:0], free: noRecord, oldest: noRecord, newest: noRecord}
	l.spareLogs = append(l.spareLogs, b)
}

// records is how many there are.
func (b *sendLog) records() int { return len(b.order) - b.off }

// at is the i-th record by sequence number.
func (b *sendLog) at(i int) *txRecord { return &b.recs[b.order[b.off+i]] }

// seek is the place of the first record that ends above seq.
func (b *sendLog) seek(seq uint32) int {
	return sort.Search(b.records(), func(i int) bool { return seqLT(seq, b.at(i).end) })
}

// inNetwork reports whether r is one of the list by time.
func (r *txRecord) inNetwork() bool { return r.flags&(recSacked|recLost) == 0 }

// link puts an entry into the list by time, after the entry prev.
func (b *sendLog) link(e, prev int32) {
	next := b.oldest
	if prev != noRecord {
		next = b.recs[prev].newer
		b.recs[prev].newer = e
	} else {
		b.oldest = e
	}
	if next != noRecord {
		b.recs[next].older = e
	} else {
		b.newest = e
	}
	b.recs[e].older, b.recs[e].newer = prev, next
}

func (b *sendLog) unlink(e int32) {
	r := &b.recs[e]
	if r.older != noRecord {
		b.recs[r.older].newer = r.newer
	} else {
		b.oldest = r.newer
	}
	if r.newer != noRecord {
		b.recs[r.newer].older = r.older
	} else {
		b.newest = r.older
	}
}

// entry returns an unused one.
func (b *sendLog) entry() int32 {
	if e := b.free; e != noRecord {
		b.free = b.recs[e].newer
		return e
	}
	b.recs = append(b.recs, txRecord{})
	return int32(len(b.recs) - 1)
}

func (b *sendLog) release(e int32) {
	b.recs[e].newer = b.free
	b.free = e
}

// add appends the first transmission of what follows in sequence.
func (b *sendLog) add(r txRecord) {
	if n := b.records(); n > 0 {
		last := b.order[len(b.order)-1]
		if p := &b.recs[last]; last == b.newest && p.flags == r.flags &&
			(p.sentAt == r.sentAt && p.delivered == r.delivered && r.end-p.start <= maxRecordLen || n >= maxRecords) {
			segs := min(uint32(p.segs)+uint32(r.segs), 1<<16-1)
			r.start, r.segs, r.older, r.newer = p.start, uint16(segs), p.older, p.newer
			*p = r
			return
		}
	}
	e := b.entry()
	b.recs[e] = r
	b.link(e, b.newest)
	if b.off > 64 && 2*b.off > len(b.order) {
		b.order = b.order[:copy(b.order, b.order[b.off:])]
		b.off = 0
	}
	b.order = append(b.order, e)
}

// split cuts the i-th record at seq, which lies inside.
func (b *sendLog) split(i int, seq uint32) {
	e := b.entry()
	o := b.order[b.off+i]
	r, n := &b.recs[o], &b.recs[e]
	*n = *r
	// Segments are of one size but for the last, which may be short: the largest
	// size that there can be counts those before a cut between two right.
	segs := uint32(r.segs)
	each := (r.len() - 1) / max(segs-1, 1)
	left := min((seq-r.start+each-1)/each, segs)
	r.segs, n.segs = uint16(left), uint16(max(segs-left, 1))
	if r.flags&recSacked != 0 {
		b.sackedSegs += uint32(r.segs) + uint32(n.segs) - segs
	}
	n.start, r.end = seq, seq
	if r.inNetwork() {
		b.link(e, o)
	}
	b.order = slices.Insert(b.order, b.off+i+1, e)
}

// cut makes [left, right) consist of whole records and returns their places
// [i, j). From limit records on none is split, and the range shrinks to those
// that lie within it.
func (b *sendLog) cut(left, right uint32, limit int) (i, j int) {
	i = b.seek(left)
	if i < b.records() && seqLT(b.at(i).start, left) {
		if b.records() < limit {
			b.split(i, left)
		}
		i++
	}
	j = b.seek(right)
	if j >= i && j < b.records() && seqLT(b.at(j).start, right) && b.records() < limit {
		b.split(j, right)
		j++
	}
	return i, max(i, j)
}

// join makes one record of the i-th and the one after it if both are sacked, or
// both are one retransmission.
func (b *sendLog) join(i int) {
	if i < 0 || i+1 >= b.records() {
		return
	}
	p, q := b.order[b.off+i], b.order[b.off+i+1]
	r, s := &b.recs[p], &b.recs[q]
	switch {
	case r.flags&s.flags&recSacked != 0:
		r.flags |= s.flags
	case r.flags == s.flags && r.inNetwork() && r.sentAt == s.sentAt && r.delivered == s.delivered &&
		r.newer == q && s.end-r.start <= maxRecordLen:
		r.inFlight = s.inFlight
		b.unlink(q)
	default:
		return
	}
	r.end = s.end
	r.segs = uint16(min(uint32(r.segs)+uint32(s.segs), 1<<16-1))
	r.rexmts = max(r.rexmts, s.rexmts)
	b.release(q)
	b.order = slices.Delete(b.order, b.off+i+1, b.off+i+2)
}

// leave takes the i-th record out of the counts and lists of its state.
func (b *sendLog) leave(i int) {
	e := b.order[b.off+i]
	r := &b.recs[e]
	switch {
	case r.flags&recSacked != 0:
		b.sacked -= r.len()
		b.sackedSegs -= min(b.sackedSegs, uint32(r.segs))
	case r.flags&recLost != 0:
		b.lost -= r.len()
	default:
		b.unlink(e)
	}
}

// pop removes the first record.
func (b *sendLog) pop() {
	b.leave(0)
	b.release(b.order[b.off])
	b.off++
	if b.off == len(b.order) {
		b.order, b.off = b.order[:0], 0
	}
}

// setSacked moves the i-th record to what the peer has.
func (b *sendLog) setSacked(i int) {
	b.leave(i)
	r := b.at(i)
	r.flags = r.flags&^recLost | recSacked
	b.sacked += r.len()
	b.sackedSegs += uint32(r.segs)
}

// setLost moves the i-th record, which is in the network, to what is lost.
func (b *sendLog) setLost(i int) {
	b.leave(i)
	r := b.at(i)
	r.flags |= recLost
	if b.lost == 0 || seqLT(r.start, b.lostFrom) {
		b.lostFrom = r.start
	}
	b.lost += r.len()
}

// setSent moves the i-th record to what is in the network, sent last of all.
func (b *sendLog) setSent(i int) {
	b.leave(i)
	e := b.order[b.off+i]
	b.recs[e].flags = b.recs[e].flags&^recLost | recRexmt
	b.link(e, b.newest)
}

// firstLost finds the first bytes that are lost, joined with what is lost next
// to them.
func (b *sendLog) firstLost() (left, right uint32, ok bool) {
	if b.lost == 0 {
		return 0, 0, false
	}
	i := b.seek(b.lostFrom)
	for b.at(i).flags&recLost == 0 {
		i++
	}
	left, right = b.at(i).start, b.at(i).end
	b.lostFrom = left
	for i++; i < b.records() && b.at(i).flags&recLost != 0; i++ {
		right = b.at(i).end
	}
	return left, right, true
}

// forgetSacked takes back every selective acknowledgement: RFC 2018 section 8.
func (b *sendLog) forgetSacked() {
	for i := range b.records() {
		if r := b.at(i); r.flags&recSacked != 0 {
			b.leave(i)
			r.flags &^= recSacked
			b.link(b.order[b.off+i], noRecord) // when it was sent is long past
		}
	}
}

// unlose takes back that anything was lost: it is in the network.
func (b *sendLog) unlose() {
	if b.lost == 0 {
		return
	}
	prev := noRecord // the last one that was put back, or what lies before it
	for i := range b.records() {
		e := b.order[b.off+i]
		r := &b.recs[e]
		if r.flags&recLost == 0 {
			continue
		}
		b.lost -= r.len()
		r.flags &^= recLost
		if prev != noRecord && b.recs[prev].sentAt > r.sentAt {
			prev = noRecord
		}
		next := b.oldest
		if prev != noRecord {
			next = b.recs[prev].newer
		}
		for next != noRecord && b.recs[next].sentAt <= r.sentAt {
			prev, next = next, b.recs[next].newer
		}
		b.link(e, prev)
		prev = e
	}
}
