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
	in := ecnPolicies[l.tun.ECN].in
	if in == ecnOff && cc.ecn {
		return ecnClassic
	}
	return in
}

// ecnAsks is what our SYN asks for.
func (l *Layer) ecnAsks(cc *ccInfo) ecnMode {
	out := ecnPolicies[l.tun.ECN].out
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
		var mark uint8
		var again bool
		if e.acc != nil {
			mark, again = e.acc.peerSYN, e.acc.mute
		}
		if c.l.stampSYN(h, e.mode, mark, c.backoff, again) {
			e.noECT = true
		}
	case c.l.gaveUpECN(c.backoff):
		c.goWithoutECN()
	default:
		h.Flags |= askFlags[e.asked]
	}
}

// agreeECN begins ECN on a connection; synMark is the codepoint of the peer's SYN
// or SYN-ACK.
func (c *conn) agreeECN(mode ecnMode, synMark uint8) {
	if mode == ecnOff {
		c.ecn = nil
		return
	}
	if c.ecn == nil {
		c.ecn = new(ecnState)
	}
	c.ecn.mode = mode
	if mode == ecnClassic {
		c.l.counters.ECNConns++
		return
	}
	c.ecn.acc = newAccECN(synMark)
	c.l.counters.AccECNConns++
}

// ecnCrossed is for a SYN that crossed ours: we agree to what we have asked for
// as well. RFC 3168 section 6.1.1: a host that has sent a SYN without ECN must not
// send ECT.
func (c *conn) ecnCrossed(rx *Rx) {
	if c.ecn == nil || c.ecn.without {
		c.ecn = nil
		return
	}
	c.agreeECN(ecnAgree(rx.Header.Flags, c.ecn.asked), rx.TOS&ecnMask)
}

// ecnAnswered takes the SYN-ACK that answers our SYN, whatever SYNs of ours it
// answers (RFC 9768 section 3.1.4.1).
func (c *conn) ecnAnswered(rx *Rx) {
	e, f := c.ecn, rx.Header.Flags
	if e == nil {
		return
	}
	mode, mark := ecnOff, uint8(notECT)
	switch {
	case e.asked == ecnAccurate:
		mode, mark = ecnOfAnswer(f)
	case f&(wire.TCPCwr|wire.TCPEce) == wire.TCPEce:
		// An ECN-setup SYN-ACK has ECE and not CWR: a server that reflects the flags
		// of the SYN knows nothing of ECN.
		mode = ecnClassic
	}
	switch mode {
	case ecnOff:
		if e.without {
			c.l.ecnBroken.note(c.path.Dst, c.now())
		}
		c.ecn = nil
	case ecnClassic:
		e.noECT = e.without
		c.agreeECN(mode, notECT)
	case ecnAccurate:
		c.accAnswered(rx, mark)
	}
}

// ecnConfirmed takes the SYN-ACK of a simultaneous open: what the SYNs have agreed
// on stays, unless it is a plain one (RFC 3168 section 6.1.1). RFC 9768 section
// 3.1.5: who has agreed on accurate feedback keeps it.
func (c *conn) ecnConfirmed(f wire.TCPFlags) {
	switch e := c.ecn; {
	case e == nil:
	case e.acc != nil:
		e.noECT = e.noECT || f&ecnFlags == 0
	case f&(wire.TCPCwr|wire.TCPEce) != wire.TCPEce:
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

// ecnOfCookie are the flags of the SYN whose cookie said ECN, as far as they
// matter, by those of the handshake's third step.
// RFC 9768 section 3.2.2.1, note 3: only who has accurate feedback sends others
// than these two.
func ecnOfCookie(third wire.TCPFlags) wire.TCPFlags {
	if third&(wire.TCPAe|wire.TCPCwr) == 0 {
		return askFlags[ecnClassic]
	}
	return askFlags[ecnAccurate]
}
