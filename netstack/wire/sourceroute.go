package wire

// Source routes: RFC 791 section 3.1, and how a host answers over one, RFC 1122
// section 3.2.1.8.

import (
	"net/netip"
	"slices"
)

// Bytes of a source route option in front of its addresses: type, length,
// pointer.
const routeHeader = 3

// ReverseRoute turns the source route in options, the raw and well formed
// options of a packet from src that has reached its destination, round: the
// routers backwards, then src. The kind, loose or strict, stays. A route that
// names no router needs no reversal and is nil. It is not ok when the packet
// had not come to its end, which makes this host one of the routers, when there
// are two routes, which RFC 1122 forbids, or when an address is none of a
// router.
func ReverseRoute(options []byte, src netip.Addr) (r *OutOptions, ok bool) {
	var opt []byte
	for o := options; len(o) > 0 && o[0] != ipOptEnd; {
		if o[0] == ipOptNop {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return nil, false
		}
		if o[0] == ipOptLSRR || o[0] == ipOptSSRR {
			if opt != nil {
				return nil, false
			}
			opt = o[:o[1]]
		}
		o = o[o[1]:]
	}
	if opt == nil {
		return nil, true
	}
	if len(opt) < routeHeader || (len(opt)-routeHeader)%4 != 0 || int(opt[2]) != len(opt)+1 {
		return nil, false
	}
	hops := make([]netip.Addr, 0, 10)
	for b := opt[routeHeader:]; len(b) > 0; b = b[4:] {
		a := netip.AddrFrom4([4]byte(b))
		if a.IsMulticast() || a.IsLoopback() || a.IsUnspecified() || b[0] >= 240 {
			return nil, false
		}
		hops = append(hops, a)
	}
	// Some senders record themselves in front of the routers; the way back must
	// not name them twice (RFC 1122 section 3.2.1.8, case B).
	if len(hops) > 0 && hops[0] == src {
		hops = hops[1:]
	}
	if len(hops) == 0 {
		return nil, true
	}
	slices.Reverse(hops)
	back := make([]byte, 0, len(opt)+3)
	back = append(back, opt[0], byte(routeHeader+4*len(hops)), routeHeader+1)
	for _, a := range append(hops[1:], src) {
		four := a.As4()
		back = append(back, four[:]...)
	}
	return &OutOptions{First: hops[0], Strict: opt[0] == ipOptSSRR, Options: append(back, ipOptEnd)}, true
}
