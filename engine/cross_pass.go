package engine

// Datagrams through crossings, both ways.

import (
	"encoding/binary"
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/udp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// offeredDatagram takes what an intercepted program sends to the sandbox itself
// where no intercepted socket is: there may be a plain program on the kernel's
// side.
func (e *engine) offeredDatagram(rx *udp.Rx) bool {
	c := &e.cross
	at := netip.AddrPortFrom(rx.Src, rx.Header.SrcPort)
	to := netip.AddrPortFrom(rx.Dst, rx.Header.DstPort)
	// What goes to a crossing would come back: the socket there does not want it.
	if at.Port() == 0 || c.byAddr[to] != nil {
		return false
	}
	x := c.byAddr[at]
	if x == nil {
		if x = e.openRelay(at); x == nil {
			return false
		}
		if !e.stack.UDP().Bound(at) {
			defer e.closeCrossing(x) // its sender is closed already
		}
	}
	return e.passOut(x, to, rx.Payload)
}

// openRelay makes a crossing for a socket that sends. Where a plain program has
// its port, the relay has another, as a client whose port does not matter.
func (e *engine) openRelay(at netip.AddrPort) *crossing {
	c := &e.cross
	if e.cfg.RefusePlain {
		return nil // answers are all that plain programs get
	}
	if c.relays >= maxRelays {
		e.closeCrossing(c.oldestRelay())
	}
	for _, port := range [...]uint16{at.Port(), 0} {
		if fd := e.helper.bindKernel([]netip.AddrPort{netip.AddrPortFrom(at.Addr(), port)}, false)[0]; fd >= 0 {
			return e.addCrossing(at, fd, true)
		}
	}
	return nil
}

// passOut hands a datagram to the kernel. It reports whether there was a way.
func (e *engine) passOut(x *crossing, to netip.AddrPort, payload []byte) bool {
	no := e.cross.io.Send(x.fd, payload, to)
	if no != 0 && e.crossingErrors(x) > 0 {
		no = e.cross.io.Send(x.fd, payload, to) // the error was an earlier one's
	}
	x.used = e.now
	switch no {
	case 0:
		e.inline.stats.Crossed++
		e.crossingErrors(x) // loopback refuses at once
	case abi.EAGAIN, abi.ENOBUFS: // lost, as datagrams are
	default:
		return false
	}
	return true
}

// crossingErrors tells sockets of ICMP errors about what went out by x, and
// returns their number.
func (e *engine) crossingErrors(x *crossing) int {
	for i := range crossBatch {
		to, why, no := e.cross.io.Error(x.fd)
		if no != 0 {
			return i
		}
		if why == 0 || !to.IsValid() || to.Addr().Is4() != x.at.Addr().Is4() {
			continue
		}
		var quoted [wire.UDPLen]byte
		binary.BigEndian.PutUint16(quoted[0:], x.at.Port())
		binary.BigEndian.PutUint16(quoted[2:], to.Port())
		m := udp.ICMPError{
			Errno: errno.Errno(why), Hard: errno.Errno(why) == errno.ECONNREFUSED,
			From: to.Addr(), Marks: udp.Marks{TTL: crossTTL},
			Type: wire.ICMP4Unreachable, Code: wire.ICMP4CodePort,
		}
		if to.Addr().Is6() {
			m.Type, m.Code = wire.ICMP6Unreachable, wire.ICMP6CodePort
		}
		e.stack.UDP().ICMP(x.at.Addr(), to.Addr(), quoted[:], m)
	}
	return crossBatch
}

// crossReady takes what plain programs have sent.
func (e *engine) crossReady(gen uint32, fd int, _ uint32) {
	c := &e.cross
	if fd >= len(c.byFD) || c.byFD[fd] == nil || c.byFD[fd].gen != gen {
		return
	}
	x := c.byFD[fd]
	e.crossingErrors(x)
	for range crossBatch {
		n, from, no := c.io.Recv(fd, e.datagram[:])
		switch {
		case no == abi.EAGAIN:
			return
		case no != 0:
			e.crossingErrors(x) // it came meanwhile
		default:
			e.passIn(x, from, e.datagram[:n])
		}
	}
	_ = e.poll.Modify(fd, crossMask, tag(kindCross, gen, fd)) // there may be more
}

// passIn hands a datagram to the intercepted socket that x stands for. What
// comes from elsewhere than the sandbox has the uplink for a way.
func (e *engine) passIn(x *crossing, from netip.AddrPort, payload []byte) {
	if !from.IsValid() || !e.stack.IsLocal(from.Addr()) {
		return
	}
	x.used = e.now
	rx := &e.cross.rx
	*rx = udp.Rx{
		Src: from.Addr(), Dst: x.at.Addr(), Link: netstack.LoopbackLink, Payload: payload, TTL: crossTTL,
		Header: wire.UDP{SrcPort: from.Port(), DstPort: x.at.Port(), Length: uint16(wire.UDPLen + len(payload))},
	}
	if e.stack.UDP().Input(rx) {
		e.inline.stats.Crossed++
	}
	rx.Payload = nil
}

// crossTTL is the hop limit that datagrams arrive with: Linux's default.
const crossTTL = 64

// crosses reports whether a packet from the network goes to a crossing: to the
// kernel it must not, whose socket there would swallow it.
func (c *crossings) crosses(p *netstack.ForwardPacket) bool {
	if len(c.byAddr) == 0 || p.Group {
		return false
	}
	to, ok := udpDestination(p.Data)
	return ok && c.byAddr[to] != nil
}

// udpDestination is where a whole IP packet goes, if it is UDP without options
// or extension headers in front.
func udpDestination(b []byte) (netip.AddrPort, bool) {
	var dst netip.Addr
	var body []byte
	switch {
	case len(b) >= wire.IPv4MinHeader && b[0]>>4 == 4 && b[9] == wire.ProtoUDP:
		dst, body = netip.AddrFrom4([4]byte(b[16:])), b[min(len(b), int(b[0]&15)*4):]
	case len(b) >= wire.IPv6Len && b[0]>>4 == 6:
		proto, off := wire.SkipExt(b[6], b[wire.IPv6Len:])
		if proto != wire.ProtoUDP {
			return netip.AddrPort{}, false
		}
		dst, body = netip.AddrFrom16([16]byte(b[24:])), b[min(len(b), wire.IPv6Len+off):]
	default:
		return netip.AddrPort{}, false
	}
	if len(body) < wire.UDPLen {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(dst, binary.BigEndian.Uint16(body[2:])), true
}
