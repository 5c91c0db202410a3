package sockopt

import (
	"math"
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newCXUX is the profile of CX/UX as its page tcp(4P) has it: TCP has one option.
// Of the socket level it has what 4.3BSD's getsockopt(2) has, which the page
// refers to.
func newCXUX() *Profile {
	p := &Profile{
		Name:     "cxux",
		BindRule: "cxux",

		ConnectMulticast: errno.ENETUNREACH,
		ConnectBroadcast: errno.EACCES,

		Congestion: slices.Clone(linuxCongestion),
		calls: callRules{
			setLevel: always(errno.ENOPROTOOPT), getLevel: always(errno.ENOPROTOOPT),
			readOnly: errno.ENOPROTOOPT, writeOnly: errno.ENOPROTOOPT,
		},
		values: map[string]string{
			"net.ipv4.conf.all.accept_source_route": "1", // the reverse route is used in responding
		},
		defaults: linuxDefaults,
		fresh:    []func(*Options, *Tunables){func(o *Options, _ *Tunables) { o.QuickAck = true }},
		rows:     slices.Concat(cxuxSocketRows, from(tcpRows, "TCP_NODELAY"), ipRows, ipv6Rows),
	}
	return p.seal()
}

var cxuxSocketRows = slices.Concat([]Row{
	altered(socketRows, "SO_DEBUG", func(r *Row) { r.set, r.Note = nil, "kept and inherited; nothing is traced" }),
	bufferCXUX("SO_SNDBUF", 7, SndBuf, "tcp_wmem, wmem_default", func(o *Options) (*int32, *bool) { return &o.SndBuf, &o.SndBufLocked }, func(t *Tunables) int32 { return t.CoreWmemMax }),
	bufferCXUX("SO_RCVBUF", 8, RcvBuf, "tcp_rmem, rmem_default", func(o *Options) (*int32, *bool) { return &o.RcvBuf, &o.RcvBufLocked }, func(t *Tunables) int32 { return t.CoreRmemMax }),
}, from(socketRows, "SO_REUSEADDR", "SO_TYPE", "SO_ERROR", "SO_DONTROUTE", "SO_BROADCAST",
	"SO_KEEPALIVE", "SO_OOBINLINE", "SO_LINGER", "SO_RCVLOWAT", "SO_SNDLOWAT", "SO_RCVTIMEO", "SO_SNDTIMEO", "SO_ACCEPTCONN"))

// bufferCXUX is a buffer whose size reads as it was set: 4.3BSD's sbreserve takes
// it or fails with ENOBUFS. Options counts twice what the program chose.
func bufferCXUX(name string, number int, id ID, def string, field func(*Options) (*int32, *bool), limit func(*Tunables) int32) Row {
	return Row{
		ID: id, Name: name, Number: number, Level: SolSocket, On: AnySocket, Unit: "bytes", Default: def,
		Note: "below 1, and above wmem_max or rmem_max, is ENOBUFS; at least 2304 is used",
		set: func(c *call, v int) error {
			if v < 1 || v > int(limit(c.p.Tunables)) {
				return errno.ENOBUFS
			}
			size, locked := field(c.o)
			*size, *locked = int32(min(2*max(v, leastBuf), math.MaxInt32)), true
			return nil
		},
		get: func(c *call) (int, error) {
			size, locked := field(c.o)
			if *locked {
				return int(*size / 2), nil
			}
			return int(*size), nil
		},
	}
}
