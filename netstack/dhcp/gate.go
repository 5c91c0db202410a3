// Package dhcp tells the frames of one DHCP client from all others.
//
// A sandbox whose address is leased has a client for it outside of the stack: a
// daemon of the host that sends and receives on the sandbox's interface. Its
// packets have no source address, in every state, and nothing else without one
// may leave a sandbox. A Gate knows them by the client's MAC address and its
// client identifier, so that whoever else sends from the sandbox cannot take
// further addresses, or give back those of others.
//
// The gate also sees how long the lease holds: who has an address must stop
// using it when the lease has run out (RFC 2131 section 4.4.5).
//
// Messages are those of RFC 2131 section 2, options those of RFC 2132.
package dhcp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// Ports of RFC 2131 section 4.1.
const (
	serverPort = 67
	clientPort = 68
)

// MaxClientID is the length in bytes of the longest client identifier: an option
// has one byte for it.
const MaxClientID = 255

// Message types of RFC 2132 section 9.6.
const (
	typeDiscover = 1
	typeOffer    = 2
	typeRequest  = 3
	typeACK      = 5
	typeNAK      = 6
	typeRelease  = 7
)

// Options of RFC 2132.
const (
	optPad       = 0
	optLeaseTime = 51 // section 9.2, seconds
	optOverload  = 52 // section 9.3
	optType      = 53 // section 9.6
	optClientID  = 61 // section 9.14
	optEnd       = 255
)

// Parts of a message, RFC 2131 section 2, figure 1: offsets in bytes.
const (
	opAt      = 0
	htypeAt   = 1
	hlenAt    = 2
	xidAt     = 4
	yiaddrAt  = 16
	giaddrAt  = 24
	chaddrAt  = 28
	magicAt   = 236
	optionsAt = 240

	bootRequest = 1
	bootReply   = 2
	ethernet    = 1
	magic       = 0x63825363
)

// Infinite is the lease time without an end: RFC 2131 section 3.3.
const Infinite = 0xffffffff

// A Gate stands between one client and the network. The zero value of what is
// not set by its maker is right.
type Gate struct {
	MAC      wire.MAC // of the client
	ClientID []byte   // the content of its option 61, 1 to MaxClientID bytes

	// What the last acknowledgement said; Lease 0: there was none. An address that
	// is there stays: one of another address does not make its lease longer.
	Addr  netip.Addr
	Lease uint32        // seconds; Infinite: for ever
	At    time.Duration // when the client asked for it, on the caller's clock

	xid   uint32        // of the request that is under way
	asked time.Duration // when it was sent first; valid iff open
	open  bool
}

// Request reports whether a frame that the client's side has sent is one of the
// client's messages, and may go out as it is. now is the caller's clock.
func (g *Gate) Request(frame []byte, now time.Duration) bool {
	m, ok := parse(frame, clientPort, serverPort)
	if !ok || m.eth.Src != g.MAC || m.eth.Dst != wire.Broadcast || !m.ip.Src.IsUnspecified() || !server(m.ip.Dst) {
		return false
	}
	b := m.body
	if b[opAt] != bootRequest || !g.hasAddress(b) || binary.BigEndian.Uint32(b[giaddrAt:]) != 0 || !bytes.Equal(m.clientID, g.ClientID) {
		return false
	}
	switch m.kind {
	case typeDiscover, typeRelease:
	case typeRequest:
		// The lease counts from the first time that the request was sent: RFC 2131
		// section 4.4.5.
		if xid := binary.BigEndian.Uint32(b[xidAt:]); !g.open || xid != g.xid {
			g.xid, g.asked, g.open = xid, now, true
		}
	default:
		return false
	}
	return true
}

// Reply reports whether a frame from the network is a server's message to the
// client, and takes from it how long the lease holds.
func (g *Gate) Reply(frame []byte) bool {
	m, ok := parse(frame, serverPort, clientPort)
	if !ok || m.eth.Dst != g.MAC && m.eth.Dst != wire.Broadcast || m.eth.Src.Group() || m.eth.Src == g.MAC {
		return false
	}
	b := m.body
	if b[opAt] != bootReply || !g.hasAddress(b) {
		return false
	}
	switch m.kind {
	case typeOffer, typeNAK:
	case typeACK:
		a := netip.AddrFrom4([4]byte(b[yiaddrAt : yiaddrAt+4]))
		if g.open && binary.BigEndian.Uint32(b[xidAt:]) == g.xid && m.lease != 0 && (!g.Addr.IsValid() || g.Addr == a) {
			g.Addr, g.Lease, g.At, g.open = a, m.lease, g.asked, false
		}
	default:
		return false
	}
	return true
}

