package sockopt

// The IPv4 options that a program gives its packets: IP_OPTIONS of ip(7), RFC 791
// section 3.1. What is refused is what ip_options_compile of Linux refuses.

import "github.com/tcpcni/tcpcni/sockopt/errno"

// maxIPOptions is the room of an IPv4 header for options, in bytes.
const maxIPOptions = 40

// Types of options.
const (
	ipoptEnd         = 0
	ipoptNop         = 1
	ipoptRecord      = 7
	ipoptTimestamp   = 68
	ipoptLooseRoute  = 131
	ipoptCIPSO       = 134
	ipoptStrictRoute = 137
	ipoptRouterAlert = 148
)

// ipoptChecks look at one option, from its type to its end, by type; false is
// EINVAL. They clear the slots that the sender will fill.
var ipoptChecks = map[byte]func(opt []byte, raw bool) bool{
	ipoptLooseRoute:  goodRoute,
	ipoptStrictRoute: goodRoute,
	ipoptRecord:      goodRecord,
	ipoptTimestamp:   goodTimestamp,
	ipoptRouterAlert: func(opt []byte, _ bool) bool { return len(opt) >= 4 },
	ipoptCIPSO:       func([]byte, bool) bool { return false }, // no security labels
}

// onceOnly are groups of options of which there is one at most.
var onceOnly = map[byte]int{ipoptLooseRoute: routes, ipoptStrictRoute: routes, ipoptRecord: 2, ipoptTimestamp: 4}

const routes = 1 // the group of source routes

// CompileIPOptions checks options and fills them up to a multiple of 4 bytes.
// Other than the ones that every program may send need raw (CAP_NET_RAW).
// Errors: EINVAL; EPERM for a source route without raw.
func CompileIPOptions(given []byte, raw bool) ([]byte, error) {
	if len(given) > maxIPOptions {
		return nil, errno.EINVAL
	}
	b := append(make([]byte, 0, maxIPOptions), given...)
	for len(b)%4 != 0 {
		b = append(b, ipoptEnd)
	}
	seen := 0
	for o := b; len(o) > 0; {
		switch o[0] {
		case ipoptEnd:
			clear(o)
			return allowed(b, seen, raw)
		case ipoptNop:
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return nil, errno.EINVAL
		}
		opt := o[:o[1]]
		group := onceOnly[opt[0]]
		check, known := ipoptChecks[opt[0]]
		if seen&group != 0 || !known && !raw || known && !check(opt, raw) {
			return nil, errno.EINVAL
		}
		seen |= group
		o = o[len(opt):]
	}
	return allowed(b, seen, raw)
}

// allowed says who may choose a way: newer kernels of Linux 6.18 want CAP_NET_RAW
// for a source route that has no fault.
func allowed(b []byte, seen int, raw bool) ([]byte, error) {
	if seen&routes != 0 && !raw {
		return nil, errno.EPERM
	}
	return b, nil
}

func goodRoute(opt []byte, _ bool) bool {
	return len(opt) >= 7 && opt[2] == 4 && (len(opt)-3)%4 == 0
}

func goodRecord(opt []byte, _ bool) bool {
	if len(opt) < 3 || opt[2] < 4 {
		return false
	}
	next := int(opt[2])
	if next > len(opt) {
		return true // full
	}
	if next+3 > len(opt) {
		return false
	}
	clear(opt[next-1 : next+3])
	return true
}

// goodTimestamp looks at RFC 791's timestamps: 0 asks for times alone, 1 for
// addresses as well, 3 has the addresses of those who are asked.
func goodTimestamp(opt []byte, raw bool) bool {
	if len(opt) < 4 || opt[2] < 5 {
		return false
	}
	next, kind, missed := int(opt[2]), opt[3]&15, opt[3]>>4
	if next > len(opt) {
		return kind == 3 || missed != 15
	}
	if next+3 > len(opt) || (kind == 1 || kind == 3) && next+7 > len(opt) {
		return false
	}
	switch kind {
	case 0:
		clear(opt[next-1 : next+3])
	case 1:
		clear(opt[next-1 : next+7])
	case 3:
	default:
		return raw
	}
	return true
}

func setIPOptions(c *call, val []byte) error {
	b, err := CompileIPOptions(val, c.priv.NetRaw)
	if err != nil {
		return err
	}
	c.o.SetRare(func(r *Rare) { r.IPOptions = string(b) })
	return nil
}

func getIPOptions(c *call, b []byte, _ int) ([]byte, error) {
	return append(b, c.o.Rare().IPOptions...), nil
}
