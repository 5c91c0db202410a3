package tcp

// SYN-RECEIVED after a passive open. Anyone can bring this state about with one
// packet, so it has a small record of its own, and few of them: RFC 4987.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

type halfOpen struct {
	l    *Layer
	lst  *listener
	path Path
	key  tuple

	iss, irs, tsRecent, tsOffset uint32
	opts                         synOptions
	sentAt                       time.Duration // of the first SYN-ACK
	openedAt                     time.Duration
	at                           time.Duration // next retransmission
	heapIndex                    int32
	tries                        uint8 // retransmissions so far
	rcvScale                     uint8 // shift of our windows, as the SYN-ACK says
	cookie                       bool  // made for one segment; see cookie.go
	challenged                   bool  // an acknowledgement has offered a scaled window
	acked                        bool  // the last step of the handshake came, but could not be taken
	give                         bool  // the SYN-ACK carries a Fast Open cookie
	source, listed               uint8 // of the SYN cache: counter and list
	ecn                          halfECN
	older, newer                 *halfOpen
	auth                         *auth
	syn                          []byte // see keepSYN
}

// synOptions is what the peer's SYN offered.
type synOptions struct {
	mss    uint16
	uto    uint16
	wscale int8
	sack   bool
	ts     bool
	ecn    ecnMode
}

// newHalf makes the record of a SYN to a listener, in no table and with no
// sequence number of ours yet.
func (l *Layer) newHalf(lst *listener, k tuple, path Path, in *wire.TCP) *halfOpen {
	h := &halfOpen{
		l: l, lst: lst, path: path, key: k,
		irs: in.Seq, tsRecent: in.TSVal, tsOffset: l.tsOffset(&k),
		opts: synOptions{
			mss: in.MSS, wscale: in.WScale,
			sack: in.SACKPermitted && l.tun.SACK,
			ts:   in.HasTS && l.tun.Timestamps,
			uto:  in.UTO,
		},
	}
	h.auth = lst.s.authFrom(path.Src, path.Dst, k.lport, k.rport)
	h.auth.choose(in)
	h.opts.ts = h.opts.ts && h.auth.fitsTS(h.opts.sack)
	o := h.options()
	h.opts.ecn = h.agreesECN(in.Flags, o)
	h.ecn.synMark = l.rxTOS & ecnMask
	h.path.TTL, h.path.TOS = pathMarks(o, &path)
	if l.tun.ReflectTOS {
		h.path.TOS = l.rxTOS &^ ecnMask
	}
	h.rcvScale = scaleFor(l, o)
	if !l.tun.WindowScaling {
		h.opts.wscale = -1
	}
	if o.Rare().NoOpt {
		h.opts.wscale, h.opts.sack, h.opts.ts, h.opts.uto = -1, false, false, 0
	}
	now := l.net.Now()
	h.openedAt, h.sentAt = now, now
	return h
}

// openHalf answers a SYN to a listener and remembers it.
func (l *Layer) openHalf(lst *listener, k tuple, path Path, rx *Rx, floor uint32, give bool) {
	h := l.newHalf(lst, k, path, &rx.Header)
	h.syn = lst.keepSYN(rx)
	h.give = give
	h.iss = l.isn(&k)
	if floor != 0 {
		h.iss = seqMax(h.iss, floor)
	}
	h.at = h.sentAt + h.rto()
	for l.syns.len >= l.synRoom() {
		l.evictHalf()
	}
	l.enterHalf(h)
	l.timers.arm(h, h.at)
	h.sendSynAck()
}

// rto is the timeout after so many tries.
func (h *halfOpen) rto() time.Duration {
	l, o := h.l, h.options()
	wait := l.rtoInitial(o) << min(h.tries, 16)
	if step := l.tun.RTOStep; step > 0 {
		wait = step * time.Duration(1+int(h.tries))
	}
	return min(wait, l.rtoMax(o))
}

func (h *halfOpen) heapPos() *int32 { return &h.heapIndex }

