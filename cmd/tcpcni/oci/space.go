package oci

// Sets of argument registers. Rules of two origins, ordered tests of the
// sandbox's filter and the comparisons of an OCI profile, are brought into one
// form, in which they can be intersected and subtracted exactly.

import (
	"errors"
	"math/bits"
)

// numArgs is the number of argument registers of a system call.
const numArgs = 6

// A pattern holds for a register r when r&mask == val. val has no bit outside
// mask. The zero pattern holds for all.
type pattern struct{ mask, val uint64 }

const (
	wholeReg = ^uint64(0)
	lowHalf  = uint64(1)<<32 - 1 // what counts of an int
)

// A cell is a set of calls: those whose registers meet all six patterns.
type cell [numArgs]pattern

// A part is what happens to the calls of a cell.
type part struct {
	cell
	do decision
}

// maxParts bounds what one system call is split into. Profiles that people
// write stay below some hundred.
const maxParts = 4096

var errTooManyParts = errors.New("its conditions split the call into too many cases")

// and returns the calls that are in both.
func (c cell) and(d cell) (cell, bool) {
	for i := range c {
		a, b := c[i], d[i]
		if (a.val^b.val)&a.mask&b.mask != 0 {
			return cell{}, false
		}
		c[i] = pattern{a.mask | b.mask, a.val | b.val}
	}
	return c, true
}

// minus returns the calls of c that are not in d, as cells that do not overlap.
func (c cell) minus(d cell) []cell {
	if _, ok := c.and(d); !ok {
		return []cell{c}
	}
	var rest []cell
	for i := range c {
		for free := d[i].mask &^ c[i].mask; free != 0; {
			bit := uint64(1) << (63 - bits.LeadingZeros64(free))
			free &^= bit
			out := c
			out[i].mask |= bit
			out[i].val |= ^d[i].val & bit
			rest = append(rest, out)
			c[i].mask |= bit
			c[i].val |= d[i].val & bit
		}
	}
	return rest
}

// take removes d from the space and returns what of it was there.
func take(space []cell, d cell) (rest, taken []cell, err error) {
	for _, c := range space {
		if both, ok := c.and(d); ok {
			taken = append(taken, both)
		}
		rest = append(rest, c.minus(d)...)
	}
	if len(rest) > maxParts || len(taken) > maxParts {
		return nil, nil, errTooManyParts
	}
	return rest, taken, nil
}

// minus returns what is left of a list of patterns without p.
func minus(list []pattern, p pattern) []pattern {
	var rest []pattern
	for _, q := range list {
		for _, c := range (cell{q}).minus(cell{p}) {
			rest = append(rest, c[0])
		}
	}
	return rest
}

// not returns the registers for which p does not hold.
func (p pattern) not() []pattern { return minus([]pattern{{}}, p) }

// below returns the registers that are less than v, as unsigned numbers.
func below(v uint64) []pattern {
	var list []pattern
	for rest := v; rest != 0; {
		bit := uint64(1) << (63 - bits.LeadingZeros64(rest))
		rest &^= bit
		// The bits of v above this one, this one zero, the others free.
		high := ^(bit<<1 - 1)
		list = append(list, pattern{mask: high | bit, val: v & high})
	}
	return list
}

// from returns the registers that are at least v.
func from(v uint64) []pattern {
	rest := []pattern{{}}
	for _, p := range below(v) {
		rest = minus(rest, p)
	}
	return rest
}

// unite replaces patterns that differ in one bit by one without it, until there
// are none left.
func unite(list []pattern) []pattern {
	for i := 0; i < len(list); i++ {
		for j := 0; j < i; j++ {
			bit := list[i].val ^ list[j].val
			if list[i].mask != list[j].mask || bits.OnesCount64(bit) != 1 {
				continue
			}
			list[j] = pattern{list[j].mask &^ bit, list[j].val &^ bit}
			list = append(list[:i], list[i+1:]...)
			i = -1 // the united one may have a partner anywhere
			break
		}
	}
	return list
}
