package tcp

// SYNs that nobody listens for, offered to whoever can find out whether somebody
// else does: the engine asks the host behind it and then answers. Until then
// nothing is sent, so there is no cookie to save the record: RFC 4987 section 3
// for what a flood does to such a table.

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// MaxPending is how many SYNs of one layer wait for a verdict at once, and
// PendingTime how long: longer than a peer goes on repeating its SYN.
const (
	MaxPending  = 4096
	PendingTime = 130 * time.Second
)

// A Pending is a SYN that waits for a verdict: one of Accept, Refuse,
// Unreachable and Drop, at any time until the owner is told Gone. Verdicts after
// the first, or after Gone, do nothing. Repetitions of the SYN are absorbed
// meanwhile.
//
// There are at most MaxPending of them in a layer. One more, and the oldest is
// forgotten: who will be answered is answered soon, so the oldest is the one
// whose answer never comes. Its peer repeats the SYN and is offered again.
type Pending struct {
	l       *Layer
	owner   PendingOwner
	key     tuple
	src     netip.Addr
	dst     netip.Addr
	link    int
	ttl     uint8
	tos     uint8
	waiting bool // stands in the table
	syn     wire.TCP
	half    *halfOpen // Valid iff a cookie answered the SYN: the handshake is complete
	third   wire.TCP  // then its third step
	floor   uint32    // our sequence number must be above it, unless it is 0; see listenInput
	expires time.Duration

	older, newer *Pending
}

// A PendingOwner hears of a SYN that needs no verdict any more.
type PendingOwner interface {
	// Gone tells that the layer forgot p: its peer gave up, it is older than
	// PendingTime, or it made room. Gone is not called after a verdict. It runs
	// inside the stack, under the rules of Owner.
	Gone(p *Pending)
}

// pendingTable holds the SYNs in the order in which they came and expire.
type pendingTable struct {
	byTuple        map[tuple]*Pending
	oldest, newest *Pending
}

func (t *pendingTable) link(p *Pending) {
	p.older, p.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = p
	} else {
		t.oldest = p
	}
	t.newest = p
	t.byTuple[p.key] = p
	p.waiting = true
}

func (t *pendingTable) unlink(p *Pending) {
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		t.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		t.newest = p.older
	}
	p.older, p.newer = nil, nil
	delete(t.byTuple, p.key)
	p.waiting = false
}

// SetOffer has f decide about SYNs that no listener of this stack wants. False:
// refused by RST as without f. True: f has given a verdict or will. Those of this
// stack to itself are offered, too: Link is negative. f runs inside the stack,
// under the rules of Owner. Nil, as at first: all are refused; those that
// wait already stay until their verdict.
func (l *Layer) SetOffer(f func(*Pending) bool) { l.offer = f }

// PendingLen is how many SYNs wait for a verdict.
func (l *Layer) PendingLen() int { return len(l.pending.byTuple) }

// offered shows a segment that no listener wants to whoever decides about SYNs;
// false: nobody does, or they refuse.
func (l *Layer) offered(k tuple, rx *Rx, floor uint32) bool {
	const control = wire.TCPSyn | wire.TCPAck | wire.TCPRst | wire.TCPFin
	if l.offer == nil || rx.Header.Flags&control != wire.TCPSyn {
		return false
	}
	if floor == 0 && l.answerByCookie(k, rx) {
		return true
	}
	return l.show(l.newPending(k, rx, floor))
}

// newPending makes room for the SYN rx.
func (l *Layer) newPending(k tuple, rx *Rx, floor uint32) *Pending {
	for len(l.pending.byTuple) >= MaxPending {
		l.counters.OfferOverflows++
		l.gone(l.pending.oldest)
	}
	p := &Pending{
		l: l, key: k, src: rx.Src, dst: rx.Dst, link: rx.Link, ttl: rx.TTL, tos: rx.TOS,
		syn: rx.Header, floor: floor, expires: l.net.Now() + PendingTime,
	}
	p.syn.Raw = nil // valid during the call only
	return p
}

// show enters p and offers it.
func (l *Layer) show(p *Pending) bool {
	l.counters.Offers++
	l.pending.link(p)
	if l.offer(p) {
		return true
	}
	if !p.waiting {
		return true // it gave a verdict, whatever it says
	}
	l.pending.unlink(p)
	return false
}

