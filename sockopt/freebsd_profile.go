package sockopt

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newFreeBSD is the profile of FreeBSD.
func newFreeBSD() *Profile {
	p := &Profile{
		Name:     "freebsd",
		BindRule: "freebsd",

		ConnectMulticast: errno.ENETUNREACH,
		ConnectBroadcast: errno.ENETUNREACH,

		Congestion: slices.Clone(linuxCongestion),
		calls:      linuxCalls,
		tunables:   freebsdTunables,
		defaults:   linuxDefaults,
		fresh:      linuxNotInherited,
		rows:       slices.Concat(plainSocketRows, plainTCPRows, ipRows, ipv6Rows),
	}
	return p.seal()
}
