package tcp

// The IPv4 options of connections: RFC 1122 section 4.2.3.8, RFC 9293 section
// 3.9.2.1. A program gives them before it connects (MUST-51), or later. A segment
// that came over a source route is answered over the same one, backwards; a
// connection keeps the route of the segment that made it.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// wayBack is the path of an answer to rx. Errors are Network.Route's, and
// EHOSTUNREACH for a source route that cannot be reversed.
func (l *Layer) wayBack(rx *Rx) (Path, error) {
	if rx.IPOptions == nil {
		return l.net.Route(rx.Dst, rx.Src, rx.Link)
	}
	r, ok := wire.ReverseRoute(rx.IPOptions, rx.Src)
	if !ok {
		return Path{}, errno.EHOSTUNREACH
	}
	if r == nil {
		return l.net.Route(rx.Dst, rx.Src, rx.Link)
	}
	path, err := l.net.Route(rx.Dst, r.First, rx.Link)
	if err != nil {
		return Path{}, err
	}
	if path.Local {
		return Path{}, errno.EHOSTUNREACH // we are no router of anybody's way
	}
	// Not every card cuts segments with IP options, and nobody will miss it.
	path.Dst, path.Options, path.GSOMax = rx.Src, r, 0
	return path, nil
}

// way is the path from src to dst for the socket's connection; an invalid or
// unspecified src is any. Errors are Network.Route's, and EHOSTUNREACH when the
// first router of a strict source route is no neighbour.
func (s *Socket) way(src, dst netip.Addr) (Path, error) {
	given := s.opts.Rare().IPOptions
	if given == "" || !dst.Is4() {
		return s.l.route(src, dst, int(s.opts.BindToIf))
	}
	o := wire.NewOutOptions([]byte(given), dst, s.l.net.IsLocal)
	path, err := s.l.route(src, o.Hop(dst), int(s.opts.BindToIf))
	switch {
	case err != nil:
		return path, err
	case o.Strict && path.Gateway:
		return path, errno.EHOSTUNREACH
	case o.First.IsValid():
		path.Dst = dst
	}
	path.Options, path.GSOMax = o, 0 // see wayBack
	return path, nil
}

// showOptions has getsockopt show the options that the connection got with its
// first segment.
func (s *Socket) showOptions(o *wire.OutOptions) {
	if o != nil && s.opts.Rare().IPOptions == "" {
		s.opts.SetRare(func(r *sockopt.Rare) { r.IPOptions = string(o.Given()) })
	}
}

// newOptions has the connection's segments carry what the program has given
// since; the way of a source route counts from now on.
func (c *conn) newOptions() {
	if !c.path.Src.Is4() {
		return
	}
	c.reroute()
	c.l.markDirty(c)
}
