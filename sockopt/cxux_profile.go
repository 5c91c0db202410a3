package sockopt

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// newCXUX is the profile of CX/UX.
func newCXUX() *Profile {
	p := &Profile{
		Name:     "cxux",
		BindRule: "cxux",

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
