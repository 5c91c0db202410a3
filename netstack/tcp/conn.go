package tcp

// The life of a connection from open to close: RFC 9293 sections 3.5, 3.6 and
// 3.10. Its record is in tcb.go.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newConn makes a connection of s with the given addresses and enters it.
func (l *Layer) newConn(s *Socket, path Path, lport, rport uint16) *conn {
	path.TTL, path.TOS = pathMarks(&s.opts, &path)
	path.NoDF = path.NoDF || s.noDF(&path)
	c := &conn{
		l: l, s: s, path: path, lport: lport, rport: rport,
		rto: l.rtoInitial(&s.opts), quickAck: quickAcks,
		rcvBuf: l.firstBuf(),
	}
	s.conn = c
	s.showOptions(path.Options)
	c.auth = s.authTo(path.Src, path.Dst, lport, rport)
	k := c.key()
	c.tsOffset = l.tsOffset(&k)
	c.cc = s.congestionFor(s.opts.Congestion)
	c.block = s.functionBlock()
	l.blockUsers[c.block.index()]++
	l.conns[k] = c
	c.delayChanged()
	return c
}

func (c *conn) key() tuple { return makeTuple(c.path.Src, c.path.Dst, c.lport, c.rport) }

func (c *conn) now() time.Duration { return c.l.net.Now() }

// activeOpen starts the handshake; the next Flush sends the SYN.
func (c *conn) activeOpen() {
	l := c.l
	k := c.key()
	c.iss = l.isn(&k)
	if w := l.waits.byTuple[k]; w != nil {
		// RFC 9293 section 3.6.1, MAY-2: beyond what the old connection used.
		if seqLEQ(c.iss, w.sndNxt) {
			c.iss = w.sndNxt + timeWaitGap
		}
		l.dropTimeWait(w)
	}
	c.startAt(c.iss)
	c.state = StateSynSent
	c.flags |= flagActive | flagSynDue
	c.advMSS = c.ourMSS()
	c.peerMSS = c.l.defaultMSS(&c.path)
	c.setMSS()
	c.rcvScale = c.wantScale()
	c.chooseOffers()
	c.askECN()
	c.fastStart()
	c.limitHandshake()
	l.counters.ActiveOpens++
	l.markDirty(c)
}

// established enters ESTABLISHED, or what lies beyond when the owner has closed
// meanwhile, once both SYNs are acknowledged.
func (c *conn) established() {
	c.state = StateEstablished
	c.flags |= flagEstablished
	c.fastDone()
	c.enter()
	c.timers[timerRexmt] = 0
	c.backoff, c.failingSince, c.lastSend = 0, 0, 0
	c.rttSeq = c.iss
	if c.srtt == 0 && c.flags&flagSynTimeout != 0 {
		c.rto = synFallbackRTO // RFC 6298 section 5.7
	}
	c.startCongestion()
	c.beginECN()
	c.rcvSpaceAt, c.rcvSpaceSeq = c.now(), c.rcvNxt
	c.armKeepAlive()
	c.startMTUProbing()
	if c.flags&flagFinQueued != 0 {
		c.leaveOpen()
		c.state = StateFinWait1
	}
	if c.flags&flagOffered != 0 {
		c.hatched()
		c.l.open.note(c.path.Src, c.lport, c.now())
		c.l.counters.PassiveOpens++
	}
	if c.flags&flagActive != 0 {
		c.flags |= flagUTODue
	}
	if c.flags&(flagActive|flagOffered) != 0 {
		c.s.raise(EventConnected | EventWritable)
	}
	c.l.markDirty(c)
}

// closeWrite queues the FIN: RFC 9293 section 3.10.4.
func (c *conn) closeWrite() {
	if c.flags&flagFinQueued != 0 {
		return
	}
	switch c.state {
	case StateSynSent:
		c.destroy() // section 3.10.4: return "error: closing" to what is queued
		return
	case StateEstablished:
		c.leaveOpen()
		c.state = StateFinWait1
	case StateCloseWait:
		c.state = StateLastAck
	case StateSynReceived: // the FIN follows once established
	default:
		return
	}
	c.flags |= flagFinQueued | flagForcePush
	c.l.markDirty(c)
}

// finSeqNo is the sequence number of our FIN; valid once it is queued.
func (c *conn) finSeqNo() uint32 { return c.sq.end }

func (c *conn) finAcked() bool {
	return c.flags&flagFinSent != 0 && seqLT(c.finSeqNo(), c.sndUna)
}

