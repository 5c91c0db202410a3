package wire

// The AccECN options: RFC 9768 section 3.2.3. They carry the low 24 bits of the
// counts of payload bytes that a receiver has seen with each codepoint of the IP
// header's ECN field; there are two kinds, which differ in the order.

// Option kinds (IANA TCP option kind numbers).
const (
	optAccECN0 = 172
	optAccECN1 = 174
)

// AccECNMask are the bits of a counter that the option carries.
const AccECNMask = 1<<24 - 1

// An AccECN is an AccECN option: the counters, of 24 bits each, in the order in
// which they matter to who sends them. Fields that are left out, at the end, did
// not change.
type AccECN struct {
	Present bool
	ECT1    bool  // kind 174: the order is ECT(1), CE, ECT(0), else ECT(0), CE, ECT(1)
	N       uint8 // valid fields, 0..3
	Fields  [3]uint32
}

// Bytes are the counters by codepoint. A counter that the option does not have
// keeps the value in was.
func (o *AccECN) Bytes(e0, ce, e1 *uint32) {
	order := [3]*uint32{e0, ce, e1}
	if o.ECT1 {
		order = [3]*uint32{e1, ce, e0}
	}
	for i := range o.N {
		*order[i] = o.Fields[i]
	}
}

// parse takes the body of an option: of a length that is no number of fields, the
// whole fields count (section 3.2.3).
func (o *AccECN) parse(kind byte, v []byte) {
	*o = AccECN{Present: true, ECT1: kind == optAccECN1}
	for ; len(v) >= 3 && o.N < 3; v = v[3:] {
		o.Fields[o.N] = uint32(v[0])<<16 | uint32(v[1])<<8 | uint32(v[2])
		o.N++
	}
}

// room is how many bytes the option takes behind a header of n bytes, with its
// padding: 0 when it is absent or does not fit, as what has changed must not be
// cut off (section 3.2.3.3).
func (o *AccECN) room(h *TCP, n int) int {
	size := (2 + 3*int(min(o.N, 3)) + 3) &^ 3
	if !o.Present || h.Flags&(TCPSyn|TCPAck) == TCPSyn || size > TCPMaxHeader-n {
		return 0
	}
	return size
}

// appendTo appends the option in room bytes.
func (o *AccECN) appendTo(b []byte, room int) []byte {
	if room == 0 {
		return b
	}
	fields := min(int(o.N), 3)
	size := 2 + 3*fields
	for i := size; i < room; i++ {
		b = append(b, optNop)
	}
	kind := byte(optAccECN0)
	if o.ECT1 {
		kind = optAccECN1
	}
	b = append(b, kind, byte(size))
	for _, f := range o.Fields[:fields] {
		b = append(b, byte(f>>16), byte(f>>8), byte(f))
	}
	return b
}