// runTimers retransmits the SYN-ACK with backoff and gives up at last.
func (h *halfOpen) runTimers(now time.Duration) time.Duration {
	if now < h.at {
		return h.at
	}
	l := h.l
	if h.outOfPatience(now) {
		l.dropHalf(h)
		return never
	}
	h.tries++
	l.moveHalf(h)
	h.at = now + h.rto()
	// The peer has completed the handshake and waits for us to have room, or
	// for its own data (TCP_DEFER_ACCEPT): no need to ask again, except that
	// it may have forgotten.
	if !h.acked || h.tries > 1 {
		l.counters.RetransSegs++
		h.sendSynAck()
	}
	return h.at
}

func (h *halfOpen) header(seq uint32, flags wire.TCPFlags) *wire.TCP {
	t := &h.l.tx
	*t = wire.TCP{
		SrcPort: h.key.lport, DstPort: h.key.rport,
		Seq: seq, Ack: h.irs + 1, Flags: flags, WScale: -1,
	}
	if h.opts.ts {
		t.HasTS = true
		t.TSVal = uint32(h.l.net.Now() / time.Millisecond)
		if h.cookie {
			t.TSVal = h.opts.stamp(t.TSVal)
		}
		t.TSVal += h.tsOffset
		t.TSEcr = h.tsRecent
	}
	return t
}

// window is what the connection will offer at first.
func (h *halfOpen) window() uint32 {
	o := h.options()
	n := uint32(h.l.firstBuf())
	if o.RcvBufLocked {
		n = uint32(o.RcvBuf) / 2
	}
	if w := o.WinClamp; w > 0 {
		n = min(n, uint32(w))
	}
	return min(max(n, 1), h.l.widest(0))
}

func (h *halfOpen) advMSS() uint16 {
	m := mssOf(&h.path)
	if s := h.options().MaxSeg; s > 0 {
		m = min(m, uint16(s))
	}
	return m
}

func (h *halfOpen) sendSynAck() {
	t := h.header(h.iss, wire.TCPSyn|wire.TCPAck)
	t.Window = uint16(h.window())
	if o := h.options(); !o.Rare().NoOpt {
		t.MSS = h.advMSS()
		if h.l.tun.UserTimeoutOption {
			t.UTO = utoOption(o.UserTimeout)
		}
	}
	t.SACKPermitted = h.opts.sack
	if h.opts.wscale >= 0 {
		t.WScale = int8(h.rcvScale)
	}
	if h.give {
		h.l.fastReply(h.lst.s.opts.Rare().FastOpenKeys, t, &h.key)
	}
	if h.l.stampSYN(t, h.opts.ecn, h.ecn.synMark, h.tries, h.ecn.again) {
		h.ecn.noECT = true
	}
	h.l.counters.OutSegs++
	h.send(t)
}

// sendAck answers a segment that does not fit, as RFC 5961 has it.
func (h *halfOpen) sendAck() {
	if !h.l.mayChallenge() {
		return
	}
	h.l.counters.ChallengeACKs++
	h.challenged = true
	t := h.header(h.iss+1, wire.TCPAck)
	t.Window = h.scaledWindow()
	h.send(t)
}

func (h *halfOpen) scaledWindow() uint16 {
	if h.opts.wscale < 0 {
		return uint16(h.window())
	}
	unit := uint32(1)<<h.rcvScale - 1 // rounded up: the SYN-ACK has promised as much
	return uint16((h.window() + unit) >> h.rcvScale)
}

// refuse resets the peer.
func (h *halfOpen) refuse() {
	t := h.header(h.iss+1, wire.TCPRst|wire.TCPAck)
	h.l.counters.OutRsts++
	h.send(t)
}

