package hostlink

// The control socket of an engine: unix(7), SCM_RIGHTS and SO_PEERCRED.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLineTooLong says that a peer sent more bytes without ending a line than are
// taken.
var ErrLineTooLong = errors.New("control line too long")

// MaxControlLine bounds a request line, in bytes: all tunables of a system fit
// several times. A client says what it takes of an answer, see Limit.
const MaxControlLine = 64 << 10

// ListenControl makes a listening AF_UNIX stream socket at path, which only its
// owner may connect to. A socket that stayed there from a dead process is
// replaced.
func ListenControl(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := listenAt(fd, path); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("control socket %q: %w", path, err)
	}
	return fd, nil
}

func listenAt(fd int, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	return os.NewSyscallError("listen", unix.Listen(fd, 16))
}

// AcceptControl takes the next connection, non-blocking. ErrAgain: none waits.
// A peer of another user than root is turned away, and ErrAgain returned.
func AcceptControl(listener int) (*ControlConn, error) {
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		if err == unix.EAGAIN || err == unix.ECONNABORTED || err == unix.EINTR {
			return nil, ErrAgain
		}
		return nil, os.NewSyscallError("accept4", err)
	}
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || cred.Uid != 0 {
		_ = unix.Close(fd)
		return nil, ErrAgain
	}
	return &ControlConn{fd: fd, limit: MaxControlLine}, nil
}

// A ControlConn carries lines, and descriptors along with them. On the side of
// the engine it never waits; on the client's it waits as long as DialControl
// was told.
type ControlConn struct {
	fd       int
	limit    int           // of an unfinished line in bytes
	patience time.Duration // of a client; 0 on the engine's side
	in       []byte
	searched int // bytes of in without a line feed
	out      []byte
	fds      []int // received, not yet taken
}

// DialControl connects to the control socket at path. Each later call waits up
// to patience in all, whatever drips in meanwhile: who answers may have been taken
// over, and must not keep its clients.
func DialControl(path string, patience time.Duration) (*ControlConn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	tv := unix.NsecToTimeval(int64(patience))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	return &ControlConn{fd: fd, limit: MaxControlLine, patience: patience}, nil
}

// Limit sets how many bytes a line may have; at first it is MaxControlLine.
func (c *ControlConn) Limit(n int) { c.limit = n }

// FD is the descriptor to poll.
func (c *ControlConn) FD() int { return c.fd }

// Peer returns the number of the process that made the socket which DialControl
// connected to, as the kernel has noted it.
func (c *ControlConn) Peer() (int, error) {
	cred, err := unix.GetsockoptUcred(c.fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, os.NewSyscallError("SO_PEERCRED", err)
	}
	return int(cred.Pid), nil
}

// Close ends the connection and closes descriptors that nobody took.
func (c *ControlConn) Close() error {
	for _, fd := range c.fds {
		_ = unix.Close(fd)
	}
	c.fds = nil
	return unix.Close(c.fd)
}

// SendLine queues line and a line feed and sends what the socket takes; with fd
// not negative, a copy of that descriptor goes along. On a client everything is
// sent on return.
func (c *ControlConn) SendLine(line []byte, fd int) error {
	c.out = append(append(c.out, line...), '\n')
	if fd >= 0 {
		n, err := unix.SendmsgN(c.fd, c.out, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
		if err != nil {
			return os.NewSyscallError("sendmsg", err)
		}
		c.out = c.out[n:]
	}
	return c.Flush()
}

// Flush sends more of what SendLine queued. Pending tells whether some is left,
// which happens on the engine's side only.
func (c *ControlConn) Flush() error {
	for len(c.out) > 0 {
		n, err := unix.SendmsgN(c.fd, c.out, nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN && c.patience == 0:
			return nil
		case err != nil:
			return os.NewSyscallError("sendmsg", err)
		default:
			c.out = c.out[n:]
		}
	}
	c.out = nil
	return nil
}

// Pending reports whether queued bytes wait for Flush.
func (c *ControlConn) Pending() bool { return len(c.out) > 0 }

// ReadLine returns the next line without its line feed. On the engine's side
// ErrAgain means that it is not complete, on a client's that it did not come in
// time; io.EOF is the end.
func (c *ControlConn) ReadLine() ([]byte, error) {
	end := time.Now().Add(c.patience)
	for {
		if i := bytes.IndexByte(c.in[c.searched:], '\n'); i >= 0 {
			i += c.searched
			line := c.in[:i:i]
			c.in, c.searched = c.in[i+1:], 0
			return line, nil
		}
		c.searched = len(c.in)
		if len(c.in) > c.limit {
			return nil, ErrLineTooLong
		}
		if err := c.waitUntil(end); err != nil {
			return nil, err
		}
		if err := c.receive(); err != nil {
			return nil, err
		}
	}
}

// waitUntil has a client's next receive wait no longer than until end.
func (c *ControlConn) waitUntil(end time.Time) error {
	if c.patience == 0 {
		return nil
	}
	left := time.Until(end)
	if left < time.Microsecond { // 0 would be for ever
		return ErrAgain
	}
	tv := unix.NsecToTimeval(int64(left))
	return os.NewSyscallError("SO_RCVTIMEO", unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
}

// TakeFD returns the oldest descriptor that was received, -1 when none.
func (c *ControlConn) TakeFD() int {
	if len(c.fds) == 0 {
		return -1
	}
	fd := c.fds[0]
	c.fds = c.fds[1:]
	return fd
}

// maxControlFDs bounds the descriptors of one message and of those not taken.
const maxControlFDs = 4

func (c *ControlConn) receive() error {
	buf := make([]byte, 16<<10)
	oob := make([]byte, unix.CmsgSpace(maxControlFDs*4))
	for {
		n, oobn, _, _, err := unix.Recvmsg(c.fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return ErrAgain
		case err != nil:
			return os.NewSyscallError("recvmsg", err)
		}
		c.keepFDs(oob[:oobn])
		if n == 0 {
			return io.EOF
		}
		c.in = append(c.in, buf[:n]...)
		return nil
	}
}

func (c *ControlConn) keepFDs(oob []byte) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if len(c.fds) >= maxControlFDs {
				_ = unix.Close(fd)
				continue
			}
			c.fds = append(c.fds, fd)
		}
	}
}
