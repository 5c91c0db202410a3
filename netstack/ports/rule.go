package ports

import (
	"fmt"
	"slices"
	"strings"
)

// A Rule is how one system decides who may share a port.
type Rule struct {
	// Refuse reports whether the claim that is wanted may not have the port.
	Refuse func(q *Query) bool

	// RefuseListen reports whether want may not listen beside held.
	RefuseListen func(want, held *Claim) bool

	// PeersShare says that a connection's port, when nobody asked for one, may
	// be that of other connections to other peers. Without it a port is chosen
	// as for bind(2).
	PeersShare bool
}

// A Query is a claim that asks for a port.
type Query struct {
	Want     *Claim
	Choosing bool // the port is not the program's wish but a candidate for port 0
	Datagram bool // the table is that of datagram sockets

	first *Claim
}

// Held yields the other claims to the port, the newest first.
func (q *Query) Held(yield func(*Claim) bool) {
	for c := q.first; c != nil; c = c.next {
		if c != q.Want && !yield(c) {
			return
		}
	}
}

// any reports whether some claim on the port stands in the way of the one that
// is wanted.
func (q *Query) any(clash func(want, held *Claim) bool) bool {
	for held := range q.Held {
		if clash(q.Want, held) {
			return true
		}
	}
	return false
}

// rules are the systems' rules by the name that a profile gives.
var rules = map[string]*Rule{
	"linux":   &Linux,
	"illumos": &Illumos,
	"freebsd": &FreeBSD,
	"sortix":  &Sortix,
	"cxux":    &CXUX,
}

// RuleByName returns the rule that a profile names.
func RuleByName(name string) (*Rule, error) {
	if r, ok := rules[name]; ok {
		return r, nil
	}
	var names []string
	for n := range rules {
		names = append(names, n)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("bind rule %q is unknown; accepted: %s", name, strings.Join(names, ", "))
}

// twoListeners is RefuseListen of the systems that decide when a socket is
// bound: an address has one listener, unless several were let to share it on
// purpose. Without it who gets a connection would be a matter of chance.
func twoListeners(want, held *Claim) bool {
	if held.state() != Listen || !want.Overlaps(held) || !want.sameAddr(held) {
		return false
	}
	return !(want.ReusePort && held.ReusePort) && !(want.ReusePortLB && held.ReusePortLB)
}
