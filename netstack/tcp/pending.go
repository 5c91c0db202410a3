package tcp

// SYNs that nobody listens for, offered to whoever can find out whether somebody
// else does: the engine asks the host behind it and then answers. Until then
// nothing is sent, so there is no cookie to save the record: RFC 4987 section 3
// for what a flood does to such a table.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Pending is a SYN that waits for a verdict: one of Accept, Refuse,
// Unreachable and Drop, at any time until the owner is told Gone. Verdicts after
// the first, or after Gone, do nothing. Repetitions of the SYN are absorbed
// meanwhile.
//
// There are at most MaxPending of them in a layer: one more, and the oldest is
// forgotten. Its peer repeats the SYN and is offered again.
type Pending struct {
	l     *Layer
	owner PendingOwner
	key   tuple
	rx    Rx
}

// A PendingOwner hears of a SYN that needs no verdict any more.
type PendingOwner interface {
	// Gone tells that the layer forgot p: its peer gave up, it is older than
	// PendingTime, or it made room. Gone is not called after a verdict. It runs
	// inside the stack, under the rules of Owner.
	Gone(p *Pending)
}

// SetOffer has f decide about SYNs that no listener of this stack wants. False:
// refused by RST as without f. True: f has given a verdict or will. Only SYNs
// from a link are offered, not those of this stack to itself. f runs inside the
// stack, under the rules of Owner. Nil, as at first: all are refused.
func (l *Layer) SetOffer(f func(*Pending) bool) { l.offer = f }

// SetOwner has o told when the layer forgets p.
func (p *Pending) SetOwner(o PendingOwner) { p.owner = o }

// Local is where the SYN goes to: for the engine, the server.
func (p *Pending) Local() netip.AddrPort { return netip.AddrPortFrom(p.rx.Dst, p.rx.Header.DstPort) }

// Remote is where the SYN came from.
func (p *Pending) Remote() netip.AddrPort {
	return netip.AddrPortFrom(p.rx.Src, p.rx.Header.SrcPort)
}

// Link is the number of the link that the SYN arrived on.
func (p *Pending) Link() int { return p.rx.Link }

// Domain is the socket domain that fits: 2 (AF_INET) or 10 (AF_INET6).
func (p *Pending) Domain() int {
	if p.rx.Dst.Is4() {
		return afInet
	}
	return afInet6
}

// Header is the SYN: its options, sequence number and window. It must not be
// changed.
func (p *Pending) Header() *wire.TCP { return &p.rx.Header }

// TTL and TOS are the hop limit and traffic class of the SYN.
func (p *Pending) TTL() uint8 { return p.rx.TTL }

// TOS is the traffic class of the SYN.
func (p *Pending) TOS() uint8 { return p.rx.TOS }

// Accept makes s the socket of the connection: fresh from NewSocket of Domain,
// its owner set, its options as they are to hold from the SYN-ACK on (window
// scale by the receive buffer, MSS, congestion control, keep-alive, TTL). The
// next Flush sends the SYN-ACK; EventConnected comes with the peer's
// acknowledgement, EventError when the peer resets (ECONNRESET), never answers
// or has to make room for others (ETIMEDOUT). Text may be written at once and
// leaves after the handshake. Errors: EINVAL (s is not fresh or of the wrong
// domain, p is gone or decided), or what routing says.
func (p *Pending) Accept(s *Socket) error { return errno.EINVAL }

// Refuse answers by RST: ECONNREFUSED for the peer.
func (p *Pending) Refuse() {}

// Unreachable answers by an ICMP error that comes from Local: ENETUNREACH,
// EHOSTUNREACH, EACCES (administratively prohibited); any other e counts as
// EHOSTUNREACH. A peer that is connecting gives up on it, as for an error from a
// router.
func (p *Pending) Unreachable(e errno.Errno) {}

// Drop forgets the SYN without an answer: the peer repeats it and is offered
// again.
func (p *Pending) Drop() {}

// ConnectFrom is Connect from a given address and port. local may be an address
// that is not of this stack if the stack has a transparent link; such a
// connection takes no port, only its pair of addresses must be free, and one in
// TIME-WAIT is given up for it. With an address of this stack the port is held
// like one that Connect chose: EADDRINUSE when a socket was bound to it; port 0
// chooses one. An invalid or unspecified address leaves the choice to routing.
// Errors: EINPROGRESS is the start, EADDRNOTAVAIL (the pair of addresses is
// taken, or local is foreign and must not be), EINVAL (s was bound; port 0 with
// a foreign address), and those of Connect.
func (s *Socket) ConnectFrom(local, remote netip.AddrPort) error { return errno.EINVAL }
