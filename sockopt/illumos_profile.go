package sockopt

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newIllumos is the profile of illumos as its page tcp(7P) of 2019 has it.
func newIllumos() *Profile {
	p := &Profile{
		Name:     "illumos",
		BindRule: "illumos",

		ConnectMulticast: errno.ENETUNREACH,
		ConnectBroadcast: errno.ENETUNREACH,

		Congestion: slices.Clone(linuxCongestion),
		calls:      illumosCalls,
		tunables:   linuxTunables,
		defaults:   linuxDefaults,
		fresh:      linuxNotInherited,
		rows:       slices.Concat(plainSocketRows, plainTCPRows, ipRows, ipv6Rows),
	}
	return p.seal()
}

// newOmniOS is the profile of OmniOS as its page tcp(4P) of 2024 has it.
func newOmniOS() *Profile {
	p := newIllumos()
	p.Name = "omnios"
	return p
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

// plainSocketRows and plainTCPRows are what sockets have everywhere.
var (
	plainSocketRows = from(socketRows, "SO_DEBUG", "SO_REUSEADDR", "SO_TYPE", "SO_ERROR", "SO_DONTROUTE", "SO_BROADCAST", "SO_SNDBUF", "SO_RCVBUF",
		"SO_KEEPALIVE", "SO_OOBINLINE", "SO_LINGER", "SO_RCVLOWAT", "SO_SNDLOWAT", "SO_RCVTIMEO", "SO_SNDTIMEO", "SO_ACCEPTCONN")
	plainTCPRows = from(tcpRows, "TCP_NODELAY")
)
