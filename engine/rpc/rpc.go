// Package rpc is the conversation between an engine and its holder, the process
// that does for it what needs privileges.
//
// It goes over a SOCK_SEQPACKET pair: the engine asks and the holder answers, one
// question at a time. A message has a fixed head, a bounded text and a few descriptors. Both
// ends are the same binary, so the format has no versions. The holder believes
// nothing that comes from an engine: see the comment on each operation for what
// it checks.
package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// Operations, what they take and what they give. Op is what a question asks for;
// an answer has the same.
const (
	// OpReady: the engine serves its sandbox.
	OpReady uint32 = 1 + iota
	// OpStopping: the engine was told to stop and is not to be started again.
	OpStopping
	// OpGuard: Args[0] is the engine's number of the listener of its own filter,
	// which the holder takes, and by which the engine asks for threads from then on
	// (hostlink.AskPlace). It comes once and before OpReady. EINVAL: it is no
	// listener; EEXIST: it comes too late.
	OpGuard
	// OpStanding: Args[0] is a thread's number. Gives Args[0], its effective
	// user, and Args[1], its capabilities in the sandbox. EPERM: the thread is not
	// in the sandbox; ESRCH: there is none.
	OpStanding
	// OpClosesOnExec: Args are a thread's number and a descriptor of it. Gives
	// Args[0], 1 when that is close-on-exec. Errors as OpStanding, and EBADF.
	OpClosesOnExec
	// OpFind: Args[0] is the inode of a socket. Gives a descriptor for it, taken
	// from a thread that the holder has given. ENOENT: none has it.
	OpFind
	// OpInterface: Data is the name of an interface of the sandbox. Gives
	// Args[0], its index, and Data, its first IPv4 address with the prefix length
	// as text, or nothing. ENODEV: there is none.
	OpInterface
	// OpKeep: Args[0] is the engine's number of a seccomp listener, which the
	// holder takes and keeps for the engine's successor. EINVAL: it is none;
	// ENFILE: too many are kept.
	OpKeep
	// OpInherit: Args[0] counts from 0. Gives one thing that the engine's
	// predecessor left: Args[0] is a kind (InheritListener and so on), the rest
	// depends on it. ENOENT: there are no more.
	OpInherit
	// OpKeeper: Args[0] is the number of the engine's keeper, the process that
	// shares its table of descriptors and outlives it; Args[1] is the engine's
	// number of the journal that says what is in it. EINVAL: it is no child of the
	// engine, or no descriptor; EEXIST: there is one.
	OpKeeper
	// OpAdopted: the engine has taken over what the keeper of its predecessor had.
	// That keeper has ended when the answer comes.
	OpAdopted
	// OpListenKernel: Data is an address and a port as text, such as
	// 127.0.0.1:80. Gives a TCP listener of the kernel there in the sandbox's
	// namespace, hostlink.ListenKernel. EADDRNOTAVAIL: the address is neither the
	// sandbox's nor its loopback's; EADDRINUSE: a program that is not intercepted
	// has the port.
	OpListenKernel
	// OpDialKernel: Data as above. Gives a TCP socket of the kernel that is
	// connecting to that address, hostlink.DialKernel. EADDRNOTAVAIL as above.
	OpDialKernel
	// OpBindKernel: Data is up to hostlink.MaxPacketFDs addresses with ports,
	// as text with commas between; Args[0], 1: later sockets may share them.
	// Gives UDP sockets of the kernel there, hostlink.BindKernel, and Args[0], a
	// bit for each address, from the lowest on, that one was had for.
	// EADDRNOTAVAIL as above, for any of them; else the last one's error when
	// none was had.
	OpBindKernel
)

// Kinds of what is inherited.
const (
	// InheritListener: the descriptor is a seccomp listener.
	InheritListener uint64 = 1 + iota
	// InheritLegacy: the descriptor is the journal of an engine that died, whose
	// keeper hostlink.PlaceKeeper gives. It comes once and last.
	InheritLegacy
)

