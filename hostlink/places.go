package hostlink

// Whose descriptors an engine can take: pidfd_getfd(2), seccomp_unotify(2).
//
// CAP_SYS_PTRACE opens the descriptors of whatever process a pidfd stands for, and
// a pidfd of any process that it sees can be made by a program of the sandbox, out
// of whose table an engine can take it. So an engine uses pidfds in places only: a
// range of descriptor numbers that are never free. They are filled before the
// engine is locked down; EngineRules refuse to close one of them, and no call that
// is left puts a file at a number of the caller's choice. What the engine receives,
// from whomever, therefore lies elsewhere, and there pidfd_getfd is refused.
//
// The holder puts pidfds into places. It is the one that answers the engine's
// pidfd_open(2), by the listener of the engine's own filter
// (SECCOMP_ADDFD_FLAG_SETFD), after it has checked whom the number means.

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	// Places is how many there are. It is a power of two and divides firstPlace:
	// a filter then tests for all of them at once.
	Places     = 256
	firstPlace = 256

	// KeeperPlace is for the keeper of the engine before, the others are for
	// threads.
	KeeperPlace = Places - 1
)

// inPlaces holds when argument arg is the number of a place.
func inPlaces(arg int) Cond {
	return Cond{Arg: arg, Mask: ^uint32(Places - 1), In: []uint32{firstPlace}}
}

// PlaceFD is the number of a place, which counts from 0.
func PlaceFD(place int) int { return firstPlace + place }

// ReservePlaces fills the places of this process with copies of standard input,
// which is the null device. It is an error when one of them is in use.
func ReservePlaces() error {
	for fd := firstPlace; fd < firstPlace+Places; fd++ {
		got, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, fd)
		if err != nil {
			return os.NewSyscallError("F_DUPFD_CLOEXEC", err)
		}
		if got != fd {
			CloseFD(got)
			return fmt.Errorf("descriptor %d is in use: it is reserved", fd)
		}
	}
	return nil
}

// What an engine asks for by pidfd_open(2): arguments are the number of a thread,
// the place and one of these.
const (
	// PlaceThread: a pidfd of that thread. The result is a Task.
	PlaceThread = iota
	// PlaceKeeper: one of the keeper of the engine before. The result is 0.
	PlaceKeeper
)

// A PlaceRequest is what an engine asks for. Nothing of it has been checked, but
// that there is such a place.
type PlaceRequest struct {
	Kind, TID uint64
	place     int
	id        uint64
}

// AskPlace asks the holder for a pidfd in a place. EPERM and ESRCH are those of
// Members.Thread; ENOSYS: there is nobody to ask.
func AskPlace(kind, tid, place int) (Task, unix.Errno) {
	t := Task{PidFD: PlaceFD(place), Mem: -1, Placed: true}
	// A signal handler would cancel the call and begin it anew, after the
	// descriptor of the memory may have come.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := maskSignals(unix.SIG_BLOCK, ^uint64(0))
	r, _, e := unix.Syscall(unix.SYS_PIDFD_OPEN, uintptr(tid), uintptr(place), uintptr(kind))
	maskSignals(unix.SIG_SETMASK, before)
	if e == 0 && kind == PlaceThread {
		t.Mem, t.Brief, t.UID = int(r&maxGranted), r&briefBit != 0, uint32(r>>uidShift)
	}
	return t, e
}

// The result for a thread: the number of the descriptor of its memory, whether it
// is brief, its user.
const (
	maxGranted = 1<<30 - 1
	briefBit   = 1 << 30
	uidShift   = 31
)

// NextPlaceRequest waits for a request on the listener of an engine's filter; false:
// the engine is gone.
func (n *Notifier) NextPlaceRequest() (PlaceRequest, bool) {
	for {
		p := []unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err == unix.EINTR {
			continue
		} else if err != nil || p[0].Revents&(unix.POLLHUP|unix.POLLNVAL) != 0 {
			return PlaceRequest{}, false
		}
		var c Notification
		if p[0].Revents&unix.POLLIN == 0 || n.Recv(&c) != 0 {
			continue
		}
		q := PlaceRequest{id: c.ID, TID: c.Args[0], Kind: c.Args[2]}
		if c.Nr != unix.SYS_PIDFD_OPEN || c.Args[1] >= Places {
			n.Refuse(q, unix.EINVAL)
			continue
		}
		q.place = int(c.Args[1])
		return q, true
	}
}

// Refuse answers a request with an error.
func (n *Notifier) Refuse(q PlaceRequest, e unix.Errno) { n.Reply(q.id, 0, e) }

// Grant puts a copy of t.PidFD in the place, gives a copy of t.Mem, unless that is
// negative, and answers the request. The engine's thread takes both before it
// returns: one that is gone cancels it, and no other thing that an engine can do
// delays it.
func (n *Notifier) Grant(q PlaceRequest, t *Task) unix.Errno {
	e := n.ReplaceFD(q.id, PlaceFD(q.place), t.PidFD, true)
	result := int64(0)
	if e == 0 && t.Mem >= 0 {
		var number int
		if number, e = n.giveFD(q.id, t.Mem); number > maxGranted {
			e = unix.EMFILE
		}
		result = int64(number) | int64(t.UID)<<uidShift
		if t.Brief {
			result |= briefBit
		}
	}
	if e != 0 {
		n.Refuse(q, e)
		return e
	}
	return n.Reply(q.id, result, 0)
}
