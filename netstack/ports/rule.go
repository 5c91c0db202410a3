package ports

import (
	"fmt"
	"slices"
	"strings"
)

// A Rule decides whether a claim that is wanted must be refused because of one
// that is held on the same port. With choosing, the port is not the program's
// wish but a candidate for port 0, and a system may be more particular.
type Rule func(want, held *Claim, choosing bool) (conflict bool)

// rules are the systems' rules by the name that a profile gives.
var rules = map[string]Rule{
	"linux": Linux,
}

// RuleByName returns the rule that a profile names.
func RuleByName(name string) (Rule, error) {
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

// Linux is the rule of Linux 6.x for TCP and UDP. Claims that overlap may share
// a port when both have SO_REUSEADDR and the held one does not listen, or when
// both have SO_REUSEPORT and belong to one user. A port chosen by the system is
// never shared by overlapping claims.
//
// The owner of what is in TIME-WAIT does not matter for SO_REUSEPORT.
func Linux(want, held *Claim, choosing bool) bool {
	switch {
	case !want.Overlaps(held):
		return false
	case choosing:
		return true
	case want.ReuseAddr && held.ReuseAddr && !held.Listening:
		return false
	case want.ReusePort && held.ReusePort && (want.UID == held.UID || held.TimeWait):
		return false
	}
	return true
}
