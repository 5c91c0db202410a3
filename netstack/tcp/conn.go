package tcp

// The transmission control block: RFC 9293 section 3.3.1, and what becomes of
// it from open to close (sections 3.5, 3.6 and 3.10).

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

type connFlags uint64

const (
	flagDirty       connFlags = 1 << iota // stands in Layer.dirty
	flagAckNow                            // an acknowledgement is owed in this Flush
	flagFinQueued                         // the owner closed: a FIN follows the queue
	flagFinSent                           // it was sent at least once
	flagFinRcvd                           // the peer's FIN is below rcvNxt
	flagEOFTold                           // EventEOF was raised
	flagClosedTold                        // EventClosed was raised
	flagTS                                // timestamps negotiated (RFC 7323 section 3)
	flagSACK                              // SACK negotiated (RFC 2018 section 2)
	flagWScale                            // window scaling negotiated (RFC 7323 section 2)
	flagActive                            // opened by Connect
	flagWantSpace                         // the owner asked for EventWritable
	flagReadShut                          // the owner discards input
	flagPingPong                          // the exchange is interactive: acknowledgements wait for an answer
	flagCwndLimited                       // the congestion window held output back
	flagRTTBusy                           // rttSeq is being timed
	flagSmallOut                          // sndSml is valid: a small segment was sent
	flagUrgRcv                            // rcvUp is valid
	flagUrgSnd                            // sndUp is valid
	flagWinProbe                          // the window-probe timer, not retransmission, is meant
	flagForcePush                         // hold nothing back any more (cork expired, last call)
	flagSynTimeout                        // a SYN had to be retransmitted
	flagHeadAgain                         // the first hole is to be retransmitted once more
	flagSynDue                            // our SYN is to be sent
	flagOrphan                            // counted in Layer.orphans
	flagProbeOut                          // a tail loss probe is not answered yet
	flagProbeRexmt                        // it repeats a segment
	flagProbeTimer                        // timerRexmt is for a tail loss probe
	flagMayUndo                           // the last reduction may turn out to be needless
	flagEstablished                       // the handshake was completed
	flagDSACK                             // rare.dsack is to be reported
	flagEdgeKnown                         // all holes below probeEnd are lost
	flagDraining                          // drain is on the stack
)

// Timers of one connection.
const (
	timerRexmt  = iota // retransmission, or window probes when nothing is in flight
	timerDelack        // delayed acknowledgement
	timerKeep          // keep-alive
	timerLinger        // FIN-WAIT-2 of an orphan
	numTimers
)

// A conn is one connection that is neither half-open nor in TIME-WAIT: those
// have smaller records. Tens of thousands may idle, so everything that an idle
// connection does without hangs behind a pointer.
type conn struct {
	l    *Layer
	s    *Socket
	cc   congestion
	ooo  *reassembly // nil until a segment arrives out of order
	sb   *scoreboard // nil until a SACK block arrives
	rare *rare       // nil until something unusual happens

	path         Path
	lport, rport uint16
	state        State
	caState      caState
	sndScale     uint8 // shift of the windows that the peer sends
	rcvScale     uint8 // shift of those we send
	flags        connFlags

	sq stream // sent from sndUna, and queued
	rq stream // received in order, not delivered

	// RFC 9293 section 3.3.1.
	iss, sndUna, sndNxt, sndWnd, sndWl1, sndWl2 uint32
	irs, rcvNxt                                 uint32
	rcvAdv                                      uint32 // right edge of the window that was advertised
	rcvWup                                      uint32 // rcvNxt when it was: Last.ACK.sent of RFC 7323
	maxSndWnd                                   uint32 // largest window that the peer offered
	sndSml                                      uint32 // end of the last small segment (Minshall)

	mss     uint16 // payload bytes of a full segment, options deducted
	peerMSS uint16 // what the peer's SYN allowed
	advMSS  uint16 // what ours did
	rcvMSS  uint16 // estimate of the peer's full segment

	rcvBuf int32 // bytes, unless the program chose its own size

	// RFC 7323.
	tsOffset, tsRecent uint32
	tsRecentAt         time.Duration

	// Acknowledging.
	unacked  uint32 // bytes received since the last acknowledgement
	quickAck uint8  // acknowledgements still to be sent at once

	// RFC 6298.
	srtt, rttvar, rto, rttAt time.Duration
	rttSeq                   uint32
	backoff                  uint8 // consecutive timeouts
	dupAcks                  uint8

	// Congestion control and loss recovery, in bytes.
	cwnd, ssthresh     uint32
	recover            uint32 // recovery ends when this is acknowledged
	highRxt            uint32 // retransmitted up to here
	rexmtMark          uint32 // sndNxt when the first hole was retransmitted
	priorCwnd          uint32 // window and threshold before the last reduction
	priorSsthresh      uint32
	undoBytes          uint32 // retransmitted since, not reported as needless
	probeEnd           uint32 // sndNxt after the tail loss probe
	dupBytes           uint32 // without SACK: bytes that duplicate acknowledgements stand for
	lastSend, lastRecv time.Duration
	failingSince       time.Duration // first of the present run of timeouts
	rtoAt              time.Duration // when the retransmission timer would expire

	// Receive buffer tuning.
	rcvSpaceSeq uint32
	rcvSpaceAt  time.Duration

	heapIndex int32
	timers    [numTimers]time.Duration // 0: not armed
}

