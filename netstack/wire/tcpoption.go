package wire

// TCP options that few segments carry: RFC 7413 (Fast Open), RFC 2385 (MD5
// signatures), RFC 5925 (TCP-AO). They stay in the header as it arrived.

// Kinds of options that TCP.Raw is kept for.
const (
	OptMD5      = 19
	OptAO       = 29
	OptFastOpen = 34
)

// FastOpen bounds: RFC 7413 section 4.1.1, in bytes of a cookie.
const (
	MinFastOpen = 4
	MaxFastOpen = 16
)

// Option returns the body of the first option of a kind that Raw is kept for; ok
// is false when the segment has none. It aliases Raw.
func (h *TCP) Option(kind byte) (v []byte, ok bool) {
	if len(h.Raw) < TCPMinHeader {
		return nil, false
	}
	for o := h.Raw[TCPMinHeader:]; len(o) > 0; {
		switch {
		case o[0] == optEnd:
			return nil, false
		case o[0] == optNop:
			o = o[1:]
			continue
		case len(o) < 2 || o[1] < 2 || int(o[1]) > len(o):
			return nil, false
		case o[0] == kind:
			return o[2:o[1]], true
		}
		o = o[o[1]:]
	}
	return nil, false
}

// FastOpen is the cookie of a SYN, empty when one is asked for; ok is false
// without the option or with a length that RFC 7413 section 4.1.1 does not allow.
func (h *TCP) FastOpen() (cookie []byte, ok bool) {
	v, ok := h.Option(OptFastOpen)
	if !ok || len(v) != 0 && (len(v) < MinFastOpen || len(v) > MaxFastOpen || len(v)%2 != 0) {
		return nil, false
	}
	return v, true
}

// AppendOption appends an option, padded by NOPs in front to a multiple of four
// bytes.
func AppendOption(b []byte, kind byte, body []byte) []byte {
	for n := len(body) + 2; n%4 != 0; n++ {
		b = append(b, optNop)
	}
	b = append(b, kind, byte(2+len(body)))
	return append(b, body...)
}
