package tcp

// What SYNs carry and agree on: RFC 9293 section 3.5, RFC 7323 sections 2.2 and
// 3.2, RFC 2018 section 2.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// peerSYN takes the peer's SYN into the TCB: numbers and options.
func (c *conn) peerSYN(h *wire.TCP, now time.Duration) {
	c.irs, c.rcvNxt = h.Seq, h.Seq+1
	c.rq.reset(c.rcvNxt)
	c.rcvAdv = c.rcvNxt + min(c.rcvLimit(), c.l.widest(0))
	c.rcvWup = c.rcvNxt
	if h.MSS != 0 {
		c.peerMSS = h.MSS
	} else {
		c.peerMSS = c.l.defaultMSS(&c.path)
	}
	if h.WScale >= 0 && c.flags&flagNoWScale == 0 {
		c.flags |= flagWScale
		c.sndScale = uint8(h.WScale)
	} else {
		c.sndScale, c.rcvScale = 0, 0
	}
	sack := h.SACKPermitted && c.flags&flagNoSACK == 0
	if h.HasTS && c.flags&flagNoTS == 0 && c.auth.fitsTS(sack || c.flags&flagActive != 0) {
		c.flags |= flagTS
		c.tsRecent, c.tsRecentAt = h.TSVal, now
	}
	if sack {
		c.flags |= flagSACK
	}
	c.heedUTO(h.UTO)
	c.setMSS()
}

// flushHandshake sends our SYN, alone or with the acknowledgement of the
// peer's, when it is due.
func (c *conn) flushHandshake() {
	if c.flags&(flagSynDue|flagAckNow) == 0 {
		return
	}
	flags := wire.TCPSyn
	if c.state == StateSynReceived {
		flags |= wire.TCPAck
	}
	first := c.sndNxt == c.iss
	h := c.header(c.iss, flags)
	c.synOptions(h)
	payload := [][]byte(nil)
	if c.flags&flagFastOpen != 0 {
		f := c.rare.fast
		switch {
		case c.flags&flagActive == 0:
			first = !f.sent
			f.sent = true
			h.Window = uint16(min(c.rcvAdv-c.rcvNxt, c.l.widest(0)))
			if f.give {
				k := c.key()
				c.l.fastReply(f.lst.s.opts.Rare().FastOpenKeys, h, &k)
			}
		case first && c.state == StateSynSent:
			payload = c.fastText(h)
		}
	}
	if first {
		c.lastSend = c.now()
		c.flags |= flagSynTimed
	}
	c.sndNxt = seqMax(c.sndNxt, c.iss+1)
	c.flags &^= flagAckNow | flagSynDue
	if c.timers[timerRexmt] == 0 {
		c.armRexmt()
	}
	if !first {
		c.l.counters.RetransSegs++
	}
	c.l.counters.OutSegs++
	c.send(h, payload, 0)
}

// synOptions fills in the options: all of ours in a SYN, those that the peer
// offered in a SYN that answers one.
func (c *conn) synOptions(h *wire.TCP) {
	reply := h.Flags&wire.TCPAck != 0
	h.Window = uint16(min(c.rcvLimit(), c.l.widest(0)))
	if c.flags&flagNoOpt == 0 {
		h.MSS = c.advMSS
		c.advertiseUTO(h)
	}
	if c.flags&flagNoWScale == 0 && (!reply || c.flags&flagWScale != 0) {
		h.WScale = int8(c.rcvScale)
	}
	h.SACKPermitted = c.flags&flagNoSACK == 0 && (!reply || c.flags&flagSACK != 0)
	if c.flags&flagNoTS == 0 && (!reply && c.auth.fitsTS(true) || c.flags&flagTS != 0) {
		h.HasTS = true
		h.TSVal, h.TSEcr = c.tsNow(c.now()), 0
		if reply {
			h.TSEcr = c.tsRecent
		}
	}
	c.synECN(h)
}

// chooseOffers decides what our SYN offers. An answer may come after a tunable
// was changed: both go by what is decided here.
func (c *conn) chooseOffers() {
	t, o := c.l.tun, &c.s.opts
	c.answerOffers()
	// "If the user has requested" a large buffer (tcp(7P)): a default does not count.
	given := o.Rare().Given
	asked := func(id sockopt.ID) bool { return o.Chosen.Has(id) || given.Has(id) }
	wide := asked(sockopt.RcvBuf) && o.RcvBuf/2 > 65535 || asked(sockopt.SndBuf) && o.SndBuf/2 > 65535
	if !t.WScaleAlways && !wide {
		c.flags |= flagNoWScale
	}
	if !t.TstampAlways && !(t.TstampIfWScale && c.flags&flagNoWScale == 0) {
		c.flags |= flagNoTS
	}
	if t.SACKPassive {
		c.flags |= flagNoSACK
	}
}

// answerOffers decides which of a peer's offers are answered.
func (c *conn) answerOffers() {
	t := c.l.tun
	c.flags &^= flagNoWScale | flagNoTS | flagNoSACK | flagNoOpt
	if c.s.opts.Rare().NoOpt {
		c.flags |= flagNoOpt | flagNoWScale | flagNoTS | flagNoSACK
	}
	if !t.WindowScaling {
		c.flags |= flagNoWScale
	}
	if !t.Timestamps {
		c.flags |= flagNoTS
	}
	if !t.SACK {
		c.flags |= flagNoSACK
	}
}

// crossedSynInput is a SYN or SYN-ACK in SYN-RECEIVED after a simultaneous
// open. The peer's SYN-ACK repeats its SYN; it also acknowledges ours.
func (c *conn) crossedSynInput(h *wire.TCP) {
	if h.Seq != c.irs {
		c.challenge()
		return
	}
	if h.Flags&wire.TCPAck != 0 && h.Ack == c.iss+1 && c.flags&flagFastOpen == 0 {
		now := c.now()
		c.sndWnd = uint32(h.Window)
		c.sndWl1, c.maxSndWnd = h.Seq, c.sndWnd
		c.measureSYN(h, now)
		c.sndUna = h.Ack
		c.lastRecv = now
		if c.flags&flagActive != 0 {
			c.ecnConfirmed(h.Flags)
		}
		c.established()
	} else if h.Flags&wire.TCPAck == 0 {
		c.ecnRepeated(h.Flags, c.l.rxTOS&ecnMask)
		if c.state == StateClosed {
			return
		}
	}
	c.ackNow()
}
