package sockopt

// Tunables that are neither numbers nor names from a list.

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A tunableText is how such a value is read and shown.
type tunableText struct {
	accepted string
	field    func(t *Tunables) *string
	parse    func(value string) (kept string, ok bool)
	show     func(kept string) string
}

// noKey is how Linux shows that there is no key.
const noKey = "00000000-00000000-00000000-00000000"

// fastOpenKeyText is tcp_fastopen_key: four numbers in hexadecimal, whose bytes
// are in the order of a little-endian machine, as TCP_FASTOPEN_KEY has them.
var fastOpenKeyText = tunableText{
	accepted: "4 hexadecimal numbers of up to 8 digits with - between, twice with a comma between for a second key",
	field:    func(t *Tunables) *string { return &t.FastOpenKey },
	parse: func(value string) (string, bool) {
		if value == noKey {
			return "", true
		}
		var key []byte
		keys := strings.Split(value, ",")
		if len(keys) > 2 {
			return "", false
		}
		for _, k := range keys {
			words := strings.Split(k, "-")
			if len(words) != 4 {
				return "", false
			}
			for _, w := range words {
				n, err := strconv.ParseUint(w, 16, 32)
				if err != nil || len(w) > 8 {
					return "", false
				}
				key = binary.LittleEndian.AppendUint32(key, uint32(n))
			}
		}
		return string(key), true
	},
	show: func(kept string) string {
		if kept == "" {
			return noKey
		}
		var keys []string
		for key := range slices.Chunk([]byte(kept), 16) {
			n := binary.LittleEndian.Uint32
			keys = append(keys, fmt.Sprintf("%08x-%08x-%08x-%08x", n(key), n(key[4:]), n(key[8:]), n(key[12:])))
		}
		return strings.Join(keys, ",")
	},
}

// reservedPortsText is ip_local_reserved_ports: ports and ranges of them with
// commas between. What is kept are the first and last port of each range, two
// bytes each, ascending and apart.
var reservedPortsText = tunableText{
	accepted: "ports of 0..65535 and ranges FIRST-LAST with commas between, or nothing",
	field:    func(t *Tunables) *string { return &t.ReservedPorts },
	parse: func(value string) (string, bool) {
		if value == "" {
			return "", true
		}
		var list [][2]uint16
		for part := range strings.SplitSeq(value, ",") {
			first, last, span := strings.Cut(part, "-")
			if !span {
				last = first
			}
			lo, err := strconv.ParseUint(first, 10, 16)
			hi, err2 := strconv.ParseUint(last, 10, 16)
			if err != nil || err2 != nil || lo > hi {
				return "", false
			}
			list = append(list, [2]uint16{uint16(lo), uint16(hi)})
		}
		slices.SortFunc(list, func(a, b [2]uint16) int { return int(a[0]) - int(b[0]) })
		joined := list[:1]
		for _, r := range list[1:] {
			if last := &joined[len(joined)-1]; int(r[0]) <= int(last[1])+1 {
				last[1] = max(last[1], r[1])
			} else {
				joined = append(joined, r)
			}
		}
		var kept []byte
		for _, r := range joined {
			kept = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(kept, r[0]), r[1])
		}
		return string(kept), true
	},
	show: func(kept string) string {
		var parts []string
		for r := range slices.Chunk([]byte(kept), portRangeLen) {
			lo, hi := binary.BigEndian.Uint16(r), binary.BigEndian.Uint16(r[2:])
			part := strconv.Itoa(int(lo))
			if lo != hi {
				part += "-" + strconv.Itoa(int(hi))
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ",")
	},
}

// portRangeLen is the length of a range in Fine.ReservedPorts, in bytes.
const portRangeLen = 4

// PortReserved reports whether ip_local_reserved_ports names the port: it is not
// chosen for who asks for any.
func (t *Tunables) PortReserved(port uint16) bool {
	list := t.ReservedPorts
	lo, hi := 0, len(list)/portRangeLen // the first range that begins above port
	for lo < hi {
		if mid := (lo + hi) / 2; portAt(list, mid) > port {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo > 0 && port <= uint16(list[lo*portRangeLen-2])<<8|uint16(list[lo*portRangeLen-1])
}

func portAt(list string, i int) uint16 {
	return uint16(list[i*portRangeLen])<<8 | uint16(list[i*portRangeLen+1])
}

// Nonlocal reports whether a program may bind to an address that is not one of
// the stack's: ip_nonlocal_bind of the address's family.
func (t *Tunables) Nonlocal(a netip.Addr) bool {
	if a.Is4() {
		return t.NonlocalBind
	}
	return t.NonlocalBind6
}