// rare is the part of a connection that few have.
type rare struct {
	rcvUp, sndUp uint32 // RFC 6093: sequence number after the urgent byte
	finSeq       uint32 // peer's FIN that arrived ahead of text
	finAhead     bool
	softErr      errno.Errno
	keepProbes   uint8
	lastOow      time.Duration // last answer to an unacceptable segment
	oowOnce      bool
	dsack        seqRange // received twice: RFC 2883
	retrans      uint32   // segments retransmitted, for struct tcp_info
}

func (c *conn) cold() *rare {
	if c.rare == nil {
		c.rare = new(rare)
	}
	return c.rare
}

// newConn makes a connection of s with the given addresses and enters it.
func (l *Layer) newConn(s *Socket, path Path, lport, rport uint16) *conn {
	path.TTL, path.TOS = s.pathMarks(&path)
	path.NoDF = path.NoDF || s.noDF()
	c := &conn{
		l: l, s: s, path: path, lport: lport, rport: rport,
		rto: initialRTO, quickAck: quickAcks,
		rcvBuf: l.tun.TCPRmem.Default,
	}
	s.conn = c
	k := c.key()
	c.tsOffset = l.tsOffset(&k)
	c.cc = newCongestion(s.opts.Congestion)
	l.conns[k] = c
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
	c.sndUna, c.sndNxt, c.recover, c.highRxt = c.iss, c.iss, c.iss, c.iss
	c.sq.reset(c.iss + 1)
	c.state = StateSynSent
	c.flags |= flagActive | flagSynDue
	c.advMSS = c.ourMSS()
	c.peerMSS = defaultMSS(&c.path)
	c.setMSS()
	c.rcvScale = c.wantScale()
	l.counters.ActiveOpens++
	l.markDirty(c)
}

// established enters ESTABLISHED, or what lies beyond when the owner has closed
// meanwhile, once both SYNs are acknowledged.
func (c *conn) established() {
	c.state = StateEstablished
	c.flags |= flagEstablished
	c.timers[timerRexmt] = 0
	c.backoff, c.failingSince = 0, 0
	if c.srtt == 0 && c.flags&flagSynTimeout != 0 {
		c.rto = synFallbackRTO // RFC 6298 section 5.7
	}
	c.startCongestion()
	c.rcvSpaceAt, c.rcvSpaceSeq = c.now(), c.rcvNxt
	c.armKeepAlive()
	if c.flags&flagFinQueued != 0 {
		c.state = StateFinWait1
	}
	if c.flags&flagActive != 0 {
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
	case c.l.orphans >= maxOrphans:
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

// maxOrphans bounds the connections that finish without a program.
const maxOrphans = 16384

// abort sends a RST if the peer knows of the connection, and forgets it: RFC
// 9293 section 3.10.5.
func (c *conn) abort() {
	if c.state.rule().synced || c.state == StateSynReceived {
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
	k := c.key()
	delete(l.conns, k)
	if l.last == c {
		l.last = nil
	}
	l.timers.remove(c)
	c.timers = [numTimers]time.Duration{}
	c.state = StateClosed
	c.sq.trim(l.pool, c.sq.end)
	c.dropReassembly()
	c.sb = nil
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
}

func (c *conn) runTimers(now time.Duration) time.Duration {
	for i, at := range c.timers {
		if at == 0 || at > now {
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
