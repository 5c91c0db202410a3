package hostlink

// Readiness: epoll(7), epoll_pwait2(2) of Linux 5.11 and eventfd(2).

import (
	"encoding/binary"
	"math"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Readiness masks of events, as in epoll_ctl(2). Err and Hup are reported
// without being asked for.
const (
	In     = unix.EPOLLIN
	Out    = unix.EPOLLOUT
	Pri    = unix.EPOLLPRI
	RdHup  = unix.EPOLLRDHUP
	Err    = unix.EPOLLERR
	Hup    = unix.EPOLLHUP
	Edge   = unix.EPOLLET // report changes only
	OneHit = unix.EPOLLONESHOT
)

// Forever as a timeout waits without end.
const Forever time.Duration = -1

// wakeData marks the poller's own event; users must not register it.
const wakeData = ^uint64(0)

// An Event is one descriptor's readiness.
type Event unix.EpollEvent

// Ready returns the mask of what the descriptor is ready for.
func (e *Event) Ready() uint32 { return e.Events }

// Data returns the value that the descriptor was registered with.
func (e *Event) Data() uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }

// A Poller waits for descriptors. Wake may be called from any goroutine; the
// rest belongs to one loop.
type Poller struct {
	epfd, wakefd int
	events       []Event
	spin         time.Duration
	eager        func() bool   // see SetEager
	dense        int           // how well it pays to spin, 0 to denseMax
	timeout      unix.Timespec // of the sleep under way
}

// When it pays to spin. A processor that is woken from another costs both some
// microseconds, in a virtual machine tens of them: who looks again for as long as
// that instead of sleeping loses nothing by it, if something comes by then. So each
// wait that ended within the spin time counts for spinning, a longer one counts
// twice against it, and only from denseEnough on is there any: traffic that is
// slower costs no processor time.
const (
	denseMax    = 16
	denseEnough = 8
)

// quiet is how long a wait lasts, at least, that the Go scheduler is told about. It
// takes the processor away from a goroutine in a system call after some
// microseconds, starts another thread, and the goroutine has to ask for it again
// when the call returns: with short waits that costs more than they do. Until quiet
// is over a collection of garbage has to wait as well, which does no harm, as who
// makes the garbage sleeps.
const quiet = time.Millisecond

// NewPoller makes a poller that reports up to batch events at once.
func NewPoller(batch int) (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &Poller{epfd: epfd, wakefd: wakefd, events: make([]Event, max(batch, 1))}
	// Edge-triggered, so that the counter never has to be read: each write of
	// Wake is a new edge.
	if err := p.Add(wakefd, In|Edge, wakeData); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// SetSpin makes Wait look again for up to d before it sleeps, while events come
// that close together. It trades a busy processor for the wake-up's latency; 0, the
// default, is off.
func (p *Poller) SetSpin(d time.Duration) { p.spin = d }

// SetEager makes Wait call take while it looks again: what take has taken ends the
// wait at once, without events.
func (p *Poller) SetEager(take func() bool) { p.eager = take }

// Add registers fd with a mask of In, Out, Pri, RdHup, Edge, OneHit. Events
// carry data, any value but ^uint64(0).
func (p *Poller) Add(fd int, mask uint32, data uint64) error {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, mask, data)
}

// Modify changes the mask and data of a registered descriptor.
func (p *Poller) Modify(fd int, mask uint32, data uint64) error {
	return p.ctl(unix.EPOLL_CTL_MOD, fd, mask, data)
}

// Remove ends the registration. Events that Wait returned before may still name
// the descriptor's data.
func (p *Poller) Remove(fd int) error { return p.ctl(unix.EPOLL_CTL_DEL, fd, 0, 0) }

func (p *Poller) ctl(op, fd int, mask uint32, data uint64) error {
	ev := unix.EpollEvent{Events: mask, Fd: int32(uint32(data)), Pad: int32(uint32(data >> 32))}
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	if e != 0 {
		return os.NewSyscallError("epoll_ctl", e)
	}
	return nil
}

