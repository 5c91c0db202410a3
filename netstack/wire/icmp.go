package wire

// ICMP: RFC 792, RFC 1191 (next-hop MTU), RFC 4443 (ICMPv6). Both share a
// header of type, code, checksum and one 32-bit word.

import (
	"encoding/binary"
	"net/netip"
)

// ICMPLen is the length of the common header in bytes.
const ICMPLen = 8

// ICMPv4 types and the codes that are used here.
const (
	ICMP4EchoReply       = 0
	ICMP4Unreachable     = 3
	ICMP4Redirect        = 5
	ICMP4Echo            = 8
	ICMP4RouterAdvert    = 9
	ICMP4RouterSolicit   = 10
	ICMP4TimeExceeded    = 11
	ICMP4ParamProblem    = 12
	ICMP4CodeNet         = 0
	ICMP4CodeHost        = 1
	ICMP4CodeProtocol    = 2
	ICMP4CodePort        = 3
	ICMP4CodeFragNeeded  = 4
	ICMP4CodeReassembly  = 1 // of ICMP4TimeExceeded
	ICMP4CodeSourceRoute = 5
	ICMP4CodeProhibited  = 13
)

// ICMPv6 types and the codes that are used here.
const (
	ICMP6Unreachable        = 1
	ICMP6TooBig             = 2
	ICMP6TimeExceeded       = 3
	ICMP6ParamProblem       = 4
	ICMP6Echo               = 128
	ICMP6EchoReply          = 129
	ICMP6MLDQuery           = 130
	ICMP6MLDv1Report        = 131
	ICMP6MLDv2Report        = 143
	ICMP6RouterSolicit      = 133
	ICMP6RouterAdvert       = 134
	ICMP6NeighborSolicit    = 135
	ICMP6NeighborAdvert     = 136
	ICMP6Redirect           = 137
	ICMP6CodeNoRoute        = 0
	ICMP6CodeProhibited     = 1
	ICMP6CodePort           = 4
	ICMP6CodeAddr           = 3
	ICMP6CodeReassembly     = 1 // of ICMP6TimeExceeded
	ICMP6CodeBadHeader      = 0 // of ICMP6ParamProblem
	ICMP6CodeBadNextHeader  = 1
	ICMP6CodeBadOption      = 2
	icmp6InformationalFirst = 128
)

// ICMP6Administers reports whether messages of a type change how the hosts and
// routers of a link are set up, apart from those of RFC 4861: no router passes
// them on without knowing who sent them (RFC 4890 section 4.3). They are router
// renumbering (RFC 2894), inverse discovery (RFC 3122), certification paths (RFC
// 3971) and multicast router discovery (RFC 4286).
func ICMP6Administers(typ uint8) bool {
	switch typ {
	case 138, 141, 142, 148, 149, 151, 152, 153:
		return true
	}
	return false
}

// ICMP is the header of an ICMPv4 or ICMPv6 message.
type ICMP struct {
	Type, Code uint8
	Rest       uint32 // identifier and sequence number, MTU, pointer, … by type
}

// Is6Error reports whether h, an ICMPv6 header, is an error message (RFC 4443
// section 2.1).
func (h *ICMP) Is6Error() bool { return h.Type < icmp6InformationalFirst }

// ParseICMP4 reads message b and verifies its checksum (RFC 1122 section 3.2.2).
func ParseICMP4(b []byte, h *ICMP) (body []byte, err error) {
	return parseICMP(b, h, 0)
}

// ParseICMP6 reads message b, carried from src to dst, and verifies its
// checksum (RFC 4443 section 2.3).
func ParseICMP6(src, dst netip.Addr, b []byte, h *ICMP) (body []byte, err error) {
	return parseICMP(b, h, PseudoSum(src, dst, ProtoICMP6, len(b)))
}

func parseICMP(b []byte, h *ICMP, pseudo uint16) (body []byte, err error) {
	if len(b) < ICMPLen {
		return nil, ErrShort
	}
	if Sum(b, pseudo) != 0xffff {
		return nil, ErrChecksum
	}
	return ICMPUnverified(b, h), nil
}

// AppendTo appends the header to b.
func (h *ICMP) AppendTo(b []byte) []byte {
	b = append(b, h.Type, h.Code, 0, 0)
	return binary.BigEndian.AppendUint32(b, h.Rest)
}

// ICMPUnverified reads message b, at least ICMPLen bytes, whose checksum the
// caller does not want verified.
func ICMPUnverified(b []byte, h *ICMP) (body []byte) {
	*h = ICMP{Type: b[0], Code: b[1], Rest: binary.BigEndian.Uint32(b[4:])}
	return b[ICMPLen:]
}
