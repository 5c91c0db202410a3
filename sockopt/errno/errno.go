// Package errno names the errors that a socket call may end with, by their
// numbers on the Linux ABI. It exists because the pure packages must not import
// the system-call packages; an Errno converts to syscall.Errno by its value.
package errno

// Errno is an error number of the Linux ABI (errno(3)). Zero is "no error" and
// is never handed out as an error value.
type Errno uint16
