package sockopt

// Numbers on the Linux ABI. An option that Linux has, whatever its name, is
// called by Linux's number in every profile. One that Linux lacks keeps the
// number of its own system, marked with the system, so that a program compiled
// on Linux can ask for it and no option of Linux means something else. The C
// header and package numbers name them.

// The marks of systems in a number.
const (
	markIllumos = 0x01
	markFreeBSD = 0x02
	markSortix  = 0x03
)

// Options whose own numbers are free on Linux at SOL_SOCKET.
const (
	soExclBind    = 0x1015
	soReusePortLB = 0x10000
)

// marked is the number, 0x01SSNNNN, of option native of a system.
func marked(system, native int) int { return 0x01<<24 | system<<16 | native }

// Foreign reports whether the row's option is one that Linux lacks.
func (r *Row) Foreign() bool {
	return r.Number>>24 == 0x01 || r.Level == SolSocket && (r.Number == soExclBind || r.Number == soReusePortLB)
}

// from takes the named rows out of a table, in the order of the names. A change
// to them is a change to a copy.
func from(table []Row, names ...string) []Row {
	rows := make([]Row, 0, len(names))
	for _, name := range names {
		rows = append(rows, *named(table, name))
	}
	return rows
}

// altered is a row of another table with a change that a system makes to it.
func altered(table []Row, name string, change func(*Row)) Row {
	row := *named(table, name)
	change(&row)
	return row
}

func named(table []Row, name string) *Row {
	for i := range table {
		if table[i].Name == name {
			return &table[i]
		}
	}
	panic("no row " + name)
}
