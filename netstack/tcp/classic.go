package tcp

// Detection of losses by counting what arrived after them: RFC 6675 with SACK,
// RFC 5681 section 3.2 and RFC 6582 without. The former is the function block
// `classic`; the latter is what every block does when the peer has no SACK, as
// RFC 8985 section 5.1 needs it.

// classicDetect takes for lost what IsLost of RFC 6675 section 4 says is, or
// what RFC 6582 section 3.2 step 3 wants retransmitted.
func (c *conn) classicDetect() {
	if c.caState == caRecovery || c.caState == caOpen && c.enoughAbove() {
		c.markBelow(c.lostEdge(), false)
	}
}

// enoughAbove decides on fast retransmit.
func (c *conn) enoughAbove() bool {
	if c.log.sacked > 0 {
		// RFC 6675 section 5 step 1 and 2.
		return seqLEQ(c.recover, c.sndUna) &&
			(uint32(c.dupAcks) >= c.dupThresh() || c.log.lostEdge(c.sndUna, uint32(c.mss), c.dupThresh()) != c.sndUna)
	}
	// RFC 6582 section 3.2 step 2: not for duplicates of what a timeout resent.
	return uint32(c.dupAcks) >= c.dupThresh() && seqLT(c.recover, c.sndUna)
}

// lostEdge is the sequence number under which what is not acknowledged counts
// as lost in fast recovery.
func (c *conn) lostEdge() uint32 {
	// RFC 6582 section 3.2 step 3: the segment at SND.UNA is lost, at the start
	// and after every partial acknowledgement.
	edge := seqMin(c.sndUna+uint32(c.mss), c.sndNxt)
	return seqMax(edge, c.log.lostEdge(c.sndUna, uint32(c.mss), c.dupThresh()))
}

// lostEdge is the sequence number under which every hole is lost: IsLost of
// RFC 6675 section 4. Without any it is una.
func (b *sendLog) lostEdge(una, mss, dupThresh uint32) uint32 {
	var bytes, ranges uint32
	for i := b.records() - 1; bytes < b.sacked; i-- {
		r := b.at(i)
		if r.flags&recSacked == 0 {
			continue
		}
		bytes += r.len()
		ranges++
		if ranges >= dupThresh || bytes > (dupThresh-1)*mss {
			return r.start
		}
	}
	return una
}

// limitedTransmit bounds the room for new data that duplicate acknowledgements
// make before fast retransmit: RFC 3042 section 2, without SACK two segments
// beyond the window. With the algorithm switched off there is no such room.
func (c *conn) limitedTransmit(room uint32) uint32 {
	if c.caState != caOpen || c.log == nil {
		return room
	}
	out, limit := c.sndNxt-c.sndUna, c.cwnd
	switch sack := c.flags&flagSACK != 0; {
	case sack && c.l.tun.LimitedXmit, !sack && c.log.dups == 0:
		return room
	case !sack && c.l.tun.LimitedXmit:
		limit += 2 * uint32(c.mss)
	}
	return min(room, limit-min(out, limit))
}
