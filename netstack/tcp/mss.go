package tcp

// Segment sizes: RFC 9293 section 3.7.1, RFC 6691, RFC 1191 and RFC 8201.

// Header sizes and bounds, in bytes.
const (
	ipv4TCPHeaders = 20 + 20
	ipv6TCPHeaders = 40 + 20
	tsOptionLen    = 12
	leastMSS       = 48 // the least path and cookie
	leastMTU4      = 552
	leastMTU6      = 1280
)

func headersOf(p *Path) int {
	if p.Dst.Is4() {
		return ipv4TCPHeaders
	}
	return ipv6TCPHeaders
}

// defaultMSS is assumed of a peer that names none: RFC 9293 section 3.7.1,
// MUST-15.
func (l *Layer) defaultMSS(p *Path) uint16 {
	if p.Dst.Is4() {
		return uint16(l.tun.MSS4)
	}
	return uint16(l.tun.MSS6)
}

// mssOf is the MSS that fits the path, without options.
func mssOf(p *Path) uint16 {
	return uint16(min(max(p.MTU-headersOf(p), leastMSS), 65535))
}

// ourMSS is what our SYN offers (MUST-14, SHLD-5).
func (c *conn) ourMSS() uint16 {
	m := mssOf(&c.path)
	if s := c.s.opts.MaxSeg; s > 0 {
		m = min(m, uint16(s))
	}
	return m
}

// setMSS computes Eff.snd.MSS of section 3.7.1 (MUST-16).
func (c *conn) setMSS() {
	m := min(max(c.peerMSS, uint16(c.l.tun.MinSndMSS)), mssOf(&c.path))
	if n := c.path.Options.Len(); n != 0 {
		m = max(m-uint16(n), leastMSS) // RFC 9293 section 3.7.1, MUST-16
	}
	if s := c.s.opts.MaxSeg; s > 0 {
		m = min(m, max(uint16(s), leastMSS)) // the options below fit that
	}
	if c.flags&flagTS != 0 {
		m -= tsOptionLen
	}
	m -= uint16(c.auth.room())
	c.mss = m
	if c.cwnd != 0 {
		c.cwnd = max(c.cwnd, uint32(m)) // less would never send anything
	}
	if c.rcvMSS == 0 {
		c.rcvMSS = min(m, c.l.defaultMSS(&c.path))
	}
}

// newPathMTU takes a smaller MTU that a router told of: what was sent with the
// old one is lost, but not to congestion (RFC 1191 section 6.5, RFC 5927
// section 7.2: bounded below).
func (c *conn) newPathMTU(mtu int) {
	least := leastMTU4
	if c.path.Dst.Is6() {
		least = leastMTU6
	}
	mtu = max(mtu, least)
	if m := c.search(); m != nil {
		m.told(mtu)
	}
	if mtu >= c.path.MTU {
		return
	}
	c.path.MTU = mtu
	c.setMSS()
	if c.sndUna == c.sndNxt {
		return
	}
	if !c.state.rule().synced {
		return // the SYN fits any path
	}
	c.caState = caLoss
	c.recover, c.log.dups = c.sndNxt, 0
	c.markBelow(c.sndNxt, true)
	c.l.markDirty(c)
}
