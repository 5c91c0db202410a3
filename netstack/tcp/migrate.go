package tcp

// The tunable tcp_migrate_req: when a listener closes that shares its port by
// SO_REUSEPORT, who waits there goes to one of the others and is not reset, so
// that a server can be replaced by its next version.

import "net/netip"

// heir is the listener that takes over what waits at lst, which has closed, for
// the connection k to dst; nil: none.
func (l *Layer) heir(lst *listener, k *tuple, dst netip.Addr, link int) *listener {
	if !l.tun.MigrateReq || !lst.s.opts.ReusePort {
		return nil
	}
	to := l.findListener(k, dst, link)
	if to == nil || !to.s.opts.ReusePort || to.s.bound != lst.s.bound || to.s.domain != lst.s.domain || to.s.uid != lst.s.uid ||
		to.s.signs() || lst.s.signs() {
		return nil
	}
	return to
}

// inherits moves a connection that nobody has accepted yet from lst to its heir;
// false: there is none, or it has no room.
func (l *Layer) inherits(lst *listener, child *Socket) bool {
	c := child.live()
	if c == nil {
		return false
	}
	k := c.key()
	to := l.heir(lst, &k, c.path.Src, int(c.path.Link))
	if to == nil || to.acceptFull() {
		return false
	}
	if c.flags&flagFastOpen != 0 && c.rare.fast.lst == lst {
		c.rare.fast.lst = to
		lst.fast.len--
		to.fast.len++
	}
	to.queue = append(to.queue, child)
	to.s.raise(EventAcceptable)
	return true
}
