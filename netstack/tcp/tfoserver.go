package tcp

// TCP Fast Open, the server: RFC 7413 section 4.2, and section 5.1 against floods
// of SYNs whose cookies were stolen.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// fastResetTime is how long a connection that was reset before its handshake was
// complete still counts: the RST answers a SYN-ACK that nobody had asked for, so
// the SYN's source was forged (section 5.1). As Linux has it.
const fastResetTime = 60 * time.Second

// A fastQueue counts a listener's connections in SYN-RECEIVED that Fast Open
// made, and those that were reset there.
type fastQueue struct {
	len    int
	resets []time.Duration // when each stops to count, ascending
}

// full reports whether one more would be too many.
func (q *fastQueue) full(limit int, now time.Duration) bool {
	for len(q.resets) > 0 && q.resets[0] <= now {
		q.resets = q.resets[1:]
	}
	if len(q.resets) == 0 {
		q.resets = nil
	}
	return q.len+len(q.resets) >= limit
}

// fastLimit is how many connections in SYN-RECEIVED the listener takes; 0: none.
func (lst *listener) fastLimit() int {
	tun := lst.s.l.tun
	switch n := int(lst.s.opts.Rare().FastOpen); {
	case tun.FastOpen&fastServer == 0:
		return 0
	case n > 0:
		return n
	case tun.FastOpen&fastEveryone != 0:
		return lst.backlog
	}
	return 0
}

// fastSYN looks at what a SYN to lst says of Fast Open: whether its text is
// taken now, and whether the SYN-ACK is to carry a cookie.
func (l *Layer) fastSYN(lst *listener, k *tuple, rx *Rx) (take, give bool) {
	cookie, has := rx.Header.FastOpen()
	text := len(rx.Payload) > 0
	limit := lst.fastLimit()
	if limit == 0 || lst.s.signs() || !has && !text {
		return false, false
	}
	if has && len(cookie) == 0 {
		l.counters.FastOpenCookieReqd++
	}
	if lst.fast.full(limit, l.net.Now()) {
		l.counters.FastOpenListenOverflow++
		return false, false
	}
	if l.tun.FastOpen&fastServerNoSeal != 0 || lst.s.opts.Rare().FastOpenNoCookie {
		return true, false
	}
	if !has || len(cookie) == 0 {
		return false, has
	}
	good, old := l.checkFastCookie(lst.s.opts.Rare().FastOpenKeys, k, cookie)
	if !good {
		l.counters.FastOpenPassiveFail++
		return false, true
	}
	return true, old
}

// openFast makes the connection of a SYN at once, takes its text and has the
// next Flush acknowledge both: section 4.2.2.
func (l *Layer) openFast(lst *listener, k tuple, path Path, rx *Rx, give bool) {
	h := &rx.Header
	s := &Socket{l: l, domain: lst.s.domain, bound: path.Src}
	l.profile.Inherit(&s.opts, &lst.s.opts)
	l.passive(&s.opts, int(s.domain), &path, &k)
	l.reflect(&s.opts, rx.TOS)
	l.sharePort(s, lst.s, path.Src)
	c := l.newConn(s, path, k.lport, k.rport)
	c.iss = l.isn(&k)
	// The SYN is not in what SND.UNA and SND.NXT count, so that text behind it is
	// sent and acknowledged as ever.
	c.startAt(c.iss + 1)
	c.sq.reset(c.iss + 1)
	c.recover = c.iss
	c.state = StateSynReceived
	c.flags |= flagFastOpen | flagSynDue
	c.cold().fast = &fastConn{lst: lst, give: give}
	c.rare.syn = lst.keepSYN(rx)
	c.advMSS = c.ourMSS()
	c.rcvScale = c.wantScale()
	c.answerOffers()
	c.peerSYN(h, c.now())
	c.agreeECN(ecnAgree(h.Flags, l.ecnAccepts(c.cc.info())), rx.TOS&ecnMask)
	c.sndWnd = uint32(h.Window) // never scaled in a SYN
	c.sndWl1, c.maxSndWnd = h.Seq, c.sndWnd
	c.startCongestion()
	c.arrived(rx)
	p := rx.Payload
	p = p[:min(uint32(len(p)), c.rcvAdv-c.rcvNxt)]
	if len(p) > 0 && !l.exhausted() {
		c.take(p)
		c.rare.fast.taken = true
		c.rcvAdv = c.rcvNxt + min(c.rcvSpaceLeft(), l.widest(0))
	}
	lst.fast.len++
	lst.queue = append(lst.queue, s)
	lst.s.raise(EventAcceptable)
	l.counters.PassiveOpens++
	l.counters.FastOpenPassive++
	l.markDirty(c)
}

// fastFlush is flush for a connection that is not established: the answer to the
// text leaves before the handshake is complete.
func (c *conn) fastFlush() {
	c.flushHandshake()
	if c.unsent() == 0 && c.flags&flagFinQueued == 0 {
		return
	}
	was, now := c.sndNxt, c.now()
	c.sendNew(now)
	if c.sndNxt != was {
		c.flags &^= flagSynTimed // lastSend is another's
	}
	c.wakeWriter()
}

// fastDone takes c out of its listener's count.
func (c *conn) fastDone() {
	if c.flags&flagFastOpen == 0 {
		return
	}
	if f := c.rare.fast; f.lst != nil {
		f.lst.fast.len--
		f.lst = nil
	}
}

// fastReset notes that the peer has reset a connection in SYN-RECEIVED.
func (c *conn) fastReset() {
	if c.flags&flagFastOpen == 0 || c.rare.fast.lst == nil {
		return
	}
	q := &c.rare.fast.lst.fast
	c.fastDone()
	q.resets = append(q.resets, c.now()+fastResetTime)
}

// fastReply adds the cookie to a SYN-ACK, if the peer is to have one. own are the
// listener's keys.
func (l *Layer) fastReply(own string, h *wire.TCP, k *tuple) {
	b, _ := l.fastCookie(own, 0, k)
	h.Extra = l.fastOption(b[:])
}
