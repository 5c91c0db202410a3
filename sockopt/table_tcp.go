package sockopt

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

const (
	minMaxSeg    = 88    // TCP_MIN_MSS of Linux, bytes
	maxMaxSeg    = 32767 // MAX_TCP_WINDOW, bytes
	defaultMSS   = 536   // RFC 9293 section 3.7.1: what a connection sends before it knows better
	maxKeepTime  = 32767 // MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL, seconds
	maxKeepCount = 127
	maxSynCount  = 127
	minWinClamp  = minRcvBuf / 2
	maxLinger2   = 120 * time.Second // TCP_FIN_TIMEOUT_MAX
	caNameSize   = 16                // TCP_CA_NAME_MAX, with the terminating zero
)

// tcpRows are the options of level IPPROTO_TCP (tcp(7), linux/tcp.h).
var tcpRows = at(protoTCP, TCPOnly, []Row{
	{ID: NoDelay, Name: "TCP_NODELAY", Number: 1, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.NoDelay },
		Note: "setting it pushes what waits"},
	{ID: MaxSeg, Name: "TCP_MAXSEG", Number: 2, Unit: "bytes", Default: "536", set: setMaxSeg, get: getMaxSeg,
		Note: "88..32767, or 0 for none; a connection shows the size that it sends"},
	{ID: Cork, Name: "TCP_CORK", Number: 3, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.Cork },
		Note: "holds a partial segment for at most 200 ms"},
	{ID: KeepIdle, Name: "TCP_KEEPIDLE", Number: 4, Codec: Seconds, Unit: "seconds", Min: 1, Max: maxKeepTime, Default: "tcp_keepalive_time",
		dur: func(o *Options) *time.Duration { return &o.KeepIdle }},
	{ID: KeepIntvl, Name: "TCP_KEEPINTVL", Number: 5, Codec: Seconds, Unit: "seconds", Min: 1, Max: maxKeepTime, Default: "tcp_keepalive_intvl",
		dur: func(o *Options) *time.Duration { return &o.KeepIntvl }},
	{ID: KeepCnt, Name: "TCP_KEEPCNT", Number: 6, Min: 1, Max: maxKeepCount, Default: "tcp_keepalive_probes",
		num: func(o *Options) *int32 { return &o.KeepCnt }},
	{ID: SynCnt, Name: "TCP_SYNCNT", Number: 7, Min: 1, Max: maxSynCount, Default: "tcp_syn_retries",
		num: func(o *Options) *int32 { return &o.SynCnt }},
	{ID: Linger2, Name: "TCP_LINGER2", Number: 8, Codec: Seconds, Unit: "seconds", Default: "tcp_fin_timeout",
		dur: func(o *Options) *time.Duration { return &o.Linger2 }, set: setLinger2, get: getLinger2,
		Note: "0 for the tunable, negative for no FIN_WAIT_2 at all (read as -1), at most 120"},
	{ID: DeferAccept, Name: "TCP_DEFER_ACCEPT", Number: 9, Codec: Seconds, Unit: "seconds", Default: "0", NotInherited: true,
		dur: func(o *Options) *time.Duration { return &o.DeferAccept }, set: setDeferAccept,
		Note: "rounded up to a whole number of SYN-ACK retransmissions: 1, 3, 7, 15, 31, 63, 127, 247 …"},
	{ID: WindowClamp, Name: "TCP_WINDOW_CLAMP", Number: 10, Unit: "bytes", Default: "0",
		num: func(o *Options) *int32 { return &o.WinClamp }, set: setWindowClamp,
		Note: "at least 1152; 0 for none, on a socket that is not in use yet"},
	{ID: Info, Name: "TCP_INFO", Number: 11, Codec: Struct, Access: ReadOnly, getBytes: getInfo,
		Note: "struct tcp_info of Linux 6.18, 280 bytes; less room gets the front part"},
	{ID: QuickAck, Name: "TCP_QUICKACK", Number: 12, Codec: Bool, Default: "1", NotInherited: true,
		flag: func(o *Options) *bool { return &o.QuickAck },
		Note: "not permanent: the connection goes on to decide by itself"},
	{ID: Congestion, Name: "TCP_CONGESTION", Number: 13, Codec: Text, Default: "tcp_congestion_control",
		setBytes: setCongestion, getBytes: getCongestion,
		Note: "an unknown name is ENOENT, an empty value EINVAL; read as 16 bytes; newreno, which Linux does not know, is taken for reno and read as such"},
	{ID: UserTimeout, Name: "TCP_USER_TIMEOUT", Number: 18, Codec: Millis, Unit: "milliseconds", Default: "0", Max: math.MaxInt32,
		dur: func(o *Options) *time.Duration { return &o.UserTimeout }},
	{ID: NotSentLowat, Name: "TCP_NOTSENT_LOWAT", Number: 25, Unit: "bytes", Default: "0",
		set:  func(c *call, v int) error { c.o.NotSentLowat = uint32(v); return nil },
		get:  func(c *call) (int, error) { return int(int32(c.o.NotSentLowat)), nil },
		Note: "0 for the tunable tcp_notsent_lowat"},
	{ID: IsMPTCP, Name: "TCP_IS_MPTCP", Number: 43, Access: ReadOnly, Default: "0", get: func(*call) (int, error) { return 0, nil }},
})

