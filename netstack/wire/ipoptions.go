package wire

// The options of outgoing IPv4 packets: RFC 791 section 3.1. A program gives
// them (IP_OPTIONS), or a packet came over a source route, whose answers go back
// over it.

import (
	"encoding/binary"
	"net/netip"
)

// OutOptions are the options that packets of one socket carry to one
// destination.
type OutOptions struct {
	First   netip.Addr // of a source route: the router that packets go to first; invalid: there is no source route
	Strict  bool       // the first router must be a neighbour
	Options []byte     // a multiple of 4 bytes, at most 40; the route in them ends at the destination

	self [2]uint8 // places in Options where each packet has the sender's address; 0: none
	time uint8    // the same for the time
}

// Types of options that the sender writes into, and the kinds of timestamps by
// the low bits of their flags.
const (
	ipOptRecord = 7
	ipOptTime   = 68

	timeOnly      = 0
	timeAndAddr   = 1
	timePrespec   = 3
	timeHeaderLen = 4
)

// NewOutOptions makes options from those that a program gave, well formed and a
// multiple of 4 bytes. The first address of a source route becomes where packets
// go, and dst its last. local tells which addresses are this host's: a
// timestamp that is asked of a certain host is given if that is this one.
func NewOutOptions(given []byte, dst netip.Addr, local func(netip.Addr) bool) *OutOptions {
	x := &OutOptions{Options: append([]byte(nil), given...)}
	for at := 0; at < len(x.Options); {
		o := x.Options[at:]
		switch o[0] {
		case ipOptEnd:
			return x
		case ipOptNop:
			at++
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return x
		}
		o = o[:o[1]]
		switch {
		case (o[0] == ipOptLSRR || o[0] == ipOptSSRR) && len(o) >= routeHeader+4:
			four := dst.As4()
			x.First, x.Strict = netip.AddrFrom4([4]byte(o[routeHeader:])), o[0] == ipOptSSRR
			copy(o[routeHeader:], o[routeHeader+4:])
			copy(o[len(o)-4:], four[:])
		case o[0] == ipOptRecord && len(o) >= routeHeader:
			if slot := int(o[2]) - 1; slot >= routeHeader && slot+4 <= len(o) {
				x.self[0] = uint8(at + slot)
				o[2] += 4
			}
		case o[0] == ipOptTime && len(o) >= timeHeaderLen:
			x.stampIn(at, o, local)
		}
		at += len(o)
	}
	return x
}

// stampIn takes the first free slot of o, a timestamp option at place at.
func (x *OutOptions) stampIn(at int, o []byte, local func(netip.Addr) bool) {
	slot, kind := int(o[2])-1, o[3]&15
	size := 8
	if kind == timeOnly {
		size = 4
	}
	if slot < timeHeaderLen || slot+size > len(o) {
		return
	}
	switch kind {
	case timeAndAddr:
		x.self[1] = uint8(at + slot)
	case timePrespec:
		if !local(netip.AddrFrom4([4]byte(o[slot:]))) {
			return // asked of somebody under way
		}
	case timeOnly:
	default:
		return
	}
	x.time = uint8(at + slot + size - 4)
	o[2] += uint8(size)
}

// Fill writes what differs from packet to packet: the sender's address, and the
// time in milliseconds. That is not one since midnight, which the highest bit
// says (RFC 791 section 3.1).
func (x *OutOptions) Fill(src netip.Addr, ms uint32) {
	for _, at := range x.self {
		if at != 0 {
			four := src.As4()
			copy(x.Options[at:], four[:])
		}
	}
	if x.time != 0 {
		binary.BigEndian.PutUint32(x.Options[x.time:], ms|1<<31)
	}
}

// Hop is where packets to dst go; x may be nil.
func (x *OutOptions) Hop(dst netip.Addr) netip.Addr {
	if x == nil || !x.First.IsValid() {
		return dst
	}
	return x.First
}

// Len is how many bytes the options take of a packet; x may be nil.
func (x *OutOptions) Len() int {
	if x == nil {
		return 0
	}
	return len(x.Options)
}

// Given are options that ReverseRoute made, as a program would give them.
func (x *OutOptions) Given() []byte {
	b := append([]byte(nil), x.Options...)
	if n := int(b[1]); x.First.IsValid() && n <= len(b) && n >= routeHeader+4 {
		first := x.First.As4()
		copy(b[routeHeader+4:n], b[routeHeader:n-4])
		copy(b[routeHeader:], first[:])
	}
	return b
}

// ReceivedOptions are the options of a packet as its destination leaves them: its
// own address and the time entered where they are asked for, a timestamp that
// found no room counted, nothing behind their end. options are raw and well
// formed, and not changed; the time is as in OutOptions.Fill.
func ReceivedOptions(options []byte, self netip.Addr, ms uint32, local func(netip.Addr) bool) []byte {
	var full []int // places of timestamps without room
	for at := 0; at < len(options) && options[at] != ipOptEnd; {
		o := options[at:]
		if o[0] == ipOptNop {
			at++
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			break
		}
		if o[0] == ipOptTime && o[1] >= timeHeaderLen && o[2] > o[1] && o[3]&15 != timePrespec && o[3]>>4 < 15 {
			full = append(full, at+3)
		}
		at += int(o[1])
	}
	x := NewOutOptions(options, self, local)
	x.Fill(self, ms)
	for _, at := range full {
		x.Options[at] += 1 << 4
	}
	return x.Options
}

// EchoOptions are the options with which a packet with the received options would
// be answered, but for source routes, before they are compiled: a recorded route
// goes on being recorded, timestamps are taken on the way back.
func EchoOptions(received []byte) []byte {
	var record, stamp []byte
	for o := received; len(o) > 0 && o[0] != ipOptEnd; {
		if o[0] == ipOptNop {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			break
		}
		switch {
		case o[0] == ipOptRecord && record == nil:
			record = o[:o[1]]
		case o[0] == ipOptTime && stamp == nil:
			stamp = o[:o[1]]
		}
		o = o[o[1]:]
	}
	return append(append([]byte(nil), record...), stamp...)
}
