package sockopt

import (
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A Row is one option of one profile.
type Row struct {
	ID     ID
	Name   string // as the C headers have it
	Level  int
	Number int

	On     Sockets // the sockets that have it; on others it is ENOPROTOOPT
	Codec  Codec
	Access Access
	Needs  Capability // what setting it takes; see also the row's own set function

	// Min and Max bound the value that Set takes, in the unit of the wire; both
	// zero means any. Outside is EINVAL.
	Min, Max int

	// Native is the option's number on its own system, for the documentation,
	// where that is neither Number nor part of it.
	Native int

	// Truth is what getsockopt shows of a Bool that is on; 0 means 1.
	Truth int

	// Asks is how much of its buffer getsockopt reads, in bytes: the option is
	// asked for something that the program has written there.
	Asks int

	// Weighs is of an option whose errors for those with and without a privilege
	// are not EPERM alone: it is set with what the caller really has.
	Weighs bool

	// Element is the size in bytes of the structures of an option that gives
	// several: getsockopt's length is that of one, and the buffer has room for as
	// many as the program says in the first.
	Element int

	NotInherited bool // an accepted socket starts with the default
	Mirror       bool // the engine sets it on the program's AF_UNIX end as well
	InPair       bool // what getsockopt shows is the value that the AF_UNIX end has by now

	// Lasting is how many bytes of a longer value the engine that follows one
	// that died sets again; 0: all of it or none.
	Lasting int

	// Refuse is the error of an option that is known and not offered. Such a
	// row answers every call with it.
	Refuse errno.Errno

	Unit    string // of the value, for the documentation
	Default string // what a new socket shows, for the documentation
	Note    string // what a reader must know, for the documentation

	// Where the value lives, by codec: at most one of these is set.
	flag func(*Options) *bool
	num  func(*Options) *int32
	dur  func(*Options) *time.Duration

	// What the field alone does not say: limits that depend on other state,
	// rounding, values that are not stored. They replace the field's access.
	set func(*call, int) error
	get func(*call) (int, error)

	// For the codecs that are not one integer.
	setBytes func(*call, []byte) error
	getBytes func(*call, []byte, int) ([]byte, error)
}

// Sockets is a set of kinds of sockets.
type Sockets uint8

// The kinds that a row may be for.
const (
	TCPOnly Sockets = 1 << iota
	UDPOnly
	AnySocket = TCPOnly | UDPOnly
)

// Access says which of the two calls an option has. The other is ENOPROTOOPT.
type Access uint8

// The combinations that occur.
const (
	ReadWrite Access = iota
	ReadOnly
	WriteOnly
)

// Codec is how a value travels.
type Codec uint8

// The forms of values.
const (
	Int        Codec = iota // int; shorter is EINVAL, the rest of a longer value is not looked at
	Bool                    // int, any non-zero is true, read as 0 or 1
	Seconds                 // int, a duration in whole seconds
	Millis                  // int, a duration in milliseconds
	UintMillis              // the same without a sign: up to 2^32-1
	Uint                    // unsigned int
	IntOrByte               // int, or one byte when shorter, or 0 when empty (IPPROTO_IP)
	BoolOrByte              // the same as a truth value
	LingerPair              // struct linger
	Timeval                 // struct timeval of a 64-bit ABI
	Text                    // characters, the terminating zero optional
	Struct                  // another structure; see Note
)

// Capability is a set of privileges of which any one is enough.
type Capability uint8

// The capabilities that options need.
const (
	CapNetAdmin Capability = 1 << iota
	CapNetRaw
)

func (c Capability) heldBy(p Privilege) bool {
	return c == 0 || c&CapNetAdmin != 0 && p.NetAdmin || c&CapNetRaw != 0 && p.NetRaw
}

// A call is one setsockopt or getsockopt on its way through a row.
type call struct {
	p    *Profile
	t    Target
	o    *Options
	priv Privilege

	asked []byte // of a row that Asks
}

// take is setsockopt for one row.
func (r *Row) take(c *call, val []byte) error {
	v := 0
	if r.setBytes == nil {
		var err error
		if v, err = decodeInt(r.Codec, val); err != nil {
			return err
		}
	}
	switch {
	case !r.Needs.heldBy(c.priv):
		return errno.EPERM
	case r.setBytes != nil:
		return r.setBytes(c, val)
	}
	return r.store(c, v)
}

// give is getsockopt for one row.
func (r *Row) give(c *call, maxLen int) ([]byte, error) {
	if r.getBytes != nil {
		b, err := r.getBytes(c, nil, maxLen)
		if r.Element != 0 {
			return b, err
		}
		return cut(b, maxLen), err
	}
	v, err := r.load(c)
	if err != nil {
		return nil, err
	}
	return encodeInt(r.Codec, v, maxLen), nil
}

// store gives an integer value to the row.
func (r *Row) store(c *call, v int) error {
	if (r.Min != 0 || r.Max != 0) && (v < r.Min || v > r.Max) {
		return errno.EINVAL
	}
	switch {
	case r.set != nil:
		return r.set(c, v)
	case r.flag != nil:
		*r.flag(c.o) = v != 0
	case r.num != nil:
		*r.num(c.o) = int32(v)
	case r.dur != nil:
		*r.dur(c.o) = time.Duration(v) * r.unit()
	}
	return nil
}

// load takes the integer value of the row.
func (r *Row) load(c *call) (int, error) {
	switch {
	case r.get != nil:
		return r.get(c)
	case r.flag != nil:
		return truth(*r.flag(c.o)) * max(r.Truth, 1), nil
	case r.num != nil:
		return int(*r.num(c.o)), nil
	case r.dur != nil:
		return int(*r.dur(c.o) / r.unit()), nil
	}
	return 0, nil
}

func (r *Row) unit() time.Duration {
	if r.Codec == Millis || r.Codec == UintMillis {
		return time.Millisecond
	}
	return time.Second
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
