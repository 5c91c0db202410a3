package sockopt

import "time"

// Patience is how long a system waits for a silent peer, where it measures that
// by time and not by counting. 0: it counts.
type Patience struct {
	KeepAbort   time.Duration // from the first keep-alive probe on
	Abort       time.Duration // of a connection whose data nobody acknowledges
	ConnAbort   time.Duration // of an attempt to connect
	ClosedAbort time.Duration // of what may wait for ever, but has been closed
	Notify      time.Duration // until the way to the peer is asked for again
	ConnNotify  time.Duration // the same in the handshake
	Cork        time.Duration // how long TCP_CORK holds a partial segment; negative: until it is taken off
	RTOMin      time.Duration // least retransmission timeout that a socket starts with

	// Counts: tcp_retries2 is a number of retransmissions. Else it is the time
	// that so many take from the least timeout on.
	Counts bool
}
