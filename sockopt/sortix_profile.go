package sockopt

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newSortix is the profile of Sortix as its page tcp(4) has it.
func newSortix() *Profile {
	p := &Profile{
		Name:     "sortix",
		BindRule: "sortix",

		ConnectMulticast: errno.ENETUNREACH,
		ConnectBroadcast: errno.ENETUNREACH,
		ConnectNoPort:    errno.EADDRNOTAVAIL,
		LinkDown:         errno.ENETDOWN,
		NoNeighbour:      errno.EHOSTDOWN,
		PermanentErrors:  true,
		PollShut:         true,

		Congestion: slices.Clone(linuxCongestion),
		calls: callRules{
			setLevel: always(errno.EINVAL), getLevel: always(errno.EINVAL),
			readOnly: errno.ENOPROTOOPT, writeOnly: errno.ENOPROTOOPT,
		},
		values:   sortixValues,
		defaults: sortixDefaults,
		fresh:    []func(*Options, *Tunables){func(o *Options, _ *Tunables) { o.QuickAck = true }},
		rows:     slices.Concat(sortixRows, ipRows, ipv6Rows),
	}
	return p.seal()
}

// sortixValues are what the page says of the implementation: 64 KiB of buffer
// each way, no TCP options, six attempts a second further apart each time, and no
// notion of urgent data.
var sortixValues = map[string]string{
	"tcp_rmem": "4096 65536 65536", "tcp_wmem": "4096 65536 65536", "tcp_moderate_rcvbuf": "0",
	"rmem_default": "131072", "wmem_default": "131072", // twice 64 KiB
	"tcp_window_scaling": "0", "tcp_timestamps": "0", "tcp_sack": "0", "tcp_ecn": "0", "tcp_fastopen": "0",
	"rto_step": "1000", "tcp_syn_retries": "5", "tcp_synack_retries": "5", "tcp_retries2": "5", "tcp_orphan_retries": "5",
	"tcp_reordering": "300", "net.tcpcni.functions_default": "classic", "tcp_frto": "0", // a timeout is what shows a loss
	"ignore_urgent": "1",
}

func sortixDefaults(t *Tunables) Options {
	o := linuxDefaults(t)
	o.RcvBuf, o.SndBuf = 2*t.TCPRmem.Default, 2*t.TCPWmem.Default // Options counts twice what programs see
	o.rare = sortixRare
	return o
}

var sortixRare = &Rare{NoOpt: true}

// sortixRows are all options that tcp(4) has, which are those of if(4).
var sortixRows = at(SolSocket, AnySocket, []Row{
	altered(socketRows, "SO_BINDTODEVICE", func(r *Row) { r.setBytes, r.Note = unprivilegedBytes(r.setBytes), "an unknown name is ENODEV" }),
	altered(socketRows, "SO_BINDTOIFINDEX", func(r *Row) {
		r.Name, r.Native, r.Codec, r.set = "SO_BINDTOINDEX", 17, Uint, unprivileged(r.set)
		r.Note = "0 for none; an index without an interface is ENODEV. Linux's name of the number is SO_BINDTOIFINDEX"
	}),
	{ID: Debug, Name: "SO_DEBUG", Number: 1, Default: "0", get: func(*call) (int, error) { return 0, nil }, set: func(_ *call, v int) error {
		if v != 0 {
			return errno.EPERM
		}
		return nil
	}, Note: "anything but 0 is EPERM"},
	{ID: SockError, Name: "SO_ERROR", Number: 4, Access: ReadOnly, Default: "0", get: getPermanentError, Note: "permanent: reading does not clear it"},
	bufferSortix("SO_RCVBUF", 8, RcvBuf, func(o *Options) (*int32, *bool) { return &o.RcvBuf, &o.RcvBufLocked }),
	bufferSortix("SO_SNDBUF", 7, SndBuf, func(o *Options) (*int32, *bool) { return &o.SndBuf, &o.SndBufLocked }),
	*named(socketRows, "SO_REUSEADDR"),
	*named(socketRows, "SO_DOMAIN"),
	*named(socketRows, "SO_PROTOCOL"),
	*named(socketRows, "SO_TYPE"),
})

// unprivileged is a set function that asks for no privilege.
func unprivileged(set func(*call, int) error) func(*call, int) error {
	return func(c *call, v int) error {
		c.priv.NetRaw = true
		return set(c, v)
	}
}

func unprivilegedBytes(set func(*call, []byte) error) func(*call, []byte) error {
	return func(c *call, val []byte) error {
		c.priv.NetRaw = true
		return set(c, val)
	}
}

func getPermanentError(c *call) (int, error) {
	if e := c.t.TakeError(); e != 0 {
		c.o.SetRare(func(r *Rare) { r.LastError = e })
	}
	return int(c.o.Rare().LastError), nil
}

// maxSortixBuf bounds SO_RCVBUF and SO_SNDBUF, in bytes; the page names no bound.
const maxSortixBuf = 4 << 20

func bufferSortix(name string, number int, id ID, field func(*Options) (*int32, *bool)) Row {
	return Row{
		ID: id, Name: name, Number: number, Unit: "bytes", Default: "65536", Min: leastBuf, Max: maxSortixBuf,
		set: func(c *call, v int) error {
			size, locked := field(c.o)
			*size, *locked = int32(2*v), true
			return nil
		},
		get: func(c *call) (int, error) {
			size, _ := field(c.o)
			return int(*size / 2), nil
		},
	}
}
