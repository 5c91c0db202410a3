package tcp

// Events tells a socket's owner what has become true. Bits accumulate.
type Events uint16

const (
	EventConnected  Events = 1 << iota // an active open reached ESTABLISHED
	EventAcceptable                    // a listener's accept queue has grown
	EventWritable                      // SendSpace was 0 when last asked and a good part of the queue is free now
	EventEOF                           // the peer's FIN is next: every byte before it was delivered
	EventError                         // the connection failed; Err says why (ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, …). Unread bytes stay for Resume
	EventUrgent                        // an urgent mark is known; see Socket.UrgentOffset
	EventClosed                        // the TCB is gone and everything was delivered: the socket is silent from now on
	EventNotice                        // an error that ends nothing waits in TakePending
)

// An Owner is told what happens to a socket. Its methods run inside the stack:
// they may call Deliver-side and Write-side methods of any socket, which only
// mark work to be done in the next Flush.
type Owner interface {
	// Deliver offers the next bytes of the stream and returns how many were
	// taken. The rest stays in the receive buffer, closing the window, until
	// Socket.Resume. p is valid during the call only.
	Deliver(p []byte) int
	// Event reports changes; see Events.
	Event(ev Events)
}
