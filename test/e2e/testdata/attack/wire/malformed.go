package main

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// malformed are frames of other protocols than IP and ARP, and such of these as
// break their rules.
func (h *hosts) malformed() (all []frame) {
	add := func(name string, b []byte) { all = append(all, frame{name, b}) }
	good := h.udp4(h.own4, h.victim4, "tcpcni-attack-malformed").bytes
	good6 := h.udp6(h.own6, h.victim6, "tcpcni-attack-malformed").bytes

	for _, t := range []uint16{0x0026, 0x0800, 0x0805, 0x8100, 0x88a8, 0x88cc, 0x888e, 0x8863, 0x8864, 0x8847, 0x8809, 0x22f0, 0x86dd, 0xffff} {
		b := append([]byte(nil), good...)
		binary.BigEndian.PutUint16(b[12:], t)
		add("EtherType "+strconv.FormatUint(uint64(t), 16), b)
		copy(b, []byte{1, 0x80, 0xc2, 0, 0, 0})
		add("to the bridge group, "+strconv.FormatUint(uint64(t), 16), append([]byte(nil), b...))
	}
	// A BPDU of a root bridge, and frames in one and two VLAN tags.
	bpdu := append([]byte{1, 0x80, 0xc2, 0, 0, 0}, h.mac...)
	bpdu = append(bpdu, 0, 38, 0x42, 0x42, 3)
	add("BPDU", append(bpdu, make([]byte, 60)...))
	tag := []byte{0x81, 0, 0, 100}
	once := append(append(append([]byte(nil), good[:12]...), tag...), good[12:]...)
	add("VLAN", once)
	add("two VLANs", append(append(append([]byte(nil), once[:12]...), tag...), once[12:]...))
	for n := 14; n < len(good); n += 3 {
		add("cut short", good[:n])
		add("cut short", good6[:n])
	}
	edit := func(name string, b []byte, at int, v ...byte) {
		c := append([]byte(nil), b...)
		copy(c[at:], v)
		sum4(c)
		add(name, c)
	}
	for v := range 16 {
		edit("version", good, 14, byte(v)<<4|5)
		edit("header length", good, 14, 4<<4|byte(v))
		edit("version", good6, 14, byte(v)<<4)
	}
	for _, n := range []uint16{0, 1, 19, 20, 27, 28, 29, 1500, 65535} {
		edit("total length", good, 16, byte(n>>8), byte(n))
		edit("UDP length", good, 14+20+4, byte(n>>8), byte(n))
		edit("payload length", good6, 14+4, byte(n>>8), byte(n))
		edit("UDP length", good6, 14+40+4, byte(n>>8), byte(n))
	}
	bad := append([]byte(nil), good...)
	bad[24] ^= 0xff
	add("header checksum", bad)
	edit("UDP checksum", good, 14+20+6, 0x12, 0x34)
	edit("no UDP checksum", good6, 14+40+6, 0, 0)
	edit("ports 0", good, 14+20, 0, 0, 0, 0)
	for p := range 256 {
		if p != 6 && p != 17 {
			edit("protocol", good, 23, byte(p))
			edit("next header", good6, 20, byte(p))
		}
	}
	for _, kind := range []byte{0x83, 0x89, 7, 0x44, 0x94, 0x82, 0xff} { // routes, record, time stamp, router alert, …
		for _, n := range []byte{0, 1, 2, 3, 7, 8, 255} {
			ip := ip4(h.own4, h.victim4, layers.IPProtocolUDP)
			b := pack(true, h.eth(layers.EthernetTypeIPv4), ip, gopacket.Payload(append([]byte{kind, n, 4, 10, 87, 0, 1, 0}, good[34:]...)))
			b[14] = 4<<4 | 7
			sum4(b)
			add("IPv4 option", b)
		}
	}
	// TCP: every set of flags, offsets that lie, to the engine and beyond.
	for flags := range 256 {
		for _, off := range []byte{5, 0, 4, 15} {
			syn := h.syn(h.own4, h.victim4)
			syn[14+20+12], syn[14+20+13] = off<<4, byte(flags)
			add("TCP flags", syn)
		}
	}
	chain := []byte{}
	for range 100 {
		chain = append(chain, 60, 0, 1, 4, 0, 0, 0, 0)
	}
	add("a hundred headers", h.icmp6(h.own6, h.victim6, 255, layers.IPProtocolIPv6Destination, append(chain, 58, 0, 1, 4, 0, 0, 0, 0), 128, make([]byte, 8)))
	add("jumbogram", h.icmp6(h.own6, h.victim6, 255, layers.IPProtocolIPv6HopByHop, []byte{58, 0, 0xc2, 4, 0, 1, 0, 0}, 128, make([]byte, 8)))
	return all
}

// sum4 makes the header checksum of an IPv4 packet right, if it is one.
func sum4(b []byte) {
	n := 14 + int(b[14]&15)*4
	if b[14]>>4 != 4 || n < 34 || n > len(b) || b[12] != 8 {
		return
	}
	b[24], b[25] = 0, 0
	sum := uint32(0)
	for i := 14; i < n; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[24:], ^uint16(sum))
}

