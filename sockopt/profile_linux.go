package sockopt

import (
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// functionBlocks are the function blocks that the stack has, by the names that
// TCP_FUNCTION_BLK takes; the first is the default.
var functionBlocks = []string{"default", "rack", "classic"}

// linuxCongestion are the algorithms that the stack has, by the names that
// Linux gives them; the first is the default.
var linuxCongestion = []string{"cubic", "reno", "bbr", "dctcp", "htcp", "vegas", "cdg"}

// newLinux is the profile of a current Linux kernel (6.x).
func newLinux() *Profile {
	p := &Profile{
		Name:     "linux",
		BindRule: "linux",

		ConnectMulticast: errno.ENETUNREACH, // ip_route_connect refuses both alike
		ConnectBroadcast: errno.ENETUNREACH,

		Congestion:        slices.Clone(linuxCongestion),
		CongestionAliases: map[string]string{"newreno": "reno"}, // its name on the other systems
		tunables:          linuxTunables,
		follows:           []ID{KeepIdle, KeepIntvl, KeepCnt, SynCnt, Linger2},
		defaults:          linuxDefaults,
		fresh:             linuxNotInherited,
		calls:             linuxCalls,
		rows:              slices.Concat(socketRows, pacingRows, driverRows, ancillarySocketRows, overflowRows, receiveRows, tcpRows, fastOpenRows, synRows, inqRows, timerRows, keyRows, udpRows, ipRows, ancillaryIPRows, ipv6Rows, ancillaryIPv6Rows, refusedRows),
	}
	return p.seal()
}

// linuxDefaults are the settings of a new socket of either kind; the stack
// takes the fields that its kind has.
func linuxDefaults(t *Tunables) Options {
	return Options{
		RcvBuf:         t.TCPRmem.Default,
		SndBuf:         t.TCPWmem.Default,
		RcvLowat:       1,
		KeepIdle:       t.KeepaliveTime,
		KeepIntvl:      t.KeepaliveIntvl,
		KeepCnt:        t.KeepaliveProbes,
		SynCnt:         t.SynRetries,
		Linger2:        t.FinWait2Time(),
		Congestion:     t.CongestionControl,
		QuickAck:       true,
		TTL:            -1,
		HopLimit:       -1,
		MTUDiscover:    pathMTUMode(t),
		MTUDiscover6:   PMTUDiscWant,
		MulticastTTL:   1,
		MulticastHops:  1,
		MulticastLoop4: true,
		MulticastLoop6: true,
		MulticastAll4:  true,
		MulticastAll6:  true,
	}
}

// linuxNotInherited resets what belongs to a listener's queue and to one
// connection's acknowledgements (inet_csk_clone_lock) or packets (sk_clone_lock).
var linuxNotInherited = []func(*Options, *Tunables){
	func(o *Options, _ *Tunables) { o.Priority = 0 },
	func(o *Options, _ *Tunables) { o.DeferAccept = 0 },
	func(o *Options, _ *Tunables) { o.QuickAck = true },
	func(o *Options, _ *Tunables) {
		if r := o.Rare(); r.IncomingCPU != 0 || r.FastOpen != 0 || r.FastOpenKeys != "" {
			o.SetRare(func(r *Rare) { r.IncomingCPU, r.FastOpen, r.FastOpenKeys = 0, 0, "" })
		}
	},
}

// pathMTUMode is what a new socket has for IP_MTU_DISCOVER.
func pathMTUMode(t *Tunables) uint8 {
	if t.PathMTU {
		return PMTUDiscWant
	}
	return PMTUDiscDont
}
