// Package hostlink is the only place below cmd that makes system calls. It
// gives the engine what its event loop stands on: links (TAP devices, packet
// sockets on a veth, wrappers that impair or record), the poller, the clock,
// entropy, network namespaces, the dropping of privileges, and the interception
// of a workload's socket calls.
//
// The calls of the data path (one read or write per frame, the poll that does
// not wait) go by RawSyscall: the descriptors are non-blocking, so the calls
// return at once and telling the Go scheduler about them would cost more than
// they do. Whatever may wait goes by Syscall.
//
// The types are for one event loop: unless a comment says otherwise, their
// methods are not safe for concurrent use.
package hostlink
