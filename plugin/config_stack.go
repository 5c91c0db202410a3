package plugin

// Keys that are for the stack: tunables, socket options, bandwidth.

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/sockopt"
)

// profiles are those of the table of profiles, by name, and theirs are the tunables.
// They are looked at only.
var profiles = sync.OnceValue(func() map[string]*known {
	all := make(map[string]*known)
	for _, name := range sockopt.ProfileNames() {
		p, err := sockopt.ProfileByName(name)
		if err != nil {
			panic(err)
		}
		all[name] = &known{p, p.TunableTable()}
	}
	return all
})

type known struct {
	*sockopt.Profile
	tunables []sockopt.Tunable
}

// profileOf is the profile of a name in the table of profiles.
func profileOf(name string) *sockopt.Profile { return profiles()[name].Profile }

// scalar is a value that may be written as a string, a number or a boolean: a
// person writes 200 as soon as "200". A value that switches is 0 or 1, as in
// sysctl. lo and hi bound the number, both zero for no bounds.
func scalar(accepted string, lo, hi int64) shape {
	return shape{accepted: accepted, either: []*shape{
		{kind: aString, accepted: accepted},
		{kind: anInt, accepted: accepted, min: lo, max: hi},
		{kind: aBool, accepted: accepted},
	}}
}

// word is a scalar that is one of a few names.
func word(names []string) shape { return oneOf(names...) }

// scalarText is a scalar as the stack reads it.
func scalarText(raw json.RawMessage) string {
	switch kindOf(raw) {
	case aString:
		return text(raw)
	case aBool:
		if raw[0] == 't' {
			return "1"
		}
		return "0"
	}
	return string(raw)
}

// tunablesShape knows the tunables of all profiles; whether the chosen one has
// them, and their ranges, checkStack asks the profile itself.
func tunablesShape() shape {
	s := object("an object of names and values").is("tunables of the stack, see docs/tunables.md")
	words := tunableWords()
	add := func(name string, t *sockopt.Tunable) {
		t.Words = words[name]
		if find(s.members, name) == nil {
			s.members = append(s.members, key{name: name, def: t.Default, shape: tunableShape(t)})
		}
	}
	for _, name := range slices.Concat([]string{"linux"}, sockopt.ProfileNames()) { // a name's default is that of its own system
		for _, t := range profiles()[name].tunables {
			if t.Own && !t.ReadOnly {
				add(t.Short, &t)
				add(t.Name, &t)
			}
		}
	}
	return s
}

// tunableWords are what the tunables that are words may be in any profile, by name.
func tunableWords() map[string][]string {
	words := make(map[string][]string)
	for _, profile := range sockopt.ProfileNames() {
		for _, t := range profiles()[profile].tunables {
			if t.Words != nil {
				words[t.Short], words[t.Name] = union(words[t.Short], t.Words), union(words[t.Name], t.Words)
			}
		}
	}
	return words
}

// union is a with what only b has behind it.
func union(a, b []string) []string {
	for _, w := range b {
		if !slices.Contains(a, w) {
			a = append(slices.Clip(a), w)
		}
	}
	return a
}

// congestions are the names of congestion control in any profile.
func congestions() []string {
	var names []string
	for _, profile := range sockopt.ProfileNames() {
		names = union(names, profileOf(profile).Congestion)
	}
	return names
}

func tunableShape(t *sockopt.Tunable) shape {
	accepted := t.Accepted + ", as a string, a number, true (1) or false (0)"
	switch {
	case t.Words != nil:
		return word(t.Words).is(t.Unit)
	case t.Numbers != 1:
		return str(t.Accepted + ", in a string").is(t.Unit)
	}
	return scalar(accepted, 0, 0).is(t.Accepted + ", " + t.Unit)
}

func readTunables(c *Config, _ string, raw json.RawMessage) error {
	c.Tunables = scalars(raw)
	return nil
}

// scalars reads an object of scalars.
func scalars(raw json.RawMessage) map[string]string {
	list, _ := members(raw) // the shape has looked at it
	set := make(map[string]string, len(list))
	for _, m := range list {
		set[m.key] = scalarText(m.value)
	}
	return set
}

