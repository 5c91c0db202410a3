package main

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A frame has a name for whoever reads a failure.
type frame struct {
	name  string
	bytes []byte
}

var (
	broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodes  = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
	others    = net.HardwareAddr{2, 0, 0, 0, 0x66, 0x66}
)

func pack(fix bool, all ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: fix, ComputeChecksums: fix}, all...); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func (h *hosts) eth(t layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: h.mac, DstMAC: h.engine, EthernetType: t}
}

func ip4(src, dst netip.Addr, proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
}

func ip6(src, dst netip.Addr, next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: next, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
}

// udp4 is a datagram to port 7777 whose text says what it is.
func (h *hosts) udp4(src, dst netip.Addr, text string) frame {
	ip, udp := ip4(src, dst, layers.IPProtocolUDP), &layers.UDP{SrcPort: 6666, DstPort: 7777}
	_ = udp.SetNetworkLayerForChecksum(ip)
	return frame{text, pack(true, h.eth(layers.EthernetTypeIPv4), ip, udp, gopacket.Payload(text))}
}

func (h *hosts) udp6(src, dst netip.Addr, text string) frame {
	ip, udp := ip6(src, dst, layers.IPProtocolUDP), &layers.UDP{SrcPort: 6666, DstPort: 7777}
	_ = udp.SetNetworkLayerForChecksum(ip)
	return frame{text, pack(true, h.eth(layers.EthernetTypeIPv6), ip, udp, gopacket.Payload(text))}
}

func (h *hosts) syn(src, dst netip.Addr) []byte {
	tcp := &layers.TCP{SrcPort: 6666, DstPort: 80, Seq: 1, SYN: true, Window: 1000}
	if src.Is4() {
		ip := ip4(src, dst, layers.IPProtocolTCP)
		_ = tcp.SetNetworkLayerForChecksum(ip)
		return pack(true, h.eth(layers.EthernetTypeIPv4), ip, tcp)
	}
	ip := ip6(src, dst, layers.IPProtocolTCP)
	_ = tcp.SetNetworkLayerForChecksum(ip)
	return pack(true, h.eth(layers.EthernetTypeIPv6), ip, tcp)
}

// spoofed are packets and frames under somebody else's address.
func (h *hosts) spoofed() (all []frame) {
	for _, a := range []string{
		h.victim4.String(), h.host4.String(), "192.0.2.9", "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "169.254.1.1",
	} {
		src := netip.MustParseAddr(a)
		for _, dst := range []netip.Addr{h.host4, h.victim4, netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("224.0.0.251")} {
			all = append(all, h.udp4(src, dst, "tcpcni-attack-from-"+a+"-to-"+dst.String()))
		}
		all = append(all, frame{"SYN from " + a, h.syn(src, h.host4)})
	}
	for _, a := range []string{
		h.victim6.String(), h.host6.String(), "2001:db8::9", "::1", "::", "ff02::1", "::ffff:10.87.0.1", h.someoneLL.String(), h.hostLL.String(),
	} {
		src := netip.MustParseAddr(a)
		for _, dst := range []netip.Addr{h.host6, h.victim6, netip.MustParseAddr("ff02::1"), netip.MustParseAddr("ff02::fb")} {
			all = append(all, h.udp6(src, dst, "tcpcni-attack-from-"+a+"-to-"+dst.String()))
		}
		all = append(all, frame{"SYN from " + a, h.syn(src, h.host6)})
	}
	// The right address behind the wrong MAC, and frames past the engine.
	for _, mac := range []net.HardwareAddr{h.victimMAC, h.engine, others, broadcast, {}, {1, 0, 0x5e, 0, 0, 1}} {
		if len(mac) == 0 {
			mac = make(net.HardwareAddr, 6)
		}
		f := h.udp4(h.own4, h.host4, "tcpcni-attack-mac-"+mac.String())
		copy(f.bytes[6:], mac)
		all = append(all, f)
	}
	for _, mac := range []net.HardwareAddr{h.victimMAC, others, {1, 0x80, 0xc2, 0, 0, 0}} {
		f := h.udp4(h.own4, h.victim4, "tcpcni-attack-past-"+mac.String())
		copy(f.bytes, mac)
		all = append(all, f)
	}
	// To where nobody is.
	for _, a := range []string{"127.0.0.1", "0.0.0.0", "240.0.0.1", h.own4.String()} {
		all = append(all, h.udp4(h.own4, netip.MustParseAddr(a), "tcpcni-attack-nowhere-"+a))
	}
	for _, a := range []string{"::1", "::", "::ffff:127.0.0.1", "ff01::1", h.own6.String()} {
		all = append(all, h.udp6(h.own6, netip.MustParseAddr(a), "tcpcni-attack-nowhere-"+a))
	}
	return all
}

