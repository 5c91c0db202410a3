package sockopt

import (
	"slices"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newIllumos is the profile of illumos as its page tcp(7P) of 2019 has it, with
// the options that the system had and the page does not name.
func newIllumos() *Profile { return illumosFamily("illumos") }

// newOmniOS is the profile of OmniOS as its page tcp(4P) of 2024 has it.
func newOmniOS() *Profile { return illumosFamily("omnios") }

// illumosCongestion are the algorithms of ipadm(8)'s congestion_control; the first
// is the default. sunreno is what the page of 2019 calls "the congestion control
// algorithm described in RFC 2581".
var illumosCongestion = []string{"sunreno", "newreno", "cubic"}

// illumosFamily is what both have. Their sockets copy the tunables when they are
// made.
func illumosFamily(name string) *Profile {
	var shared *Rare
	p := &Profile{
		Name:     name,
		BindRule: "illumos",

		ConnectMulticast: errno.ENETUNREACH,
		ConnectBroadcast: errno.ENETUNREACH,

		Congestion: slices.Clone(illumosCongestion),
		calls:      illumosCalls,
		tunables:   illumosTunables,
		values: map[string]string{
			"rmem_default":           "114688", // 57344 as programs see it
			"wmem_default":           "114688",
			"tcp_congestion_control": illumosCongestion[0],

			"tcp_rto_min_us": "1", // the least timeout is tcp_rexmit_interval_min

			"tcp_max_reordering": "1", // three segments above a hole are a loss

			"net.ipv4.conf.all.accept_source_route": "1", // tcp(7P): the reverse source route is used
		},
		patience: illumosPatience,
		fresh:    illumosNotInherited,
		defaults: func(t *Tunables) Options {
			o := illumosDefaults(t)
			if r := o.Rare(); shared == nil || *shared != *r {
				shared = r
			}
			o.rare = shared
			return o
		},
		rows: slices.Concat(illumosSocketRows, illumosTCPRows, ipRows, ipv6Rows),
	}
	return p.seal()
}

// illumosCalls are those of the option table that illumos's protocols share: a
// value has its type's length.
var illumosCalls = callRules{
	exactLength: true,
	setLevel:    always(errno.ENOPROTOOPT),
	getLevel:    always(errno.ENOPROTOOPT),
	readOnly:    errno.ENOPROTOOPT,
	writeOnly:   errno.ENOPROTOOPT,
}

// illumosPatience are the values that the page names, and where it names none
// those of ipadm(8)'s private properties.
var illumosPatience = Patience{
	KeepAbort:   8 * time.Minute,
	Abort:       5 * time.Minute,
	ConnAbort:   3 * time.Minute,
	ClosedAbort: 3 * time.Minute,
	Notify:      10 * time.Second,
	ConnNotify:  10 * time.Second,
	Cork:        -1,
	RTOMin:      400 * time.Millisecond,
}

func illumosDefaults(t *Tunables) Options {
	o := linuxDefaults(t)
	// Buffers have the size that they say and are not tuned; Options counts twice
	// what programs ask for.
	o.RcvBuf, o.SndBuf = 2*t.TCPRmem.Default, 2*t.TCPWmem.Default
	o.RcvBufLocked, o.SndBufLocked = true, true
	o.KeepIntvl, o.KeepCnt = 0, 0
	w := &t.Patience
	o.SetRare(func(r *Rare) {
		r.KeepAbort = orForever(w.KeepAbort)
		r.Abort, r.ConnAbort = orForever(w.Abort), orForever(w.ConnAbort)
		r.Notify, r.ConnNotify = w.Notify, w.ConnNotify
		r.RTOInitial, r.RTOMin, r.RTOMax = t.RTOInitial, w.RTOMin, t.RTOMax
	})
	return o
}

// orForever is a wait of which 0 means that it has no end.
func orForever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// illumosNotInherited is what a connection does not take from its listener
// (conn_inherit_parent, tcp_init_values).
var illumosNotInherited = []func(*Options, *Tunables){
	func(o *Options, _ *Tunables) { o.ExclBind = false },
	func(o *Options, _ *Tunables) { o.Cork = false },
	func(o *Options, _ *Tunables) { o.AckAll = false },
	func(o *Options, _ *Tunables) { o.DontRoute = false },
	func(o *Options, _ *Tunables) {
		if o.Rare().AnonPrivBind {
			o.SetRare(func(r *Rare) { r.AnonPrivBind = false })
		}
	},
}
