package oci

// Parts as rules of an OCI profile.

import (
	"math/bits"
	"reflect"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// tree brings the parts of a call into the form of a decision tree: of any two,
// the first argument in which they differ is tested by both, by patterns that
// exclude each other. libseccomp keeps rules as such a tree, and when a test in
// it fails, it does not go back to try the rules that skip the argument.
func tree(parts []part, arg int) []part {
	if len(parts) == 0 {
		return nil
	}
	if arg == numArgs {
		return []part{{do: parts[0].do}}
	}
	blocks := []pattern{{}}
	for _, p := range parts {
		blocks = split(blocks, p.cell[arg])
	}
	// Blocks under which the same follows are one.
	var follows [][]part
	var patterns [][]pattern
	for _, b := range blocks {
		next := tree(under(parts, arg, b), arg+1)
		if next == nil {
			continue
		}
		at := slices.IndexFunc(follows, func(f []part) bool { return slices.Equal(f, next) })
		if at < 0 {
			at = len(follows)
			follows, patterns = append(follows, next), append(patterns, nil)
		}
		patterns[at] = append(patterns[at], b)
	}
	var out []part
	for i, next := range follows {
		for _, b := range unite(patterns[i]) {
			for _, p := range next {
				p.cell[arg] = b
				out = append(out, p)
			}
		}
	}
	return out
}

// split divides blocks along a pattern.
func split(blocks []pattern, p pattern) []pattern {
	var out []pattern
	for _, b := range blocks {
		if both, ok := (cell{b}).and(cell{p}); ok {
			out = append(append(out, both[0]), minus([]pattern{b}, p)...)
		} else {
			out = append(out, b)
		}
	}
	return out
}

// under returns the parts that hold below a block of the argument, with the
// argument's test done.
func under(parts []part, arg int, b pattern) []part {
	var list []part
	for _, p := range parts {
		if _, ok := (cell{b}).and(cell{p.cell[arg]}); ok {
			p.cell[arg] = pattern{}
			list = append(list, p)
		}
	}
	return list
}

// emit writes the parts of one call, a tree, as rules with at most one
// condition for each argument.
func emit(name string, parts []part) []specs.LinuxSyscall {
	var rules []specs.LinuxSyscall
	for len(parts) > 0 {
		p := parts[0]
		unequal := -1
		for arg := range numArgs {
			if rest, whole, ok := inequality(parts, arg); ok {
				parts, p, unequal = rest, whole, arg
				break
			}
		}
		if unequal < 0 {
			parts = parts[1:]
		}
		rules = append(rules, rule(name, p, unequal))
	}
	return rules
}

// rule writes one part. The argument unequal, if there is one, is tested for
// not being the pattern's value.
func rule(name string, p part, unequal int) specs.LinuxSyscall {
	r := specs.LinuxSyscall{Names: []string{name}, Action: p.do.action}
	if p.do.action == specs.ActErrno || p.do.action == specs.ActTrace {
		e := p.do.errno
		r.ErrnoRet = &e
	}
	for arg, pat := range p.cell {
		a := specs.LinuxSeccompArg{Index: uint(arg), Value: pat.val}
		switch {
		case pat.mask == 0:
			continue
		case arg == unequal:
			a.Op = specs.OpNotEqual
		case pat.mask == wholeReg:
			a.Op = specs.OpEqualTo
		default:
			a.Op, a.Value, a.ValueTwo = specs.OpMaskedEqual, pat.mask, pat.val
		}
		r.Args = append(r.Args, a)
	}
	return r
}

// inequality looks for 64 parts that, with the first of the list, together say
// "not equal to this value". Inequalities are common, and so many comparisons
// are slow. whole has the value in place of their patterns.
func inequality(parts []part, arg int) (rest []part, whole part, ok bool) {
	first := parts[0]
	for _, p := range parts {
		// Of such parts, the one that tests the lowest bit has the whole value.
		if p.cell[arg].mask != wholeReg || !sameElsewhere(p, first, arg) {
			continue
		}
		value := p.cell[arg].val ^ 1
		rest = nil
		for _, q := range parts {
			if !sameElsewhere(q, first, arg) || !leaves(q.cell[arg], value) {
				rest = append(rest, q)
			}
		}
		if len(parts)-len(rest) == 64 && leaves(first.cell[arg], value) {
			whole = p
			whole.cell[arg].val = value
			return rest, whole, true
		}
	}
	return nil, part{}, false
}

func sameElsewhere(a, b part, arg int) bool {
	a.cell[arg], b.cell[arg] = pattern{}, pattern{}
	return a == b
}

// leaves reports whether the pattern tests the upper bits of a register, down
// to one that differs from the value's.
func leaves(p pattern, value uint64) bool {
	if p.mask == 0 {
		return false
	}
	low := bits.TrailingZeros64(p.mask)
	return p.mask == wholeReg<<low && (p.val^value)&p.mask == 1<<low
}

// group puts rules that differ in nothing but the call into one.
func group(rules []specs.LinuxSyscall) []specs.LinuxSyscall {
	var out []specs.LinuxSyscall
	for _, r := range rules {
		at := slices.IndexFunc(out, func(o specs.LinuxSyscall) bool {
			return o.Action == r.Action && reflect.DeepEqual(o.ErrnoRet, r.ErrnoRet) && reflect.DeepEqual(o.Args, r.Args)
		})
		if at < 0 {
			out = append(out, r)
			continue
		}
		out[at].Names = append(out[at].Names, r.Names...)
	}
	return out
}