// Expired reports whether the lease has run out.
func (g *Gate) Expired(now time.Duration) bool {
	return g.Lease != 0 && g.Lease != Infinite && now-g.At >= time.Duration(g.Lease)*time.Second
}

// Names reports whether an Ethernet frame is an IPv4 packet to a port of DHCP, or
// the first piece of one: those of others than the client are for nobody, as they
// could be in another client's name. head is the frame's first HeadLen bytes, or
// all of a shorter one.
func Names(head []byte) bool {
	const proto, fragment, port = wire.EthernetLen + 9, wire.EthernetLen + 6, 2
	if len(head) < wire.EthernetLen+wire.IPv4MinHeader || binary.BigEndian.Uint16(head[wire.EthernetLen-2:]) != wire.EtherIPv4 || head[proto] != wire.ProtoUDP {
		return false
	}
	udp := wire.EthernetLen + int(head[wire.EthernetLen]&15)*4
	if binary.BigEndian.Uint16(head[fragment:])&0x1fff != 0 || len(head) < udp+port+2 {
		return false
	}
	to := binary.BigEndian.Uint16(head[udp+port:])
	return to == serverPort || to == clientPort
}

// HeadLen is what Names has to see, in bytes.
const HeadLen = wire.EthernetLen + wire.IPv4MaxHeader + wire.UDPLen

// hasAddress reports whether message b is about the client's hardware address.
func (g *Gate) hasAddress(b []byte) bool {
	return b[htypeAt] == ethernet && int(b[hlenAt]) == len(g.MAC) && wire.MAC(b[chaddrAt:chaddrAt+6]) == g.MAC
}

// server reports whether a client may send to a.
func server(a netip.Addr) bool {
	return a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
}

// A message is a frame with a DHCP message.
type message struct {
	eth      wire.Ethernet
	ip       wire.IPv4
	body     []byte // at least optionsAt bytes
	kind     byte
	lease    uint32 // 0: it does not say
	clientID []byte
}

// parse takes a frame apart that has a whole DHCP message from port src to port
// dst, and nothing that two readers could read differently: no fragment, no IP
// options, each option that matters once, and none outside of their field.
func parse(frame []byte, src, dst uint16) (m message, ok bool) {
	var udp wire.UDP
	b, err := wire.ParseEthernet(frame, &m.eth)
	if err != nil || m.eth.Type != wire.EtherIPv4 {
		return m, false
	}
	if b, err = wire.ParseIPv4(b, &m.ip); err != nil || m.ip.Fragment() || len(m.ip.Options) != 0 || m.ip.Protocol != wire.ProtoUDP {
		return m, false
	}
	if m.body, err = wire.ParseUDP(b, &udp); err != nil || udp.SrcPort != src || udp.DstPort != dst || int(udp.Length) != len(b) {
		return m, false
	}
	if len(m.body) < optionsAt || binary.BigEndian.Uint32(m.body[magicAt:]) != magic {
		return m, false
	}
	return m, m.options(m.body[optionsAt:])
}

// options reads what matters, and reports whether it can be read in one way only.
func (m *message) options(b []byte) bool {
	seen := [256]bool{}
	for len(b) > 0 {
		code := b[0]
		switch {
		case code == optPad:
			b = b[1:]
			continue
		case code == optEnd:
			return seen[optType]
		case len(b) < 2 || len(b) < 2+int(b[1]):
			return false
		}
		value := b[2 : 2+int(b[1])]
		b = b[2+len(value):]
		switch code {
		case optType, optClientID, optLeaseTime, optOverload:
			if seen[code] { // RFC 3396 would join them
				return false
			}
		}
		seen[code] = true
		switch {
		case code == optOverload, code == optType && len(value) != 1, code == optLeaseTime && len(value) != 4:
			return false
		case code == optType:
			m.kind = value[0]
		case code == optLeaseTime:
			m.lease = binary.BigEndian.Uint32(value)
		case code == optClientID:
			m.clientID = value
		}
	}
	return false // RFC 2131 section 4.1: the last option is the end
}
