package hostlink

// A thread that hands descriptors to callers: seccomp_unotify(2), clone(2), futex(2).
//
// Whoever gives the caller of a notified call a descriptor waits until the caller's
// thread has taken it, two switches of threads later (Notifier.ReplyFD). Where the
// loop has something else to do meanwhile, a courier waits instead. It is no thread
// of the Go runtime, whose scheduler would have to be told about each wait: a few
// instructions that no signal reaches, since one that came to a waiting thread would
// have the kernel withdraw the descriptor but not the answer.

import (
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2), within one process.
const (
	futexWait = 0 | 128
	futexWake = 1 | 128
)

// States of a courier's work. Odd ones are posted.
const (
	courierFree   = 0
	courierPosted = 1 // and nobody waits for the result
	courierDone   = 2
	courierWaited = 3  // posted; the loop waits in Finish
	courierAsleep = 5  // posted; the loop sleeps in its poller
	courierEnd    = 8  // it is to end
	courierEnded  = 16 // it touches nothing any more
)

// courierWork is shared with the thread, which knows its layout.
type courierWork struct {
	state    atomic.Uint32
	listener int32
	wake     int32 // an eventfd
	_        int32
	request  notifAddFD
	result   int64  // of ioctl(2): a descriptor of the caller, or a negative error
	one      uint64 // what is written to wake
}

// A Courier hands over one descriptor at a time. Its methods belong to one loop.
type Courier struct {
	work *courierWork
	page []byte // where that is
}

// cloneCourier makes the thread and returns its number, or a negative error.
//
//go:noescape
func cloneCourier(work unsafe.Pointer) int

// NewCourier starts a courier. It has the credentials and the filter of the calling
// thread, and wakes p when the loop asks for that.
func NewCourier(p *Poller) (*Courier, error) {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	w := (*courierWork)(unsafe.Pointer(&page[0]))
	w.wake, w.one = int32(p.wakefd), 1
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The thread inherits the mask.
	before := maskSignals(unix.SIG_BLOCK, ^uint64(0))
	tid := cloneCourier(unsafe.Pointer(w))
	maskSignals(unix.SIG_SETMASK, before)
	if tid < 0 {
		_ = unix.Munmap(page)
		return nil, os.NewSyscallError("clone", unix.Errno(-tid))
	}
	return &Courier{w, page}, nil
}

// Post has call id of n answered as Notifier.ReplyFD does. The courier has nothing
// else under way. fd stays open until Done.
func (c *Courier) Post(n *Notifier, id uint64, fd int, cloexec bool) {
	w := c.work
	w.listener = int32(n.fd)
	w.request = notifAddFD{id: id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, srcfd: uint32(fd)}
	if cloexec {
		w.request.newfdFlags = unix.O_CLOEXEC
	}
	w.state.Store(courierPosted)
	c.futex(futexWake, 1)
}

// Done reports whether what was posted has an outcome.
func (c *Courier) Done() bool { return c.work.state.Load() == courierDone }

// WakeWhenDone has the poller's next Wait return when there is an outcome. False: there
// is one already.
func (c *Courier) WakeWhenDone() bool {
	state := &c.work.state
	return state.CompareAndSwap(courierPosted, courierAsleep) || state.Load() == courierAsleep
}

// Finish waits for the outcome and returns it as Notifier.ReplyFD does.
func (c *Courier) Finish() (int, unix.Errno) {
	w := c.work
	for state := w.state.Load(); state != courierDone; state = w.state.Load() {
		if state == courierWaited || w.state.CompareAndSwap(state, courierWaited) {
			c.futex(futexWait, courierWaited)
		}
	}
	w.state.Store(courierFree)
	if w.result < 0 {
		return -1, unix.Errno(-w.result)
	}
	return int(w.result), 0
}

// Close ends the thread, which has nothing under way, and waits until that has woken
// the poller for the last time: the number of its descriptor may mean another soon.
func (c *Courier) Close() {
	if c == nil {
		return
	}
	state := &c.work.state
	state.Store(courierEnd)
	c.futex(futexWake, 1)
	for state.Load() != courierEnded {
		c.futex(futexWait, courierEnd)
	}
	// The thread's last wake-up may come after this: of one within the process the
	// kernel looks at the address only, not at what is there.
	_ = unix.Munmap(c.page)
	c.work, c.page = nil, nil
}

func (c *Courier) futex(op, val uintptr) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&c.work.state)), op, val, 0, 0, 0)
}
