package tcp

// The states of a connection: RFC 9293 section 3.3.2.

// State is the state of a socket's connection. The numbers are those of Linux's
// struct tcp_info and of ss(8).
type State uint8

// The eleven states.
const (
	StateEstablished State = 1 + iota // data may flow both ways
	StateSynSent                      // waits for the answer to its SYN
	StateSynReceived                  // has sent and received a SYN, waits for its acknowledgement
	StateFinWait1                     // has sent a FIN, waits for its acknowledgement or the peer's FIN
	StateFinWait2                     // its FIN is acknowledged, waits for the peer's
	StateTimeWait                     // waits until old segments have left the network
	StateClosed                       // no connection
	StateCloseWait                    // the peer has closed, this side may still send
	StateLastAck                      // both have closed, waits for the acknowledgement of its FIN
	StateListen                       // waits for SYNs
	StateClosing                      // both have closed at once, waits for the acknowledgement of its FIN
)

// stateRule is what a state permits; the input and output code asks it rather
// than listing states.
type stateRule struct {
	name     string
	synced   bool // both SYNs are acknowledged (RFC 9293 section 3.5.2, "synchronized" states)
	open     bool // no end has closed yet
	mayRecv  bool // the peer may still send text
	peerDone bool // the peer's FIN was received
	// onFIN is the state after the peer's FIN when ours is not acknowledged by
	// then (section 3.10.7.4, eighth step); 0: the FIN is not processed.
	onFIN State
	// onFinAcked is the state after the acknowledgement of our FIN (section
	// 3.10.7.4, fifth step); 0: none expected.
	onFinAcked State
}

var stateRules = [...]stateRule{
	0:                {name: "CLOSED"},
	StateEstablished: {name: "ESTAB", synced: true, open: true, mayRecv: true, onFIN: StateCloseWait},
	StateSynSent:     {name: "SYN-SENT", open: true},
	StateSynReceived: {name: "SYN-RECV", open: true, onFIN: StateCloseWait},
	StateFinWait1:    {name: "FIN-WAIT-1", synced: true, mayRecv: true, onFIN: StateClosing, onFinAcked: StateFinWait2},
	StateFinWait2:    {name: "FIN-WAIT-2", synced: true, mayRecv: true, onFIN: StateTimeWait},
	StateTimeWait:    {name: "TIME-WAIT", synced: true, peerDone: true},
	StateClosed:      {name: "CLOSED"},
	StateCloseWait:   {name: "CLOSE-WAIT", synced: true, peerDone: true},
	StateLastAck:     {name: "LAST-ACK", synced: true, peerDone: true, onFinAcked: StateClosed},
	StateListen:      {name: "LISTEN"},
	StateClosing:     {name: "CLOSING", synced: true, peerDone: true, onFinAcked: StateTimeWait},
}

func (s State) rule() *stateRule { return &stateRules[s] }

// String is the state's name as ss(8) prints it.
func (s State) String() string {
	if int(s) >= len(stateRules) {
		return "UNKNOWN"
	}
	return stateRules[s].name
}