func (h *hosts) arp(op uint16, mac net.HardwareAddr, sender, target netip.Addr, dst net.HardwareAddr) []byte {
	e := h.eth(layers.EthernetTypeARP)
	e.DstMAC = dst
	return pack(true, e, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
		SourceHwAddress: mac, SourceProtAddress: sender.AsSlice(), DstHwAddress: make([]byte, 6), DstProtAddress: target.AsSlice(),
	})
}

// icmp6 is an ICMPv6 message to all nodes or whom it says; chain are extension
// headers in front of it, the first of them of type first.
func (h *hosts) icmp6(src, dst netip.Addr, hop uint8, first layers.IPProtocol, chain []byte, typ byte, body []byte) []byte {
	ip := ip6(src, dst, first)
	ip.HopLimit = hop
	m := append([]byte{typ, 0, 0, 0}, body...)
	sum := uint32(len(m)) + 58
	a, b := src.As16(), dst.As16()
	for _, part := range [][]byte{a[:], b[:], m} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(m[2:], ^uint16(sum))
	e := h.eth(layers.EthernetTypeIPv6)
	if dst.IsMulticast() {
		d := dst.As16()
		e.DstMAC = append(net.HardwareAddr{0x33, 0x33}, d[12:]...)
	}
	return pack(true, e, ip, gopacket.Payload(append(append([]byte(nil), chain...), m...)))
}

