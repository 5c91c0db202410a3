package engine

// poll(2) and ppoll(2) of a system that shows other events than Linux does:
// sockopt.Profile.PollShut. AF_UNIX shows POLLHUP when both directions are shut,
// and a reader of a socket whose receiving end is shut gets the end of file. So a
// pair cannot be made to show that writing alone is shut; the call is notified
// (hostlink.PollRules) and answered here when such a socket is among those that
// it asks about. As POLLHUP is always shown, such a call never waits. All others
// go on in the kernel, with their time-outs and signals.
//
// A call that waits there already is not woken when another thread shuts down
// writing, unless it asks for POLLOUT. signalfd(2) shows its signals only to the
// process that has them, so none while the engine asks.

import (
	"encoding/binary"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// struct pollfd.
const (
	pollfdLen  = 8
	offEvents  = 4
	offRevents = 6
)

// maxPoll bounds the descriptors of one call that are looked at, since each costs
// some microseconds in which nobody else is served; a call with more is the kernel's.
// So is every call while no socket of the sandbox is shut for writing.
const maxPoll = 1024

// notWritable are the events that a socket shut for writing does not show.
const notWritable = abi.POLLOUT | abi.POLLWRNORM | abi.POLLWRBAND

func (c *call) poll() {
	n := uint64(uint32(c.req.Args[1])) // nfds is an unsigned int
	if !c.eng.profile.PollShut || n == 0 || n > maxPoll || c.eng.socks.shut == 0 {
		c.resume()
		return
	}
	set := c.eng.vectorBytes[:n*pollfdLen]
	if c.read(c.ptr(0), set) != nil || !c.asksShut(set) {
		c.resume() // the kernel knows the error
		return
	}
	ready, ok := c.pollEach(set)
	if !ok {
		c.resume()
		return
	}
	// Only revents are written: another thread may be changing the rest.
	revents := message{iov: c.eng.vectors[:0], room: int(2 * n)}
	b := make([]byte, 0, 2*n)
	for at := 0; at < len(set); at += pollfdLen {
		revents.iov = append(revents.iov, hostlink.RemoteVec{Addr: c.ptr(0) + uint64(at+offRevents), Len: 2})
		b = append(b, set[at+offRevents:at+pollfdLen]...)
	}
	if err := c.scatter(&revents, b); err != nil {
		c.result(err)
		return
	}
	c.reply(ready)
}

// asksShut reports whether a socket that is shut for writing is in the set.
func (c *call) asksShut(set []byte) bool {
	for at := 0; at < len(set); at += pollfdLen {
		if fd := pollFD(set[at:]); fd >= 0 && c.grab(fd) == 0 {
			shut := c.shutForWriting()
			c.release()
			if shut {
				return true
			}
		}
	}
	return false
}

// pollEach fills in the events of each descriptor and returns how many have any.
// False: it could not be told.
func (c *call) pollEach(set []byte) (ready int, ok bool) {
	for at := 0; at < len(set); at += pollfdLen {
		p := set[at : at+pollfdLen]
		got, ok := c.pollOne(pollFD(p), int16(binary.NativeEndian.Uint16(p[offEvents:])))
		if !ok {
			return 0, false
		}
		binary.NativeEndian.PutUint16(p[offRevents:], uint16(got))
		if got != 0 {
			ready++
		}
	}
	return ready, true
}

func (c *call) pollOne(fd int, events int16) (int16, bool) {
	if fd < 0 {
		return 0, true
	}
	switch c.grab(fd) {
	case 0:
	case abi.EBADF:
		return abi.POLLNVAL, true
	default:
		return 0, false
	}
	defer c.release()
	got, e := hostlink.PollNow(c.p, events)
	if c.shutForWriting() {
		got = got&^notWritable | abi.POLLHUP
	}
	return got, e == 0
}

// shutForWriting reports whether P' is a TCP socket whose program has shut down
// writing.
func (c *call) shutForWriting() bool {
	cookie, ok := hostlink.SocketCookie(c.p)
	if !ok {
		return false
	}
	s := c.eng.known(cookie)
	return s != nil && s.stream != nil && s.stream.wrShut
}

func pollFD(p []byte) int { return int(int32(binary.NativeEndian.Uint32(p))) }
