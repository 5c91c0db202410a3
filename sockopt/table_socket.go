package sockopt

import (
	"math"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// SolSocket is SOL_SOCKET.
const SolSocket = 1

// Least buffer sizes, in bytes as getsockopt shows them: SOCK_MIN_RCVBUF and
// SOCK_MIN_SNDBUF of Linux on 64-bit machines.
const (
	minRcvBuf = 2304
	minSndBuf = 4608
)

const ifNameSize = 16 // IFNAMSIZ, with the terminating zero

// socketRows are the options of level SOL_SOCKET (socket(7), asm-generic/socket.h).
var socketRows = at(SolSocket, AnySocket, []Row{
	{ID: Debug, Name: "SO_DEBUG", Number: 1, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.Debug },
		set: setDebug, Note: "kept and inherited; nothing is traced. Setting it without CAP_NET_ADMIN is EACCES"},
	{ID: ReuseAddr, Name: "SO_REUSEADDR", Number: 2, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.ReuseAddr }},
	{ID: SockType, Name: "SO_TYPE", Number: 3, Access: ReadOnly, get: func(c *call) (int, error) { _, typ, _ := c.t.Kind(); return typ, nil }},
	{ID: SockError, Name: "SO_ERROR", Number: 4, Access: ReadOnly, Default: "0", get: func(c *call) (int, error) { return int(c.t.TakeError()), nil },
		Note: "reading clears it"},
	{ID: DontRoute, Name: "SO_DONTROUTE", Number: 5, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.DontRoute }},
	{ID: Broadcast, Name: "SO_BROADCAST", Number: 6, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.Broadcast }},
	{ID: SndBuf, Name: "SO_SNDBUF", Number: 7, Unit: "bytes", Default: "tcp_wmem, wmem_default", set: setSndBuf, get: func(c *call) (int, error) { return int(c.o.SndBuf), nil },
		Note: "doubled; at most wmem_max before doubling, at least 4608 after; ends automatic tuning"},
	{ID: RcvBuf, Name: "SO_RCVBUF", Number: 8, Unit: "bytes", Default: "tcp_rmem, rmem_default", set: setRcvBuf, get: func(c *call) (int, error) { return int(c.o.RcvBuf), nil },
		Note: "doubled; at most rmem_max before doubling, at least 2304 after; ends automatic tuning"},
	{ID: SndBufForce, Name: "SO_SNDBUFFORCE", Number: 32, Unit: "bytes", Access: WriteOnly, Needs: CapNetAdmin, set: forceSndBuf, Note: "as SO_SNDBUF without the upper limit"},
	{ID: RcvBufForce, Name: "SO_RCVBUFFORCE", Number: 33, Unit: "bytes", Access: WriteOnly, Needs: CapNetAdmin, set: forceRcvBuf, Note: "as SO_RCVBUF without the upper limit"},
	{ID: KeepAlive, Name: "SO_KEEPALIVE", Number: 9, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.KeepAlive }},
	{ID: OOBInline, Name: "SO_OOBINLINE", Number: 10, Codec: Bool, Default: "0", Mirror: true, flag: func(o *Options) *bool { return &o.OOBInline }},
	{ID: Priority, Name: "SO_PRIORITY", Number: 12, Default: "0", NotInherited: true, num: func(o *Options) *int32 { return &o.Priority }, set: setPriority,
		Note: "above 6 or negative takes CAP_NET_ADMIN or CAP_NET_RAW, else EPERM"},
	{ID: Linger, Name: "SO_LINGER", Number: 13, Codec: LingerPair, Unit: "seconds", Default: "off, 0", setBytes: setLinger, getBytes: getLinger},
	{ID: BSDCompat, Name: "SO_BSDCOMPAT", Number: 14, Codec: Bool, Default: "0", set: func(*call, int) error { return nil }, get: func(*call) (int, error) { return 0, nil },
		Note: "without effect on Linux since 2.2, and here"},
	{ID: ReusePort, Name: "SO_REUSEPORT", Number: 15, Codec: Bool, Default: "0", flag: func(o *Options) *bool { return &o.ReusePort }},
	{ID: RcvLowat, Name: "SO_RCVLOWAT", Number: 18, Unit: "bytes", Default: "1", Mirror: true, num: func(o *Options) *int32 { return &o.RcvLowat }, set: setRcvLowat,
		Note: "0 means 1; a negative value the largest"},
	{ID: SndLowat, Name: "SO_SNDLOWAT", Number: 19, Access: ReadOnly, Unit: "bytes", Default: "1", get: func(*call) (int, error) { return 1, nil }},
	{ID: RcvTimeo, Name: "SO_RCVTIMEO", Number: 20, Codec: Timeval, Default: "0", Mirror: true, setBytes: setRcvTimeo, getBytes: getRcvTimeo, Note: "microseconds outside 0..999999 are EDOM"},
	{ID: SndTimeo, Name: "SO_SNDTIMEO", Number: 21, Codec: Timeval, Default: "0", Mirror: true, setBytes: setSndTimeo, getBytes: getSndTimeo, Note: "as SO_RCVTIMEO"},
	{ID: RcvTimeo, Name: "SO_RCVTIMEO_NEW", Number: 66, Codec: Timeval, Default: "0", Mirror: true, setBytes: setRcvTimeo, getBytes: getRcvTimeo, Note: "the same on a 64-bit ABI"},
	{ID: SndTimeo, Name: "SO_SNDTIMEO_NEW", Number: 67, Codec: Timeval, Default: "0", Mirror: true, setBytes: setSndTimeo, getBytes: getSndTimeo, Note: "the same on a 64-bit ABI"},
	{ID: BindToDevice, Name: "SO_BINDTODEVICE", Number: 25, Codec: Text, Default: "none", setBytes: setBindToDevice, getBytes: getBindToDevice,
		Note: "an unknown name is ENODEV; changing a binding takes CAP_NET_RAW"},
	{ID: AcceptConn, Name: "SO_ACCEPTCONN", Number: 30, Access: ReadOnly, get: func(c *call) (int, error) { return truth(c.t.Listening()), nil }},
	{ID: Mark, Name: "SO_MARK", Number: 36, Needs: CapNetAdmin | CapNetRaw, Default: "0",
		set:  func(c *call, v int) error { c.o.Mark = uint32(v); return nil },
		get:  func(c *call) (int, error) { return int(int32(c.o.Mark)), nil },
		Note: "kept and inherited; the sandbox has one routing table, so nothing looks at it"},
	{ID: Protocol, Name: "SO_PROTOCOL", Number: 38, Access: ReadOnly, get: func(c *call) (int, error) { _, _, proto := c.t.Kind(); return proto, nil }},
	{ID: Domain, Name: "SO_DOMAIN", Number: 39, Access: ReadOnly, get: func(c *call) (int, error) { domain, _, _ := c.t.Kind(); return domain, nil }},
	{ID: BindToIfindex, Name: "SO_BINDTOIFINDEX", Number: 62, Default: "0", set: setBindToIfindex, get: getBindToIfindex,
		Note: "negative is EINVAL, an index without an interface ENODEV; changing a binding takes CAP_NET_RAW"},
	{ID: BufLock, Name: "SO_BUF_LOCK", Number: 72, Default: "0", set: setBufLock, get: getBufLock,
		Note: "1: send buffer, 2: receive buffer is not tuned automatically; other bits are EINVAL"},
})

