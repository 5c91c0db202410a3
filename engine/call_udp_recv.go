package engine

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// receiveCalls are the calls that wait for a datagram.
var receiveCalls = []int32{abi.SYS_RECVFROM, abi.SYS_RECVMSG, abi.SYS_RECVMMSG}

// A parcel is what a receiving call hands over.
type parcel struct {
	name    netip.AddrPort
	payload []byte
	control []byte
	flags   int // of msg_flags
}

// givers hand one parcel over, by call; they return what the call returns.
var givers = map[int32]func(*call, *parcel) (int, error){
	abi.SYS_RECVFROM: (*call).giveFrom,
	abi.SYS_RECVMSG:  (*call).giveMsg,
	abi.SYS_RECVMMSG: (*call).giveMmsg,
}

func (c *call) recvfromDgram(d *dgram) { c.receive(d) }

func (c *call) recvmsgDgram(d *dgram) { c.receive(d) }

// recvmmsgDgram receives what is there, up to the number of messages that the
// program has room for; with nothing there it waits for one.
func (c *call) recvmmsgDgram(d *dgram) {
	count := int(min(uint64(uint32(c.ptr(2))), hostlink.RemoteVectors))
	flags := c.receiveFlags()
	if count == 0 {
		c.reply(0)
		return
	}
	if flags&abi.MSG_ERRQUEUE != 0 {
		c.receive(d)
		return
	}
	peek := flags&abi.MSG_PEEK != 0
	taken := &c.eng.taken
	taken.begin()
	n, err := 0, error(nil)
	for n < count {
		o, payload, e := d.takeRun(c.p, peek)
		if e != 0 {
			break
		}
		if !peek {
			taken.note(o, payload)
		}
		if err = c.giveAt(c.ptr(1)+uint64(n)*mmsghdrLen, c.parcelOf(o, payload)); err != nil {
			break
		}
		n++
	}
	heard := false
	switch {
	case n > 0:
		heard = c.reply(n)
	case err != nil:
		heard = c.fail(asErrno(err))
	default:
		c.receive(d) // errors and waiting are the same as for one
		return
	}
	if !heard {
		d.putBack(taken.list()...)
	}
}

func (c *call) receiveFlags() int {
	if c.req.Nr == abi.SYS_RECVMSG {
		return c.arg(2)
	}
	return c.arg(3)
}

// receive ends a call with one datagram, an error, or waits.
func (c *call) receive(d *dgram) {
	flags := c.receiveFlags()
	if flags&abi.MSG_ERRQUEUE != 0 {
		c.receiveError(d)
		return
	}
	if e := d.udp.TakeError(); e != 0 {
		d.origins.keepLast(hostlink.QueuedIn(c.p))
		_ = d.skipWakes(c.p) // it has done its work
		c.fail(e)
		d.showErrors()
		return
	}
	inP := len(d.stash) == 0
	o, payload, e := d.takeRun(c.p, flags&abi.MSG_PEEK != 0)
	switch {
	case e == 0 && inP && flags&abi.MSG_PEEK != 0 && d.peeksFromOffset():
		c.finishPeek(d, o, payload)
	case e == 0:
		c.finishReceive(d, o, payload)
		d.showErrors()
	case d.rdShut || e != abi.EAGAIN:
		c.reply(0)
	case c.nonBlocking(flags):
		c.fail(errno.EAGAIN)
	default:
		c.parkFor(d.udp.Options().RcvTimeo, errno.EAGAIN)
	}
}

// finishReceive hands a datagram to the call. False: the caller was interrupted
// and nobody has it.
func (c *call) finishReceive(d *dgram, o origin, payload []byte) bool {
	n, err := givers[c.req.Nr](c, c.parcelOf(o, payload))
	heard := false
	if err != nil {
		heard = c.fail(asErrno(err))
	} else {
		heard = c.reply(n)
	}
	if !heard && c.p >= 0 && c.receiveFlags()&abi.MSG_PEEK == 0 {
		d.putBack(stashed{o, slices.Clone(payload)})
	}
	return heard
}

