package tcp

// TIME-WAIT: RFC 9293 sections 3.6.1 and 3.10.7.4, RFC 6191 (a newer
// connection), RFC 1337 (RSTs are ignored). The connection itself is gone; a
// small record answers for it.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/ports"
	"github.com/tcpcni/tcpcni/netstack/wire"
)

// timeWaitGap keeps a new connection's numbers away from the old one's: more than
// an unscaled window.
const timeWaitGap = 65535 + 2

// A timeWait is all that is kept of a connection. There may be as many as
// tcp_max_tw_buckets, so it holds what an answer needs and no more; the way is
// looked up again.
type timeWait struct {
	key          tuple
	sndNxt       uint32
	rcvNxt       uint32
	tsRecent     uint32
	tsOffset     uint32
	link         int32  // that it was reached by
	txDelay      int32  // TCP_TX_DELAY, microseconds
	wnd          uint16 // as it was last advertised
	ts, local    bool
	domain       uint8
	tos, ttl     uint8
	since        time.Duration
	expires      time.Duration
	lastAnswer   time.Duration // 0: none
	claim        *ports.Claim
	share        *sharedClaim
	options      *wire.OutOptions
	auth         *auth
	older, newer *timeWait
}

// A waitTable holds the records in the order in which they were entered or
// touched. They expire in that order, as all wait equally long; after the time
// was made shorter, later ones wait for those before them.
type waitTable struct {
	byTuple        map[tuple]*timeWait
	oldest, newest *timeWait
}

func (t *waitTable) link(w *timeWait) {
	w.older, w.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = w
	} else {
		t.oldest = w
	}
	t.newest = w
}

func (t *waitTable) unlink(w *timeWait) {
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		t.oldest = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		t.newest = w.older
	}
}

// expire ends the records whose time has come.
func (t *waitTable) expire(l *Layer, now time.Duration) {
	for t.oldest != nil && t.oldest.expires <= now {
		l.dropTimeWait(t.oldest)
	}
}

// enterTimeWait replaces c by a record. The acknowledgement that c owes is sent
// at once, as c will not see the next Flush.
func (c *conn) enterTimeWait() {
	l, s := c.l, c.s
	now := c.now()
	c.state = StateTimeWait
	if c.flags&flagAckNow != 0 {
		c.sendAck()
	}
	if c.path.Local && !l.tun.LocalTimeWait {
		c.destroy()
		return
	}
	w := &timeWait{
		key: c.key(), link: int32(c.path.Link), local: c.path.Local, tos: c.path.TOS, ttl: c.path.TTL, options: c.path.Options, sndNxt: c.sndNxt, rcvNxt: c.rcvNxt,
		tsRecent: c.tsRecent, tsOffset: c.tsOffset, ts: c.flags&flagTS != 0,
		wnd: c.advertise(), domain: s.domain, since: now, expires: now + l.tun.TimeWait,
	}
	// The port stays taken for as long.
	w.claim, s.claim = s.claim, nil
	if w.claim != nil {
		w.claim.State, w.claim.Of = ports.TimeWait, nil
	}
	w.share, s.share = s.share, nil
	if w.share != nil {
		w.share.waiting++
	}
	w.auth, w.txDelay = c.auth, s.opts.Rare().TxDelay
	c.destroy()
	for len(l.waits.byTuple) >= max(int(l.tun.MaxTwBuckets), 1) {
		l.dropTimeWait(l.waits.oldest)
	}
	l.waits.byTuple[w.key] = w
	l.waits.link(w)
}

func (l *Layer) dropTimeWait(w *timeWait) {
	delete(l.waits.byTuple, w.key)
	l.waits.unlink(w)
	if w.claim != nil {
		l.ports.Release(w.claim)
	}
	if w.share != nil {
		w.share.waiting--
		l.unshare(w.share)
	}
}

// mayReuse reports whether an active open may take over w's tuple: the tunable
// tcp_tw_reuse, and timestamps that have moved on (RFC 6191 section 2, applied
// to our own SYN).
func (l *Layer) mayReuse(w *timeWait) bool {
	if !w.ts || l.net.Now()-w.since <= l.tun.TwReuseDelay {
		return false
	}
	return l.tun.TwReuse == 1 || l.tun.TwReuse == 2 && w.local
}