// at completes rows that share a level and a kind of socket.
func at(level int, on Sockets, rows []Row) []Row {
	for i := range rows {
		rows[i].Level = level
		if rows[i].On == 0 {
			rows[i].On = on
		}
	}
	return rows
}

func setDebug(c *call, v int) error {
	if v != 0 && !c.priv.NetAdmin {
		return errno.EACCES
	}
	c.o.Debug = v != 0
	return nil
}

// doubled applies Linux's bookkeeping allowance: a program asks for payload, the
// buffer also holds the overhead.
func doubled(v, least int) int32 {
	return int32(max(2*min(v, math.MaxInt32/2), least))
}

// capped compares without sign, so that -1 asks for the largest buffer.
func capped(v int, limit int32) int {
	return int(min(uint32(v), uint32(limit)))
}

func setSndBuf(c *call, v int) error {
	c.o.SndBuf, c.o.SndBufLocked = doubled(capped(v, c.p.Tunables.CoreWmemMax), minSndBuf), true
	return nil
}

func setRcvBuf(c *call, v int) error {
	c.o.RcvBuf, c.o.RcvBufLocked = doubled(capped(v, c.p.Tunables.CoreRmemMax), minRcvBuf), true
	return nil
}

func forceSndBuf(c *call, v int) error {
	c.o.SndBuf, c.o.SndBufLocked = doubled(max(v, 0), minSndBuf), true
	return nil
}

