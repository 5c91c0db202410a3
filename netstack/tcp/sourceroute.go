package tcp

// Source-routed connections: RFC 1122 section 4.2.3.8. A segment that came over
// a source route is answered over the same one, backwards; a connection keeps
// the route of the segment that made it.

import (
	"github.com/tcpcni/tcpcni/netstack/wire"
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
	path.Dst, path.Route, path.GSOMax = rx.Src, r, 0
	return path, nil
}
