package engine

import "net/netip"

// The control socket is a SOCK_STREAM AF_UNIX socket. A client sends requests,
// one JSON object a line, and reads one response line for each. The descriptor
// of an attach request travels with its line as SCM_RIGHTS. Only uid 0 is
// answered.

// Operations of a request.
const (
	opStatus  = "status"
	opSockets = "sockets"
	opAttach  = "attach"
	opStop    = "stop"

	opTunables = "tunables"
	opKeys     = "keys"
)

type request struct {
	Op string `json:"op"`

	// Of opTunables: what to set, by name, and then what to answer with.
	Set map[string]string `json:"set,omitempty"`
	Get []string          `json:"get,omitempty"`
	Own bool              `json:"own,omitempty"` // all names of the profile's system
	All bool              `json:"all,omitempty"` // all names

	Keys *keyRequest `json:"keys,omitempty"` // of opKeys
}

type response struct {
	Error   string       `json:"error,omitempty"`
	Status  *Status      `json:"status,omitempty"`
	Sockets []SocketInfo `json:"sockets,omitempty"`

	Tunables []TunableValue `json:"tunables,omitempty"`

	Keys    []Association     `json:"keys,omitempty"`
	Dropped map[string]uint64 `json:"dropped,omitempty"` // segments, by counter
}

// Status describes a running engine.
type Status struct {
	Name      string            `json:"name"`
	PID       int               `json:"pid"`
	UptimeMS  int64             `json:"uptimeMs"`
	Profile   string            `json:"profile"`
	Addrs     []netip.Prefix    `json:"addrs"`
	Listeners int               `json:"listeners"` // attached seccomp listeners
	Sockets   int               `json:"sockets"`   // sockets that programs hold
	Calls     uint64            `json:"calls"`     // notified calls so far
	Links     []LinkStatus      `json:"links"`
	Counters  map[string]uint64 `json:"counters,omitempty"` // of the stack, by SNMP-like name
	Inline    *InlineStatus     `json:"inline,omitempty"`   // nil: there is no inline path
	Shards    []ShardStatus     `json:"shards,omitempty"`   // the loops beside the main one
	Poll      bool              `json:"poll,omitempty"`     // programs' poll(2) is to be notified: hostlink.PollRules
}

// ShardStatus counts what one loop beside the main one does.
type ShardStatus struct {
	Connections int    `json:"connections"` // that it serves now
	Lent        uint64 `json:"lent"`        // connections that it was given so far
	Passed      uint64 `json:"passed"`      // frames that were in its queue and not for it
	Visits      uint64 `json:"visits"`      // frames for its connections that were in the main loop's queue
}

// InlineStatus counts what programs do that have sockets of the sandbox's own
// kernel.
type InlineStatus struct {
	Connections int    `json:"connections"` // now
	Out         uint64 `json:"out"`         // connections that the kernel asked for
	In          uint64 `json:"in"`          // connections that were asked of it
	Mirrored    uint64 `json:"mirrored"`    // connections within its loopback that went to intercepted programs, or came from them
	Mirrors     int    `json:"mirrors"`     // ports of intercepted programs that its loopback shows
	Crossings   int    `json:"crossings"`   // UDP ports of intercepted programs that its loopback shows or that are used to reach it
	Crossed     uint64 `json:"crossed"`     // datagrams within its loopback that went to intercepted programs, or came from them
	Refused     uint64 `json:"refused"`     // connections that the other side did not take
	Dropped     uint64 `json:"dropped"`     // connections for which there was no room
	PacketsOut  uint64 `json:"packetsOut"`  // packets of other protocols that the kernel sent
	PacketsIn   uint64 `json:"packetsIn"`   // and that it was sent
	Closed      bool   `json:"closed"`      // Config.RefusePlain: only Mirrored, Crossed and Denied count
	Denied      uint64 `json:"denied"`      // connections and packets that were therefore refused
}

// LinkStatus counts what crossed one link.
type LinkStatus struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	RxFrames uint64 `json:"rxFrames"`
	RxBytes  uint64 `json:"rxBytes"`
	TxFrames uint64 `json:"txFrames"`
	TxBytes  uint64 `json:"txBytes"`
}

// SocketInfo is one line of ss(8).
type SocketInfo struct {
	Netid  string         `json:"netid"` // "tcp" or "udp"
	State  string         `json:"state"` // as ss prints it: LISTEN, ESTAB, TIME-WAIT, UNCONN, …
	RecvQ  int            `json:"recvq"` // bytes unread; of a listener, connections waiting
	SendQ  int            `json:"sendq"` // bytes not acknowledged; of a listener, the backlog
	Local  netip.AddrPort `json:"local"`
	Peer   netip.AddrPort `json:"peer"`
	V6     bool           `json:"v6,omitempty"`     // an AF_INET6 socket
	V6Only bool           `json:"v6only,omitempty"` // IPV6_V6ONLY: it takes no IPv4
	UID    uint32         `json:"uid"`
	Inode  uint64         `json:"inode"`            // of the program's descriptor, 0 when no program holds one
	Inline bool           `json:"inline,omitempty"` // the program has a socket of the sandbox's kernel

	Congestion string `json:"congestion,omitempty"`
	RTTus      uint32 `json:"rttUs,omitempty"`    // smoothed, microseconds
	RTTVarus   uint32 `json:"rttVarUs,omitempty"` // microseconds
	RTOus      uint32 `json:"rtoUs,omitempty"`    // microseconds
	Cwnd       uint32 `json:"cwnd,omitempty"`     // segments
	Ssthresh   uint32 `json:"ssthresh,omitempty"` // segments
	MSS        uint32 `json:"mss,omitempty"`      // bytes
	Retrans    uint32 `json:"retrans,omitempty"`  // segments retransmitted in total
}
