package tcp

// Connections that this stack has forgotten: RFC 9293 section 3.5.1 (half-open
// connections and other anomalies).

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// A Ledger is told which connections stand, so that their peers can be told when
// this stack ends without a word: see Disown.
type Ledger interface {
	// Enter notes a connection that was established. It returns the entry, or a
	// negative number when there is no room.
	Enter(local, peer netip.AddrPort) int32
	// Strike takes an entry out: the connection is gone here, and the peer was
	// told or knows.
	Strike(entry int32)
}

// SetLedger sets who is told, before there is any connection.
func (l *Layer) SetLedger(g Ledger) { l.ledger = g }

// enter and strike keep the ledger of an established connection. Who signs does
// not believe what a successor without the key could tell.
func (c *conn) enter() {
	if c.l.ledger != nil && c.entry == 0 && c.auth == nil {
		c.entry = c.l.ledger.Enter(netip.AddrPortFrom(c.path.Src, c.lport), netip.AddrPortFrom(c.path.Dst, c.rport)) + 1
	}
}

func (c *conn) strike() {
	if c.entry > 0 {
		c.l.ledger.Strike(c.entry - 1)
	}
	c.entry = 0
}

// Disown has the peer of a connection find out that it is gone, where the stack
// that had it ended without a word. A SYN, whatever its number, makes the peer
// say where it stands (RFC 5961 section 4.2); that belongs to no connection here
// and gets the RST that the peer believes. A peer that has forgotten the
// connection too, and listens, has its SYN-ACK refused in the same way. Nothing
// is remembered and nothing repeated: a peer that misses it learns the same when
// it sends.
//
// Nothing is sent where local is not an address that the stack may use, where
// remote is one of its own, or where there is a connection after all.
func (l *Layer) Disown(local, remote netip.AddrPort) {
	src, dst := local.Addr().Unmap(), remote.Addr().Unmap()
	if local.Port() == 0 || remote.Port() == 0 || l.net.IsLocal(dst) || dst.IsMulticast() {
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
