package engine

// Which UDP sockets plain programs can reach: those whose port others can know,
// because it was asked for by number, because it is on loopback, where nobody
// else is meant, or because the program has asked for its number. A client that
// lets send or connect choose its port costs nothing.

import (
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/sockopt"
)

// boundTo notes that bind(2) was asked for at and has succeeded.
func (d *dgram) boundTo(at netip.AddrPort) {
	if at.Port() != 0 || d.dealt().at.Addr().Unmap().IsLoopback() {
		d.show()
	}
}

// named notes that the program has asked for the socket's address.
func (d *dgram) named() {
	if d.dealt().at.Port() != 0 && !d.udp.Connected() {
		d.show()
	}
}

// show gives the socket its crossings, once. A port that a program has in the
// kernel is that program's.
func (d *dgram) show() {
	o := d.udp.Options()
	// One that is bound to an interface is not there on loopback.
	if d.eng.inline.stack == nil || d.shown || d.dealt().at.Port() == 0 || o.BindToIf != 0 {
		return
	}
	d.shown = true
	d.record()
	d.eng.showAt(shownAddrs(d.dealt().at, d.domain, o.V6Only, d.eng.cfg.Addrs), o.ReuseAddr)
}

// shownAddrs are the addresses at which a socket that is bound to at can be
// reached from within the sandbox, whose own are addrs.
func shownAddrs(at netip.AddrPort, domain int, v6only bool, addrs []netip.Prefix) []netip.AddrPort {
	all := loopbacks[:]
	for _, p := range addrs {
		all = append(all, p.Addr())
	}
	own := at.Addr().Unmap().WithZone("")
	if own.IsLoopback() {
		all = append(all, own) // 127.0.0.0/8
	}
	var list []netip.AddrPort
	for _, a := range all {
		reached := own == a
		if own.IsUnspecified() {
			v4 := domain == sockopt.AFInet || own.Is4() || !v6only
			reached = a.Is4() && v4 || a.Is6() && own.Is6()
		}
		if one := netip.AddrPortFrom(a, at.Port()); reached && !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	return list
}

// showAt opens crossings. share: the socket shares its port (SO_REUSEADDR).
func (e *engine) showAt(list []netip.AddrPort, share bool) {
	c := &e.cross
	fresh := list[:0]
	for _, at := range list {
		if x := c.byAddr[at]; x == nil {
			fresh = append(fresh, at)
		} else if x.relay {
			x.relay = false
			c.relays--
		}
	}
	fresh = fresh[:min(len(fresh), max(0, maxShown-c.shown()))]
	for batch := range slices.Chunk(fresh, hostlink.MaxPacketFDs) {
		for i, fd := range e.helper.bindKernel(batch, share) {
			if fd >= 0 {
				e.addCrossing(batch[i], fd, false)
			}
		}
	}
}