// rulesShape is that of socketOptions.
func rulesShape() shape {
	set := object("an object of at least one option and its value").is("options and their values, see docs/options.md")
	for _, name := range sockopt.ProfileNames() {
		p := profileOf(name)
		for _, r := range p.DefaultRows() {
			if find(set.members, r.Name) == nil {
				set.members = append(set.members, key{name: r.Name, shape: optionShape(p, &r)})
			}
		}
	}
	set.fewest = 1
	match := object(`an object with "direction", "address", "port"`,
		key{name: "direction", def: "both", shape: oneOf(engine.DirectionIn, engine.DirectionOut).is("in: accepted connections, out: opened ones")},
		key{name: "address", def: "all", shape: strOf(`^[0-9A-Fa-f.:]+/[0-9]{1,3}$`, "a prefix such as 10.0.0.0/8 or fd00::/8").checked(checkPrefix).is("of the peer")},
		key{name: "port", def: "all", shape: strOf(`^`+portPattern+`(-`+portPattern+`)?$`, `a port from 1 to 65535 such as "443", or a range such as "8000-9000"`).
			is("the peer's port of an opened connection, the sandbox's port of an accepted one")},
	).is("which connections; without it, all")
	rule := object(`an object with "match" and "set"`, key{name: "match", shape: match}, key{name: "set", shape: set}).must("set")
	s := listOf("a list of rules", rule).is("values that TCP sockets start with; of two rules for one option the later one wins, and a program's own setsockopt before both")
	s.most = maxRules
	return s
}

// portPattern is a number from 1 to 65535.
const portPattern = `([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])`

const maxRules = 128 // of the configuration; engine.NewDefaults has room for a pod's as well

func optionShape(p *sockopt.Profile, r *sockopt.Row) shape {
	accepted := p.ValueOf(r)
	if r.ID == sockopt.Congestion {
		return word(congestions())
	}
	lo, hi, same := optionRange(r)
	if !same {
		accepted += "; other profiles have other bounds"
	}
	return scalar(accepted, lo, hi).is(accepted)
}

// optionRange are the bounds within which any profile takes the option's value,
// both zero for none; same reports whether they are those of all of them.
func optionRange(r *sockopt.Row) (lo, hi int64, same bool) {
	lo, hi, same = int64(r.Min), int64(r.Max), true
	bounded := lo != 0 || hi != 0
	for _, profile := range sockopt.ProfileNames() {
		for _, o := range profileOf(profile).DefaultRows() {
			if o.Name != r.Name || o.Min == r.Min && o.Max == r.Max {
				continue
			}
			same = false
			bounded = bounded && (o.Min != 0 || o.Max != 0)
			lo, hi = min(lo, int64(o.Min)), max(hi, int64(o.Max))
		}
	}
	if !bounded {
		return 0, 0, same
	}
	return lo, hi, same
}

func checkPrefix(field string, raw json.RawMessage) error {
	p, err := netip.ParsePrefix(text(raw))
	if err != nil || p != p.Masked() || p.Addr().Is4In6() {
		return &FieldError{field, abbreviate(raw), "a prefix such as 10.0.0.0/8 or fd00::/8, without bits behind its length"}
	}
	return nil
}

func readRules(c *Config, _ string, raw json.RawMessage) error {
	c.SocketOptions = socketRules(raw, false)
	return nil
}

// socketRules reads a list of the shape that rulesShape gives.
func socketRules(raw json.RawMessage, unprivileged bool) []engine.SocketRule {
	var list []struct {
		Match engine.SocketMatch
		Set   json.RawMessage
	}
	_ = json.Unmarshal(raw, &list) // the shape has looked at it
	rules := make([]engine.SocketRule, len(list))
	for i, r := range list {
		rules[i] = engine.SocketRule{Match: r.Match, Set: scalars(r.Set), Unprivileged: unprivileged}
	}
	return rules
}

// bandwidthShape is that of the CNI convention "bandwidth".
func bandwidthShape(about string) shape {
	rate := func(about string) shape { return integer(0, engine.MaxRate).is(about) }
	burst := func(about string) shape { return integer(0, engine.MaxBurst).is(about) }
	s := object(`an object with "ingressRate", "ingressBurst", "egressRate", "egressBurst"`,
		key{name: "ingressRate", def: "0: no limit", shape: rate("bits per second that the sandbox receives")},
		key{name: "ingressBurst", def: "by the rate", shape: burst("bits that may come at once")},
		key{name: "egressRate", def: "0: no limit", shape: rate("bits per second that the sandbox sends")},
		key{name: "egressBurst", def: "by the rate", shape: burst("bits that may leave at once")},
	).is(about)
	s.implied = []implied{{"ingressBurst", "ingressRate"}, {"egressBurst", "egressRate"}}
	return s
}

func readBandwidth(c *Config, field string, raw json.RawMessage) error {
	b := new(engine.Bandwidth)
	if err := json.Unmarshal(raw, b); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	if err := b.Validate(); err != nil {
		return fmt.Errorf("%s.%w", field, err)
	}
	c.Bandwidth = b
	return nil
}