// timeWaitInput is section 3.10.7.4 in the state TIME-WAIT.
func (l *Layer) timeWaitInput(w *timeWait, rx *Rx) {
	h := &rx.Header
	if h.Flags&wire.TCPRst != 0 {
		// RFC 1337 section 3, fix 1: ignored.
		if !l.tun.RFC1337 && h.Seq == w.rcvNxt {
			l.dropTimeWait(w)
		}
		return
	}
	old := w.ts && h.HasTS && seqLT(h.TSVal, w.tsRecent)
	if h.Flags&(wire.TCPSyn|wire.TCPAck) == wire.TCPSyn && !old {
		// RFC 6191 section 2: a later timestamp, or timestamps where there were
		// none, or else RFC 1122 section 4.2.2.13: a higher sequence number.
		later := h.HasTS && (w.ts && seqLT(w.tsRecent, h.TSVal) || !w.ts && l.tun.Timestamps)
		newer := later || seqLT(w.rcvNxt, h.Seq)
		if newer && l.takeOver(w, rx) {
			return
		}
	}
	if h.Flags&wire.TCPFin != 0 && !old && h.Seq+segLen(rx) == w.rcvNxt {
		// The peer missed our acknowledgement: start over. A FIN elsewhere is not
		// the peer's.
		w.expires = l.net.Now() + l.tun.TimeWait
		l.waits.unlink(w)
		l.waits.link(w)
	}
	if h.Flags&(wire.TCPFin|wire.TCPSyn) != 0 || len(rx.Payload) > 0 || h.Seq != w.rcvNxt {
		l.answerTimeWait(w)
	}
}

// takeOver gives the tuple to a newer connection, whose SYN is rx, if somebody
// wants it. An offered SYN leaves the record until it is accepted.
func (l *Layer) takeOver(w *timeWait, rx *Rx) bool {
	floor := w.sndNxt + timeWaitGap
	if floor == 0 {
		floor = 1
	}
	if l.findListener(&w.key, rx.Dst, rx.Link) == nil {
		return l.offered(w.key, rx, floor)
	}
	l.dropTimeWait(w)
	l.listenInput(w.key, rx, floor)
	return true
}

// answerTimeWait acknowledges the end of the connection again, seldom enough
// that two ends cannot keep each other busy.
func (l *Layer) answerTimeWait(w *timeWait) {
	now := l.net.Now()
	if w.lastAnswer != 0 && now-w.lastAnswer < l.tun.InvalidRatelimit {
		return
	}
	path, err := w.way(l)
	if err != nil {
		return
	}
	w.lastAnswer = now
	h := &l.tx
	*h = wire.TCP{
		SrcPort: w.key.lport, DstPort: w.key.rport, Seq: w.sndNxt, Ack: w.rcvNxt,
		Flags: wire.TCPAck, Window: w.wnd, WScale: -1,
		HasTS: w.ts, TSVal: uint32(now/time.Millisecond) + w.tsOffset, TSEcr: w.tsRecent,
	}
	l.counters.OutSegs++
	l.sendLater(w.auth, &path, h, w.txDelay)
}

// way is the path to the peer.
func (w *timeWait) way(l *Layer) (Path, error) {
	path, err := l.net.Route(w.key.self(), w.options.Hop(w.key.peer()), max(int(w.link), 0))
	path.Dst, path.Options, path.TOS, path.TTL = w.key.peer(), w.options, w.tos, w.ttl
	return path, err
}

// armFinWait2 limits how long an orphan waits for the peer's FIN: Linux's
// tcp_fin_timeout, or TCP_LINGER2.
func (c *conn) armFinWait2() {
	wait := c.s.opts.Linger2
	if wait < 0 {
		c.abort()
		return
	}
	if wait == 0 {
		wait = c.l.tun.FinWait2Time()
	}
	c.setTimer(timerLinger, c.now()+wait)
}

// lingerTimeout gives up an orphan in FIN-WAIT-2. Linux forgets it quietly; what
// the peer still sends gets a RST.
func (c *conn) lingerTimeout(time.Duration) {
	if c.state == StateFinWait2 {
		c.destroy()
	}
}
