package tcp

// Agreeing on ECN: RFC 3168 section 6.1.1, RFC 9768 section 3.1. A SYN asks by
// its flags, and a SYN-ACK answers with the best that both sides know.

import (
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt"
)

// ecnFlags are the bits that speak of ECN.
const ecnFlags = wire.TCPAe | wire.TCPCwr | wire.TCPEce

// askFlags are those of a SYN, by what it asks for.
var askFlags = [...]wire.TCPFlags{
	ecnOff:      0,
	ecnClassic:  wire.TCPCwr | wire.TCPEce,
	ecnAccurate: ecnFlags,
}

// ecnPolicies are the meanings of tcp_ecn: the best that an incoming connection
// gets, and what an outgoing one asks for.
var ecnPolicies = [...]struct{ in, out ecnMode }{
	{ecnOff, ecnOff},
	{ecnClassic, ecnClassic},
	{ecnClassic, ecnOff},
	{ecnAccurate, ecnAccurate},
	{ecnAccurate, ecnClassic},
	{ecnAccurate, ecnOff},
}

// ecnAccepts is the best that a connection agrees to whose algorithm is cc. One
// that lives on marks gets them whatever the tunable says, as on Linux.
func (l *Layer) ecnAccepts(cc *ccInfo) ecnMode {
	in := min(ecnPolicies[l.tun.ECN].in, ecnClassic)
	if in == ecnOff && cc.ecn {
		return ecnClassic
	}
	return in
}

// ecnAsks is what our SYN asks for.
func (l *Layer) ecnAsks(cc *ccInfo) ecnMode {
	out := min(ecnPolicies[l.tun.ECN].out, ecnClassic)
	if out == ecnOff && cc.ecn {
		return l.ecnAccepts(cc)
	}
	return out
}

// ecnOfSYN is what a SYN without ACK asks for. RFC 9768 section 3.1.3: flags that
// nobody has given a meaning ask for what all three do.
func ecnOfSYN(f wire.TCPFlags) ecnMode {
	switch f & ecnFlags {
	case 0:
		return ecnOff
	case wire.TCPCwr | wire.TCPEce:
		return ecnClassic
	}
	return ecnAccurate
}

// ecnAgree is what comes of a SYN with flags f for somebody who knows best. One
// who knows only RFC 3168 does not look at AE.
func ecnAgree(f wire.TCPFlags, best ecnMode) ecnMode {
	if best == ecnClassic {
		f &^= wire.TCPAe
		if f&ecnFlags != wire.TCPCwr|wire.TCPEce {
			return ecnOff
		}
	}
	return min(ecnOfSYN(f), best)
}

// askECN decides what the SYNs of an active open ask for.
func (c *conn) askECN() {
	if ask := c.l.ecnAsks(c.cc.info()); ask != ecnOff && !c.l.ecnBroken.holds(c.path.Dst, c.now()) {
		c.ecn = &ecnState{asked: ask}
	}
}

// synECN puts into a SYN what is asked for, and into one that answers the peer's
// what was agreed on.
func (c *conn) synECN(h *wire.TCP) {
	e := c.ecn
	switch {
	case e == nil:
	case h.Flags&wire.TCPAck != 0:
		h.Flags |= answerFlags(e.mode)
	case c.gaveUpECN():
		c.goWithoutECN()
	default:
		h.Flags |= askFlags[e.asked]
	}
}

// answerFlags are those of a SYN-ACK.
func answerFlags(mode ecnMode) wire.TCPFlags {
	if mode == ecnClassic {
		return wire.TCPEce
	}
	return 0
}

// agreeECN begins ECN on a connection that the peer opened, or that both did.
func (c *conn) agreeECN(mode ecnMode) {
	if mode == ecnOff {
		c.ecn = nil
		return
	}
	if c.ecn == nil {
		c.ecn = new(ecnState)
	}
	c.ecn.mode = mode
	c.l.countECN(mode)
}

func (l *Layer) countECN(mode ecnMode) {
	if mode == ecnClassic {
		l.counters.ECNConns++
	}
}

// ecnCrossed is for a SYN that crossed ours: we agree to what we have asked for
// as well. RFC 3168 section 6.1.1: a host that has sent a SYN without ECN must not
// send ECT.
func (c *conn) ecnCrossed(f wire.TCPFlags) {
	if c.ecn == nil || c.ecn.without {
		c.ecn = nil
		return
	}
	c.agreeECN(ecnAgree(f, c.ecn.asked))
}

// ecnAnswered takes the SYN-ACK that answers our SYN.
func (c *conn) ecnAnswered(f wire.TCPFlags) {
	e := c.ecn
	if e == nil {
		return
	}
	// An ECN-setup SYN-ACK has ECE and not CWR: a server that reflects the flags
	// of the SYN knows nothing of ECN.
	if f&(wire.TCPCwr|wire.TCPEce) != wire.TCPEce {
		if e.without {
			c.l.ecnBroken.note(c.path.Dst, c.now())
		}
		c.ecn = nil
		return
	}
	e.noECT = e.without
	if e.mode == ecnOff {
		c.agreeECN(ecnClassic)
	}
}

// ecnRepeated is for a repetition of a SYN that we answer: RFC 3168 section
// 6.1.1, after one without ECN, which the peer sends when those with it seem to be
// lost, the connection goes without.
func (c *conn) ecnRepeated(f wire.TCPFlags) {
	if e := c.ecn; e != nil && e.mode == ecnClassic && f&ecnFlags == 0 {
		c.ecn = nil
	}
}

// agreesECN is what a half-open connection with options o answers a SYN with
// flags f.
func (h *halfOpen) agreesECN(f wire.TCPFlags, o *sockopt.Options) ecnMode {
	i := congestionByName(o.Congestion)
	if i == nil {
		i = congestions[0]
	}
	return ecnAgree(f, h.l.ecnAccepts(i))
}

// repeatedECN is ecnRepeated for a half-open connection.
func (h *halfOpen) repeatedECN(f wire.TCPFlags) {
	if h.opts.ecn == ecnClassic && f&ecnFlags == 0 {
		h.opts.ecn = ecnOff
	}
}

// ecnOfCookie are the flags of the SYN whose cookie said ECN, as far as they
// matter, by those of the handshake's third step.
func ecnOfCookie(wire.TCPFlags) wire.TCPFlags { return askFlags[ecnClassic] }
