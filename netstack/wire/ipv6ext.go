package wire

// IPv6 extension headers: RFC 8200 section 4, RFC 5095 (routing type 0 is
// dead), RFC 7112 (the first fragment holds the whole chain), RFC 8504
// section 5.3 (limits that a host may set).

import "encoding/binary"

// Bounds on one packet's chain. RFC 8504 section 5.3 lets a host limit both.
const (
	maxExtHeaders = 8
	maxExtOptions = 16 // per options header, padding included
)

// FragmentLen is the length of a fragment header in bytes.
const FragmentLen = 8

// Fragment6 is a fragment header (RFC 8200 section 4.5).
type Fragment6 struct {
	NextHeader uint8
	Offset     uint16 // in bytes, a multiple of 8
	More       bool
	ID         uint32
}

// AppendTo appends the header to b.
func (f *Fragment6) AppendTo(b []byte) []byte {
	off := f.Offset &^ 7
	if f.More {
		off |= 1
	}
	b = append(b, f.NextHeader, 0, byte(off>>8), byte(off))
	return binary.BigEndian.AppendUint32(b, f.ID)
}

// ExtVerdict is what the receiver owes for a chain.
type ExtVerdict uint8

// Verdicts. All but ExtOK mean that the packet is discarded.
const (
	ExtOK            ExtVerdict = iota
	ExtDrop                     // silently
	ExtParam                    // ICMPv6 parameter problem Code at Pointer
	ExtParamNotGroup            // the same, unless the packet was sent to a group
	ExtShort                    // a header ends behind the packet
)

// Ext6 is what walking a chain of extension headers found.
type Ext6 struct {
	Proto      uint8 // the upper-layer protocol, or the first header that the walk does not know
	Offset     int   // of the upper-layer header, from the start of the chain
	HasFrag    bool
	Frag       Fragment6 // valid iff HasFrag; the walk ends behind the first one
	FragOffset int       // of the fragment header; valid iff HasFrag
	NextField  int       // offset of the Next Header byte that names Proto, counted from the fixed header's start; valid with every verdict

	Verdict ExtVerdict
	Code    uint8 // valid iff Verdict is ExtParam or ExtParamNotGroup
	Pointer int   // likewise; counted from the fixed header's start
}

const ipv6NextField = 6 // where the fixed header keeps its Next Header byte

// WalkExt reads the extension headers at the start of b, what followed a fixed
// header whose Next Header was next. It stops at the upper-layer header or
// behind a fragment header.
func WalkExt(next uint8, b []byte, e *Ext6) {
	*e = Ext6{Proto: next, NextField: ipv6NextField}
	e.walk(b)
}

// Resume goes on behind a fragment header whose fragment turned out to be a
// whole packet (RFC 6946), or was reassembled into b.
func (e *Ext6) Resume(b []byte) {
	e.HasFrag = false
	e.walk(b)
}

func (e *Ext6) walk(b []byte) {
	for range maxExtHeaders {
		switch e.Proto {
		case ProtoHopByHop, ProtoDstOpts, ProtoRouting:
		case ProtoFragment:
			e.fragment(b)
			return
		default:
			return
		}
		if e.Proto == ProtoHopByHop && e.Offset != 0 {
			// RFC 8200 section 4.1: only right behind the fixed header.
			e.problem(ExtParam, 1, e.NextField)
			return
		}
		h := b[min(e.Offset, len(b)):]
		if len(h) < 8 || len(h) < (int(h[1])+1)*8 {
			e.Verdict = ExtShort
			return
		}
		h = h[:(int(h[1])+1)*8]
		if e.Proto == ProtoRouting {
			e.routing(h)
		} else {
			e.options(h)
		}
		if e.Verdict != ExtOK {
			return
		}
		e.NextField, e.Proto = IPv6Len+e.Offset, h[0]
		e.Offset += len(h)
	}
	e.Verdict = ExtDrop
}

func (e *Ext6) problem(v ExtVerdict, code uint8, pointer int) {
	e.Verdict, e.Code, e.Pointer = v, code, pointer
}

// routing accepts a header with no segment left and refuses every other: no
// type that needs a host's help is known here (RFC 8200 section 4.4).
func (e *Ext6) routing(h []byte) {
	if h[3] != 0 {
		e.problem(ExtParam, 0, IPv6Len+e.Offset+2)
	}
}

// options walks hop-by-hop or destination options (RFC 8200 section 4.2).
func (e *Ext6) options(h []byte) {
	at := 2
	for range maxExtOptions {
		if at >= len(h) {
			return
		}
		kind := h[at]
		if kind == 0 { // Pad1
			at++
			continue
		}
		if at+2 > len(h) || at+2+int(h[at+1]) > len(h) {
			e.problem(ExtParam, 0, IPv6Len+e.Offset+at)
			return
		}
		if kind != 1 { // not PadN: the two high bits say what to do
			switch kind >> 6 {
			case 1:
				e.Verdict = ExtDrop
				return
			case 2:
				e.problem(ExtParam, 2, IPv6Len+e.Offset+at)
				return
			case 3:
				e.problem(ExtParamNotGroup, 2, IPv6Len+e.Offset+at)
				return
			}
		}
		at += 2 + int(h[at+1])
	}
	if at < len(h) {
		e.Verdict = ExtDrop
	}
}

func (e *Ext6) fragment(b []byte) {
	h := b[min(e.Offset, len(b)):]
	if len(h) < FragmentLen {
		e.Verdict = ExtShort
		return
	}
	off := binary.BigEndian.Uint16(h[2:])
	e.HasFrag, e.FragOffset = true, e.Offset
	e.Frag = Fragment6{NextHeader: h[0], Offset: off &^ 7, More: off&1 != 0, ID: binary.BigEndian.Uint32(h[4:])}
	e.NextField, e.Proto = IPv6Len+e.Offset, h[0]
	e.Offset += FragmentLen
}

// Unfragmentable is the length of the headers at the start of chain that every
// fragment has: up to the routing header, else the hop-by-hop options (RFC 8200
// section 4.5).
func Unfragmentable(next uint8, chain []byte) int {
	off, n := 0, 0
	for range maxExtHeaders {
		if off+2 > len(chain) || next != ProtoHopByHop && next != ProtoDstOpts && next != ProtoRouting {
			break
		}
		this := next
		next, off = chain[off], off+(int(chain[off+1])+1)*8
		if this != ProtoDstOpts && off <= len(chain) {
			n = off
		}
	}
	return n
}

// SkipExt finds the upper-layer header behind extension headers without looking
// into them, for a packet that is not going to be delivered. The offset may be
// beyond the end of b.
func SkipExt(next uint8, b []byte) (proto uint8, offset int) {
	for range maxExtHeaders {
		if offset+2 > len(b) {
			return next, offset
		}
		switch next {
		case ProtoHopByHop, ProtoDstOpts, ProtoRouting:
			next, offset = b[offset], offset+(int(b[offset+1])+1)*8
		case ProtoFragment:
			next, offset = b[offset], offset+FragmentLen
		default:
			return next, offset
		}
	}
	return next, offset
}
