package tcp

// What ICMP tells a connection: RFC 9293 section 3.9.2.2, RFC 5461 (soft
// errors), RFC 5927 (attacks), RFC 1191 and RFC 8201 (path MTU).

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// ICMPError is an ICMP or ICMPv6 error in terms of what a socket makes of it.
type ICMPError struct {
	Errno errno.Errno // what a connect that it ends fails with; 0 for a packet-too-big
	Hard  bool        // the destination refuses, not merely the path (RFC 1122 section 4.2.3.9)
	MTU   int         // packet too big: the next hop's MTU in bytes, 0 when it is not one

	// For a socket that keeps errors (see QueuedError).
	Type, Code uint8
	Info       uint32     // of the message: a pointer
	From       netip.Addr // who sent it
	TTL, TOS   uint8      // it came with
}

// ICMP delivers an error about a packet that this stack sent from local to
// remote. quoted is the start of that packet's transport header; fewer than 8
// bytes identify nothing and are ignored. It reports whether the packet is one
// that a connection has under way and believes e about, so that the path MTU is
// only learnt from an answer.
func (l *Layer) ICMP(local, remote netip.Addr, quoted []byte, e ICMPError) bool {
	if len(quoted) < 8 {
		return false
	}
	lport, rport := binary.BigEndian.Uint16(quoted), binary.BigEndian.Uint16(quoted[2:])
	seq := binary.BigEndian.Uint32(quoted[4:])
	k := makeTuple(local, remote, lport, rport)
	if h := l.half[k]; h != nil {
		// A half-open connection is quietly given up on a hard error, as its
		// listener has no error to show.
		if e.Hard && seq == h.iss {
			l.dropHalf(h)
		}
		return false
	}
	c := l.conns[k]
	if c == nil {
		return false
	}
	l.here(c)
	believed := c.icmp(seq, e, local, quoted)
	l.dispatch()
	return believed
}

func (c *conn) icmp(seq uint32, e ICMPError, local netip.Addr, quoted []byte) bool {
	// RFC 5927 section 4.1: the quoted sequence number must be in flight.
	if !seqIn(seq, c.sndUna, c.sndNxt-c.sndUna) {
		return false
	}
	if e.MTU != 0 {
		if !c.s.followsPathMTU() {
			return false
		}
		c.newPathMTU(e.MTU)
		return true
	}
	if c.state == StateSynReceived && c.flags&(flagOffered|flagFastOpen) != 0 && c.flags&flagActive == 0 && !e.Hard {
		return true // as for a half-open connection
	}
	if (c.state == StateSynSent || c.state == StateSynReceived) && (!e.Hard || c.l.tun.ICMPMayReset) {
		// RFC 5461 section 4.1: while the connection is not yet established, even
		// a soft error ends the attempt, as Linux does for a connect in progress.
		if e.Errno != 0 {
			c.keepError(e, local, quoted)
			c.fail(e.Errno)
		}
		return true
	}
	// RFC 9293 section 3.9.2.2, MUST-56: a soft error must not abort. RFC 5927
	// section 5.2: neither does a hard one once synchronized. Either is what a
	// timeout is reported as (section 3.8.3). A program may ask to hear of it at
	// once (ip(7), IP_RECVERR).
	every := c.s.opts.RecvErr
	if c.path.Dst.Is6() {
		every = c.s.opts.RecvErr6
	}
	if every && e.Errno != 0 && c.state != StateSynReceived {
		c.s.err = e.Errno
		c.s.raise(EventNotice)
		return true
	}
	c.cold().softErr = e.Errno
	return true
}
