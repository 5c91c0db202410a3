package tcp

// The transmission control block: RFC 9293 section 3.3.1.

import (
	"time"

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
	flagSynTimed                          // our SYN is being timed, from lastSend on
	flagSmallOut                          // sndSml is valid: a small segment was sent
	flagUrgRcv                            // rcvUp is valid
	flagUrgSnd                            // sndUp is valid
	flagWinProbe                          // the window-probe timer, not retransmission, is meant
	flagForcePush                         // hold nothing back any more (cork expired, last call)
	flagSynTimeout                        // a SYN had to be retransmitted
	flagSynDue                            // our SYN is to be sent
	flagOrphan                            // counted in Layer.orphans
	flagProbeOut                          // a tail loss probe is not answered yet
	flagProbeRexmt                        // it repeats a segment
	flagProbeTimer                        // timerRexmt is for a tail loss probe
	flagMayUndo                           // the last reduction may turn out to be needless
	flagEstablished                       // the handshake was completed
	flagDSACK                             // rare.dsack is to be reported
	flagNewRTT                            // there was a round-trip sample since the last probe
	flagReordering                        // RACK.reordering_seen
	flagReoTimer                          // timerRexmt is for what is not overdue yet
	flagLongRTT                           // the next round-trip sample follows a timeout that was none
	flagDraining                          // drain is on the stack
	flagOffered                           // opened by Pending.Accept
	flagOneSegment                        // transmit does not cut: a probe for the path's MTU
	flagFastOpen                          // rare.fast is valid: RFC 7413
	flagUTODue                            // the next acknowledgement carries the user timeout
	flagNoWScale                          // our SYN offers no window scale, so an answer that has one is none
	flagNoTS                              // the same for timestamps
	flagNoSACK                            // and for SACK
	flagNoOpt                             // our SYN carries no options at all
	flagNoBlocks                          // SACK is agreed on, and TCP_NOOPT holds our blocks back
)

// Timers of one connection.
const (
	timerRexmt  = iota // retransmission, or window probes when nothing is in flight
	timerDelack        // delayed acknowledgement
	timerKeep          // keep-alive
	timerLinger        // FIN-WAIT-2 of an orphan
	timerPace          // the next paced transmission
	numTimers
)

// A conn is one connection that is neither half-open nor in TIME-WAIT: those
// have smaller records. Tens of thousands may idle, so everything that an idle
// connection does without hangs behind a pointer.
type conn struct {
	l     *Layer
	s     *Socket
	cc    congestion
	block *stackBlock
	ooo   *reassembly // nil until a segment arrives out of order
	log   *sendLog    // nil while nothing is in flight
	auth  *auth       // nil: segments are not signed
	rare  *rare       // nil until something unusual happens
	ecn   *ecnState   // nil without ECN

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
	iss, sndUna, sndNxt, sndWnd, sndWl1 uint32
	irs, rcvNxt                         uint32
	rcvAdv                              uint32 // right edge of the window that was advertised
	rcvWup                              uint32 // rcvNxt when it was: Last.ACK.sent of RFC 7323
	maxSndWnd                           uint32 // largest window that the peer offered
	sndSml                              uint32 // end of the last small segment (Minshall)

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
	pingPong uint8  // text that answered text, up to tcp_pingpong_thresh
	dupAcks  uint16 // received in a row

	// RFC 6298.
	srtt, rttvar, rto time.Duration
	rttSeq            uint32 // the next sample is of what was sent beyond
	backoff           uint8  // consecutive timeouts
	reoMult           uint8  // RACK.reo_wnd_mult beyond 1
	reoPersist        uint8  // RACK.reo_wnd_persist

	// Congestion control and loss recovery, in bytes.
	ccWindow
	recover            uint32 // recovery ends when this is acknowledged
	priorFlight        uint32 // in flight before the last reduction, and
	priorCwnd          uint32 // window and threshold then
	priorSsthresh      uint32
	undoBytes          uint32 // retransmitted since, not reported as needless
	probeEnd           uint32 // sndNxt after the tail loss probe
	lastSend, lastRecv time.Duration
	failingSince       time.Duration // first of the present run of timeouts
	rtoAt              time.Duration // when the retransmission timer would expire
	departAt           time.Duration // earliest instant of the next paced transmission

	// Of draft-ietf-ccwg-bbr section 4.1.2, in bytes.
	delivered  uint64        // C.delivered
	lostBytes  uint64        // C.lost
	appLimited uint64        // C.app_limited; 0: the program is not the limit
	minRTT     time.Duration // least round trip of late; 0: none
	minRTTAt   time.Duration

	// Receive buffer tuning.
	rcvSpaceSeq uint32
	rcvSpaceAt  time.Duration

	bytesAcked, bytesRcvd uint64 // for struct tcp_info
	tally

	heapIndex int32
	entry     int32                    // in the ledger, counted from 1; 0: none
	embryo    int32                    // place in Layer.embryos, from 1 on; 0: none
	timers    [numTimers]time.Duration // 0: not armed
}

// rare is the part of a connection that few have.
type rare struct {
	rcvUp, sndUp uint32 // RFC 6093: sequence number after the urgent byte
	finSeq       uint32 // peer's FIN that arrived ahead of text
	finAhead     bool
	softErr      errno.Errno
	keepProbes   uint8
	linear       uint8         // timeouts of this run that were followed by one as long, see thin.go
	mtu          *mtuSearch    // nil: none
	peerUTO      time.Duration // what the peer's option made of the user timeout; 0: none
	lastOow      time.Duration // last answer to an unacceptable segment
	oowOnce      bool
	fast         *fastConn
	line         *txLine      // nil: nothing is delayed, see txdelay.go
	dsack        seqRange     // received twice: RFC 2883
	retrans      uint32       // segments retransmitted, for struct tcp_info
	reordering   uint32       // segments by which the path was seen to reorder; see dupThresh
	syn          []byte       // headers of the peer's SYN, see keepSYN
	arrivals     []arrival    // when text came, see noteArrival; nil: nobody asks
	queued       *QueuedError // nil: none

	// Timing of a whole window that arrives; see timeWindow.
	wndEnd         uint32
	wndAt, wndTook time.Duration

	rareTally
}

func (c *conn) cold() *rare {
	if c.rare == nil {
		c.rare = new(rare)
	}
	return c.rare
}