// fragments overlap, reach beyond what a packet can be, and never become whole.
func (h *hosts) fragments() (all []frame) {
	add := func(name string, b []byte) { all = append(all, frame{name, b}) }
	data := make([]byte, 1400)
	part := func(id uint16, offset int, more bool, n int) []byte {
		ip := ip4(h.own4, h.victim4, layers.IPProtocolUDP)
		ip.Id, ip.FragOffset = id, uint16(offset/8)
		if more {
			ip.Flags = layers.IPv4MoreFragments
		}
		return pack(true, h.eth(layers.EthernetTypeIPv4), ip, gopacket.Payload(data[:n]))
	}
	part6 := func(id uint32, next byte, offset int, more bool, n int) []byte {
		f := []byte{next, 0, byte(offset >> 8), byte(offset), 0, 0, 0, 0}
		if more {
			f[3] |= 1
		}
		binary.BigEndian.PutUint32(f[4:], id)
		return pack(true, h.eth(layers.EthernetTypeIPv6), ip6(h.own6, h.victim6, layers.IPProtocolIPv6Fragment), gopacket.Payload(append(f, data[:n]...)))
	}
	for id, f := range [][4]int{{0, 24, 8, 16}, {0, 800, 400, 800}, {8, 8, 0, 24}, {0, 8, 0, 8}, {0, 1400, 8, 8}, {0, 0, 8, 0}, {0, 7, 8, 9}} {
		add("overlap", part(uint16(id), f[0], true, f[1]))
		add("overlap", part(uint16(id), f[2], false, f[3]))
		add("overlap", part6(uint32(id), 17, f[0], true, f[1]))
		add("overlap", part6(uint32(id), 17, f[2], false, f[3]))
	}
	add("tiny TCP", tcp(part(100, 0, true, 8)))
	add("tiny TCP", tcp(part(100, 8, false, 16)))
	add("too far", part(101, 65528, false, 1400))
	add("too far", part6(101, 17, 65528, false, 1400))
	// A router advertisement whose type comes in the second fragment.
	ra := h.icmp6(h.ownLL, netip.MustParseAddr("ff02::1"), 255, layers.IPProtocolICMPv6, nil, 134, make([]byte, 12))[54:]
	for _, b := range [][]byte{append([]byte{60, 0, 0, 1, 0, 0, 0, 9}, 58, 0, 1, 4, 0, 0, 0, 0), append([]byte{60, 0, 0, 8, 0, 0, 0, 9}, ra...)} {
		e := h.eth(layers.EthernetTypeIPv6)
		e.DstMAC = allNodes
		add("router advertisement in pieces", pack(true, e, ip6(h.ownLL, netip.MustParseAddr("ff02::1"), layers.IPProtocolIPv6Fragment), gopacket.Payload(b)))
	}
	for id := range 5000 {
		add("lost", part(uint16(1000+id), 0, true, 1400))
		add("lost", part6(uint32(1000+id), 17, 0, true, 1400))
	}
	return all
}

// scans are packets to neighbours that are not there, each of whom has to be
// looked for.
func (h *hosts) scans() (all []frame) {
	a := h.host6.As16()
	for i := range 5000 {
		binary.BigEndian.PutUint16(a[12:], 0x6666)
		binary.BigEndian.PutUint16(a[14:], uint16(i))
		all = append(all, h.udp6(h.own6, netip.AddrFrom16(a), "tcpcni-attack-scan"), frame{"SYN to nobody", h.syn(h.own6, netip.AddrFrom16(a))})
	}
	return all
}

func tcp(b []byte) []byte {
	b[23] = 6
	sum4(b)
	return b
}

// offloaded have virtio-net headers that promise what is not so: types of
// segmentation, sizes, and checksums beyond the frame.
func (h *hosts) offloaded() (all [][]byte) {
	data := make([]byte, 9000)
	for _, f := range []frame{
		{"", h.syn(h.own4, h.victim4)}, {"", h.syn(h.own6, h.victim6)}, {"", h.syn(h.victim4, h.host4)},
		h.udp4(h.own4, h.victim4, "tcpcni-attack-offload"), h.udp6(h.own6, h.victim6, "tcpcni-attack-offload"),
	} {
		for _, long := range []int{0, 9000} {
			b := append(append([]byte(nil), f.bytes...), data[:long]...)
			for _, gso := range []byte{0, 1, 3, 4, 5, 0x81, 0xff} {
				for _, flags := range []byte{0, 1, 2, 0xff} {
					for _, size := range []uint16{0, 1, 1460, 65535} {
						for _, start := range []uint16{0, 34, 65535} {
							v := make([]byte, 10)
							v[0], v[1] = flags, gso
							binary.NativeEndian.PutUint16(v[2:], 54)
							binary.NativeEndian.PutUint16(v[4:], size)
							binary.NativeEndian.PutUint16(v[6:], start)
							binary.NativeEndian.PutUint16(v[8:], 16)
							all = append(all, append(v, b...))
						}
					}
				}
			}
		}
	}
	return all
}
