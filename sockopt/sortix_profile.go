package sockopt

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newSortix is the profile of Sortix.
func newSortix() *Profile {
	p := &Profile{
		Name:     "sortix",
		BindRule: "sortix",

		ConnectMulticast: errno.ENETUNREACH,
		ConnectBroadcast: errno.ENETUNREACH,

		Congestion: slices.Clone(linuxCongestion),
		calls:      linuxCalls,
		tunables:   linuxTunables,
		defaults:   linuxDefaults,
		fresh:      linuxNotInherited,
		rows:       slices.Concat(plainSocketRows, plainTCPRows, ipRows, ipv6Rows),
	}
	return p.seal()
}
