package tcp

// How long a handshake may take, where a system has a limit by the clock: FreeBSD's
// TCP_KEEPINIT and net.inet.tcp.keepinit. The timer is that of keep-alives, which
// has nothing else to do until the connection is established.

// limitHandshake starts the timer of a connection that we open.
func (c *conn) limitHandshake() {
	limit := c.s.opts.Rare().KeepInit
	if limit == 0 {
		limit = c.l.tun.KeepInit
	}
	if limit > 0 && c.state == StateSynSent {
		c.setTimer(timerKeep, c.now()+limit)
	}
}