// take removes the oldest datagram from P, or only looks at it.
func (d *dgram) take(p int, peek bool) (origin, []byte, abi.Errno) {
	if len(d.stash) > 0 {
		st := d.stash[0]
		if !peek {
			d.unstash()
		}
		return st.origin, st.payload, 0
	}
	if d.origins.len() > 1 { // a single one is what comes, or nothing comes
		d.origins.keepLast(hostlink.QueuedIn(p))
	}
	if e := d.skipWakes(p); e != 0 {
		return origin{}, nil, e
	}
	b := d.eng.datagram[:]
	if peek && d.peeksFromOffset() {
		at := peekOffset(p)
		n, e := hostlink.Recv(p, b, abi.MSG_PEEK)
		return d.attribute(d.origins.peekAt(at, n)), b[:n], e
	}
	if peek {
		n, e := hostlink.Recv(p, b, abi.MSG_PEEK)
		return d.attribute(d.origins.peek(n)), b[:n], e
	}
	n, e := hostlink.Recv(p, b, 0)
	if e != 0 {
		return origin{}, nil, e
	}
	return d.attribute(d.origins.match(n)), b[:n], 0
}

// skipWakes removes empty datagrams that stand for no datagram. Whether the
// first entry without bytes is still in the queue shows by looking.
func (d *dgram) skipWakes(p int) abi.Errno {
	for d.origins.len() > 0 && d.origins.list[d.origins.head].size == 0 {
		var b [1]byte
		n, e := d.look(p, b[:])
		switch {
		case e != 0:
			d.origins.clear()
			return e
		case n > 0:
			d.origins.pop() // read natively
		case !d.origins.list[d.origins.head].wake:
			return 0 // an empty datagram
		default:
			_, _ = hostlink.Recv(p, b[:], 0)
			d.origins.pop()
		}
	}
	return 0
}

// finishPeek is finishReceive for MSG_PEEK with SO_PEEK_OFF: take has looked at the
// whole datagram, and the offset moves by what the program had room for.
func (c *call) finishPeek(d *dgram, o origin, payload []byte) {
	at := peekOffset(c.p)
	m, err := c.receiveMessage()
	room := m.room
	if err != nil || !c.finishReceive(d, o, payload) {
		room = 0
	}
	if err != nil {
		c.result(err)
	}
	if at >= 0 {
		setPeekOffset(c.p, at-int32(len(payload)-min(len(payload), room)))
	}
}

// look peeks at the first datagram, whatever SO_PEEK_OFF says, and leaves that as
// it is.
func (d *dgram) look(p int, b []byte) (int, abi.Errno) {
	if !d.peeksFromOffset() {
		return hostlink.Recv(p, b, abi.MSG_PEEK)
	}
	at := peekOffset(p)
	setPeekOffset(p, -1)
	n, e := hostlink.Recv(p, b, abi.MSG_PEEK)
	setPeekOffset(p, at)
	return n, e
}

// peeksFromOffset reports whether SO_PEEK_OFF was ever set: P keeps what has become
// of it.
func (d *dgram) peeksFromOffset() bool { return d.udp.Options().Rare().PeekOff != 0 }

// peekOffset is SO_PEEK_OFF of P', negative: off.
func peekOffset(p int) int32 {
	var b [4]byte
	if n, e := hostlink.GetSockOpt(p, abi.SOL_SOCKET, abi.SO_PEEK_OFF, b[:]); e != 0 || n != len(b) {
		return -1
	}
	return int32(binary.NativeEndian.Uint32(b[:]))
}

func setPeekOffset(p int, at int32) {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(at))
	hostlink.SetSockOpt(p, abi.SOL_SOCKET, abi.SO_PEEK_OFF, b[:])
}

