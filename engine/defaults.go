package engine

// Values that TCP sockets start with because the configuration says so, by
// direction, peer and port: "TCP_CONGESTION reno for everything that leaves to
// port 443". When they count:
//
//   - connect: before the SYN is made, so every field of it obeys. A socket that
//     connects a second time gets the values for its new peer;
//   - a SYN for a listener: before the SYN-ACK is made, for its window, window
//     scale, MSS, TTL and TOS, and again when the connection is accepted, for the
//     rest. A SYN cookie holds no state and does not need any.
//
// Connections of programs that are not intercepted have their values on the side
// of the network, where the engine speaks TCP for them: as outgoing ones before
// the SYN, as incoming ones before the SYN-ACK, which waits for the program's
// answer. What such a program sets, it sets on its own kernel's side.
//
// A program's own setsockopt wins: for what it does later by itself, for what it
// did before because the options that it has set are left alone, on a listener
// for every connection that is accepted from it. The rules apply in order; of two
// that give a value to one option the later one wins.

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpcni/tcpcni/sockopt"
)

// Directions of a SocketMatch.
const (
	DirectionIn  = "in"  // connections that a listener accepts
	DirectionOut = "out" // connections that a program opens
)

// A SocketRule gives values to the options of the TCP sockets that it matches.
type SocketRule struct {
	Match SocketMatch `json:"match,omitzero"` // the zero value matches every socket
	// Set holds values by the names of options, as Profile.ParseSetting reads
	// them.
	Set map[string]string `json:"set"`
	// Unprivileged rules come from a pod: options and values that take a
	// capability are refused.
	Unprivileged bool `json:"unprivileged,omitempty"`
}

// A SocketMatch chooses sockets. An absent field matches all.
type SocketMatch struct {
	Direction string       `json:"direction,omitempty"` // DirectionIn or DirectionOut
	Address   netip.Prefix `json:"address,omitzero"`    // of the peer
	Port      string       `json:"port,omitempty"`      // "443" or "8000-9000": the peer's port when outgoing, the socket's own when incoming
}

// maxRules bounds the rules of a sandbox: each connection looks at all of them.
const maxRules = 512

// Defaults are the rules of a sandbox, ready for use.
type Defaults struct {
	profile *sockopt.Profile
	rules   []rule
	found   []sockopt.Setting // memory of the last lookup
}

type rule struct {
	out, in bool
	peer    netip.Prefix // the zero value is every address
	lo, hi  uint16       // ports
	set     []sockopt.Setting
}

// NewDefaults checks the rules against the options that the profile has. Its
// errors begin with the position of the rule in brackets and name the field, the
// value and what is accepted.
func NewDefaults(p *sockopt.Profile, rules []SocketRule) (*Defaults, error) {
	if len(rules) > maxRules {
		return nil, fmt.Errorf(": %d rules: accepted: at most %d", len(rules), maxRules)
	}
	d := &Defaults{profile: p}
	for i := range rules {
		r, err := rules[i].compile(p)
		if err != nil {
			return nil, fmt.Errorf("[%d]%w", i, err)
		}
		d.rules = append(d.rules, r)
	}
	return d, nil
}

func (sr *SocketRule) compile(p *sockopt.Profile) (r rule, err error) {
	m := &sr.Match
	switch m.Direction {
	case "":
		r.in, r.out = true, true
	case DirectionIn:
		r.in = true
	case DirectionOut:
		r.out = true
	default:
		return r, fmt.Errorf(".match.direction: %q: accepted: %q or %q", m.Direction, DirectionIn, DirectionOut)
	}
	if m.Address.IsValid() && (m.Address != m.Address.Masked() || m.Address.Addr().Is4In6()) {
		return r, fmt.Errorf(".match.address: %q: accepted: a prefix such as 10.0.0.0/8 or fd00::/8 without bits behind its length", m.Address)
	}
	r.peer = m.Address
	if r.lo, r.hi, err = parsePorts(m.Port); err != nil {
		return r, fmt.Errorf(".match.port: %w", err)
	}
	if len(sr.Set) == 0 {
		return r, fmt.Errorf(".set: {}: accepted: at least one option")
	}
	names := make([]string, 0, len(sr.Set))
	for name := range sr.Set {
		names = append(names, name)
	}
	slices.Sort(names) // the same mistake gives the same message, and one order of setting
	for _, name := range names {
		s, err := p.ParseSetting(name, sr.Set[name], sockopt.Privilege{NetAdmin: !sr.Unprivileged, NetRaw: !sr.Unprivileged})
		if err != nil {
			return r, fmt.Errorf(".set: %w", err)
		}
		r.set = append(r.set, s)
	}
	return r, nil
}

// parsePorts reads "443" or "8000-9000"; "" is every port.
func parsePorts(s string) (lo, hi uint16, err error) {
	if s == "" {
		return 0, 65535, nil
	}
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if cmp.Or(errA, errB) != nil || a == 0 || a > b {
		return 0, 0, fmt.Errorf(`%q: accepted: a port from 1 to 65535 or a range such as "8000-9000"`, s)
	}
	return uint16(a), uint16(b), nil
}

// Outgoing gives the options of a socket of the domain (sockopt.AFInet or
// AFInet6) that is about to connect to remote the values of its rules. It is
// called before the SYN is made.
func (d *Defaults) Outgoing(o *sockopt.Options, domain int, remote netip.AddrPort) {
	d.apply(o, domain, remote.Addr(), remote.Port(), func(r *rule) bool { return r.out })
}

// Incoming gives the options of a connection that remote opens to local the
// values of its rules; o are those of the listener. It is what
// tcp.Layer.SetDefaults takes.
func (d *Defaults) Incoming(o *sockopt.Options, domain int, local, remote netip.AddrPort) {
	d.apply(o, domain, remote.Addr(), local.Port(), func(r *rule) bool { return r.in })
}

func (d *Defaults) apply(o *sockopt.Options, domain int, peer netip.Addr, port uint16, direction func(*rule) bool) {
	d.found = d.found[:0]
	peer = peer.Unmap().WithZone("")
	for i := range d.rules {
		r := &d.rules[i]
		if direction(r) && r.lo <= port && port <= r.hi && (!r.peer.IsValid() || r.peer.Contains(peer)) {
			d.found = append(d.found, r.set...)
		}
	}
	d.profile.ApplyDefaults(o, domain, d.found)
}
