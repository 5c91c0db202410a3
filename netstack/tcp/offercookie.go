package tcp

// SYN cookies for offered SYNs. Normally a SYN-ACK promises that the other side
// has said yes, and so every SYN costs a connection there. Under a flood that is
// more than the SYN deserves: then a SYN to an address and port where connections
// were completed lately is answered by a cookie, and offered when its
// acknowledgement shows that somebody is there. RFC 4987 section 3.6.

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

const (
	// cookieEmbryos is how many connections in SYN-RECEIVED make a flood.
	cookieEmbryos = 1024
	// openTime is how long a completed handshake vouches for its port.
	openTime = 10 * time.Minute
	// maxOpen is for how many ports one does.
	maxOpen = 64
)

// An openPort is where a handshake was completed.
type openPort struct {
	addr netip.Addr
	port uint16
	at   time.Duration
}

// openPorts are the latest of them; a slice, as order must not depend on a map's.
type openPorts []openPort

func (t openPorts) find(a netip.Addr, port uint16) *openPort {
	for i := range t {
		if t[i].port == port && t[i].addr == a {
			return &t[i]
		}
	}
	return nil
}

// note enters a port, in the place of the oldest if need be.
func (t *openPorts) note(a netip.Addr, port uint16, now time.Duration) {
	p := t.find(a, port)
	switch {
	case p != nil:
	case len(*t) < maxOpen:
		*t = append(*t, openPort{})
		p = &(*t)[len(*t)-1]
	default:
		p = &(*t)[0]
		for i := range *t {
			if (*t)[i].at < p.at {
				p = &(*t)[i]
			}
		}
	}
	*p = openPort{a, port, now}
}

// forget takes a port out: the other side has refused.
func (t *openPorts) forget(a netip.Addr, port uint16) {
	if p := t.find(a, port); p != nil {
		last := len(*t) - 1
		*p = (*t)[last]
		*t = (*t)[:last]
	}
}

// cookieListener stands for whoever accepts offers to an address: cookies need
// its options, and a socket is there only after the verdict.
func (l *Layer) cookieListener(dst netip.Addr) *listener {
	i, domain := 0, afInet
	if dst.Is6() {
		i, domain = 1, afInet6
	}
	if l.cookieLst[i] == nil {
		l.cookieLst[i] = &listener{s: l.NewSocket(domain, nil)}
	}
	return l.cookieLst[i]
}

// answerByCookie takes a SYN without offering it, if there are too many and the
// port is known to be open.
func (l *Layer) answerByCookie(k tuple, rx *Rx) bool {
	if len(l.embryos) < cookieEmbryos || l.tun.SynCookies == 0 || rx.Link < 0 {
		return false
	}
	open := l.open.find(rx.Dst, k.lport)
	if open == nil || l.net.Now()-open.at > openTime {
		return false
	}
	path, err := l.net.Route(rx.Dst, rx.Src, rx.Link)
	if err != nil {
		return false
	}
	l.sendCookie(l.cookieListener(rx.Dst), k, path, &rx.Header)
	return true
}

// offerCookie offers the connection whose third step rx may be. It reports
// whether that settles rx.
func (l *Layer) offerCookie(k tuple, rx *Rx) bool {
	if l.offer == nil || rx.Link < 0 || rx.Header.Flags&wire.TCPAck == 0 {
		return false
	}
	h, settled := l.readCookie(l.cookieListener(rx.Dst), k, rx)
	if h == nil {
		return settled
	}
	p := l.newPending(k, rx, 0)
	p.half, p.third = h, rx.Header
	p.third.Raw = nil
	p.syn = wire.TCP{
		SrcPort: k.rport, DstPort: k.lport, Seq: h.irs, Flags: wire.TCPSyn, Window: rx.Header.Window,
		MSS: h.opts.mss, WScale: h.opts.wscale, SACKPermitted: h.opts.sack, HasTS: h.opts.ts, TSVal: h.tsRecent,
	}
	return l.show(p)
}

// completed makes c the connection whose handshake h is, with third its third
// step. The text of that one is left to be sent again.
func (c *conn) completed(h *halfOpen, third *wire.TCP) {
	h.fill(c)
	c.flags |= flagOffered
	c.sndWnd = uint32(third.Window) << c.sndScale
	c.sndWl1, c.maxSndWnd = third.Seq, c.sndWnd
	c.thirdStep(third, 0)
	if a := c.accurate(); a != nil {
		a.skip = false // it is not looked at again
	}
	c.established()
}
