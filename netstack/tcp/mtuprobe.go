package tcp

// Path MTU discovery without ICMP: RFC 4821, as RFC 8899 has it for datagrams.
// Where full segments are lost again and again and nobody says why, there may be
// a router that drops what is too big in silence: a black hole. The connection
// goes on with a small MTU that any path takes, and searches upwards from there
// with single larger segments, whose loss is no sign of congestion.

import "time"

// Values of the tunable tcp_mtu_probing.
const (
	mtuProbingOff     = 0
	mtuProbingOnHole  = 1 // after a black hole was found
	mtuProbingAlways  = 2 // from the start
	mtuProbeMinWindow = 11
)

// Consecutive timeouts after which a black hole is suspected, after which even
// the small MTU is, and after which it was none: FreeBSD's 2, 4 and 6.
const (
	holeSuspected = 2
	holeSmaller   = 4
	holeNone      = 6
)

// A mtuSearch is the state of one connection's search, MTUs in bytes: low is
// known to pass (search_low of RFC 4821 section 7.3), high is the largest that
// may, top what the path had in the beginning.
type mtuSearch struct {
	low, high, top int
	size           int // MTU of the probe that is under way; 0: none
	end            uint32
	start          uint32
	again          time.Duration // not before
	inHole         bool          // the smaller MTU has not proved itself yet
	doubts         uint8         // full probes that may yet show that there was no hole
}

// holeDoubts is how many full probes must be lost before a black hole is believed
// in (MAX_PROBES of RFC 8899 section 5.1.2). Where one segment in ten is lost two
// timeouts in a row come soon, and a window too small for the ordinary search
// would keep such a connection at the small MTU for good.
const holeDoubts = 3

// overhead is what a segment of the connection has besides its payload, in bytes.
func (c *conn) overhead() int {
	n := headersOf(&c.path) + c.path.Options.Len()
	if c.flags&flagTS != 0 {
		n += tsOptionLen
	}
	return n + c.auth.room()
}

// baseMTU is where the search begins: eff_pmtu of RFC 4821 section 7.2.
func (c *conn) baseMTU(mss int32) int {
	least := leastMTU4
	if c.path.Dst.Is6() {
		least = leastMTU6 // every path takes that: RFC 8200 section 5
	}
	return max(int(mss)+headersOf(&c.path), least)
}

// baseMSS is the tunable for the connection's family.
func (c *conn) baseMSS() int32 {
	if t := c.l.tun; c.path.Dst.Is6() && t.BaseMSS6 != 0 {
		return t.BaseMSS6
	}
	return c.l.tun.BaseMSS
}

// lastMSS is what is tried when the small MTU does not pass either: FreeBSD takes
// what it assumes of a peer that names none.
func (c *conn) lastMSS() int32 {
	switch t := c.l.tun; {
	case !t.HoleDefaultMSS:
		return t.MTUProbeFloor
	case c.path.Dst.Is6():
		return t.MSS6
	default:
		return t.MSS4
	}
}

// mayProbeMTU reports whether the network has a say in the MTU at all.
func (c *conn) mayProbeMTU() bool {
	return c.l.tun.MTUProbing != mtuProbingOff && !c.path.NoDF && !c.path.Local && c.s.followsPathMTU()
}

// startMTUProbing begins a connection low if it is to search from the start.
func (c *conn) startMTUProbing() {
	if c.l.tun.MTUProbing == mtuProbingAlways && c.mayProbeMTU() {
		c.searchFrom(c.baseMTU(c.baseMSS()))
	}
}

// searchFrom lowers the MTU and searches from there on.
func (c *conn) searchFrom(mtu int) {
	r := c.cold()
	if r.mtu == nil {
		r.mtu = &mtuSearch{top: c.path.MTU}
	}
	m := r.mtu
	m.low, m.high, m.size = min(mtu, m.top), m.top, 0
	c.path.MTU = m.low
	c.setMSS()
}