func forceRcvBuf(c *call, v int) error {
	c.o.RcvBuf, c.o.RcvBufLocked = doubled(max(v, 0), minRcvBuf), true
	return nil
}

const (
	bufLockSnd = 1
	bufLockRcv = 2
)

func setBufLock(c *call, v int) error {
	if v&^(bufLockSnd|bufLockRcv) != 0 {
		return errno.EINVAL
	}
	c.o.SndBufLocked, c.o.RcvBufLocked = v&bufLockSnd != 0, v&bufLockRcv != 0
	return nil
}

func getBufLock(c *call) (int, error) {
	return truth(c.o.SndBufLocked)*bufLockSnd + truth(c.o.RcvBufLocked)*bufLockRcv, nil
}

func setPriority(c *call, v int) error {
	if (v < 0 || v > 6) && !(CapNetAdmin | CapNetRaw).heldBy(c.priv) {
		return errno.EPERM
	}
	c.o.Priority = int32(v)
	return nil
}

// setRcvLowat keeps a TCP socket's mark reachable: no more than half of what
// the receive buffer is or may become (tcp_set_rcvlowat).
func setRcvLowat(c *call, v int) error {
	if v < 0 {
		v = math.MaxInt32
	}
	if _, typ, _ := c.t.Kind(); typ == SockStream {
		limit := c.p.Tunables.TCPRmem.Max
		if c.o.RcvBufLocked {
			limit = c.o.RcvBuf
		}
		v = min(v, int(limit/2))
	}
	c.o.RcvLowat = int32(max(v, 1))
	return nil
}

func setLinger(c *call, val []byte) error {
	l, err := decodeLinger(val, c.o.Linger)
	if err == nil {
		c.o.Linger = l
	}
	return err
}

func getLinger(c *call, b []byte, _ int) ([]byte, error) { return appendLinger(b, c.o.Linger), nil }

func setRcvTimeo(c *call, val []byte) error {
	d, err := decodeTimeout(val)
	if err == nil {
		c.o.RcvTimeo = d
	}
	return err
}

func setSndTimeo(c *call, val []byte) error {
	d, err := decodeTimeout(val)
	if err == nil {
		c.o.SndTimeo = d
	}
	return err
}

func getRcvTimeo(c *call, b []byte, _ int) ([]byte, error) {
	return appendTimeout(b, c.o.RcvTimeo), nil
}

func getSndTimeo(c *call, b []byte, _ int) ([]byte, error) {
	return appendTimeout(b, c.o.SndTimeo), nil
}

// mayRebind is the rule since Linux 5.7: the first binding to a link is free.
func mayRebind(c *call) error {
	if c.o.BindToIf != 0 && !c.priv.NetRaw {
		return errno.EPERM
	}
	return nil
}

func setBindToDevice(c *call, val []byte) error {
	name := text(val[:min(len(val), ifNameSize-1)])
	link := 0
	if name != "" {
		var ok bool
		if c.p.Links == nil {
			return errno.ENODEV
		}
		if link, ok = c.p.Links.LinkByName(name); !ok {
			return errno.ENODEV
		}
	}
	if err := mayRebind(c); err != nil {
		return err
	}
	c.o.BindToIf = int32(link)
	return nil
}

func getBindToDevice(c *call, b []byte, maxLen int) ([]byte, error) {
	if c.o.BindToIf == 0 {
		return b, nil
	}
	if maxLen < ifNameSize {
		return nil, errno.EINVAL
	}
	if c.p.Links == nil {
		return nil, errno.ENODEV
	}
	name, ok := c.p.Links.LinkName(int(c.o.BindToIf))
	if !ok {
		return nil, errno.ENODEV
	}
	return append(append(b, name...), 0), nil
}

func setBindToIfindex(c *call, v int) error {
	if err := mayRebind(c); err != nil {
		return err
	}
	if v < 0 {
		return errno.EINVAL
	}
	if x, ok := c.p.Links.(Indexes); ok && v != 0 {
		if v, ok = x.LinkByIndex(v); !ok {
			return errno.ENODEV
		}
	}
	c.o.BindToIf = int32(v)
	return nil
}

func getBindToIfindex(c *call) (int, error) {
	if x, ok := c.p.Links.(Indexes); ok && c.o.BindToIf != 0 {
		return x.IndexOf(int(c.o.BindToIf)), nil
	}
	return int(c.o.BindToIf), nil
}
