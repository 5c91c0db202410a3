package sockopt

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// The options of illumos and OmniOS: tcp(7P), socket(3SOCKET) and, where the pages
// are silent, what the system does. A truth value is read as the option's own
// number there.

const (
	minIllumosBuf   = 2304
	maxInitCwnd     = 16     // segments
	minKeepIdle     = 10     // seconds, as the page says
	maxKeepIdle     = 864000 // ten days
	maxRTOInitial   = 20 * time.Second
	maxIllumosRTO   = 2 * time.Hour
	largestUintMsec = math.MaxUint32
)

// truthAs gives a truth value the number that it is read as.
func truthAs(name string, truth int) Row {
	return altered(socketRows, name, func(r *Row) { r.Truth = truth })
}

var illumosSocketRows = slices.Concat([]Row{
	altered(socketRows, "SO_DEBUG", func(r *Row) { r.set, r.Note = nil, "kept and inherited; nothing is traced" }),
	truthAs("SO_REUSEADDR", 0x4),
	truthAs("SO_KEEPALIVE", 0x8),
	altered(socketRows, "SO_DONTROUTE", func(r *Row) { r.Truth, r.NotInherited = 0x10, true }),
	truthAs("SO_BROADCAST", 0x20),
	truthAs("SO_OOBINLINE", 0x100),
	{ID: AcceptConn, Name: "SO_ACCEPTCONN", Number: 30, Level: SolSocket, On: AnySocket, Access: ReadOnly,
		get: func(c *call) (int, error) { return 0x2 * truth(c.t.Listening()), nil }, Note: "reads 2 when listening"},
	{ID: ExclBind, Name: "SO_EXCLBIND", Number: soExclBind, Level: SolSocket, On: AnySocket, Codec: Bool, Truth: soExclBind, Default: "0", NotInherited: true,
		flag: func(o *Options) *bool { return &o.ExclBind },
		Note: "non-zero: no other socket can be bound to the port"},
	{ID: SndBuf, Name: "SO_SNDBUF", Number: 7, Level: SolSocket, On: AnySocket, Unit: "bytes", Default: "49152, 57344", set: setSndBufIllumos,
		get:  func(c *call) (int, error) { return int(c.o.SndBuf / 2), nil },
		Note: "above wmem_max (max_buf of ipadm) is ENOBUFS; at least 2304"},
	{ID: RcvBuf, Name: "SO_RCVBUF", Number: 8, Level: SolSocket, On: AnySocket, Unit: "bytes", Default: "128000, 57344", set: setRcvBufIllumos,
		get:  func(c *call) (int, error) { return int(c.o.RcvBuf / 2), nil },
		Note: "0 is ignored; above rmem_max (max_buf) is ENOBUFS; at least 2304, a connection's is rounded up to whole segments"},
}, from(socketRows, "SO_TYPE", "SO_ERROR", "SO_LINGER", "SO_RCVLOWAT", "SO_SNDLOWAT", "SO_RCVTIMEO", "SO_SNDTIMEO", "SO_PROTOCOL", "SO_DOMAIN"))

