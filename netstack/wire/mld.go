package wire

// Multicast listener discovery: RFC 3810 (MLDv2), RFC 2710 (MLDv1), RFC 2711
// (router alert).

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Groups that reports are sent to (RFC 3810 section 5.2.14).
var AllMLDv2Routers = netip.MustParseAddr("ff02::16")

// Record types of an MLDv2 report (RFC 3810 section 5.2.12).
const (
	MLDIsExclude = 2 // listening, in answer to a query
	MLDToExclude = 4 // has begun to listen
)

// Lengths of queries, in bytes behind the first four of the ICMPv6 header.
const (
	mldV1Query = 20
	mldV2Query = 24
)

// MLDQuery is a listener query.
type MLDQuery struct {
	V1       bool
	MaxDelay time.Duration // by when to answer
	Group    netip.Addr    // unspecified: all groups
}

// ParseMLDQuery reads the query whose ICMPv6 header is h and whose body is what
// follows it.
func ParseMLDQuery(h *ICMP, body []byte, q *MLDQuery) error {
	n := len(body) + 4 // the header's last word is part of the query
	if n < mldV1Query || n > mldV1Query && n < mldV2Query {
		return ErrShort
	}
	q.V1 = n == mldV1Query // RFC 3810 section 8.1
	code := h.Rest >> 16
	delay := time.Duration(code)
	if !q.V1 && code >= 1<<15 {
		// RFC 3810 section 5.1.3: a floating-point number.
		delay = time.Duration(code&0xfff|0x1000) << (code>>12&7 + 3)
	}
	q.MaxDelay = delay * time.Millisecond
	q.Group = netip.AddrFrom16([16]byte(body[:16]))
	if !q.Group.IsUnspecified() && !q.Group.IsMulticast() {
		return ErrFormat
	}
	return nil
}

// RouterAlert is the hop-by-hop header, 8 bytes, in front of every MLD message
// (RFC 3810 section 5).
var RouterAlert = [8]byte{ProtoICMP6, 0, 5, 2, 0, 0, 1, 0}

// AppendMLDv2Report appends a report, ICMPv6 header first, that has one record
// of the given type for each group.
func AppendMLDv2Report(b []byte, record uint8, groups []netip.Addr) []byte {
	b = append(b, ICMP6MLDv2Report, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(groups)))
	for _, g := range groups {
		a := g.As16()
		b = append(append(b, record, 0, 0, 0), a[:]...)
	}
	return b
}

// AppendMLDv1Report appends a report of one group.
func AppendMLDv1Report(b []byte, group netip.Addr) []byte {
	a := group.As16()
	return append(append(b, ICMP6MLDv1Report, 0, 0, 0, 0, 0, 0, 0), a[:]...)
}
