package sockopt

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// The options of FreeBSD: tcp(4) of 2018, getsockopt(2), and where the pages are
// silent what sosetopt and tcp_ctloutput do. A truth value is read as the flag
// that it is kept in.

const (
	freebsdHeaders  = 40        // bytes of IP and TCP that TCP_MAXSEG is compared with, of either family
	freebsdHz       = 1000      // ticks a second: what bounds times in seconds
	functionNameLen = 32        // TCP_FUNCTION_NAME_LEN_MAX
	functionSetLen  = 32 + 4    // struct tcp_function_set
	newRenoOptsLen  = 4 + 4     // struct cc_newreno_opts
	maxLingerTime   = 1<<16 - 1 // USHRT_MAX
)

var freebsdSocketRows = slices.Concat([]Row{
	altered(socketRows, "SO_DEBUG", func(r *Row) { r.set, r.Note = nil, "kept and inherited; nothing is traced" }),
	truthAs("SO_REUSEADDR", 0x4),
	truthAs("SO_REUSEPORT", 0x200),
	{ID: ReusePortLB, Name: "SO_REUSEPORT_LB", Number: soReusePortLB, Level: SolSocket, On: AnySocket, Codec: Bool, Truth: soReusePortLB, Default: "0",
		set: func(c *call, v int) error {
			c.o.SetRare(func(r *Rare) { r.ReusePortLB = v != 0 })
			return nil
		},
		get:  func(c *call) (int, error) { return soReusePortLB * truth(c.o.Rare().ReusePortLB), nil },
		Note: "the port is shared with sockets that have it too; connections are spread over the listeners"},
	truthAs("SO_KEEPALIVE", 0x8),
	truthAs("SO_DONTROUTE", 0x10),
	truthAs("SO_BROADCAST", 0x20),
	truthAs("SO_OOBINLINE", 0x100),
	{ID: AcceptConn, Name: "SO_ACCEPTCONN", Number: 30, Level: SolSocket, On: AnySocket, Access: ReadOnly,
		get: func(c *call) (int, error) { return 0x2 * truth(c.t.Listening()), nil }, Note: "reads 2 when listening"},
	altered(socketRows, "SO_LINGER", func(r *Row) {
		r.setBytes, r.getBytes, r.Note = setLingerFreeBSD, getLingerFreeBSD, "0..65535 seconds, else EDOM; reads 128 when on"
	}),
	bufferFreeBSD("SO_SNDBUF", 7, SndBuf, "sendspace, 9216", func(o *Options) (*int32, *bool) { return &o.SndBuf, &o.SndBufLocked }, func(t *Tunables) int32 { return t.CoreWmemMax }),
	bufferFreeBSD("SO_RCVBUF", 8, RcvBuf, "recvspace, 42080", func(o *Options) (*int32, *bool) { return &o.RcvBuf, &o.RcvBufLocked }, func(t *Tunables) int32 { return t.CoreRmemMax }),
	altered(socketRows, "SO_RCVLOWAT", func(r *Row) {
		r.Min, r.Max, r.set = 1, math.MaxInt32, setRcvLowatFreeBSD
		r.Note = "below 1 is EINVAL; no more than the buffer"
	}),
	altered(socketRows, "SO_RCVTIMEO", func(r *Row) {
		r.setBytes, r.Note = timeoutFreeBSD(setRcvTimeo), "negative, or microseconds outside 0..999999, is EDOM"
	}),
	altered(socketRows, "SO_SNDTIMEO", func(r *Row) { r.setBytes, r.Note = timeoutFreeBSD(setSndTimeo), "as SO_RCVTIMEO" }),
}, from(socketRows, "SO_TYPE", "SO_ERROR", "SO_SNDLOWAT", "SO_PROTOCOL", "SO_DOMAIN"))