var illumosTCPRows = at(protoTCP, TCPOnly, []Row{
	*named(tcpRows, "TCP_NODELAY"),
	{ID: MaxSeg, Name: "TCP_MAXSEG", Number: 2, Access: ReadOnly, Unit: "bytes", Default: "536", get: getMaxSeg},
	altered(tcpRows, "TCP_CORK", func(r *Row) {
		r.NotInherited, r.Note = true, "only full segments are sent, for as long as it is on; taking it off sends what waits"
	}),
	{ID: InitCwnd, Name: "TCP_INIT_CWND", Number: marked(markIllumos, 0x15), Codec: Uint, Unit: "segments", Default: "0", set: setInitCwnd,
		get: func(c *call) (int, error) { return int(c.o.Rare().InitCwnd), nil },
		Note: "initial window, and the one after an idle time; 0: as RFC 3390. More than RFC 3390 allows takes CAP_NET_ADMIN, else EPERM; more than 16 is EINVAL. " +
			"A connection that has sent nothing yet takes it at once"},
	{ID: KeepAliveThreshold, Name: "TCP_KEEPALIVE_THRESHOLD", Number: marked(markIllumos, 0x16), Codec: UintMillis, Unit: "milliseconds",
		Min: minKeepIdle * 1000, Max: maxKeepIdle * 1000, Default: "7200000", dur: func(o *Options) *time.Duration { return &o.KeepIdle }},
	{ID: KeepIdle, Name: "TCP_KEEPIDLE", Number: 4, Codec: Seconds, Unit: "seconds", Min: minKeepIdle, Max: maxKeepIdle, Default: "7200",
		dur: func(o *Options) *time.Duration { return &o.KeepIdle }, Note: "TCP_KEEPALIVE_THRESHOLD in seconds"},
	{ID: KeepAliveAbort, Name: "TCP_KEEPALIVE_ABORT_THRESHOLD", Number: marked(markIllumos, 0x17), Codec: UintMillis, Unit: "milliseconds", Default: "480000",
		set: setKeepAbort, get: func(c *call) (int, error) { return untilMillis(c.o.Rare().KeepAbort), nil },
		Note: "0..4294967295, 0: never; sets TCP_KEEPCNT and TCP_KEEPINTVL to 0"},
	{ID: KeepCnt, Name: "TCP_KEEPCNT", Number: 6, Codec: Uint, Default: "0", set: setKeepCntIllumos, get: func(c *call) (int, error) { return int(c.o.KeepCnt), nil },
		Note: "0 is EINVAL; without TCP_KEEPINTVL that becomes the abort threshold divided by it, within TCP_RTO_MIN and TCP_RTO_MAX, else the threshold becomes their product"},
	{ID: KeepIntvl, Name: "TCP_KEEPINTVL", Number: 5, Codec: Seconds, Unit: "seconds", Default: "0", set: setKeepIntvlIllumos,
		get:  func(c *call) (int, error) { return int(c.o.KeepIntvl / time.Second), nil },
		Note: "within TCP_RTO_MIN and TCP_RTO_MAX, else EINVAL; without TCP_KEEPCNT that becomes the abort threshold divided by it, else the threshold becomes their product. 0: probes back off as retransmissions do"},
	threshold(NotifyThreshold, "TCP_NOTIFY_THRESHOLD", 0x10, "10000", "silence after which the way to the peer is looked up again; 0: at the first retransmission",
		false, func(r *Rare) *time.Duration { return &r.Notify }),
	threshold(AbortThreshold, "TCP_ABORT_THRESHOLD", 0x11, "300000", "silence after which the connection fails with ETIMEDOUT; 0: never before it is closed",
		true, func(r *Rare) *time.Duration { return &r.Abort }),
	threshold(ConnNotifyThreshold, "TCP_CONN_NOTIFY_THRESHOLD", 0x12, "10000", "TCP_NOTIFY_THRESHOLD while connecting",
		false, func(r *Rare) *time.Duration { return &r.ConnNotify }),
	threshold(ConnAbortThreshold, "TCP_CONN_ABORT_THRESHOLD", 0x13, "180000", "TCP_ABORT_THRESHOLD while connecting; 0: never",
		true, func(r *Rare) *time.Duration { return &r.ConnAbort }),
	timeout(RTOInitial, "TCP_RTO_INITIAL", 0x19, "1000", "1..20000, within TCP_RTO_MIN and TCP_RTO_MAX and no more than TCP_CONN_ABORT_THRESHOLD", setRTOInitial,
		func(r *Rare) *time.Duration { return &r.RTOInitial }),
	timeout(RTOMin, "TCP_RTO_MIN", 0x1A, "400", "1..7200000, no more than TCP_RTO_MAX", setRTOMin, func(r *Rare) *time.Duration { return &r.RTOMin }),
	timeout(RTOMax, "TCP_RTO_MAX", 0x1B, "60000", "1..7200000, no less than TCP_RTO_MIN and no more than TCP_ABORT_THRESHOLD", setRTOMax,
		func(r *Rare) *time.Duration { return &r.RTOMax }),
	{ID: Linger2, Name: "TCP_LINGER2", Number: 8, Codec: Seconds, Unit: "seconds", Default: "tcp_fin_timeout", set: setLinger2Illumos,
		get: func(c *call) (int, error) { return int(c.o.Linger2 / time.Second), nil }, Note: "1 up to the tunable, else EINVAL; 0 is ignored"},
	{ID: AnonPrivBind, Name: "TCP_ANONPRIVBIND", Number: marked(markIllumos, 0x20), Codec: Bool, Default: "0", NotInherited: true, set: setAnonPrivBind,
		get:  func(c *call) (int, error) { return truth(c.o.Rare().AnonPrivBind), nil },
		Note: "port 0 chooses from 512..1023; takes CAP_NET_BIND_SERVICE, else EACCES"},
	{ID: ExclBind, Name: "TCP_EXCLBIND", Number: marked(markIllumos, 0x21), Codec: Bool, Truth: 0x21, Default: "0", NotInherited: true,
		flag: func(o *Options) *bool { return &o.ExclBind }, Note: "another name of SO_EXCLBIND"},
	{ID: KeepAlive, Name: "TCP_KEEPALIVE", Number: marked(markIllumos, 0x8), Codec: Struct, Default: "0, 120", setBytes: setKeepAliveXTI, getBytes: getKeepAliveXTI,
		Note: "struct t_kpalive of XTI, 8 bytes: 0 or 1 for SO_KEEPALIVE, and minutes for TCP_KEEPIDLE, 1..14400, else EINVAL; read, the minutes are rounded up"},
	{ID: RecvDstAddr, Name: "TCP_RECVDSTADDR", Number: marked(markIllumos, 0x14), Codec: Bool, Default: "0",
		set: setRecvDstAddr, get: rareValue(func(r *Rare) int { return truth(r.RecvDstAddr) }),
		Note: "EOPNOTSUPP on a connection. Kept and inherited: on illumos, too, no call of a socket shows what it adds to the kernel's connection indication; the address is what getsockname(2) of an accepted socket says"},

	// The page of 2024 has these; the page of 2019 does not name them.
	{ID: QuickAck, Name: "TCP_QUICKACK", Number: 12, Codec: Bool, Default: "0", NotInherited: true, flag: func(o *Options) *bool { return &o.AckAll },
		Note: "every segment is acknowledged at once, for as long as it is on"},
	{ID: Congestion, Name: "TCP_CONGESTION", Number: 13, Codec: Text, Default: "sunreno", setBytes: setCongestionIllumos, getBytes: getCongestionIllumos,
		Note: "an unknown name is ENOENT; read with its terminating zero"},
	MD5SigRow(14, WriteOnly),
})

