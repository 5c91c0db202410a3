package sockopt

import (
	"math"
	"strconv"
)

// Forms of rows that several systems' tables share.

// Least values, in bytes.
const (
	leastMSS = 48   // of a segment, so that options leave room for text
	leastBuf = 2304 // of a buffer, as Linux has it
)

func alias(name string, r tunableRow) tunableRow {
	r.alias = name
	return r
}

// starting is a row that a configuration sets.
func starting(r tunableRow) tunableRow {
	r.access = atStart
	return r
}

// patient is a row of a value that counts only where a system measures its
// patience by time; others do not have the name.
func patient(r tunableRow) tunableRow {
	r.only = func(p *Profile) bool { return p.patience.Abort != 0 }
	return r
}

// bounded is a row whose value must go with others.
func bounded(r tunableRow, bound string, fits func(*Tunables) bool) tunableRow {
	r.bound, r.fits = bound, fits
	return r
}

func rmemFits(t *Tunables) bool { return t.TCPRmem.Default <= t.TCPRmem.Max }
func wmemFits(t *Tunables) bool { return t.TCPWmem.Default <= t.TCPWmem.Max }
func portsFit(t *Tunables) bool { return t.PortMin <= t.PortMax }

func port16(name, def string, field func(*Tunables) *uint16) tunableRow {
	return tunableRow{
		name: name, unit: "port", fields: 1, min: 1, max: math.MaxUint16, def: def,
		set: func(t *Tunables, v []int64) { *field(t) = uint16(v[0]) },
		get: func(t *Tunables) []int64 { return []int64{int64(*field(t))} },
	}
}

// gauge is a row that can only be read.
func gauge(name, unit string, show func(Gauges, *Profile) string) tunableRow {
	return tunableRow{name: name, unit: unit, access: neverSet, show: show}
}

// counter shows a counter of the stack.
func counter(name, unit, of string) tunableRow {
	return gauge(name, unit, func(g Gauges, _ *Profile) string { return strconv.FormatUint(g.Counter(of), 10) })
}

// hashSize shows how many buckets a system with a fixed table would need.
func hashSize(g Gauges, _ *Profile) string {
	n := 512
	for n < g.TCPBlocks() {
		n *= 2
	}
	return strconv.Itoa(n)
}