var freebsdTCPRows = at(protoTCP, TCPOnly, []Row{
	altered(tcpRows, "TCP_NODELAY", func(r *Row) { r.Truth = 0x4 }),
	{ID: MaxSeg, Name: "TCP_MAXSEG", Number: 2, Unit: "bytes", Default: "mssdflt, v6mssdflt", NotInherited: true, set: setMaxSegFreeBSD, get: getMaxSegFreeBSD,
		Note: "reduces the size, never raises it: 176 up to what it is now, else EINVAL"},
	{ID: NoOpt, Name: "TCP_NOOPT", Number: marked(markFreeBSD, 8), Codec: Bool, Truth: 0x8, Default: "0", set: setNoOpt,
		get:  func(c *call) (int, error) { return 0x8 * truth(c.o.Rare().NoOpt), nil },
		Note: "no options in the SYN and in answers of a listener, so none later; a socket that is connected or connecting keeps what its SYN has offered, and leaves out its SACK blocks"},
	{ID: Cork, Name: "TCP_NOPUSH", Number: 3, Native: 4, Codec: Bool, Truth: 0x1000, Default: "0", flag: func(o *Options) *bool { return &o.Cork },
		Note: "only full segments are sent until the socket is closed; taking it off sends what waits. Linux's name of the number is TCP_CORK"},
	MD5SigRow(numberMD5Sig, ReadWrite),
	{ID: Info, Name: "TCP_INFO", Number: 11, Native: 32, Codec: Struct, Access: ReadOnly, getBytes: getInfoFreeBSD,
		Note: "struct tcp_info of FreeBSD 12, 236 bytes: windows are in bytes, states have FreeBSD's numbers"},
	{ID: Congestion, Name: "TCP_CONGESTION", Number: 13, Native: 64, Codec: Text, Default: "newreno", NotInherited: true, setBytes: setCongestionFreeBSD, getBytes: getCongestionIllumos,
		Note: "an unknown name, and an empty one, is EINVAL; read with its terminating zero. A connection that is accepted begins with the system's"},
	{ID: CCAlgoOpt, Name: "TCP_CCALGOOPT", Number: marked(markFreeBSD, 65), Codec: Struct, Asks: newRenoOptsLen, setBytes: setCCAlgoOpt, getBytes: getCCAlgoOpt, NotInherited: true,
		Note: "struct cc_newreno_opts: 1 beta, 2 beta_ecn, in percent, 1..100 or EINVAL; another size is EMSGSIZE, another name ENOPROTOOPT. ENOENT with other algorithms"},
	{ID: KeepInit, Name: "TCP_KEEPINIT", Number: marked(markFreeBSD, 128), Codec: Uint, Unit: "seconds", Default: "75", set: setKeepInit, get: getKeepInit,
		Note: "time for the handshake; more than 4294967 is EINVAL, 0 the tunable's"},
	keepTimeFreeBSD("TCP_KEEPIDLE", 4, 256, KeepIdle, "7200", func(o *Options) *time.Duration { return &o.KeepIdle }, func(t *Tunables) time.Duration { return t.KeepaliveTime }),
	keepTimeFreeBSD("TCP_KEEPINTVL", 5, 512, KeepIntvl, "75", func(o *Options) *time.Duration { return &o.KeepIntvl }, func(t *Tunables) time.Duration { return t.KeepaliveIntvl }),
	{ID: KeepCnt, Name: "TCP_KEEPCNT", Number: 6, Native: 1024, Codec: Uint, Default: "8", set: setKeepCntFreeBSD,
		get: func(c *call) (int, error) { return int(c.o.KeepCnt), nil }, Note: "0 is the tunable's"},
	{ID: FunctionBlk, Name: "TCP_FUNCTION_BLK", Number: marked(markFreeBSD, 8192), Codec: Struct, setBytes: setFunctionBlk, getBytes: getFunctionBlk,
		Note: "struct tcp_function_set, 36 bytes: a name, and how many connections have it. ENOENT for a block that is not there, EINVAL at a point where a connection cannot change"},
})

func bufferFreeBSD(name string, number int, id ID, def string, field func(*Options) (*int32, *bool), limit func(*Tunables) int32) Row {
	return Row{
		ID: id, Name: name, Number: number, Level: SolSocket, On: AnySocket, Unit: "bytes", Default: def, Min: 1, Max: math.MaxInt32,
		Note: "below 1 is EINVAL, above eight ninths of kern.ipc.maxsockbuf ENOBUFS; at least 2304 is used",
		set: func(c *call, v int) error {
			if v > int(limit(c.p.Tunables))/9*8 { // sb_max_adj: what is left without the overhead of mbufs
				return errno.ENOBUFS
			}
			size, locked := field(c.o)
			*size, *locked = int32(2*max(v, leastBuf)), true
			return nil
		},
		get: func(c *call) (int, error) {
			size, _ := field(c.o)
			return int(*size / 2), nil
		},
	}
}

func setRcvLowatFreeBSD(c *call, v int) error {
	c.o.RcvLowat = int32(min(v, int(c.o.RcvBuf/2)))
	return nil
}

