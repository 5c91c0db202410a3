package oci

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/hostlink"
)

// Options say whom the merged profile notifies.
type Options struct {
	// Listener is the absolute path of the socket that takes the listener.
	Listener string
	// Metadata goes to it along with the listener; may be empty.
	Metadata string
	// Own are the listener paths that a profile may name already, because it
	// was merged before. Listener is one of them.
	Own []string
}

// Merge returns the profile with the sandbox's rules. A nil profile stands for
// a container without one. The given profile is not changed; merging a merged
// profile changes nothing.
//
// It is an error when the profile names a listener that is not one of o.Own: a
// filter has one, and two agents cannot share it.
func Merge(p *specs.LinuxSeccomp, o Options) (*specs.LinuxSeccomp, error) {
	if p == nil || p.DefaultAction == "" && len(p.Syscalls) == 0 {
		p = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	}
	if p.ListenerPath != "" && p.ListenerPath != o.Listener && !slices.Contains(o.Own, p.ListenerPath) {
		return nil, fmt.Errorf("seccomp.listenerPath: %q: another agent serves this profile: accepted: none, or the sandbox's own (%s)", p.ListenerPath, o.Listener)
	}
	standard, err := decide(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, fmt.Errorf("seccomp.defaultAction: %w", err)
	}
	if standard.action == specs.ActNotify {
		return nil, fmt.Errorf("seccomp.defaultAction: %q: accepted: any other action", standard.action)
	}
	merged := *p
	merged.Architectures = []specs.Arch{specs.ArchX86_64}
	merged.ListenerPath, merged.ListenerMetadata = o.Listener, o.Metadata
	merged.Syscalls = nil

	var names []string
	var own []specs.LinuxSyscall
	for i := range hostlink.SandboxRules {
		rule := &hostlink.SandboxRules[i]
		name, err := callName(rule.Call)
		if err != nil {
			return nil, err
		}
		parts, err := mergeCall(p, standard, name, rule)
		if err != nil {
			return nil, fmt.Errorf("seccomp: %s: %w", name, err)
		}
		names = append(names, name)
		own = append(own, emit(name, parts)...)
	}
	rest, err := without(p.Syscalls, names)
	if err != nil {
		return nil, err
	}
	merged.Syscalls = append(rest, group(own)...)
	return &merged, nil
}

// mergeCall computes what happens to one call: cells that do not overlap. Where
// none holds, the profile's standard action is right.
func mergeCall(p *specs.LinuxSeccomp, standard decision, name string, rule *hostlink.Rule) ([]part, error) {
	rules, err := rulesOf(p, name, ints[rule.Call])
	if err != nil {
		return nil, err
	}
	space := []cell{{}}
	var out, allowed []part
	// Refusals first: where rules overlap, they count.
	for _, refusals := range []bool{true, false} {
		for _, r := range rules {
			// A notification is the sandbox's own, of an earlier merge.
			if r.do.action == specs.ActNotify {
				r.do = decision{action: specs.ActAllow}
			}
			if r.do.allows() == refusals {
				continue
			}
			var taken []cell
			if space, taken, err = take(space, r.cell); err != nil {
				return nil, err
			}
			for _, c := range taken {
				if refusals {
					out = append(out, part{c, r.do})
				} else {
					allowed = append(allowed, part{c, r.do})
				}
			}
		}
	}
	if standard.allows() {
		for _, c := range space {
			allowed = append(allowed, part{c, standard})
		}
	}
	ours, err := ruleParts(rule)
	if err != nil {
		return nil, err
	}
	for _, a := range tree(allowed, 0) {
		for _, o := range ours {
			both, ok := a.and(o.cell)
			if !ok {
				continue
			}
			if o.do.allows() {
				o.do = a.do // allowed, or allowed and logged
			}
			out = append(out, part{both, o.do})
		}
	}
	out = slices.DeleteFunc(out, func(p part) bool { return p.do == standard })
	if len(out) > maxParts {
		return nil, errTooManyParts
	}
	return tree(out, 0), nil
}

// ruleParts turns the ordered cases of a rule into parts that do not overlap
// and together hold for every call.
func ruleParts(r *hostlink.Rule) ([]part, error) {
	space := []cell{{}}
	var out []part
	for i := range r.Cases {
		cells, err := holds(r.Cases[i].When)
		if err != nil {
			return nil, err
		}
		d, err := fromAction(r.Cases[i].Do)
		if err != nil {
			return nil, err
		}
		for _, c := range cells {
			var taken []cell
			if space, taken, err = take(space, c); err != nil {
				return nil, err
			}
			for _, t := range taken {
				out = append(out, part{t, d})
			}
		}
	}
	d, err := fromAction(r.Do)
	if err != nil {
		return nil, err
	}
	for _, c := range space {
		out = append(out, part{c, d})
	}
	return tree(out, 0), nil
}

// fromAction names an action of the filter as OCI does.
func fromAction(a hostlink.Action) (decision, error) {
	switch {
	case a == hostlink.ActionAllow:
		return decision{action: specs.ActAllow}, nil
	case a == hostlink.ActionNotify:
		return decision{action: specs.ActNotify}, nil
	case uint32(a)&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_ERRNO:
		return decision{specs.ActErrno, uint(a & unix.SECCOMP_RET_DATA)}, nil
	}
	return decision{}, fmt.Errorf("the sandbox's rules have action %#x, for which OCI has no name", uint32(a))
}

// without takes the named calls out of a profile's rules. A notification that
// is left would reach an engine that does not know it.
func without(rules []specs.LinuxSyscall, names []string) ([]specs.LinuxSyscall, error) {
	var rest []specs.LinuxSyscall
	for i, r := range rules {
		r.Names = slices.DeleteFunc(slices.Clone(r.Names), func(n string) bool { return slices.Contains(names, n) })
		if len(r.Names) == 0 {
			continue
		}
		if r.Action == specs.ActNotify {
			return nil, fmt.Errorf("seccomp.syscalls[%d].action: %q for %v: accepted: notifications of the sandbox's own calls only", i, r.Action, r.Names)
		}
		rest = append(rest, r)
	}
	return rest, nil
}