// claims are what only a router, or only the owner of an address may say.
func (h *hosts) claims() (all []frame) {
	add := func(name string, b []byte) { all = append(all, frame{name, b}) }
	for _, claimed := range []netip.Addr{h.host4, h.victim4, netip.MustParseAddr("10.87.0.200")} {
		for _, dst := range []net.HardwareAddr{broadcast, h.engine, h.victimMAC} {
			for op := uint16(1); op <= 3; op++ {
				add("ARP claim of "+claimed.String(), h.arp(op, h.mac, claimed, h.host4, dst))
				add("ARP announcement of "+claimed.String(), h.arp(op, h.mac, claimed, claimed, dst))
			}
		}
	}
	add("ARP with another MAC", h.arp(1, others, h.own4, h.host4, broadcast))
	add("ARP of a group address", h.arp(2, broadcast, h.own4, h.host4, broadcast))

	all6, group := netip.MustParseAddr("ff02::1"), netip.MustParseAddr("ff02::2")
	lladdr := func(kind byte, mac net.HardwareAddr) []byte { return append([]byte{kind, 1}, mac...) }
	advert := func(a netip.Addr, flags byte) []byte {
		t := a.As16()
		return append(append([]byte{flags, 0, 0, 0}, t[:]...), lladdr(2, h.mac)...)
	}
	ra := append([]byte{64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}, lladdr(1, h.mac)...)
	// A prefix for everybody to configure, and a DNS server.
	ra = append(ra, 3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0x66, 0x66, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	redirect := make([]byte, 4+32)
	target, dest := h.ownLL.As16(), h.host6.As16()
	copy(redirect[4:], target[:])
	copy(redirect[20:], dest[:])
	query := make([]byte, 4+16)

	hbh, dstopts := []byte{58, 0, 1, 4, 0, 0, 0, 0}, []byte{58, 0, 1, 4, 0, 0, 0, 0}
	atomic := []byte{58, 0, 0, 0, 0, 0, 0, 1}
	routing0 := []byte{58, 2, 0, 1, 0, 0, 0, 0}
	v := h.victim6.As16()
	routing0 = append(routing0, v[:]...)
	both := append([]byte{60, 0, 1, 4, 0, 0, 0, 0}, dstopts...)
	for _, src := range []netip.Addr{h.ownLL, h.own6, h.hostLL, h.someoneLL} {
		for _, c := range []struct {
			name  string
			first layers.IPProtocol
			chain []byte
		}{
			{"", layers.IPProtocolICMPv6, nil},
			{" behind hop-by-hop", layers.IPProtocolIPv6HopByHop, hbh},
			{" behind destination options", layers.IPProtocolIPv6Destination, dstopts},
			{" in an atomic fragment", layers.IPProtocolIPv6Fragment, atomic},
			{" behind a routing header", layers.IPProtocolIPv6Routing, routing0},
			{" behind two headers", layers.IPProtocolIPv6HopByHop, both},
		} {
			for _, hop := range []uint8{255, 64} {
				m := func(dst netip.Addr, typ byte, body []byte) []byte {
					return h.icmp6(src, dst, hop, c.first, c.chain, typ, body)
				}
				from := " from " + src.String() + c.name
				add("router advertisement"+from, m(all6, 134, ra))
				add("router advertisement to the host"+from, m(h.host6, 134, ra))
				add("router solicitation"+from, m(group, 133, make([]byte, 4)))
				add("redirect"+from, m(h.host6, 137, redirect))
				add("redirect of the victim"+from, m(h.victim6, 137, redirect))
				add("MLD query"+from, m(all6, 130, query))
				for _, a := range []netip.Addr{h.host6, h.victim6, h.hostLL, h.someoneLL} {
					add("neighbour advertisement"+from, m(all6, 136, advert(a, 0x20)))
					add("neighbour advertisement to the host"+from, m(h.host6, 136, advert(a, 0xe0)))
					add("neighbour solicitation"+from, m(h.host6, 135, append(advert(h.host6, 0)[:20], lladdr(1, others)...)))
				}
				// RFC 2894, RFC 3775: others that configure hosts.
				for _, typ := range []byte{138, 139, 140, 141, 142, 144, 147, 148, 149, 151, 155, 157} {
					add("ICMPv6"+from, m(all6, typ, make([]byte, 28)))
				}
			}
		}
	}
	icmp4 := func(name string, dst netip.Addr, t layers.ICMPv4TypeCode, text []byte) {
		add(name, pack(true, h.eth(layers.EthernetTypeIPv4), ip4(h.own4, dst, layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: t}, gopacket.Payload(text)))
	}
	quoted := h.udp4(h.host4, netip.MustParseAddr("192.0.2.9"), "x").bytes[14:]
	for _, dst := range []netip.Addr{h.host4, h.victim4} {
		icmp4("ICMP redirect", dst, layers.CreateICMPv4TypeCode(5, 1), quoted)
		icmp4("ICMP router advertisement", dst, layers.CreateICMPv4TypeCode(9, 0), []byte{1, 2, 7, 8, 10, 87, 0, 2, 0, 0, 0, 1})
		icmp4("ICMP router solicitation", dst, layers.CreateICMPv4TypeCode(10, 0), nil)
	}
	for _, dst := range []string{"224.0.0.1", h.host4.String()} {
		add("IGMP query", pack(true, h.eth(layers.EthernetTypeIPv4), ip4(h.own4, netip.MustParseAddr(dst), layers.IPProtocolIGMP), gopacket.Payload{0x11, 100, 0xee, 0x9b, 0, 0, 0, 0}))
	}
	return all
}
