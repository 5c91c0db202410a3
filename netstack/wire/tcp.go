package wire

// TCP segments: RFC 9293 section 3.1 (header), RFC 7323 (window scale and
// timestamps), RFC 2018 (selective acknowledgement), RFC 6691 (MSS), RFC 9768
// section 3 (the AE flag).

import (
	"encoding/binary"
	"errors"
)

// TCPFlags are the control bits of a segment (RFC 9293 section 3.1).
type TCPFlags uint16

// Control bits, in the order of the header's thirteenth byte; TCPAe is the low
// bit of the twelfth.
const (
	TCPFin TCPFlags = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
	TCPUrg
	TCPEce
	TCPCwr
	TCPAe // RFC 9768
)

// String names the bits that are set, as in "SYN|ACK".
func (f TCPFlags) String() string {
	names := [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"}
	s := ""
	for i, n := range names {
		if f&(1<<i) == 0 {
			continue
		}
		if s != "" {
			s += "|"
		}
		s += n
	}
	if s == "" {
		return "none"
	}
	return s
}

// Sizes of a TCP header, in bytes.
const (
	TCPMinHeader = 20
	TCPMaxHeader = 60
)

// MaxSACKBlocks is how many SACK blocks fit into the option space.
const MaxSACKBlocks = 4

// MaxWScale is the largest shift that RFC 7323 section 2.3 allows.
const MaxWScale = 14

// The user timeout option: RFC 5482 section 3.
const (
	UTOMinutes = 1 << 15 // the value counts minutes, not seconds
	MaxUTO     = UTOMinutes - 1
)

// SACKBlock is one received island: Left is its first sequence number, Right
// the one after its last (RFC 2018 section 3).
type SACKBlock struct{ Left, Right uint32 }

// TCP is a TCP header with its options taken apart.
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            TCPFlags
	WScale           int8 // window scale shift, -1 without the option; emitted in SYNs only
	Window           uint16
	Urgent           uint16
	MSS              uint16 // maximum segment size in bytes, 0 without the option; emitted in SYNs only
	SACKPermitted    bool   // emitted in SYNs only
	HasTS            bool
	NSACK            uint8  // valid entries of SACK
	UTO              uint16 // RFC 5482: user timeout with its granularity bit, 0 without the option
	TSVal, TSEcr     uint32
	SACK             [MaxSACKBlocks]SACKBlock
	AccECN           AccECN // not emitted in a SYN without ACK

	// Raw is the whole header as it arrived, if it has an option that no field
	// shows (Option finds it), else nil. It aliases what was parsed and is never
	// emitted.
	Raw []byte
	// Extra are options to emit behind the others: whole ones, padded to a
	// multiple of four bytes. ParseTCP leaves it nil.
	Extra []byte
}

// Failures of ParseTCP.
var (
	ErrTCPShort  = errors.New("tcp: segment shorter than its header")
	ErrTCPOffset = errors.New("tcp: data offset below 5")
)

// Option kinds (IANA TCP option kind numbers).
const (
	optEnd       = 0
	optNop       = 1
	optMSS       = 2
	optWScale    = 3
	optSACKPerm  = 4
	optSACK      = 5
	optTimestamp = 8
	optUTO       = 28
)

// ParseTCP reads the header of segment b into h and returns the payload, which
// aliases b. Options that are malformed end the option list, as the rest of it
// cannot be trusted; what stood before them counts (RFC 9293 section 3.1,
// MUST-7: be prepared for an illegal option length). The checksum is the
// caller's business.
func ParseTCP(b []byte, h *TCP) (payload []byte, err error) {
	if len(b) < TCPMinHeader {
		return nil, ErrTCPShort
	}
	off := int(b[12]>>4) * 4
	if off < TCPMinHeader {
		return nil, ErrTCPOffset
	}
	if off > len(b) {
		return nil, ErrTCPShort
	}
	*h = TCP{
		SrcPort: binary.BigEndian.Uint16(b[0:]),
		DstPort: binary.BigEndian.Uint16(b[2:]),
		Seq:     binary.BigEndian.Uint32(b[4:]),
		Ack:     binary.BigEndian.Uint32(b[8:]),
		Flags:   TCPFlags(b[12]&1)<<8 | TCPFlags(b[13]),
		Window:  binary.BigEndian.Uint16(b[14:]),
		Urgent:  binary.BigEndian.Uint16(b[18:]),
		WScale:  -1,
	}
	if off > TCPMinHeader {
		h.parseOptions(b[TCPMinHeader:off])
		if h.Raw != nil {
			h.Raw = b[:off]
		}
	}
	return b[off:], nil
}

// alignedTS is what nearly every data segment carries: two NOPs and a
// timestamp option of ten bytes (RFC 7323 appendix A).
const alignedTS = optNop<<24 | optNop<<16 | optTimestamp<<8 | 10

func (h *TCP) parseOptions(o []byte) {
	if len(o) == 12 && binary.BigEndian.Uint32(o) == alignedTS {
		h.HasTS = true
		h.TSVal, h.TSEcr = binary.BigEndian.Uint32(o[4:]), binary.BigEndian.Uint32(o[8:])
		return
	}
	for len(o) > 0 {
		kind := o[0]
		if kind == optEnd {
			return
		}
		if kind == optNop {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return
		}
		h.option(kind, o[2:o[1]])
		o = o[o[1]:]
	}
}