// input is RFC 9293 section 3.10.7.4 in the state SYN-RECEIVED.
func (h *halfOpen) input(rx *Rx) {
	in, l := &rx.Header, h.l
	syn, rst, ack := in.Flags&wire.TCPSyn != 0, in.Flags&wire.TCPRst != 0, in.Flags&wire.TCPAck != 0
	if h.opts.ts && !rst {
		if !in.HasTS {
			return // RFC 7323 section 3.2
		}
		if seqLT(in.TSVal, h.tsRecent) {
			l.counters.PAWSDrops++
			h.sendAck()
			return
		}
	}
	if syn && !rst && !ack && in.Seq == h.irs {
		h.tsRecent = in.TSVal
		if !h.repeatedECN(in.Flags, rx.TOS&ecnMask) {
			h.refuse()
			l.dropHalf(h)
			return
		}
		h.sendSynAck() // the peer did not get it
		// Whoever asks is there, and shall have the time to answer this one.
		h.at = l.net.Now() + h.rto()
		l.timers.arm(h, h.at)
		return
	}
	if !seqIn(in.Seq, h.irs+1, h.window()) {
		if !rst {
			h.sendAck()
		}
		return
	}
	switch {
	case rst && in.Seq == h.irs+1:
		l.counters.AttemptFails++
		l.dropHalf(h) // back to LISTEN
		return
	case rst || syn:
		h.sendAck() // RFC 5961 sections 3.2 and 4.2
		return
	case !ack:
		return
	case in.Ack != h.iss+1:
		// A late copy of the SYN may have brought the record about, when the peer
		// has a cookie already.
		if h.acked || !l.cookieInput(h.lst, h.key, rx) {
			h.auth.numbers(h.iss, h.irs)
			l.refuse(rx, h.auth)
		}
		return
	}
	h.complete(rx)
}

// complete is the third step of the handshake.
func (h *halfOpen) complete(rx *Rx) {
	l := h.l
	now := l.net.Now()
	// TCP_DEFER_ACCEPT waits for text. After a FIN there will be none.
	if segLen(rx) == 0 && rx.Header.Seq == h.irs+1 && now-h.openedAt < h.lst.s.opts.DeferAccept {
		h.wait()
		return
	}
	if h.lst.acceptFull() {
		l.counters.ListenOverflows++
		if l.tun.AbortOnOverflow {
			h.refuse()
			l.dropHalf(h)
			return
		}
		h.wait() // the peer will send again, or answer our SYN-ACK
		return
	}
	c := l.promote(h)
	in := &rx.Header
	c.sndWnd = uint32(in.Window) << c.sndScale
	c.sndWl1, c.maxSndWnd = in.Seq, c.sndWnd
	switch {
	case h.cookie: // when the SYN-ACK went, nobody remembers
	case h.tries == 0:
		c.rttSample(now - h.sentAt) // RFC 6298 section 3: not when it was sent twice
		c.leastRTT(max(now-h.sentAt, 1), now)
	default:
		c.flags |= flagSynTimeout
	}
	c.thirdStep(in, len(rx.Payload))
	c.established()
	c.input(rx)
}

// wait keeps the record of a handshake that is complete but for us.
func (h *halfOpen) wait() {
	h.acked = true
	h.l.moveHalf(h)
}

// fill carries what the handshake agreed on over to the connection.
func (h *halfOpen) fill(c *conn) {
	c.iss, c.sndUna, c.sndNxt = h.iss, h.iss+1, h.iss+1
	c.recover = h.iss
	c.sq.reset(h.iss + 1)
	c.state = StateSynReceived
	c.advMSS = h.advMSS()
	c.rcvScale = h.rcvScale
	c.auth = h.auth
	c.tally.segsIn, c.tally.segsOut = 1, 1+uint32(h.tries)
	in := wire.TCP{Seq: h.irs, MSS: h.opts.mss, WScale: h.opts.wscale,
		HasTS: h.opts.ts, TSVal: h.tsRecent, SACKPermitted: h.opts.sack, UTO: h.opts.uto}
	c.peerSYN(&in, c.now())
	if h.challenged && h.opts.wscale >= 0 {
		c.rcvAdv = c.rcvNxt + uint32(h.scaledWindow())<<h.rcvScale
	}
	if c.agreeECN(h.opts.ecn, h.ecn.synMark); c.ecn != nil {
		c.ecn.noECT = h.ecn.noECT
	}
}