func setLingerFreeBSD(c *call, val []byte) error {
	if len(val) < sizeofLinger {
		return errno.EINVAL
	}
	on, seconds := binary.NativeEndian.Uint32(val) != 0, int32(binary.NativeEndian.Uint32(val[4:]))
	if seconds < 0 || seconds > maxLingerTime {
		return errno.EDOM
	}
	c.o.Linger = LingerSetting{On: on, Seconds: seconds}
	return nil
}

func getLingerFreeBSD(c *call, b []byte, _ int) ([]byte, error) {
	b = binary.NativeEndian.AppendUint32(b, uint32(0x80*truth(c.o.Linger.On)))
	return binary.NativeEndian.AppendUint32(b, uint32(c.o.Linger.Seconds)), nil
}

// timeoutFreeBSD refuses a time in the past, which Linux takes for one that has
// run out.
func timeoutFreeBSD(set func(*call, []byte) error) func(*call, []byte) error {
	return func(c *call, val []byte) error {
		if len(val) >= sizeofTimeval && int64(binary.NativeEndian.Uint64(val)) < 0 {
			return errno.EDOM
		}
		return set(c, val)
	}
}

// tsOptionLen is what timestamps take of a segment, in bytes. FreeBSD's t_maxseg
// is without options.
const tsOptionLen = 12

// currentMaxSeg is the size that a connection sends, or would assume of a peer.
func currentMaxSeg(c *call) int {
	if mss := c.t.MSS(); mss > 0 {
		if own := int(c.o.MaxSeg); mss < own && own <= mss+tsOptionLen {
			return own
		}
		return mss
	}
	most := c.p.Tunables.MSS4
	if domain, _, _ := c.t.Kind(); domain == AFInet6 {
		most = c.p.Tunables.MSS6
	}
	if c.o.MaxSeg > 0 {
		most = c.o.MaxSeg
	}
	return int(most)
}

func setMaxSegFreeBSD(c *call, v int) error {
	if v <= 0 || v > currentMaxSeg(c) || v+freebsdHeaders < int(c.p.Tunables.MinSndMSS) {
		return errno.EINVAL
	}
	c.o.MaxSeg = int32(v)
	return nil
}

func getMaxSegFreeBSD(c *call) (int, error) { return currentMaxSeg(c), nil }

func setNoOpt(c *call, v int) error {
	c.o.SetRare(func(r *Rare) { r.NoOpt = v != 0 })
	return nil
}

// setCongestionFreeBSD looks at no more than 15 characters.
func setCongestionFreeBSD(c *call, val []byte) error {
	if err := setCongestion(c, val); err != errno.ENOENT {
		return err
	}
	return errno.EINVAL
}

// secondsFreeBSD reads a time that FreeBSD counts in ticks.
func secondsFreeBSD(v int) (time.Duration, error) {
	if v > math.MaxUint32/freebsdHz {
		return 0, errno.EINVAL
	}
	return time.Duration(v) * time.Second, nil
}

func setKeepInit(c *call, v int) error {
	d, err := secondsFreeBSD(v)
	if err == nil {
		c.o.SetRare(func(r *Rare) { r.KeepInit = d })
	}
	return err
}

func getKeepInit(c *call) (int, error) {
	d := c.o.Rare().KeepInit
	if d == 0 {
		d = c.p.Tunables.KeepInit
	}
	return int(d / time.Second), nil
}

func keepTimeFreeBSD(name string, number, native int, id ID, def string, field func(*Options) *time.Duration, tunable func(*Tunables) time.Duration) Row {
	return Row{
		ID: id, Name: name, Number: number, Native: native, Codec: Uint, Unit: "seconds", Default: def, Note: "more than 4294967 is EINVAL, 0 the tunable's",
		set: func(c *call, v int) error {
			d, err := secondsFreeBSD(v)
			if err != nil {
				return err
			}
			if d == 0 {
				d = tunable(c.p.Tunables)
			}
			*field(c.o) = d
			return nil
		},
		get: func(c *call) (int, error) { return int(*field(c.o) / time.Second), nil },
	}
}

func setKeepCntFreeBSD(c *call, v int) error {
	if v == 0 {
		v = int(c.p.Tunables.KeepaliveProbes)
	}
	c.o.KeepCnt = int32(min(v, math.MaxInt32))
	return nil
}

// FunctionBlocks is implemented by a Target that has function blocks. The error
// of SetFunctionBlock is ENOENT for a name that is not there, EINVAL for a
// connection that cannot change now.
type FunctionBlocks interface {
	SetFunctionBlock(name string) error
	FunctionBlock() string
	FunctionBlockUsers(name string) int // connections that have it
}

