package tcp

// What SYNs carry and agree on: RFC 9293 section 3.5, RFC 7323 sections 2.2 and
// 3.2, RFC 2018 section 2.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// peerSYN takes the peer's SYN into the TCB: numbers and options.
func (c *conn) peerSYN(h *wire.TCP, now time.Duration) {
	c.irs, c.rcvNxt = h.Seq, h.Seq+1
	c.rq.reset(c.rcvNxt)
	c.rcvAdv = c.rcvNxt + min(c.rcvLimit(), 65535)
	c.rcvWup = c.rcvNxt
	if h.MSS != 0 {
		c.peerMSS = h.MSS
	} else {
		c.peerMSS = defaultMSS(&c.path)
	}
	if h.WScale >= 0 && c.l.tun.WindowScaling {
		c.flags |= flagWScale
		c.sndScale = uint8(h.WScale)
	} else {
		c.sndScale, c.rcvScale = 0, 0
	}
	sack := h.SACKPermitted && c.l.tun.SACK
	if h.HasTS && c.l.tun.Timestamps && c.auth.fitsTS(sack || c.flags&flagActive != 0) {
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
			h.Window = uint16(min(c.rcvAdv-c.rcvNxt, 65535))
			if f.give {
				k := c.key()
				c.l.fastReply(h, &k)
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
	h.Window = uint16(min(c.rcvLimit(), 65535))
	h.MSS = c.advMSS
	if c.l.tun.WindowScaling && (!reply || c.flags&flagWScale != 0) {
		h.WScale = int8(c.rcvScale)
	}
	h.SACKPermitted = c.l.tun.SACK && (!reply || c.flags&flagSACK != 0)
	if c.l.tun.Timestamps && (!reply && c.auth.fitsTS(true) || c.flags&flagTS != 0) {
		h.HasTS = true
		h.TSVal, h.TSEcr = c.tsNow(c.now()), 0
		if reply {
			h.TSEcr = c.tsRecent
		}
	}
	c.advertiseUTO(h)
	c.synECN(h)
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
