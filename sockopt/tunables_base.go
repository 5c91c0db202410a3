package sockopt

import (
	"math"
	"slices"
	"strings"
	"time"
)

// baseTunables are the values that Linux has no names for, as it has them.
func baseTunables() *Tunables {
	return &Tunables{
		TimeWait:      60 * time.Second, // TCP_TIMEWAIT_LEN
		LocalTimeWait: true,
		FastFinWait2:  true,

		MSS4:         536,  // RFC 9293 section 3.7.1, MUST-15
		MSS6:         1220, // MUST-16
		PathMTU:      true,
		ICMPMayReset: true,

		RTOInitial: time.Second, // RFC 6298 section 2.1

		DelayedAck:  true,
		DelAckTime:  40 * time.Millisecond, // TCP_DELACK_MIN
		InitCwnd:    10,                    // RFC 6928
		RFC3390:     true,
		LimitedXmit: true,

		WScaleAlways: true,
		TstampAlways: true,

		ReassDrain:      true,
		ReassMax:        math.MaxInt32,
		SACKHoles:       math.MaxInt32,
		SACKGlobalHoles: math.MaxInt32,

		Fine: Fine{StrongISS: 2},
	}
}

// FinWait2Time is how long a closed connection waits for the peer's FIN when its
// program has not chosen.
func (t *Tunables) FinWait2Time() time.Duration {
	if !t.FastFinWait2 {
		// FreeBSD's TCPTV_MAXIDLE: as long as a peer may be silent.
		return time.Duration(t.KeepaliveProbes) * t.KeepaliveIntvl
	}
	return t.FinTimeout
}

// allows reports whether TCP_CONGESTION takes the name without a capability.
func (t *Tunables) allows(algorithm string) bool {
	return t.AllowedCongestion == "" || slices.Contains(strings.Fields(t.AllowedCongestion), algorithm)
}