// suspectHole runs at every retransmission timeout, counted by backoff. What is
// waiting must be larger than the small MTU allows, or its size cannot be why.
func (c *conn) suspectHole() {
	if !c.mayProbeMTU() || c.sndWnd == 0 {
		return // what is sent into a shut window is not acknowledged, whatever its size
	}
	first := min(c.sndNxt-c.sndUna, uint32(c.mss))
	large := func(mtu int) bool { return int(first)+c.overhead() > mtu }
	base, least := c.baseMTU(c.baseMSS()), c.baseMTU(c.lastMSS())
	switch c.backoff {
	case holeSuspected:
		if large(base) {
			c.l.counters.PMTUDBlackholeActivated++
			c.searchFrom(base)
			c.rare.mtu.inHole, c.rare.mtu.doubts = true, holeDoubts
		}
	case holeSmaller:
		if m := c.cold().mtu; m != nil && m.inHole && large(least) {
			c.l.counters.PMTUDBlackholeMinMSS++
			c.searchFrom(least)
		}
	case holeNone:
		if m := c.cold().mtu; m != nil && m.inHole {
			c.l.counters.PMTUDBlackholeFailed++
			c.path.MTU = m.top
			c.setMSS()
			c.rare.mtu = nil
		}
	}
}

// acked takes what was acknowledged up to SND.UNA: the small MTU passes, or a
// probe has.
func (m *mtuSearch) acked(c *conn) {
	m.inHole = false
	if m.size == 0 || !seqLEQ(m.end, c.sndUna) {
		return
	}
	c.l.counters.MTUProbeSuccess++
	m.low, m.size, m.doubts = m.size, 0, 0
	c.path.MTU = m.low
	c.setMSS()
}

// told follows a message about a smaller MTU, which is better than searching.
func (m *mtuSearch) told(mtu int) {
	m.low, m.high, m.top = min(m.low, mtu), min(m.high, mtu), min(m.top, mtu)
}

// lost notes that [start, end) was taken for lost.
func (m *mtuSearch) lost(c *conn, start, end uint32) {
	if m.size == 0 || seqLEQ(end, m.start) || seqLEQ(m.end, start) {
		return
	}
	c.l.counters.MTUProbeFail++
	if m.doubts > 1 {
		m.doubts, m.size, m.again = m.doubts-1, 0, c.now()+c.srtt
		return
	}
	m.high, m.size, m.doubts = m.size-1, 0, 0
	m.again = c.now() + c.rto
}

// onlyProbeLost reports whether a probe alone is lost. RFC 4821 section 7.5:
// that must not be taken for congestion.
func (c *conn) onlyProbeLost(was int) bool {
	m := c.search()
	return m != nil && was != 0 && m.size == 0 && c.log.lost == m.end-m.start
}

func (c *conn) search() *mtuSearch {
	if c.rare == nil {
		return nil
	}
	return c.rare.mtu
}

// probing is the MTU of the probe that is under way, 0 without.
func (c *conn) probing() int {
	if m := c.search(); m != nil {
		return m.size
	}
	return 0
}

// sendMTUProbe sends the next data as one segment that is larger than any that
// passed, if the search is on and the loss of one would be noticed at once:
// RFC 4821 section 7.4.
func (c *conn) sendMTUProbe(now time.Duration) {
	m := c.search()
	if m == nil || m.size != 0 || m.inHole || now < m.again || c.caState != caOpen || c.flags&flagUrgSnd != 0 ||
		c.sackedBytes() > 0 {
		return
	}
	doubted := m.doubts > 0
	if !doubted && (c.flags&flagSACK == 0 || c.cwnd < mtuProbeMinWindow*uint32(c.mss)) {
		return
	}
	high := min(m.high, int(c.peerMSS)+headersOf(&c.path))
	if s := c.s.opts.MaxSeg; s > 0 {
		high = min(high, int(s)+headersOf(&c.path))
	}
	if high-m.low < int(c.l.tun.ProbeThreshold) {
		// Found. The path may change: look again later.
		m.high, m.again = m.top, now+c.l.tun.ProbeInterval
		return
	}
	size := (m.low + high + 1) / 2
	if doubted {
		size = high
	}
	n := uint32(size - c.overhead())
	// Enough must follow to show that the probe alone is missing.
	most := n + (c.dupThresh()+1)*uint32(c.mss)
	if doubted {
		most = n
	}
	if c.unsent() < most || seqLT(c.sndUna+c.sndWnd, c.sndNxt+most) || c.cwnd < c.pipe()+most || !c.mayDepart(now) {
		return
	}
	m.size, m.start, m.end = size, c.sndNxt, c.sndNxt+n
	c.l.counters.MTUProbes++
	c.flags |= flagOneSegment
	c.sendPiece(n, false, now)
	c.flags &^= flagOneSegment | flagSmallOut
}
