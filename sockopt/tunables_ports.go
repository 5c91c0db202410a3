package sockopt

// tcp_extra_priv_ports of illumos: ports that take a privilege though they are not
// below tcp_smallest_nonpriv_port. ndd(8) shows the list and changes it by one port
// at a time, ipadm(8) has all of it as extra_priv_ports.

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxExtraPriv bounds the list, as illumos does (TCP_NUM_EPRIV_PORTS).
const maxExtraPriv = 64

// extraPrivText keeps two bytes for each port, in ascending order.
var extraPrivText = tunableText{
	accepted: fmt.Sprintf("up to %d ports of 1..65535 with commas between, or nothing", maxExtraPriv),
	field:    func(t *Tunables) *string { return &t.ExtraPrivPorts },
	parse: func(value string) (string, bool) {
		if value == "" {
			return "", true
		}
		var list []uint16
		for word := range strings.SplitSeq(value, ",") {
			port, ok := parsePort(word)
			if !ok {
				return "", false
			}
			list = append(list, port)
		}
		return keepPorts(list)
	},
	show: func(kept string) string {
		var words []string
		for _, port := range portList(kept) {
			words = append(words, strconv.Itoa(int(port)))
		}
		return strings.Join(words, ",")
	},
}

func parsePort(word string) (uint16, bool) {
	port, err := strconv.ParseUint(word, 10, 16)
	return uint16(port), err == nil && port != 0
}

func keepPorts(list []uint16) (kept string, ok bool) {
	slices.Sort(list)
	list = slices.Compact(list)
	var b []byte
	for _, port := range list {
		b = binary.BigEndian.AppendUint16(b, port)
	}
	return string(b), len(list) <= maxExtraPriv
}

func portList(kept string) (list []uint16) {
	for i := 0; i+1 < len(kept); i += 2 {
		list = append(list, uint16(kept[i])<<8|uint16(kept[i+1]))
	}
	return list
}

// Names that change a list of ports by one, after the list's own.
const (
	addSuffix = "_add"
	delSuffix = "_del"
)

// edits reports whether name is one that changes the row by one port.
func (r *tunableRow) edits(name string) bool {
	verb, ok := strings.CutPrefix(name, r.name)
	return ok && r.text == &extraPrivText && (verb == addSuffix || verb == delSuffix)
}

// edit changes the row's list by one port, as name says.
func (r *tunableRow) edit(t *Tunables, name, value string) error {
	refuse := func(accepted string) error {
		return fmt.Errorf("tunable %s: value %q; accepted: %s", name, value, accepted)
	}
	kept := r.text.field(t)
	list := portList(*kept)
	port, ok := parsePort(strings.TrimSpace(value))
	at := slices.Index(list, port)
	switch add := strings.HasSuffix(name, addSuffix); {
	case !ok:
		return refuse("a port of 1..65535")
	case add && at >= 0:
		return refuse("a port that is not in the list: " + r.text.show(*kept))
	case !add && at < 0:
		return refuse("a port of the list: " + r.text.show(*kept))
	case add && len(list) >= maxExtraPriv:
		return refuse(fmt.Sprintf("none, as there are %d ports in the list", len(list)))
	case add:
		list = append(list, port)
	default:
		list = slices.Delete(list, at, at+1)
	}
	*kept, _ = keepPorts(list)
	return nil
}

// PortPrivileged reports whether bind(2) to the port takes CAP_NET_BIND_SERVICE.
func (t *Tunables) PortPrivileged(port uint16) bool {
	return port != 0 && (port < t.UnprivilegedPortStart || t.extraPriv(port))
}

func (t *Tunables) extraPriv(port uint16) bool {
	for i := 0; i+1 < len(t.ExtraPrivPorts); i += 2 {
		if port == uint16(t.ExtraPrivPorts[i])<<8|uint16(t.ExtraPrivPorts[i+1]) {
			return true
		}
	}
	return false
}

// PortWithheld is what tells ports that are not chosen for who asks for any, of
// lo..hi; nil: there is none.
func (t *Tunables) PortWithheld(lo, hi uint16) func(port uint16) bool {
	extra := false
	for i := 0; i+1 < len(t.ExtraPrivPorts); i += 2 {
		port := uint16(t.ExtraPrivPorts[i])<<8 | uint16(t.ExtraPrivPorts[i+1])
		extra = extra || lo <= port && port <= hi
	}
	switch {
	case extra:
		return func(port uint16) bool { return t.PortReserved(port) || t.extraPriv(port) }
	case t.ReservedPorts != "":
		return t.PortReserved
	}
	return nil
}