func setFunctionBlk(c *call, val []byte) error {
	t, ok := c.t.(FunctionBlocks)
	if len(val) < functionSetLen || !ok {
		return errno.EINVAL
	}
	return t.SetFunctionBlock(text(val[:functionNameLen]))
}

func getFunctionBlk(c *call, b []byte, _ int) ([]byte, error) {
	t, ok := c.t.(FunctionBlocks)
	if !ok {
		return nil, errno.EINVAL
	}
	var name [functionNameLen]byte
	copy(name[:functionNameLen-1], t.FunctionBlock())
	return binary.NativeEndian.AppendUint32(append(b, name[:]...), uint32(t.FunctionBlockUsers(t.FunctionBlock()))), nil
}

// CongestionParams is implemented by a Target whose congestion control has
// parameters, by the names of netstack/tcp. The errors are EINVAL for a value and
// ENOENT for a name below them.
type CongestionParams interface {
	SetCongestionParam(name string, value int64) error
	CongestionParam(name string) (int64, error)
}

// newRenoParams are cc_newreno's, by the numbers of struct cc_newreno_opts.
var newRenoParams = map[uint32]string{1: "beta", 2: "beta_ecn"}

// newRenoParam is the parameter that a struct cc_newreno_opts names.
func newRenoParam(c *call, val []byte) (CongestionParams, string, error) {
	t, ok := c.t.(CongestionParams)
	if !ok || c.o.Congestion != "newreno" {
		return nil, "", errno.ENOENT // cc_newreno is alone with such options
	}
	if len(val) != newRenoOptsLen {
		return nil, "", errno.EMSGSIZE
	}
	name, ok := newRenoParams[binary.NativeEndian.Uint32(val)]
	if !ok {
		return nil, "", errno.ENOPROTOOPT
	}
	return t, name, nil
}

func setCCAlgoOpt(c *call, val []byte) error {
	t, name, err := newRenoParam(c, val)
	if err != nil {
		return err
	}
	if t.SetCongestionParam(name, int64(binary.NativeEndian.Uint32(val[4:]))) != nil {
		return errno.EINVAL
	}
	return nil
}

func getCCAlgoOpt(c *call, b []byte, _ int) ([]byte, error) {
	t, name, err := newRenoParam(c, c.asked)
	if err != nil {
		return nil, err
	}
	v, err := t.CongestionParam(name)
	if err != nil {
		return nil, errno.ENOENT
	}
	b = append(b, c.asked[:4]...)
	return binary.NativeEndian.AppendUint32(b, uint32(v)), nil
}

// freebsdStates are FreeBSD's numbers of the states that TCPInfo.State names.
var freebsdStates = [...]uint8{0, 4, 2, 3, 6, 9, 10, 0, 5, 8, 1, 7}

// freebsdInfoPad is what struct tcp_info keeps for later, in words.
const freebsdInfoPad = 26

// micros is a time in milliseconds as FreeBSD shows it.
func micros(ms uint32) uint32 { return uint32(min(uint64(ms)*1000, math.MaxUint32)) }

func getInfoFreeBSD(c *call, b []byte, _ int) ([]byte, error) {
	var i TCPInfo
	c.t.Info(&i)
	state := uint8(0)
	if int(i.State) < len(freebsdStates) {
		state = freebsdStates[i.State]
	}
	b = append(b, state, 0, 0, 0, 0, i.Options&(TCPInfoTimestamps|TCPInfoSACK|TCPInfoWScale|TCPInfoECN), i.SndWScale&15|i.RcvWScale<<4, 0)
	b = append32(b, i.RTO, 0, i.SndMSS, i.RcvMSS)
	b = append32(b, 0, 0, 0, 0, 0)                   // unacked … fackets: FreeBSD leaves them
	b = append32(b, 0, 0, micros(i.LastDataRecv), 0) // and of the times all but one
	b = append32(b, 0, 0, i.RTT, i.RTTVar, i.SsthreshBytes, i.CwndBytes, 0, 0)
	b = append32(b, 0, i.RcvWnd)
	b = append32(b, i.SndWnd, 0, i.SndNxt, i.RcvNxt, 0, i.TotalRetrans, i.RcvOOOPack, i.ZeroWindows) // snd_bwnd is not used there any more, toe_tid is a device's
	return append(b, make([]byte, 4*freebsdInfoPad)...), nil
}
