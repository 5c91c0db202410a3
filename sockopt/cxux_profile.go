package sockopt

import (
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
}, from(socketRows, "SO_REUSEADDR", "SO_TYPE", "SO_ERROR", "SO_DONTROUTE", "SO_BROADCAST", "SO_SNDBUF", "SO_RCVBUF",
	"SO_KEEPALIVE", "SO_OOBINLINE", "SO_LINGER", "SO_RCVLOWAT", "SO_SNDLOWAT", "SO_RCVTIMEO", "SO_SNDTIMEO", "SO_ACCEPTCONN"))
