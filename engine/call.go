package engine

import (
	"encoding/binary"
	"time"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A call is one notified system call on its way through a handler. Exactly one
// of reply, fail, replyFD, resume and park ends it.
type call struct {
	eng *engine
	on  *hostlink.Notifier
	req hostlink.Notification
	p   int   // P', a reference to the file that the call names; -1: none
	s   *sock // the socket that it is
	th  *thread

	note    int  // where the journal has it, or noNote
	late    bool // it has waited for as long as it may
	grouped bool // see group

	until time.Duration // it waits already, and for no longer than this; 0: as it likes
}

// arg returns argument i as the C int that most are.
func (c *call) arg(i int) int { return int(int32(c.req.Args[i])) }

// ptr returns argument i as an address of the program.
func (c *call) ptr(i int) uint64 { return c.req.Args[i] }

// reply ends the call with a value. False: nobody waits for it any more.
func (c *call) reply(v int) bool { return c.on.Reply(c.req.ID, int64(v), 0) == 0 }

// fail ends the call with an error.
func (c *call) fail(e errno.Errno) bool { return c.on.Reply(c.req.ID, 0, abi.Errno(e)) == 0 }

// result ends the call with 0, or with the error when there is one.
func (c *call) result(err error) bool {
	if err != nil {
		return c.fail(asErrno(err))
	}
	return c.reply(0)
}

// resume lets the kernel execute the call on the program's descriptor as it is.
func (c *call) resume() { c.on.Continue(c.req.ID) }

// asErrno takes the number out of an error of the stack, all of which are
// errno.Errno.
func asErrno(err error) errno.Errno {
	if e, ok := err.(errno.Errno); ok {
		return e
	}
	return errno.EIO
}

// nonBlocking reports whether the call must not wait; flags are those of a
// call that has MSG_DONTWAIT, else 0.
func (c *call) nonBlocking(flags int) bool {
	return flags&abi.MSG_DONTWAIT != 0 || c.p >= 0 && hostlink.NonBlocking(c.p)
}

// memory is the memory of the calling thread.
func (c *call) memory() (int, abi.Errno) {
	if c.th == nil || c.th.Mem < 0 {
		th, e := c.eng.threads.get(c.on, c.req.ID, c.req.TID)
		if e != 0 {
			return -1, e
		}
		c.th = th
	}
	return c.th.Mem, 0
}

// refresh opens the memory of a thread anew that has executed a program.
func (c *call) refresh() (int, abi.Errno) {
	c.eng.threads.forget(c.th)
	c.th = nil
	return c.memory()
}

// access reads or writes program memory.
func (c *call) access(do func(mem int, addr uint64, b []byte) (int, abi.Errno), addr uint64, b []byte) (int, abi.Errno) {
	mem, e := c.memory()
	if e != 0 {
		return 0, e
	}
	n, e := do(mem, addr, b)
	if e != abi.ESRCH {
		return n, e
	}
	if mem, e = c.refresh(); e != 0 {
		return 0, e
	}
	return do(mem, addr, b)
}

// accessV reads or writes several pieces of program memory.
func (c *call) accessV(do func(mem int, v []hostlink.RemoteVec, b []byte) (int, abi.Errno), v []hostlink.RemoteVec, b []byte) (int, abi.Errno) {
	mem, e := c.memory()
	if e != 0 {
		return 0, e
	}
	n, e := do(mem, v, b)
	if e != abi.ESRCH {
		return n, e
	}
	if mem, e = c.refresh(); e != 0 {
		return 0, e
	}
	return do(mem, v, b)
}

// still reports whether the caller is there, so that the number of its thread means
// nobody else.
func (c *call) still() bool { return c.grouped || c.on.Valid(c.req.ID) }

// group makes accesses to the caller's memory go without a look at whether the caller
// is there until ungroup: one look after the last of several reads says as much as one
// after each, and one before the first of several short writes keeps as far from the
// memory of somebody else as one before each.
func (c *call) group() { c.grouped = true }

func (c *call) ungroup() { c.grouped = false }

// look is the look that a group goes without: nil says that what was read is the
// caller's, and that the caller may be written to.
func (c *call) look() error {
	if !c.on.Valid(c.req.ID) {
		return errno.EFAULT
	}
	return nil
}

// read copies program memory. It checks that the caller is still there, so that
// what was read is the caller's.
func (c *call) read(addr uint64, b []byte) error {
	if n, e := c.access(hostlink.ReadMemory, addr, b); e != 0 || n < len(b) || !c.still() {
		return errno.EFAULT
	}
	return nil
}

// write copies to program memory. The check comes first: a thread number that
// means somebody else must not be written to.
func (c *call) write(addr uint64, b []byte) error {
	if !c.still() {
		return errno.EFAULT
	}
	if n, e := c.access(hostlink.WriteMemory, addr, b); e != 0 || n < len(b) {
		return errno.EFAULT
	}
	return nil
}

func (c *call) readInt(addr uint64) (int, error) {
	var b [4]byte
	err := c.read(addr, b[:])
	return int(int32(binary.NativeEndian.Uint32(b[:]))), err
}

func (c *call) writeInt(addr uint64, v int) error {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(v))
	return c.write(addr, b[:])
}

