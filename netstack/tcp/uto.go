package tcp

// The user timeout option: RFC 5482. It tells the peer how long unacknowledged
// data is kept, and moves the peer to keep its own as long. It is off unless the
// tunable user_timeout_option says otherwise, as a stranger asks for our memory.

import (
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Bounds of what the peer's option makes of our timeout: RFC 5482 section 3.1.
const (
	utoLeast = 100 * time.Second // L_LIMIT, RFC 1122 section 4.2.3.5's R2
	utoMost  = time.Hour         // U_LIMIT
)

// utoOption is d in the units of the option: seconds, or minutes with the
// granularity bit. 0 is no option.
func utoOption(d time.Duration) uint16 {
	s := (d + time.Second - 1) / time.Second
	if s <= wire.MaxUTO {
		return uint16(s)
	}
	return wire.UTOMinutes | uint16(min(s/60, wire.MaxUTO))
}

// utoTime is the duration that an option says; 0 is reserved (section 3.4).
func utoTime(option uint16) time.Duration {
	d := time.Duration(option &^ wire.UTOMinutes)
	if option&wire.UTOMinutes != 0 {
		return d * time.Minute
	}
	return d * time.Second
}

// advertiseUTO puts our timeout into h: on SYNs and on the first acknowledgement
// behind them, in case a cookie answered the SYN, and again when the program
// changes it.
func (c *conn) advertiseUTO(h *wire.TCP) {
	if c.l.tun.UserTimeoutOption {
		h.UTO = utoOption(c.s.opts.UserTimeout)
	}
}

// utoChanged tells the peer of another timeout.
func (c *conn) utoChanged() {
	if c.l.tun.UserTimeoutOption && c.state.rule().synced && c.s.opts.UserTimeout != 0 {
		c.flags |= flagUTODue
		c.ackNow()
	}
}

// heedUTO takes the peer's option: section 3.1. It has no effect on a program
// that has chosen for itself (CHANGEABLE is false then).
func (c *conn) heedUTO(option uint16) {
	if !c.l.tun.UserTimeoutOption {
		return
	}
	if d := utoTime(option); d != 0 {
		c.cold().peerUTO = min(max(d, utoLeast), utoMost)
	}
}

// userTimeout is how long data may stay unacknowledged, 0: until the
// retransmissions are used up.
func (c *conn) userTimeout() time.Duration {
	if u := c.s.opts.UserTimeout; u > 0 {
		return u
	}
	if c.rare != nil {
		return c.rare.peerUTO
	}
	return 0
}