func setMaxSeg(c *call, v int) error {
	if v != 0 && (v < minMaxSeg || v > maxMaxSeg) {
		return errno.EINVAL
	}
	c.o.MaxSeg = int32(v)
	return nil
}

func getMaxSeg(c *call) (int, error) {
	if mss := c.t.MSS(); mss > 0 {
		return mss, nil
	}
	if c.o.MaxSeg > 0 {
		return int(c.o.MaxSeg), nil
	}
	return defaultMSS, nil
}

func setLinger2(c *call, v int) error {
	switch d := time.Duration(v) * time.Second; {
	case v < 0:
		c.o.Linger2 = -1
	case v == 0:
		c.o.Linger2 = c.p.Tunables.FinWait2Time()
	default:
		c.o.Linger2 = min(d, maxLinger2)
	}
	return nil
}

func getLinger2(c *call) (int, error) {
	if c.o.Linger2 < 0 {
		return -1, nil
	}
	return int(c.o.Linger2 / time.Second), nil
}

// setDeferAccept keeps a wait that ends with a retransmission of the SYN-ACK,
// the only moments at which Linux looks: after 1 s, doubling up to 120 s each.
func setDeferAccept(c *call, v int) error {
	c.o.DeferAccept = deferPeriod(time.Duration(v) * time.Second)
	return nil
}

func deferPeriod(want time.Duration) time.Duration {
	const maxRetrans = 255
	var wait time.Duration
	timeout := time.Second
	for n := 0; n < maxRetrans && wait < want; n++ {
		wait += timeout
		timeout = min(2*timeout, 120*time.Second)
	}
	return wait
}

func setWindowClamp(c *call, v int) error {
	if v == 0 {
		if c.t.Listening() || c.t.Connected() {
			return errno.EINVAL
		}
		c.o.WinClamp = 0
		return nil
	}
	c.o.WinClamp = int32(max(v, minWinClamp))
	return nil
}

func getInfo(c *call, b []byte, _ int) ([]byte, error) {
	var info TCPInfo
	c.t.Info(&info)
	return info.AppendTo(b), nil
}

func setCongestion(c *call, val []byte) error {
	if len(val) < 1 {
		return errno.EINVAL
	}
	name := text(val[:min(len(val), caNameSize-1)])
	if own, ok := c.p.CongestionAliases[name]; ok {
		name = own
	}
	if !slices.Contains(c.p.Congestion, name) {
		return errno.ENOENT
	}
	if !c.p.Tunables.allows(name) && !c.priv.NetAdmin {
		return errno.EPERM
	}
	c.o.Congestion = name
	return nil
}

func getCongestion(c *call, b []byte, _ int) ([]byte, error) {
	var name [caNameSize]byte
	copy(name[:caNameSize-1], c.o.Congestion)
	return append(b, name[:]...), nil
}

// nativeInt reads an int that is known to be there.
func nativeInt(val []byte) uint32 { return binary.NativeEndian.Uint32(val) }
