package sockopt

import "time"

// Options are the settings of one socket. They are plain data: NewOptions gives
// the defaults, Profile.Set changes them, the stack reads them, and an accepted
// socket starts with its listener's (Profile.Inherit).
type Options struct {
	// SOL_SOCKET.
	Debug     bool // SO_DEBUG: kept only
	ReuseAddr bool
	ReusePort bool
	ExclBind  bool // SO_EXCLBIND of illumos; always false in profile linux
	AckAll    bool // TCP_QUICKACK of illumos: every segment is acknowledged at once
	KeepAlive bool
	OOBInline bool // urgent data stays in the stream
	Broadcast bool // UDP may send to broadcast addresses
	DontRoute bool // only directly attached destinations

	RcvBufLocked bool // the program chose RcvBuf: no automatic tuning
	SndBufLocked bool // the program chose SndBuf: no automatic tuning

	// IPPROTO_TCP.
	NoDelay  bool // Nagle's algorithm off
	Cork     bool // hold back partial segments, for at most 200 ms
	QuickAck bool // acknowledge at once; the connection may leave this mode by itself

	// IPPROTO_IP and IPPROTO_IPV6.
	V6Only         bool
	FreeBind       bool // bind to an address that is not ours
	BindNoPort     bool // IP_BIND_ADDRESS_NO_PORT: bind to port 0 chooses at connect
	RecvErr        bool // ICMP errors of every kind reach the socket, a connection's without ending it
	RecvErr6       bool
	PktInfo4       bool // received datagrams come with the address that they were for
	PktInfo6       bool
	MulticastLoop4 bool
	MulticastLoop6 bool
	MulticastAll4  bool
	MulticastAll6  bool
	MTUDiscover    uint8 // PMTUDiscDont … PMTUDiscOmit
	MTUDiscover6   uint8
	TOS            uint8 // the low two bits belong to TCP's ECN and stay clear
	TClass         uint8
	TTL            int16 // 1..255, or -1 for the tunable ip_default_ttl
	HopLimit       int16 // 0..255, or -1 for the tunable hop_limit
	MulticastTTL   uint8
	MulticastHops  uint8
	MinTTL         uint8 // drop what arrives with a smaller TTL (RFC 5082)
	MinHopCount    uint8 // the same for IPv6

	Linger LingerSetting

	RcvBuf       int32 // bytes, as getsockopt shows it: twice what the program asked for
	SndBuf       int32 // bytes, the same
	RcvLowat     int32 // bytes before a socket is readable, at least 1
	Priority     int32
	Mark         uint32
	BindToIf     int32  // link number, 0 for none (SO_BINDTODEVICE, SO_BINDTOIFINDEX)
	KeepCnt      int32  // unanswered keep-alive probes before the connection fails; 0: Rare.KeepAbort decides
	SynCnt       int32  // retransmissions of a SYN, 1..127
	MaxSeg       int32  // bytes, 0 for none
	WinClamp     int32  // bytes, bound on the window that is advertised, 0 for none
	NotSentLowat uint32 // bytes not yet sent above which the socket is not writable; 0 means the tunable

	RcvTimeo    time.Duration // 0: none; negative: give up at once
	SndTimeo    time.Duration
	KeepIdle    time.Duration // silence before the first keep-alive probe
	KeepIntvl   time.Duration // between probes; 0: twice as long each time, from the retransmission timeout on
	UserTimeout time.Duration // RFC 5482; 0: the retransmission limit of the tunables
	Linger2     time.Duration // life in FIN_WAIT_2 after close; negative: none
	DeferAccept time.Duration // how long a listener waits for the first data; 0: not at all

	Congestion string // algorithm name

	rare *Rare // see Rare; nil: none of them

	// Chosen are the options that the program has set itself: the values that a
	// configuration gives to sockets leave them alone.
	Chosen IDSet
}

// PortRange is where ports that nobody asked for come from: the tunable
// ip_local_port_range, narrowed by IP_LOCAL_PORT_RANGE where the two meet.
func (o *Options) PortRange(t *Tunables) (lo, hi uint16) {
	lo, hi = t.PortMin, t.PortMax
	within := func(p uint16) bool { return t.PortMin <= p && p <= t.PortMax }
	r := o.Rare()
	if within(r.PortMin) {
		lo = r.PortMin
	}
	if within(r.PortMax) {
		hi = r.PortMax
	}
	return lo, hi
}

// LingerSetting is SO_LINGER. With On, close waits Seconds for what was sent to
// be acknowledged; On with 0 Seconds aborts the connection.
type LingerSetting struct {
	On      bool
	Seconds int32
}

// Values of IP_MTU_DISCOVER and IPV6_MTU_DISCOVER (ip(7)).
const (
	PMTUDiscDont      = 0 // never set DF
	PMTUDiscWant      = 1 // follow the path MTU, fragment what is larger
	PMTUDiscDo        = 2 // always set DF; larger is EMSGSIZE
	PMTUDiscProbe     = 3 // set DF, ignore the path MTU
	PMTUDiscInterface = 4 // no DF, the link's MTU, ignore what ICMP says
	PMTUDiscOmit      = 5 // like Interface, but fragment what is larger
)