// Wait returns what is ready, waiting up to timeout (0 only looks, Forever
// waits without end). None are returned at the timeout, after Wake and after a
// signal. The slice is valid until the next call.
func (p *Poller) Wait(timeout time.Duration) ([]Event, error) {
	ready, e := p.look()
	if e == 0 && len(ready) == 0 && timeout != 0 {
		ready, e = p.pause(timeout)
	}
	if e != 0 && e != unix.EINTR {
		return nil, os.NewSyscallError("epoll_wait", e)
	}
	return p.withoutWake(ready), nil
}

// pause waits up to timeout: awake if that pays, asleep for a little, and then for
// the rest.
func (p *Poller) pause(timeout time.Duration) (ready []Event, e unix.Errno) {
	start := Now()
	until := start + timeout
	if timeout < 0 {
		until = math.MaxInt64
	}
	if p.spin > 0 && p.dense >= denseEnough {
		var taken bool
		ready, taken, e = p.spinUntil(min(start+p.spin, until))
		if taken {
			p.judge(true)
			return nil, 0
		}
	}
	now := Now()
	if e == 0 && len(ready) == 0 && now < until {
		if ready, e = p.doze(min(quiet, until-now)); e == unix.EINTR {
			e = 0 // it sleeps on below
		}
		now = Now()
	}
	if p.spin > 0 && e == 0 {
		p.judge(len(ready) > 0 && now-start <= p.spin)
	}
	switch {
	case e != 0 || len(ready) > 0 || now >= until:
		return ready, e
	case timeout < 0:
		return p.sleep(Forever)
	}
	return p.sleep(until - now)
}

// judge notes whether a wait was, or would have been, worth spinning.
func (p *Poller) judge(soon bool) {
	if soon {
		p.dense = min(p.dense+1, denseMax)
	} else {
		p.dense = max(p.dense-2, 0)
	}
}

// spinUntil looks until something is ready or was taken, at least once.
func (p *Poller) spinUntil(end time.Duration) (ready []Event, taken bool, e unix.Errno) {
	for {
		if p.eager != nil && p.eager() {
			return nil, true, 0
		}
		ready, e := p.look()
		if e != 0 || len(ready) > 0 || Now() >= end {
			return ready, false, e
		}
	}
}

// look polls without waiting and without telling the Go scheduler.
func (p *Poller) look() ([]Event, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
	if e != 0 {
		return nil, e
	}
	return p.events[:n], 0
}

// doze waits and does not tell the scheduler.
func (p *Poller) doze(timeout time.Duration) ([]Event, unix.Errno) {
	p.timeout = unix.NsecToTimespec(int64(timeout))
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(unsafe.Pointer(&p.timeout)), 0, 0)
	if e != 0 {
		return nil, e
	}
	return p.events[:n], 0
}

// sleep waits with the precision of nanoseconds. The scheduler knows, so the
// processor serves other goroutines and the garbage collector meanwhile.
func (p *Poller) sleep(timeout time.Duration) ([]Event, unix.Errno) {
	var ts *unix.Timespec
	if timeout >= 0 {
		p.timeout = unix.NsecToTimespec(int64(timeout))
		ts = &p.timeout
	}
	n, _, e := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(unsafe.Pointer(ts)), 0, 0)
	if e != 0 {
		return nil, e
	}
	return p.events[:n], 0
}

// withoutWake removes the poller's own event.
func (p *Poller) withoutWake(ready []Event) []Event {
	for i := range ready {
		if ready[i].Data() == wakeData {
			last := len(ready) - 1
			ready[i] = ready[last]
			return ready[:last]
		}
	}
	return ready
}

// Wake makes the current or the next Wait return at once.
func (p *Poller) Wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// It fails only when the counter is full, and then an edge is due anyway.
	_, _ = unix.Write(p.wakefd, one[:])
}

// Close releases the poller; descriptors registered with it stay open.
func (p *Poller) Close() error {
	_ = unix.Close(p.wakefd)
	return unix.Close(p.epfd)
}
