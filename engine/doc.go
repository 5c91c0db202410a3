// Package engine is the event loop of one sandbox. It joins three things: the
// protocol stack of package netstack, the links that carry its frames, and the
// programs of the sandbox, whose socket calls arrive as seccomp user
// notifications and whose bytes arrive through AF_UNIX pairs.
//
// One goroutine, locked to one OS thread, runs everything (loop.go). A turn of
// the loop reads a batch from every source that is ready, lets the stack run to
// completion, writes what it produced and sleeps until the next event or
// deadline. Nothing is locked and the data path does not allocate. Where the
// configuration asks for shards, further loops move the bytes of connections that
// the first one lends them (shard.go).
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
//   - end of file: shutdown of E; RST and a failed connect: E closed while it
//     holds unread bytes (reset.go);
//   - urgent data: MSG_OOB of AF_UNIX (urgent.go).
//
// The program's close is the hang-up of E. Since close, read and write are not
// notified, the loop looks at every E before it serves a call: what a program did
// before the call has then been seen.
//
// # Programs that are not intercepted
//
// They have sockets of the sandbox's kernel, which faces a second stack (inline.go).
// A splice joins each of its connections to one of the first stack (splice.go);
// its ends are a socket of a stack (splice_stack.go) or, within the sandbox's
// loopback, a descriptor of the kernel's (splice_kernel.go, mirror.go). Datagrams
// within that loopback pass through kernel sockets (cross.go). What else is not TCP
// crosses from stack to stack (inline_forward.go).
//
// # Interrupted calls
//
// The kernel cancels a notified call when a signal handler runs, and issues it
// again under SA_RESTART. Nobody tells the engine; a reply then ends in ENOENT.
// So every handler is idempotent: a waiting call of the same thread is replaced
// by its repetition, and what a reply hands over (a connection, a datagram) is
// only taken off its queue when the reply was accepted. What cannot be done twice,
// sending and bind, is remembered with its answer until the thread has it
// (unheard.go).
//
// # Where a program can tell the difference
//
// Reads and writes are native, on an AF_UNIX socket. That shows in places:
//
//   - Reading from or writing to a TCP socket that was never connected waits, or
//     gives EAGAIN, where Linux gives ENOTCONN or EPIPE; poll reports nothing for
//     it where Linux reports POLLOUT|POLLHUP. Reading from a listening socket
//     takes the token that shows a waiting connection; it comes back with the
//     next call on the socket.
//   - A connection that failed with another error than ECONNRESET shows
//     ECONNRESET to read and to recv, which are native: an AF_UNIX socket has no
//     other error to give. SO_ERROR has the true one, and so have recvmsg, and
//     recvfrom with an address, that are called afterwards, or wait on a socket
//     with TCP_INQ and its like. The first write after a reset gives EPIPE where
//     Linux gives ECONNRESET once.
//   - After both directions of a connection were shut down, the engine cannot
//     tell the program's close any more: data that still comes is answered by a
//     reset, as after close. A listening socket that was shut down cannot listen
//     again.
//   - close with SO_LINGER > 0 does not wait; the data goes all the same.
//   - A socket that connects again after a connect failed without anybody
//     waiting for it gets a new file behind the calling process's descriptor:
//     duplicates and epoll sets keep the old one (revive.go).
//   - When the engine dies, connections end with ECONNRESET and everything else
//     goes on in the next engine (adopt.go). Datagrams that waited for a socket
//     without a peer are lost. A socket whose failed connect was not asked about
//     yet is an AF_UNIX socket to the next engine.
//   - An ICMP error that IP_RECVERR asks for on a connection shows to notified
//     calls only (recvmsg, sendmsg, those with an address, SO_ERROR), not to poll.
//   - UDP: an ICMP error shows to recv and read as an empty datagram, to the
//     calls that take an address as the error; poll shows POLLIN for an error
//     in the queue of IP_RECVERR, not POLLERR, and again after each datagram that
//     was taken until the queue is empty. send and write without a peer
//     succeed and leave EDESTADDRREQ for SO_ERROR and the next sendto. FIONREAD
//     counts all datagrams. recvmmsg returns what is there instead of waiting
//     for more. MSG_MORE is refused.
package engine