// threshold is a wait in milliseconds that is not bounded. Of an endless one 0 is
// no end.
func threshold(id ID, name string, native int, def, note string, endless bool, field func(*Rare) *time.Duration) Row {
	return Row{
		ID: id, Name: name, Number: marked(markIllumos, native), Codec: UintMillis, Unit: "milliseconds", Default: def, Note: note,
		set: func(c *call, v int) error {
			d := time.Duration(v) * time.Millisecond
			if endless {
				d = orForever(d)
			} else {
				d = max(d, 1) // 0 has another meaning in Rare
			}
			c.o.SetRare(func(r *Rare) { *field(r) = d })
			return nil
		},
		get: func(c *call) (int, error) { return untilMillis(*field(c.o.Rare())), nil },
	}
}

// timeout is a bound of the retransmission timeout; 0 leaves it.
func timeout(id ID, name string, native int, def, note string, fits func(*Rare, time.Duration) bool, field func(*Rare) *time.Duration) Row {
	return Row{
		ID: id, Name: name, Number: marked(markIllumos, native), Codec: UintMillis, Unit: "milliseconds", Default: def, Note: note + ", else EINVAL; 0 is ignored",
		set: func(c *call, v int) error {
			d := time.Duration(v) * time.Millisecond
			switch {
			case v == 0:
				return nil
			case !fits(c.o.Rare(), d):
				return errno.EINVAL
			}
			c.o.SetRare(func(r *Rare) { *field(r) = d })
			return nil
		},
		get: func(c *call) (int, error) { return untilMillis(*field(c.o.Rare())), nil },
	}
}

func setRTOInitial(r *Rare, d time.Duration) bool {
	return d >= r.RTOMin && d <= min(r.RTOMax, maxRTOInitial) && (r.ConnAbort < 0 || d <= r.ConnAbort)
}

func setRTOMin(r *Rare, d time.Duration) bool { return d <= min(r.RTOMax, maxIllumosRTO) }

func setRTOMax(r *Rare, d time.Duration) bool {
	return d >= r.RTOMin && d <= maxIllumosRTO && (r.Abort < 0 || d <= r.Abort)
}

// untilMillis shows a wait; one without end is 0.
func untilMillis(d time.Duration) int { return int(max(d, 0) / time.Millisecond) }

func setSndBufIllumos(c *call, v int) error {
	if v < 0 || v > int(c.p.Tunables.CoreWmemMax) {
		return errno.ENOBUFS
	}
	c.o.SndBuf, c.o.SndBufLocked = int32(2*max(v, minIllumosBuf)), true
	return nil
}

func setRcvBufIllumos(c *call, v int) error {
	if v < 0 || v > int(c.p.Tunables.CoreRmemMax) {
		return errno.ENOBUFS
	}
	if v == 0 {
		return nil
	}
	v = max(v, minIllumosBuf)
	if mss := c.t.MSS(); mss > 0 {
		v = (v + mss - 1) / mss * mss
	}
	c.o.RcvBuf, c.o.RcvBufLocked = int32(2*v), true
	return nil
}

// RFC3390Segments is the initial window of RFC 3390 in segments of mss bytes.
func RFC3390Segments(mss int) int { return min(4, max(2, 4380/max(mss, 1))) }

