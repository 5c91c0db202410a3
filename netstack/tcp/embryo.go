package tcp

// Connections between the verdict on an offered SYN and the peer's
// acknowledgement of the SYN-ACK: SYN-RECEIVED of RFC 9293 section 3.10.7.4,
// with a whole TCB, because somebody on the other side of the engine is
// connected already. RFC 4987 section 3 for the bound.

import (
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// MaxEmbryos is how many accepted offers of one layer wait for their handshake.
// One more, and one of them, drawn at random, ends with ETIMEDOUT: under a flood
// the oldest would be everybody whose round trip is longer than the flood takes
// to fill the table, where a draw lets some of each through. Long before that
// cookies take over for ports that are known to be open (offercookie.go).
const MaxEmbryos = 4096

// Accept makes s the socket of the connection: fresh from NewSocket of Domain,
// its owner set, its options as they are to hold from the SYN-ACK on (window
// scale by the receive buffer, MSS, congestion control, keep-alive, TTL). The
// next Flush sends the SYN-ACK, unless a cookie was; EventConnected comes with the peer's
// acknowledgement (text that rides on it may be delivered first), EventError
// when the peer resets (ECONNRESET), never answers or has to make room for
// others (ETIMEDOUT). Text may be written at once and leaves after the
// handshake.
//
// Errors: EINVAL (s is not fresh or of the wrong domain), EADDRINUSE (p is gone
// or decided, or a socket has taken the pair of addresses), or what routing
// says. With EINVAL and an error of routing p goes on waiting.
func (p *Pending) Accept(s *Socket) error {
	l := p.l
	if s.l != l || int(s.domain) != p.Domain() || s.orphan || s.conn != nil || s.lst != nil || s.claim != nil || s.bound.IsValid() || s.signs() {
		return errno.EINVAL
	}
	if !p.waiting {
		return errno.EADDRINUSE
	}
	path, err := l.net.Route(p.dst, p.src, p.link)
	if err != nil {
		return err
	}
	p.verdict()
	if l.conns[p.key] != nil || l.half[p.key] != nil {
		return errno.EADDRINUSE
	}
	if w := l.waits.byTuple[p.key]; w != nil {
		l.dropTimeWait(w)
	}
	l.counters.OfferAccepts++
	if p.half != nil {
		l.reflect(&s.opts, p.half.path.TOS)
		l.newConn(s, path, p.key.lport, p.key.rport).completed(p.half, &p.third)
		return nil
	}
	if len(l.embryos) >= MaxEmbryos {
		l.counters.EmbryoDrops++
		l.embryos[l.net.Rand32()%uint32(len(l.embryos))].fail(errno.ETIMEDOUT)
	}
	l.reflect(&s.opts, p.tos)
	l.newConn(s, path, p.key.lport, p.key.rport).answerSYN(&p.syn, p.floor, p.tos)
	return nil
}

// answerSYN starts a connection with the peer's SYN; the next Flush answers it.
func (c *conn) answerSYN(syn *wire.TCP, floor uint32, tos uint8) {
	l := c.l
	k := c.key()
	c.iss = l.isn(&k)
	if floor != 0 {
		c.iss = seqMax(c.iss, floor)
	}
	c.startAt(c.iss)
	c.state = StateSynReceived
	c.flags |= flagOffered | flagSynDue
	c.advMSS = c.ourMSS()
	c.rcvScale = c.wantScale()
	c.answerOffers()
	c.peerSYN(syn, c.now())
	c.agreeECN(ecnAgree(syn.Flags, l.ecnAccepts(c.cc.info())), tos&ecnMask)
	l.embryos = append(l.embryos, c)
	c.embryo = int32(len(l.embryos))
	l.markDirty(c)
}

// startAt begins the sending sequence space at iss.
func (c *conn) startAt(iss uint32) {
	c.sndUna, c.sndNxt, c.recover = iss, iss, iss
	c.sq.reset(iss + 1)
}

// hatched takes c off the list of embryos.
func (c *conn) hatched() {
	if c.embryo == 0 {
		return
	}
	list := c.l.embryos
	i, last := c.embryo-1, len(list)-1
	list[i] = list[last]
	list[i].embryo = i + 1
	list[last] = nil
	c.l.embryos = list[:last]
	c.embryo = 0
}
