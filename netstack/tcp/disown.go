package tcp

// Connections that this stack has forgotten: RFC 9293 section 3.5.1 (half-open
// connections and other anomalies).

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Disown has the peer of a connection find out that it is gone, where the stack
// that had it ended without a word. A SYN, whatever its number, makes the peer
// say where it stands (RFC 5961 section 4.2); that belongs to no connection here
// and gets the RST that the peer believes. A peer that has forgotten the
// connection too, and listens, has its SYN-ACK refused in the same way. Nothing
// is remembered and nothing repeated: a peer that misses it learns the same when
// it sends.
//
// Nothing is sent where local is not an address of this stack, where remote is
// one, or where there is a connection after all.
func (l *Layer) Disown(local, remote netip.AddrPort) {
	src, dst := local.Addr().Unmap(), remote.Addr().Unmap()
	if local.Port() == 0 || remote.Port() == 0 || !l.net.IsLocal(src) || l.net.IsLocal(dst) || dst.IsMulticast() {
		return
	}
	if !l.tupleFree(makeTuple(src, dst.WithZone(""), local.Port(), remote.Port())) {
		return
	}
	path, err := l.net.Route(src, dst, 0)
	if err != nil || path.Src != src {
		return
	}
	h := &l.tx
	*h = wire.TCP{
		SrcPort: local.Port(), DstPort: remote.Port(), Flags: wire.TCPSyn, WScale: -1, Seq: l.net.Rand32(),
	}
	l.net.Transmit(&path, h, nil, 0)
}