// groupedBytes is how much a group of writes writes before it looks again, in bytes:
// more takes longer than the look.
const groupedBytes = 4096

func (c *call) giveFrom(x *parcel) (int, error) {
	m := message{name: c.ptr(4)}
	c.oneVector(&m)
	c.group()
	defer c.ungroup()
	room, noRoom := 0, error(nil)
	if m.name != 0 {
		room, noRoom = c.readInt(c.ptr(5))
	}
	if err := c.look(); err != nil {
		return 0, err
	}
	if err := c.scatterLook(&m, x.payload); err != nil {
		return 0, err
	}
	if m.name != 0 {
		if noRoom != nil {
			return 0, noRoom
		}
		var sa [sockaddrIn6Len]byte
		if err := c.putSockaddr(m.name, c.ptr(5), room, appendSockaddr(sa[:0], c.s.domain, x.name)); err != nil {
			return 0, err
		}
	}
	return c.received(&m, x.payload), nil
}

// scatterLook is scatter in a group of writes.
func (c *call) scatterLook(m *message, payload []byte) error {
	if err := c.scatter(m, payload); err != nil || len(payload) <= groupedBytes {
		return err
	}
	return c.look()
}

// received is the length that a receiving call returns.
func (c *call) received(m *message, payload []byte) int {
	if c.receiveFlags()&abi.MSG_TRUNC != 0 {
		return len(payload)
	}
	return min(len(payload), m.room)
}

func (c *call) giveMsg(x *parcel) (int, error) { return c.giveMessage(c.ptr(1), x) }

func (c *call) giveMmsg(x *parcel) (int, error) { return 1, c.giveAt(c.ptr(1), x) }

// giveAt fills one struct mmsghdr.
func (c *call) giveAt(at uint64, x *parcel) error {
	c.group()
	defer c.ungroup()
	n, err := c.fillMessage(at, x)
	if err != nil {
		return err
	}
	return c.writeInt(at+offMmsgLen, n)
}

// giveMessage fills one struct msghdr and what it points to.
func (c *call) giveMessage(at uint64, x *parcel) (int, error) {
	c.group()
	defer c.ungroup()
	return c.fillMessage(at, x)
}

// fillMessage is giveMessage in a group.
func (c *call) fillMessage(at uint64, x *parcel) (int, error) {
	m, err := c.readMessage(at)
	if gone := c.look(); gone != nil {
		return 0, gone
	}
	if err != nil {
		return 0, err
	}
	if err := c.scatterLook(&m, x.payload); err != nil {
		return 0, err
	}
	var room [sockaddrIn6Len]byte
	if err := c.endMessage(&m, appendSockaddr(room[:0], c.s.domain, x.name), x); err != nil {
		return 0, err
	}
	return c.received(&m, x.payload), nil
}

// endMessage fills the struct msghdr but for the bytes: where they came from, the
// ancillary data and the flags.
func (c *call) endMessage(m *message, sa []byte, x *parcel) error {
	if m.name != 0 {
		if n := min(m.nameLen, len(sa)); n > 0 {
			if err := c.write(m.name, sa[:n]); err != nil {
				return err
			}
		}
		if err := c.writeInt(m.lenAddr, len(sa)); err != nil {
			return err
		}
	}
	flags := x.flags
	if len(x.payload) > m.room {
		flags |= abi.MSG_TRUNC
	}
	room := 0
	if m.control != 0 {
		room = int(min(m.ctrlLen, maxControl))
	}
	control, cut := fitControl(x.control, room)
	if cut {
		flags |= abi.MSG_CTRUNC
	}
	if len(control) > 0 {
		if err := c.write(m.control, control); err != nil {
			return err
		}
	}
	var tail [12]byte // msg_controllen and msg_flags
	binary.NativeEndian.PutUint64(tail[:], uint64(len(control)))
	binary.NativeEndian.PutUint32(tail[8:], uint32(flags))
	return c.write(m.addr+offControlLn, tail[:])
}
