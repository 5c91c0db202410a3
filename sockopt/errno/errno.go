// Package errno names the errors that a socket call may end with, by their
// numbers on the Linux ABI. It exists because the pure packages must not import
// the system-call packages; an Errno converts to syscall.Errno by its value.
package errno

import "strconv"

// Errno is an error number of the Linux ABI (errno(3)). Zero is "no error" and
// is never handed out as an error value.
type Errno uint16

// Error is the text of strerror(3) for the number, in lower case as Go's errors
// are.
func (e Errno) Error() string {
	if int(e) < len(labels) && labels[e].text != "" {
		return labels[e].text
	}
	return "errno " + strconv.Itoa(int(e))
}

// Name is the symbol of the number, such as "ECONNREFUSED"; for a number that
// has none it is the number in decimal.
func (e Errno) Name() string {
	if int(e) < len(labels) && labels[e].name != "" {
		return labels[e].name
	}
	return strconv.Itoa(int(e))
}

// Or returns e as an error, or nil for zero: the shape in which a stored
// socket error is returned.
func (e Errno) Or() error {
	if e == 0 {
		return nil
	}
	return e
}

// Of returns the number that err carries. An error that is not an Errno is a
// failure of the engine itself and shows as EIO; nil is zero.
func Of(err error) Errno {
	switch e := err.(type) {
	case nil:
		return 0
	case Errno:
		return e
	}
	return EIO
}
