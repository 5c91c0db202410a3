package tcp

// TCP Fast Open, the client: RFC 7413 sections 4.1.3 (the cache) and 4.2.1, and
// what it does about paths that swallow such SYNs (section 4.1.3.1 and Linux's
// tcp_fastopen_blackhole_timeout_sec).

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const (
	// maxFastPeers is how many destinations' cookies a layer keeps.
	maxFastPeers = 1024
	// fastLossPause, doubled with every loss, is how long a destination is left
	// alone after two SYNs with data were lost on the way to it.
	fastLossPause = 60 * time.Second
	// fastTimeouts in a row make a path suspect.
	fastTimeouts = 3
	// fastPauses is how often the pause of all Fast Open doubles at most.
	fastPauses = 6
)

// A fastPeer is what is known of a destination.
type fastPeer struct {
	cookie [wire.MaxFastOpen]byte
	size   uint8 // bytes of the cookie; 0: none
	losses uint8
	mss    uint16 // of its last SYN-ACK
	lostAt time.Duration
}

// fastState is a layer's.
type fastState struct {
	keys  [2]*[16]byte
	peers map[netip.Addr]*fastPeer
	order []netip.Addr // of entry; the oldest makes room

	pausedUntil time.Duration
	pauses      uint8
}

// peer is the entry of a, made if need be.
func (f *fastState) peer(a netip.Addr) *fastPeer {
	p := f.peers[a]
	if p != nil {
		return p
	}
	if f.peers == nil {
		f.peers = make(map[netip.Addr]*fastPeer)
	}
	if len(f.order) >= maxFastPeers {
		delete(f.peers, f.order[0])
		f.order = f.order[:copy(f.order, f.order[1:])]
	}
	p = new(fastPeer)
	f.peers[a] = p
	f.order = append(f.order, a)
	return p
}

// ConnectWithData is Connect that sends the first bytes of p with the SYN if it
// may (sendto(2) with MSG_FASTOPEN). With a nil error it has queued n bytes and
// the connection is under way; with EINPROGRESS it is, too, but there was no
// cookie and nothing is queued: one was asked for. Other errors: EOPNOTSUPP (the
// tunable tcp_fastopen does not allow it) and those of Connect.
func (s *Socket) ConnectWithData(a netip.AddrPort, p []byte) (n int, err error) {
	if s.l.tun.FastOpen&fastClient == 0 {
		return 0, errno.EOPNOTSUPP
	}
	s.fastNow = true
	err = s.Connect(a)
	s.fastNow = false
	if err != errno.EINPROGRESS {
		return 0, err
	}
	if c := s.conn; c.flags&flagFastOpen != 0 && !c.rare.fast.asks {
		return s.Write(p), nil
	}
	return 0, err
}

// fastStart decides how a connection that begins uses Fast Open.
func (c *conn) fastStart() {
	l, set := c.l, c.s.opts.Rare()
	if c.auth != nil || c.flags&flagNoOpt != 0 || !set.FastOpenConnect && !c.s.fastNow || l.tun.FastOpen&fastClient == 0 || c.now() < l.fast.pausedUntil {
		return
	}
	f := &fastConn{}
	p := l.fast.peers[c.path.Dst]
	if p != nil {
		if p.losses > 1 && c.now() < p.lostAt+fastLossPause<<min(p.losses, 16) {
			return
		}
		f.cookie, f.size = p.cookie, p.size
	}
	bare := set.FastOpenNoCookie || l.tun.FastOpen&fastClientNoSeal != 0
	f.asks = f.size == 0 && !bare
	f.most = c.l.defaultMSS(&c.path)
	if p != nil && p.mss != 0 {
		f.most = p.mss
	}
	f.most = min(f.most, mssOf(&c.path)) - (wire.TCPMaxHeader - wire.TCPMinHeader)
	c.cold().fast = f
	c.flags |= flagFastOpen
	if set.FastOpenConnect && !c.s.fastNow && !f.asks {
		f.waits = true
		c.flags &^= flagSynDue
	}
}

