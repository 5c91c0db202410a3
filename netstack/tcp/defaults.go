package tcp

// Values that the configuration gives to the options of connections that others
// open: they depend on the peer, so a listener cannot have them.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt"
)

// SetDefaults has f called for each connection that a peer opens, with the
// options that it would have by its listener, the domain of the listener, and
// both its addresses: before the SYN-ACK is made, whose window, window scale, MSS,
// TTL and TOS follow what f leaves there, and when the connection is established.
// f leaves alone what o.Chosen names. nil is none.
func (l *Layer) SetDefaults(f func(o *sockopt.Options, domain int, local, remote netip.AddrPort)) {
	l.defaults = f
}

// passive gives o, options inherited from a listener, the values for one peer.
func (l *Layer) passive(o *sockopt.Options, domain int, p *Path, k *tuple) {
	if l.defaults != nil {
		l.defaults(o, domain, netip.AddrPortFrom(p.Src, k.lport), netip.AddrPortFrom(p.Dst, k.rport))
	}
}

// reflect gives o the TOS of a peer's SYN, as the tunable tcp_reflect_tos wants it.
func (l *Layer) reflect(o *sockopt.Options, tos uint8) {
	if l.tun.ReflectTOS {
		tos &^= ecnMask
		o.TOS, o.TClass = tos, tos
	}
}

// options are those of the connection that h may become. They are valid until
// the next call for any half-open connection.
func (h *halfOpen) options() *sockopt.Options {
	l, s := h.l, h.lst.s
	if l.defaults == nil {
		return &s.opts
	}
	l.passiveOpts = s.opts
	l.passive(&l.passiveOpts, int(s.domain), &h.path, &h.key)
	return &l.passiveOpts
}