// option takes one option's body v. A known kind with a wrong length is
// ignored, as is every unknown kind (RFC 9293 section 3.1, MUST-6).
func (h *TCP) option(kind byte, v []byte) {
	syn := h.Flags&TCPSyn != 0
	switch {
	case kind == optMSS && len(v) == 2 && syn:
		h.MSS = binary.BigEndian.Uint16(v)
	case kind == optWScale && len(v) == 1 && syn:
		// RFC 7323 section 2.3: a shift above 14 is taken as 14.
		h.WScale = int8(min(v[0], MaxWScale))
	case kind == optSACKPerm && len(v) == 0 && syn:
		h.SACKPermitted = true
	case kind == optTimestamp && len(v) == 8:
		h.HasTS = true
		h.TSVal, h.TSEcr = binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:])
	case kind == optUTO && len(v) == 2:
		h.UTO = binary.BigEndian.Uint16(v)
	case kind == OptMD5, kind == OptAO, kind == OptFastOpen && syn:
		h.Raw = v[:0]
	case kind == optSACK && len(v) > 0 && len(v)%8 == 0 && !syn:
		h.NSACK = 0
		for ; len(v) >= 8 && h.NSACK < MaxSACKBlocks; v = v[8:] {
			h.SACK[h.NSACK] = SACKBlock{binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:])}
			h.NSACK++
		}
	case (kind == optAccECN0 || kind == optAccECN1) && h.Flags&(TCPSyn|TCPAck) != TCPSyn:
		h.AccECN.parse(kind, v)
	}
}

// HeaderLen is the length in bytes that AppendTo will emit.
func (h *TCP) HeaderLen() int {
	n := TCPMinHeader
	if h.Flags&TCPSyn != 0 {
		if h.MSS != 0 {
			n += 4
		}
		if h.SACKPermitted && !h.HasTS {
			n += 4
		}
		if h.WScale >= 0 {
			n += 4
		}
	}
	if h.HasTS {
		n += 12
	}
	if h.UTO != 0 {
		n += 4
	}
	n += len(h.Extra)
	if k := h.sackRoom(n); k > 0 {
		n += 4 + 8*k
	}
	return n + h.AccECN.room(h, n)
}

// sackRoom is how many SACK blocks are emitted behind a header of n bytes.
func (h *TCP) sackRoom(n int) int {
	if h.Flags&TCPSyn != 0 || h.NSACK == 0 {
		return 0
	}
	return min(int(h.NSACK), MaxSACKBlocks, (TCPMaxHeader-n-4)/8)
}

// AppendTo appends the header with its options, aligned by NOPs, to b. The
// checksum field is zero; SACK blocks and AccECN counters that
// do not fit are left out.
func (h *TCP) AppendTo(b []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, h.SrcPort)
	b = binary.BigEndian.AppendUint16(b, h.DstPort)
	b = binary.BigEndian.AppendUint32(b, h.Seq)
	b = binary.BigEndian.AppendUint32(b, h.Ack)
	b = append(b, 0, byte(h.Flags))
	b = binary.BigEndian.AppendUint16(b, h.Window)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, h.Urgent)
	if h.Flags&TCPSyn != 0 {
		b = h.appendSYNOptions(b)
	}
	if h.HasTS {
		// In a SYN the SACK-permitted option takes the place of the two NOPs.
		pad := uint32(optNop<<8 | optNop)
		if h.Flags&TCPSyn != 0 && h.SACKPermitted {
			pad = optSACKPerm<<8 | 2
		}
		b = binary.BigEndian.AppendUint32(b, pad<<16|optTimestamp<<8|10)
		b = binary.BigEndian.AppendUint32(b, h.TSVal)
		b = binary.BigEndian.AppendUint32(b, h.TSEcr)
	}
	if h.UTO != 0 {
		b = binary.BigEndian.AppendUint32(b, optUTO<<24|4<<16|uint32(h.UTO))
	}
	if k := h.sackRoom(len(b) - start + len(h.Extra)); k > 0 {
		b = append(b, optNop, optNop, optSACK, byte(2+8*k))
		for _, s := range h.SACK[:k] {
			b = binary.BigEndian.AppendUint32(b, s.Left)
			b = binary.BigEndian.AppendUint32(b, s.Right)
		}
	}
	b = h.AccECN.appendTo(b, h.AccECN.room(h, len(b)-start+len(h.Extra)))
	b = append(b, h.Extra...)
	b[start+12] = byte((len(b)-start)/4)<<4 | byte(h.Flags>>8)&1
	return b
}

func (h *TCP) appendSYNOptions(b []byte) []byte {
	if h.MSS != 0 {
		b = append(b, optMSS, 4, byte(h.MSS>>8), byte(h.MSS))
	}
	if h.SACKPermitted && !h.HasTS {
		b = append(b, optNop, optNop, optSACKPerm, 2)
	}
	if h.WScale >= 0 {
		b = append(b, optNop, optWScale, 3, byte(h.WScale))
	}
	return b
}