// fastWaits reports whether the SYN of c waits for the first bytes.
func (c *conn) fastWaits() bool { return c.flags&flagFastOpen != 0 && c.rare.fast.waits }

// fastGo lets a SYN go that has waited.
func (c *conn) fastGo() {
	if c.fastWaits() {
		c.rare.fast.waits = false
		c.flags |= flagSynDue
	}
}

// fastText adds the option to our SYN, and returns the text that goes along. It
// is asked for the first SYN only: section 4.2.1 has the others plain.
func (c *conn) fastText(h *wire.TCP) [][]byte {
	f := c.rare.fast
	switch {
	case f.asks:
		h.Extra = c.l.fastOption(nil)
		return nil
	case f.size > 0:
		h.Extra = c.l.fastOption(f.cookie[:f.size])
	}
	f.text = min(uint32(c.sq.len()), uint32(f.most))
	if f.text == 0 {
		return nil
	}
	c.l.iov = c.sq.slices(c.l.iov[:0], c.iss+1, int(f.text))
	c.l.counters.FastOpenActive++
	c.tally.dataOut++
	return c.l.iov
}

// fastSent is the sequence number after what our SYNs carried.
func (c *conn) fastSent() uint32 {
	if c.flags&flagFastOpen != 0 {
		return c.iss + 1 + c.rare.fast.text
	}
	return c.iss + 1
}

// fastSynAck takes what the peer's SYN-ACK says: text that it acknowledges was
// delivered; the rest is sent as if it had never been (section 4.2.1, and
// section 4.1.3 for the cache).
func (c *conn) fastSynAck(h *wire.TCP) {
	if c.flags&flagFastOpen == 0 {
		return
	}
	f, now := c.rare.fast, c.now()
	if n := h.Ack - (c.iss + 1); n > 0 {
		c.sq.trim(c.l.pool, h.Ack)
		c.sndNxt = h.Ack
		c.bytesAcked += uint64(n)
		f.taken = true
	} else if f.text > 0 {
		c.l.counters.FastOpenActiveFail++
	}
	cookie, has := h.FastOpen()
	has = has && len(cookie) > 0
	switch {
	case has || h.Ack != c.iss+1:
		p := c.l.fast.peer(c.path.Dst)
		p.mss, p.losses = h.MSS, 0
		if has {
			p.size = uint8(copy(p.cookie[:], cookie))
		}
	case c.flags&flagSynTimeout != 0 && f.text > 0:
		// Only a SYN without data got through.
		c.l.fast.lost(c.path.Dst, now)
	}
}

// lost notes that a SYN with data was.
func (f *fastState) lost(a netip.Addr, now time.Duration) {
	p := f.peer(a)
	p.lostAt = now
	if p.losses < 255 {
		p.losses++
	}
}

// fastTimeout pauses Fast Open for all when a connection that uses it hears
// nothing, as something on the way may swallow it.
func (c *conn) fastTimeout(final bool) {
	if c.flags&(flagFastOpen|flagActive) != flagFastOpen|flagActive || c.rare.fast.waits {
		return
	}
	counted := c.backoff >= fastTimeouts // when the last of them passed
	if final && !counted || !final && c.backoff == fastTimeouts {
		c.l.pauseFastOpen()
	}
}

// pauseFastOpen stops active Fast Open for a while that doubles each time.
func (l *Layer) pauseFastOpen() {
	f := &l.fast
	pause := l.tun.FastOpenBlackhole
	if pause == 0 {
		return
	}
	l.counters.FastOpenBlackhole++
	f.pausedUntil = l.net.Now() + pause<<f.pauses
	f.pauses = min(f.pauses+1, fastPauses)
}

// fastOver judges the path when a connection ends: one that saw nothing but a
// FIN or RST out of turn was cut by something on the way, and one that saw text
// shows that nothing is.
func (c *conn) fastOver() {
	if c.flags&(flagFastOpen|flagActive) != flagFastOpen|flagActive {
		return
	}
	switch {
	case c.bytesRcvd > 0 && !c.path.Local:
		c.l.fast.pauses = 0
	case c.bytesRcvd == 0 && c.rare.finAhead:
		c.l.pauseFastOpen()
	}
}
