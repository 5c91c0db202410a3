package sockopt

import (
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Rare are the settings that few sockets have. They hang behind a pointer, so
// that a socket without them pays for the pointer only. A Rare never changes
// once it is in use: setting one makes another, so copies of Options may share
// it.
//
// A profile whose system lets sockets choose them starts all its sockets with the
// tunables' values, in one Rare that they share.
type Rare struct {
	PortMin, PortMax uint16 // IP_LOCAL_PORT_RANGE; 0: as the tunable says
	MD5Sig           bool   // segments are signed by the association database; see MD5SigRow
	ThinLinear       bool   // TCP_THIN_LINEAR_TIMEOUTS
	NoOpt            bool   // TCP_NOOPT: SYNs carry no options, and what follows none that it need not

	KeepInit  time.Duration // TCP_KEEPINIT: for the handshake; 0: as the tunable has it
	LastError errno.Errno   // with Profile.PermanentErrors: what SO_ERROR shows

	// Who shares a port, see netstack/ports.
	AnonPrivBind bool // TCP_ANONPRIVBIND: bind to port 0 chooses a reserved port
	ReusePortLB  bool // SO_REUSEPORT_LB: the port is shared with those that have it too

	RecvDstAddr bool // TCP_RECVDSTADDR of illumos: kept only

	// RFC 7413.
	FastOpen         int32  // of a listener: how many connections may have text before the handshake ends; 0: none
	FastOpenConnect  bool   // connect waits for the first bytes if there is a cookie
	FastOpenNoCookie bool   // no cookie on either side
	FastOpenKeys     string // of a listener: one key of 16 bytes or two; empty: the stack's

	Given IDSet // the options whose values came from the configuration

	MaxPacing uint64 // plus 1; 0: none; see Options.MaxPacing

	// SaveSYN of a listener keeps the headers of SYNs: 1 from IP on, 2 from
	// Ethernet on.
	SaveSYN uint8

	// Receive is what received datagrams come with, beside IP_PKTINFO and
	// IPV6_RECVPKTINFO; Stamp the option of SOL_SOCKET that asked for their time,
	// 0: none.
	Receive Ancillary
	Stamp   uint8

	// Of SO_TIMESTAMPING: its flags, and which of its two numbers was set last.
	Stamping uint32
	StampNew bool

	Cookie uint64 // of the socket, where its owner knows none; 0: not asked for yet

	Inq     bool  // TCP_INQ: recvmsg tells how much is left
	PeekOff int32 // SO_PEEK_OFF as it was set, plus 1

	// Of queues and processors that a sandbox does not have, see their rows.
	IncomingCPU    int32 // plus 1; 0: none
	BusyPoll       int32 // microseconds
	BusyPollBudget uint16
	PreferBusyPoll bool

	Sticky6 Sticky // IPV6_PKTINFO

	UnicastIf4, UnicastIf6 int32 // IP_UNICAST_IF and IPV6_UNICAST_IF: link of datagrams; 0: none

	FragSize6 int32 // IPV6_MTU, bytes; 0: the path's
	DontFrag6 bool  // IPV6_DONTFRAG

	UDPSegment uint16 // UDP_SEGMENT, bytes; 0: none
	UDPGRO     bool   // UDP_GRO

	IPOptions string // IP_OPTIONS, as CompileIPOptions made them; empty: none

	InitCwnd int32 // TCP_INIT_CWND, segments; 0: as the tunables have it

	// How long to wait for a peer that is silent. 0: so many retransmissions or
	// probes as the tunables and KeepCnt have it; negative: for ever.
	KeepAbort  time.Duration // from the first keep-alive probe on, when KeepCnt is 0
	Abort      time.Duration // from the first loss on
	ConnAbort  time.Duration // the same in the handshake
	Notify     time.Duration // until the way is asked for again; 0: Retries1 timeouts
	ConnNotify time.Duration

	RTOInitial, RTOMin, RTOMax time.Duration // 0: the tunables'
	RTOVarMin                  time.Duration // the least of the RTO's variance term; 0: the tunable's
	TxDelay                    int32         // TCP_TX_DELAY, microseconds; 0: none
	DelAckMax                  time.Duration // bound on the delay of acknowledgements; 0: the tunable's
}

var noRare Rare

// Rare are the settings that few sockets have; they must not be written to.
func (o *Options) Rare() *Rare {
	if o.rare == nil {
		return &noRare
	}
	return o.rare
}

// SetRare changes them by f.
func (o *Options) SetRare(f func(*Rare)) {
	r := *o.Rare()
	f(&r)
	if r == noRare {
		o.rare = nil
		return
	}
	o.rare = &r
}

// rarely is the set function of a row whose value goes into Rare as it is.
func rarely(f func(r *Rare, v int)) func(*call, int) error {
	return func(c *call, v int) error {
		c.o.SetRare(func(r *Rare) { f(r, v) })
		return nil
	}
}

// rareValue is the get function of such a row.
func rareValue(f func(r *Rare) int) func(*call) (int, error) {
	return func(c *call) (int, error) { return f(c.o.Rare()), nil }
}