func setInitCwnd(c *call, v int) error {
	mss := c.t.MSS()
	if mss == 0 {
		mss = defaultMSS
	}
	if v > RFC3390Segments(mss) {
		if !c.priv.NetAdmin {
			return errno.EPERM
		}
		if v > maxInitCwnd {
			return errno.EINVAL
		}
	}
	c.o.SetRare(func(r *Rare) { r.InitCwnd = int32(v) })
	return nil
}

func setKeepAbort(c *call, v int) error {
	c.o.SetRare(func(r *Rare) { r.KeepAbort = orForever(time.Duration(v) * time.Millisecond) })
	c.o.KeepCnt, c.o.KeepIntvl = 0, 0
	return nil
}

// fitsKeepAbort sets the abort threshold to the product of count and interval, if
// that can be said in milliseconds.
func (c *call) fitsKeepAbort(n int, interval time.Duration) bool {
	if int64(n) > largestUintMsec/max(int64(interval/time.Millisecond), 1) {
		return false
	}
	c.o.SetRare(func(r *Rare) { r.KeepAbort = orForever(time.Duration(n) * interval) })
	return true
}

func setKeepCntIllumos(c *call, v int) error {
	r := c.o.Rare()
	switch {
	case v == 0 || v > math.MaxInt32:
		return errno.EINVAL
	case c.o.KeepIntvl == 0:
		c.o.KeepIntvl = min(max(max(r.KeepAbort, 0)/time.Duration(v), r.RTOMin), r.RTOMax)
	case !c.fitsKeepAbort(v, c.o.KeepIntvl):
		return errno.EINVAL
	}
	c.o.KeepCnt = int32(v)
	return nil
}

func setKeepIntvlIllumos(c *call, v int) error {
	r := c.o.Rare()
	d := time.Duration(v) * time.Second
	switch {
	case d < r.RTOMin || d > r.RTOMax:
		return errno.EINVAL
	case c.o.KeepCnt == 0:
		c.o.KeepCnt = int32(min(max(r.KeepAbort, 0)/max(d, 1), math.MaxInt32))
	case !c.fitsKeepAbort(int(c.o.KeepCnt), d):
		return errno.EINVAL
	}
	c.o.KeepIntvl = d
	return nil
}

func setLinger2Illumos(c *call, v int) error {
	switch {
	case v == 0:
		return nil
	case v < 0 || time.Duration(v)*time.Second > c.p.Tunables.FinTimeout:
		return errno.EINVAL
	}
	c.o.Linger2 = time.Duration(v) * time.Second
	return nil
}

// maxKeepMinutes is maxKeepIdle in the unit of TCP_KEEPALIVE.
const maxKeepMinutes = maxKeepIdle / 60

// setKeepAliveXTI is TCP_KEEPALIVE: SO_KEEPALIVE and TCP_KEEPIDLE at once.
func setKeepAliveXTI(c *call, val []byte) error {
	if len(val) != sizeofKeepAlive {
		return errno.EINVAL
	}
	on, minutes := binary.NativeEndian.Uint32(val), binary.NativeEndian.Uint32(val[4:])
	if on > 1 || minutes < 1 || minutes > maxKeepMinutes {
		return errno.EINVAL
	}
	c.o.KeepAlive, c.o.KeepIdle = on != 0, time.Duration(minutes)*time.Minute
	c.o.Chosen.Add(KeepIdle)
	return nil
}

func getKeepAliveXTI(c *call, b []byte, _ int) ([]byte, error) {
	b = binary.NativeEndian.AppendUint32(b, uint32(truth(c.o.KeepAlive)))
	return binary.NativeEndian.AppendUint32(b, uint32((c.o.KeepIdle+time.Minute-1)/time.Minute)), nil
}

// setRecvDstAddr is refused beyond LISTEN, as tcp_opt_set has it.
func setRecvDstAddr(c *call, v int) error {
	if c.t.Connected() {
		return errno.EOPNOTSUPP
	}
	c.o.SetRare(func(r *Rare) { r.RecvDstAddr = v != 0 })
	return nil
}

func setAnonPrivBind(c *call, v int) error {
	if !c.priv.NetBindService {
		return errno.EACCES
	}
	c.o.SetRare(func(r *Rare) { r.AnonPrivBind = v != 0 })
	return nil
}

// setCongestionIllumos takes a name of at most 15 characters, with or without a
// terminating zero.
func setCongestionIllumos(c *call, val []byte) error {
	if len(val) < 1 || len(val) > caNameSize {
		return errno.EINVAL
	}
	return setCongestion(c, val)
}

func getCongestionIllumos(c *call, b []byte, _ int) ([]byte, error) {
	return append(append(b, c.o.Congestion...), 0), nil
}
