package netstack

// Frames from a link. Everything in them is hostile: what is malformed, not for
// this stack, or from an address that nobody can have, goes no further.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// inbound is the packet that is being taken in, for the layers to look at.
type inbound struct {
	link     *link // nil: looped
	srcMAC   wire.MAC
	ether    []byte // the Ethernet header; nil: looped
	src, dst netip.Addr
	ttl, tos uint8
	group    bool      // to a broadcast or multicast address, of the link or of IP
	trusted  bool      // the transport checksum needs no look
	gso      uint16    // payload bytes per segment of a merged frame, else 0
	header   []byte    // the IP header with extension headers, for quoting
	options  []byte    // IPv4 options of a source-routed packet
	body     []byte    // the transport header and payload, for quoting
	icmp     wire.ICMP // the ICMP error that is being looked at
	isError  bool      // it is an ICMP error, or may be: no error is sent about it

	// For the forwarder; see forward.go.
	proto     uint8     // of body
	packet    []byte    // the whole packet, or the fragment that made frag whole
	frag      *datagram // nil: packet came in one piece
	foreign   bool      // of a group that the stack has not joined
	needsCsum bool
	csumStart int // from the Ethernet header, 0: where the protocol has it
	csumField int // from csumStart
}

// num is the link's number as the upper layers have it.
func (in *inbound) num() int {
	if in.link == nil {
		return LoopbackLink
	}
	return in.link.num
}

// Input takes a frame that arrived on a link. Answers leave at once or, as far
// as TCP owes them, in Flush.
func (s *Stack) Input(num int, f *RxFrame) {
	l := s.link(num)
	if l == nil {
		return
	}
	var h wire.Ethernet
	b, err := wire.ParseEthernet(f.Data, &h)
	if err != nil || h.Src.Group() {
		s.counters.Link.InErrors++
		return
	}
	if l.peer != nil && h.Src != l.peer.mac {
		s.counters.Transparent.SpoofedMACs++
		return
	}
	if h.Dst != l.mac && !(h.Dst.Group() && (l.hears(h.Dst) || s.hearsAll(l, h.Dst))) {
		s.counters.Link.InOther++
		return
	}
	s.in = inbound{
		link: l, srcMAC: h.Src, group: h.Dst.Group(), trusted: f.NeedsCsum || f.CsumValid,
		ether: f.Data[:len(f.Data)-len(b)], needsCsum: f.NeedsCsum, csumStart: int(f.CsumStart), csumField: int(f.CsumOffset),
	}
	switch gso := f.GSOType &^ wire.GSOECN; {
	case gso == wire.GSONone:
	case gso == wire.GSOTCP4 && h.Type == wire.EtherIPv4, gso == wire.GSOTCP6 && h.Type == wire.EtherIPv6:
		s.in.gso = f.GSOSize
	default:
		s.counters.Link.InErrors++
		return
	}
	switch h.Type {
	case wire.EtherIPv4:
		s.input4(b)
	case wire.EtherIPv6:
		s.input6(b)
	case wire.EtherARP:
		s.inputARP(l, b)
	default:
		s.counters.Link.InUnknown++
	}
}

// dispatch hands the transport segment b, of s.in, to its layer. It reports
// whether there is one.
func (s *Stack) dispatch(proto uint8, b []byte, c *IPCounters) bool {
	in := &s.in
	in.body, in.proto = b, proto
	in.isError = errorMessage(proto, b)
	switch {
	case in.link == nil:
		return s.deliver(proto, b, c)
	case in.link.peer != nil && proto != wire.ProtoTCP:
		c.InDelivers++
		return s.fromPeer(proto, b)
	case in.foreign:
		c.InDelivers++
		return s.offer()
	}
	return s.deliver(proto, b, c) || s.offer()
}

// deliver hands b to its layer. It reports whether there is one.
func (s *Stack) deliver(proto uint8, b []byte, c *IPCounters) bool {
	in := &s.in
	switch proto {
	case wire.ProtoTCP:
		c.InDelivers++
		s.inputTCP(b)
	case wire.ProtoUDP:
		c.InDelivers++
		s.inputUDP(b)
	case wire.ProtoICMP4:
		if in.dst.Is6() {
			return false
		}
		c.InDelivers++
		s.inputICMP4(b)
	case wire.ProtoICMP6:
		if in.dst.Is4() {
			return false
		}
		c.InDelivers++
		s.inputICMP6(b)
	default:
		return false
	}
	return true
}

func (s *Stack) inputTCP(b []byte) {
	in, rx := &s.in, &s.rxTCP
	if in.group {
		return // RFC 9293 section 3.9.2.3, MUST-57
	}
	payload, err := wire.ParseTCP(b, &rx.Header)
	if err != nil {
		s.counters.TCPInErrors++
		return
	}
	if !in.trusted && !wire.TransportChecksumOK(in.src, in.dst, wire.ProtoTCP, b) {
		s.counters.TCPCsumErrors++ // RFC 9293 section 3.1, MUST-3
		return
	}
	rx.Src, rx.Dst, rx.Link = in.src, in.dst, in.num()
	rx.Payload, rx.GSOSize = payload, int(in.gso)
	rx.TTL, rx.TOS, rx.IPOptions = in.ttl, in.tos, in.options
	rx.LinkHeader, rx.IPHeader, rx.TCPHeader = in.ether, in.header, b[:len(b)-len(payload)]
	s.tcp.Input(rx)
}

func (s *Stack) inputUDP(b []byte) {
	in, rx := &s.in, &s.rxUDP
	payload, err := wire.ParseUDP(b, &rx.Header)
	if err != nil || rx.Header.DstPort == 0 || in.src.IsUnspecified() {
		s.udp.Counters().InErrors++
		return
	}
	switch h := &rx.Header; {
	case in.trusted:
	case h.Checksum == 0 && in.dst.Is4(): // RFC 768: the sender computed none
	case h.Checksum == 0, // RFC 8200 section 8.1, MUST
		!wire.TransportChecksumOK(in.src, in.dst, wire.ProtoUDP, b[:h.Length]):
		s.udp.Counters().InErrors++
		s.udp.Counters().InCsumErrors++
		return
	}
	rx.Src, rx.Dst, rx.Link, rx.Group = in.src, in.dst, in.num(), in.group
	rx.Payload, rx.TTL, rx.TOS, rx.Options = payload, in.ttl, in.tos, nil
	if in.dst.Is4() {
		rx.Options = in.header[wire.IPv4MinHeader:]
	}
	// RFC 768: who sends from port 0 wants no answer, but may be heard.
	taken := s.udp.Input(rx)
	if taken && !in.group || s.offer() {
		return
	}
	if !taken && !in.group && rx.Header.SrcPort != 0 {
		s.portUnreachable() // RFC 1122 section 4.1.3.1
	}
}
