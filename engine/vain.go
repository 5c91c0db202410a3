package engine

// log_in_vain: segments to ports at which nobody waits, in the engine's log. A
// stranger decides how many there are, and the log is bounded, so only some are
// written, with the number of those that were not.

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A line every vainGap at most, after a burst of vainBurst.
const (
	vainGap   = time.Second
	vainBurst = 20
)

// vainLog limits the lines. Its zero value has a whole burst.
type vainLog struct {
	at      time.Duration // when the burst is whole again
	omitted int
}

// may takes one line of the burst.
func (v *vainLog) may(now time.Duration) bool {
	v.at = max(v.at, now)
	if v.at-now > (vainBurst-1)*vainGap {
		v.omitted++
		return false
	}
	v.at += vainGap
	return true
}

func (e *engine) inVain(local, remote netip.AddrPort, flags wire.TCPFlags) {
	if e.vain.may(e.now) {
		e.log.Warn("connection attempt to closed port", "local", local, "remote", remote, "flags", int(flags), "omitted", e.vain.omitted)
		e.vain.omitted = 0
	}
}
