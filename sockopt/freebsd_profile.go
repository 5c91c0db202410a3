package sockopt

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newFreeBSD is the profile of FreeBSD as its page tcp(4) of 2018 has it.
func newFreeBSD() *Profile {
	p := &Profile{
		Name:     "freebsd",
		BindRule: "freebsd",

		ConnectMulticast: errno.EAFNOSUPPORT,
		ConnectBroadcast: errno.EACCES,
		MD5SigAlways:     true,

		ECNFallbackAnswers: true,

		Congestion: slices.Clone(freebsdCongestion),
		calls: callRules{
			setLevel: always(errno.EINVAL), getLevel: always(errno.EINVAL), // ip_ctloutput
			readOnly: errno.ENOPROTOOPT, writeOnly: errno.ENOPROTOOPT,
		},
		tunables: freebsdTunables,
		values:   freebsdValues,
		patience: Patience{Cork: -1, Counts: true},

		holeDefaultMSS: true,

		follows:  []ID{KeepIdle, KeepIntvl, KeepCnt, Linger2},
		defaults: freebsdDefaults,
		fresh:    freebsdNotInherited,
		rows:     slices.Concat(freebsdSocketRows, freebsdTCPRows, ipRows, ipv6Rows),
	}
	return p.seal()
}

// freebsdCongestion are the modules of mod_cc(4) that the stack has; the first is
// the default.
var freebsdCongestion = []string{"newreno", "cubic", "htcp", "vegas", "dctcp", "cdg"}

// freebsdValues are those that FreeBSD has no variable for.
var freebsdValues = map[string]string{
	"rmem_default": "84160", "wmem_default": "18432", // net.inet.udp.recvspace and maxdgram, twice

	"tcp_rto_min_us": "1", "tcp_rto_max_ms": "64000", // TCPTV_REXMTMAX
	"tcp_syn_retries": "12", "tcp_retries2": "12", "tcp_synack_retries": "3", // TCP_MAXRXTSHIFT twice, SYNCACHE_MAXREXMTS
	"tcp_congestion_control": freebsdCongestion[0],
	"tcp_dsack":              "0",

	// The default stack counts, by RFC 6675, and does not probe for lost tails.
	"net.inet.tcp.functions_default": "classic",
	"tcp_frto":                       "0",
	"tcp_max_reordering":             "1", // the count stays what it is
}

func freebsdDefaults(t *Tunables) Options {
	o := linuxDefaults(t)
	o.RcvBuf, o.SndBuf = 2*t.TCPRmem.Default, 2*t.TCPWmem.Default // Options counts twice what programs see
	o.KeepIdle, o.KeepIntvl = t.KeepaliveTime, t.KeepaliveIntvl
	return o
}

// freebsdNotInherited is what syncache_socket and tcp_newtcpcb do not take over.
var freebsdNotInherited = []func(*Options, *Tunables){
	func(o *Options, t *Tunables) { o.Congestion = t.CongestionControl },
	func(o *Options, _ *Tunables) { o.MaxSeg = 0 },
	func(o *Options, _ *Tunables) { o.QuickAck = true },
}
