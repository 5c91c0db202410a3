package engine

// log_in_vain: segments to ports at which nobody waits, in the engine's log. A
// stranger decides how many there are, and the log is bounded, so only some are
// written, with the number of those that were not.

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A line every vainGap at most, after a burst of vainBurst, and no more than
// vainLines of an engine: less than a quarter of the log, whose end is for errors.
const (
	vainGap   = time.Second
	vainBurst = 20
	vainLines = 4000
)

// vainLog limits the lines. Its zero value has a whole burst.
type vainLog struct {
	at      time.Duration // when the burst is whole again
	omitted int
	written int
}

// may takes one line of the burst.
func (v *vainLog) may(now time.Duration) bool {
	v.at = max(v.at, now)
	if v.spent() || v.at-now > (vainBurst-1)*vainGap {
		v.omitted++
		return false
	}
	v.at += vainGap
	v.written++
	return true
}

// spent tells that there are no more lines.
func (v *vainLog) spent() bool { return v.written == vainLines }

func (e *engine) inVain(local, remote netip.AddrPort, flags wire.TCPFlags) {
	if e.vain.may(e.now) {
		e.log.Warn("connection attempt to closed port", "local", local, "remote", remote, "flags", int(flags), "omitted", e.vain.omitted)
		if e.vain.spent() {
			e.log.Warn("no more connection attempts to closed ports are logged", "lines", vainLines)
		}
		e.vain.omitted = 0
	}
}