// A Message is a question, an answer or an event.
type Message struct {
	Op    uint32
	Errno abi.Errno // of an answer, 0 for success
	Args  [6]uint64
	Data  []byte // up to MaxData bytes
	FDs   []int  // sent: still the sender's; received: the receiver's, close-on-exec
}

// MaxData bounds Message.Data, in bytes.
const MaxData = 16 << 10

const headLen = 4 + 4 + 6*8

// ErrEnded says that the other process has ended.
var ErrEnded = errors.New("the other end is gone")

// A Conn is one end of a pair. But for End it is not safe for concurrent use.
type Conn struct {
	fd  int
	buf [headLen + MaxData]byte

	mu     sync.Mutex // between End and Close
	closed bool       // fd is none of ours any more, and perhaps somebody else's
}

// NewConn makes a Conn of a descriptor, which it owns.
func NewConn(fd int) *Conn { return &Conn{fd: fd} }

// FD is the descriptor to poll for input.
func (c *Conn) FD() int { return c.fd }

// End ends the conversation for both sides and leaves the descriptor open for
// whoever waits in Receive, who gets ErrEnded. It may be called from any
// goroutine, also after Close.
func (c *Conn) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		hostlink.ShutdownFD(c.fd, abi.SHUT_RDWR)
	}
}

// Close ends the conversation. A second one does nothing.
func (c *Conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		hostlink.CloseFD(c.fd)
	}
}

// Send sends m. With dontWait, a receiver that is slow gives abi.EAGAIN.
func (c *Conn) Send(m *Message, dontWait bool) error {
	if len(m.Data) > MaxData {
		return fmt.Errorf("message of %d bytes: accepted are %d", len(m.Data), MaxData)
	}
	b := c.buf[:headLen+len(m.Data)]
	binary.NativeEndian.PutUint32(b[0:], m.Op)
	binary.NativeEndian.PutUint32(b[4:], uint32(m.Errno))
	for i, v := range m.Args {
		binary.NativeEndian.PutUint64(b[8+8*i:], v)
	}
	copy(b[headLen:], m.Data)
	switch e := hostlink.SendPacket(c.fd, b, m.FDs, dontWait); e {
	case 0:
		return nil
	case abi.EPIPE, abi.ECONNRESET:
		return ErrEnded
	default:
		return e
	}
}

// Receive takes the next message. Its Data is valid until the next call.
// dontWait: abi.EAGAIN when there is none. A message that is malformed is
// abi.EBADMSG; its descriptors are closed.
func (c *Conn) Receive(m *Message, dontWait bool) error {
	n, fds, e := hostlink.RecvPacket(c.fd, c.buf[:], dontWait)
	switch e {
	case 0:
	case abi.EPIPE, abi.ECONNRESET:
		return ErrEnded
	case abi.EMSGSIZE:
		return abi.EBADMSG
	default:
		return e
	}
	*m = Message{FDs: fds}
	if n < headLen {
		m.CloseFDs()
		return abi.EBADMSG
	}
	m.Op = binary.NativeEndian.Uint32(c.buf[0:])
	m.Errno = abi.Errno(binary.NativeEndian.Uint32(c.buf[4:]))
	for i := range m.Args {
		m.Args[i] = binary.NativeEndian.Uint64(c.buf[8+8*i:])
	}
	m.Data = c.buf[headLen:n]
	return nil
}

// CloseFDs closes the descriptors of a received message that nobody took.
func (m *Message) CloseFDs() {
	for _, fd := range m.FDs {
		hostlink.CloseFD(fd)
	}
	m.FDs = nil
}

// Ask sends a question and waits for its answer, which must bring wantFDs
// descriptors when it is a success. The error is the answer's Errno, or that of
// the conversation.
func (c *Conn) Ask(q *Message, wantFDs int) (Message, error) {
	var a Message
	if err := c.Send(q, false); err != nil {
		return a, err
	}
	if err := c.Receive(&a, false); err != nil {
		return a, err
	}
	if a.Op != q.Op || a.Errno == 0 && len(a.FDs) != wantFDs {
		a.CloseFDs()
		return a, abi.EBADMSG
	}
	if a.Errno != 0 {
		a.CloseFDs()
		return a, a.Errno
	}
	return a, nil
}