// gone forgets p without a verdict.
func (l *Layer) gone(p *Pending) {
	l.pending.unlink(p)
	if p.owner != nil {
		p.owner.Gone(p)
	}
}

// expire forgets what waited too long.
func (t *pendingTable) expire(l *Layer, now time.Duration) {
	for t.oldest != nil && t.oldest.expires <= now {
		l.counters.OfferTimeouts++
		l.gone(t.oldest)
	}
}

// input is a segment of a connection that waits for its verdict. Nothing was
// sent yet, so an honest peer only repeats its SYN; a SYN of another number is
// left to time, as anyone could forge it.
func (p *Pending) input(rx *Rx) {
	h := &rx.Header
	switch {
	case h.Flags&wire.TCPRst != 0:
		if h.Seq == p.syn.Seq+1 {
			p.l.gone(p)
		}
	case h.Flags&(wire.TCPSyn|wire.TCPAck) == wire.TCPSyn && h.Seq == p.syn.Seq && h.HasTS == p.syn.HasTS:
		p.syn.TSVal = h.TSVal // what the SYN-ACK echoes
	}
}

// verdict takes p off the table; false: somebody or something was earlier.
func (p *Pending) verdict() bool {
	if !p.waiting {
		return false
	}
	p.l.pending.unlink(p)
	return true
}

// SetOwner has o told when the layer forgets p.
func (p *Pending) SetOwner(o PendingOwner) { p.owner = o }

// Local is where the SYN goes to: for the engine, the server.
func (p *Pending) Local() netip.AddrPort { return netip.AddrPortFrom(p.dst, p.key.lport) }

// Remote is where the SYN came from.
func (p *Pending) Remote() netip.AddrPort { return netip.AddrPortFrom(p.src, p.key.rport) }

// Link is the number of the link that the SYN arrived on.
func (p *Pending) Link() int { return p.link }

// Domain is the socket domain that fits: 2 (AF_INET) or 10 (AF_INET6).
func (p *Pending) Domain() int {
	if p.dst.Is4() {
		return afInet
	}
	return afInet6
}

// Header is the SYN: its options, sequence number and window; of one that was
// answered by a cookie, as far as that remembers. It must not be changed.
func (p *Pending) Header() *wire.TCP { return &p.syn }

// TTL is the hop limit of the SYN.
func (p *Pending) TTL() uint8 { return p.ttl }

// TOS is the traffic class of the SYN.
func (p *Pending) TOS() uint8 { return p.tos }

// Waiting reports whether a verdict is still wanted.
func (p *Pending) Waiting() bool { return p.waiting }

// Refuse answers by RST: ECONNREFUSED for the peer.
func (p *Pending) Refuse() {
	if p.verdict() {
		p.l.open.forget(p.dst, p.key.lport)
		if p.half == nil && !p.l.unwanted(p.Local(), p.Remote(), p.syn.Flags) {
			return
		}
		p.reset()
	}
}

// Unreachable answers, unless a cookie was sent, by an ICMP error that comes from Local: ENETUNREACH,
// EHOSTUNREACH, EACCES (administratively prohibited); any other e counts as
// EHOSTUNREACH. A peer that is connecting gives up on it, as for an error from a
// router. When the rate for ICMP errors is used up, nothing is sent and the peer
// asks again.
func (p *Pending) Unreachable(e errno.Errno) {
	switch {
	case !p.verdict():
	case p.half != nil:
		p.reset() // for its peer it is a connection
	default:
		p.l.net.Unreachable(&Rx{Src: p.src, Dst: p.dst, Link: p.link, Header: p.syn, TTL: p.ttl, TOS: p.tos}, e)
	}
}

// reset answers what came last by RST.
func (p *Pending) reset() {
	h := p.syn
	if p.half != nil {
		h = p.third
	}
	p.l.refuse(&Rx{Src: p.src, Dst: p.dst, Link: p.link, Header: h}, nil)
}

// Drop forgets the SYN without an answer: the peer repeats it and is offered
// again.
func (p *Pending) Drop() { p.verdict() }
