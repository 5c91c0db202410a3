package sockopt

import "github.com/tcpcni/tcpcni/sockopt/errno"

// callRules are what setsockopt(2) and getsockopt(2) of one system do with a
// value before and after the option's row sees it.
type callRules struct {
	// lengthFirst: a value shorter than an int is EINVAL even of an option that
	// is unknown.
	lengthFirst bool
	// exactLength: a value longer than the option's type is EINVAL, and not cut.
	exactLength bool
	// setLevel and getLevel are the errors of a level that the socket's domain
	// and type do not have.
	setLevel, getLevel func(domain int) errno.Errno
	// readOnly and writeOnly are the errors of the call that an option lacks.
	readOnly, writeOnly errno.Errno
}

// always is an error that does not depend on the domain.
func always(e errno.Errno) func(int) errno.Errno { return func(int) errno.Errno { return e } }

// linuxCalls are Linux's: sock_setsockopt, do_tcp_setsockopt and inet_getsockopt
// decide in this order.
var linuxCalls = callRules{
	lengthFirst: true,
	setLevel:    always(errno.ENOPROTOOPT),
	getLevel: func(domain int) errno.Errno {
		if domain == AFInet {
			return errno.EOPNOTSUPP
		}
		return errno.ENOPROTOOPT
	},
	readOnly:  errno.ENOPROTOOPT,
	writeOnly: errno.ENOPROTOOPT,
}

// sizes are the lengths of values by codec, in bytes; the codecs that are not
// here have no fixed one.
var sizes = map[Codec]int{
	Int: sizeofInt, Bool: sizeofInt, Seconds: sizeofInt, Millis: sizeofInt, UintMillis: sizeofInt, Uint: sizeofInt,
	LingerPair: sizeofLinger, Timeval: sizeofTimeval,
}

// tooLong reports whether the rules refuse a value for its length.
func (rules *callRules) tooLong(r *Row, n int) bool {
	size, fixed := sizes[r.Codec]
	return rules.exactLength && fixed && n > size
}