// orphaned is Close of a live connection.
func (c *conn) orphaned() {
	unread := c.rq.len() > 0 && c.flags&flagReadShut == 0
	linger := c.s.opts.Linger
	switch {
	case c.state == StateSynSent:
		c.destroy()
		return
	case unread, linger.On && linger.Seconds == 0:
		// RFC 9293 section 3.6.1, SHLD-3: unread data is lost, say so.
		c.abort()
		return
	case c.l.orphans >= int(c.l.tun.MaxOrphans):
		c.abort()
		return
	}
	c.l.orphans++
	c.flags |= flagOrphan
	c.discardInput()
	c.closeWrite()
	if c.state == StateFinWait2 {
		c.armFinWait2()
	}
}

// abort sends a RST if the peer knows of the connection, and forgets it: RFC
// 9293 section 3.10.5. When both sides have closed a RST would only end the
// peer's TIME-WAIT before its time, unless there is something that it lacks.
func (c *conn) abort() {
	r := c.state.rule()
	over := r.peerDone && c.flags&flagFinSent != 0
	if (r.synced || c.state == StateSynReceived) && !over {
		c.sendReset()
	}
	c.destroy()
}

// fail ends the connection with an error for the owner.
func (c *conn) fail(e errno.Errno) {
	if c.state == StateSynSent || c.state == StateSynReceived {
		c.l.counters.AttemptFails++
	}
	c.s.fault(e)
	c.destroy()
}

// destroy deletes the TCB. The receive queue stays until the owner has drained
// it or lets go.
func (c *conn) destroy() {
	if c.state == StateClosed {
		return
	}
	l, s := c.l, c.s
	c.remember()
	k := c.key()
	delete(l.conns, k)
	l.blockUsers[c.block.index()]--
	c.strike()
	c.leaveLine()
	c.hatched()
	c.fastDone()
	c.fastOver()
	if l.last == c {
		l.last = nil
	}
	l.timers.remove(c)
	c.timers = [numTimers]time.Duration{}
	c.leaveOpen()
	c.state = StateClosed
	c.sq.trim(l.pool, c.sq.end)
	c.dropReassembly()
	c.dropLog()
	if c.flags&flagOrphan != 0 {
		l.orphans--
	}
	if s.orphan {
		c.discardInput()
	}
	if s.orphan || s.autoPort {
		s.autoPort = false
		s.release()
	}
	c.tellClosed()
}

// tellClosed raises EventClosed once nothing is left to deliver.
func (c *conn) tellClosed() {
	if c.state == StateClosed && c.rq.len() == 0 && c.flags&flagClosedTold == 0 {
		c.flags |= flagClosedTold
		c.s.raise(EventClosed)
	}
}

// discardInput drops what is queued for the owner.
func (c *conn) discardInput() {
	c.rq.trim(c.l.pool, c.rq.end)
	c.flags |= flagReadShut
}

// setTimer arms timer i for instant at.
func (c *conn) setTimer(i int, at time.Duration) {
	c.timers[i] = at
	c.l.timers.arm(c, at)
}

func (c *conn) heapPos() *int32 { return &c.heapIndex }

// timerActions are run when the timer of that index is due.
var timerActions = [numTimers]func(*conn, time.Duration){
	timerRexmt:  (*conn).rexmtTimeout,
	timerDelack: (*conn).delackTimeout,
	timerKeep:   (*conn).keepTimeout,
	timerLinger: (*conn).lingerTimeout,
	timerPace:   (*conn).paceTimeout,
}

func (c *conn) runTimers(now time.Duration) time.Duration {
	for i, at := range c.timers {
		if at == 0 || at > now {
			continue
		}
		if c.homeTimer(i) {
			c.timers[i] = now + homeSoon
			continue
		}
		c.timers[i] = 0
		timerActions[i](c, now)
		if c.state == StateClosed {
			return never
		}
	}
	next := never
	for _, at := range c.timers {
		if at != 0 {
			next = min(next, at)
		}
	}
	return next
}

// header starts the segment to be sent in the layer's scratch header.
func (c *conn) header(seq uint32, flags wire.TCPFlags) *wire.TCP {
	h := &c.l.tx
	*h = wire.TCP{
		SrcPort: c.lport, DstPort: c.rport,
		Seq: seq, Flags: flags, WScale: -1,
	}
	if flags&wire.TCPAck != 0 {
		h.Ack = c.rcvNxt
	}
	return h
}
