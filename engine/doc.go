// Package engine is the event loop of one sandbox. It joins three things: the
// protocol stack of package netstack, the links that carry its frames, and the
// programs of the sandbox, whose socket calls arrive as seccomp user
// notifications and whose bytes arrive through AF_UNIX pairs.
//
// One goroutine, locked to one OS thread, runs everything (loop.go). A turn of
// the loop reads a batch from every source that is ready, lets the stack run to
// completion, writes what it produced and sleeps until the next event or
// deadline. Nothing is locked and the data path does not allocate.
//
// # A program's socket
//
// socket(2) is answered with P, one end of an AF_UNIX pair; the engine keeps the
// other end, E. P stays the program's descriptor for the socket's whole life, so
// whatever a program does with descriptors (epoll before connect, dup, fork,
// exec, SCM_RIGHTS) needs no help. A notified call names its socket by the
// cookie (SO_COOKIE) of the file that stands behind the descriptor, fetched by
// pidfd_getfd; that reference, P', is also what the call works on, so a thread
// that closes or replaces the descriptor meanwhile changes nothing.
//
// What a program sees through poll is made with the pair's own means:
//
//   - not connected: P's send buffer is shrunk and filled, so it is not writable
//     (fill.go); on connect it is drained and raised;
//   - a waiting connection: a token byte in P's receive queue (listener.go);
//   - end of file: shutdown of E; RST: E closed while it holds unread bytes
//     (reset.go);
//   - urgent data: MSG_OOB of AF_UNIX (urgent.go).
//
// The program's close is the hang-up of E.
//
// # Interrupted calls
//
// The kernel cancels a notified call when a signal handler runs, and issues it
// again under SA_RESTART. Nobody tells the engine; a reply then ends in ENOENT.
// So every handler is idempotent: a waiting call of the same thread is replaced
// by its repetition, and what a reply hands over (a connection, a datagram) is
// only taken off its queue when the reply was accepted.
//
// # Where a program can tell the difference
//
// Reading or writing a TCP socket that was never connected waits (or gives
// EAGAIN) where Linux gives ENOTCONN or EPIPE, because read and write are
// native; poll reports nothing for it where Linux reports POLLOUT|POLLHUP. A
// connection that failed with another error than ECONNRESET shows ECONNRESET to
// read, and its true error to SO_ERROR. close with SO_LINGER > 0 does not wait.
package engine