// readSockaddr copies an address argument, as move_addr_to_kernel does.
func (c *call) readSockaddr(addr uint64, n int) ([]byte, error) {
	if n < 0 || n > sockaddrMax {
		return nil, errno.EINVAL
	}
	b := c.eng.scratch[:n]
	if n == 0 {
		return b, nil
	}
	return b, c.read(addr, b)
}

// writeSockaddr returns an address through a pointer and a value-result length,
// as move_addr_to_user does: cut to the program's room, with the true length.
func (c *call) writeSockaddr(addr, lenAddr uint64, sa []byte) error {
	c.group()
	defer c.ungroup()
	room, err := c.readInt(lenAddr)
	if gone := c.look(); gone != nil {
		return gone
	}
	if err != nil {
		return err
	}
	return c.putSockaddr(addr, lenAddr, room, sa)
}

// putSockaddr is writeSockaddr when the length was read. One that is true already
// stays.
func (c *call) putSockaddr(addr, lenAddr uint64, room int, sa []byte) error {
	if room < 0 {
		return errno.EINVAL
	}
	if n := min(room, len(sa)); n > 0 {
		if err := c.write(addr, sa[:n]); err != nil {
			return err
		}
	}
	if room == len(sa) {
		return nil
	}
	return c.writeInt(lenAddr, len(sa))
}

// privileged runs try without privilege and, when that is refused, again with
// what the caller really has: most callers need none and reading it is slow.
func (c *call) privileged(try func(sockopt.Privilege) error) error {
	err := try(sockopt.Privilege{})
	if err != errno.EPERM && err != errno.EACCES {
		return err
	}
	priv, _ := c.eng.privilegeOf(c.req.TID)
	if priv == (sockopt.Privilege{}) || !c.on.Valid(c.req.ID) {
		return err
	}
	return try(priv)
}

// withPrivilege runs try with what the caller really has.
func (c *call) withPrivilege(try func(sockopt.Privilege) error) error {
	priv, _ := c.eng.privilegeOf(c.req.TID)
	if !c.on.Valid(c.req.ID) {
		priv = sockopt.Privilege{}
	}
	return try(priv)
}

// grab fetches the file behind descriptor fd of the caller.
func (c *call) grab(fd int) abi.Errno {
	for range 2 {
		th, e := c.eng.threads.get(c.on, c.req.ID, c.req.TID)
		if e != 0 {
			return e
		}
		p, e := hostlink.GetFD(th.PidFD, fd)
		if e == 0 {
			c.p, c.th = p, th
			return 0
		}
		if e != abi.ESRCH {
			return e
		}
		c.eng.threads.forget(th) // its number was given to another
	}
	return abi.ESRCH
}

// release closes P'. What a handler needs later it grabs again: a reference
// held by the engine would hide the program's close.
func (c *call) release() {
	if c.p >= 0 {
		hostlink.CloseFD(c.p)
		c.p = -1
	}
}
