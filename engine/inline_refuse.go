package engine

// The inline path where it is refused: every program of the sandbox is meant to
// be intercepted, so one that has sockets of the kernel was started without its
// filter. It gets no network, and learns so at once: RFC 9293 section 3.5.2 (a
// connection is reset), RFC 1812 section 5.2.7.1 and RFC 4443 section 3.1
// (communication is administratively prohibited). What others dial in the
// sandbox's loopback still reaches intercepted programs (mirror.go).

import (
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack"
	"github.com/tcpcni/tcpcni/netstack/tcp"
	"github.com/tcpcni/tcpcni/netstack/wire"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// refusalPause is how long the log says nothing of refusals after it did.
const refusalPause = time.Minute

// refusals are what the log has to say of them.
type refusals struct {
	told   bool
	next   time.Duration // when the log may say more; valid iff told
	unsaid uint64        // since it did
}

// refuseInner has the stack that faces the sandbox's kernel refuse all that
// comes. The other stack answers for itself, as if there were no kernel.
func (e *engine) refuseInner(s *netstack.Stack) {
	s.TCP().SetOffer(func(p *tcp.Pending) bool {
		e.refusePlain("TCP", p.Remote(), p.Local())
		return false
	})
	s.SetForwarder(barrier{e, s})
}

// A barrier implements netstack.Forwarder: nothing goes on.
type barrier struct {
	e    *engine
	from *netstack.Stack
}

// Packet implements netstack.Forwarder. The kernel itself speaks to groups, with
// no program behind it.
func (b barrier) Packet(p *netstack.ForwardPacket) bool {
	if p.Group {
		return true
	}
	b.e.refusePlain(describe(p.Data))
	b.from.Reject(p, errno.EACCES)
	return true
}

// refusePlain notes what a program of the kernel's was refused.
func (e *engine) refusePlain(protocol string, from, to netip.AddrPort) {
	e.inline.stats.Denied++
	r := &e.inline.refusals
	r.unsaid++
	if r.told && e.now < r.next {
		return
	}
	e.log.Error("a program whose socket calls are not intercepted was refused the network, which this sandbox's pod or configuration asks for: its container was started without the filter",
		"protocol", protocol, "from", from, "to", to, "refused", r.unsaid)
	*r = refusals{told: true, next: e.now + refusalPause}
}

// describe says what a whole IP packet is; ports are 0.
func describe(packet []byte) (protocol string, from, to netip.AddrPort) {
	var (
		h4    wire.IPv4
		h6    wire.IPv6
		proto uint8
	)
	if _, err := wire.ParseIPv4(packet, &h4); err == nil {
		proto, from, to = h4.Protocol, netip.AddrPortFrom(h4.Src, 0), netip.AddrPortFrom(h4.Dst, 0)
	} else if _, err := wire.ParseIPv6(packet, &h6); err == nil {
		proto, from, to = h6.NextHeader, netip.AddrPortFrom(h6.Src, 0), netip.AddrPortFrom(h6.Dst, 0)
	}
	switch proto {
	case wire.ProtoUDP:
		return "UDP", from, to
	case wire.ProtoICMP4, wire.ProtoICMP6:
		return "ICMP", from, to
	}
	return "another", from, to
}
