package holder

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine/rpc"
	"github.com/tcpcni/tcpcni/hostlink"
)

// serve answers the questions of one engine until it ends.
func (h *Holder) serve(c *rpc.Conn) {
	defer c.Close()
	for {
		var q rpc.Message
		err := c.Receive(&q, false)
		if err == unix.EBADMSG {
			continue
		}
		if err != nil {
			return
		}
		done := make(chan bool)
		h.events <- func(h *Holder) {
			if h.asks == c {
				h.answer(c, &q)
			}
			close(done)
		}
		<-done
		q.CloseFDs()
	}
}

// answer answers one question.
func (h *Holder) answer(c *rpc.Conn, q *rpc.Message) {
	a := rpc.Message{Op: q.Op}
	f, ok := answers[q.Op]
	if !ok {
		a.Errno = unix.ENOSYS
	} else {
		a.Errno = f(h, q, &a)
	}
	// An engine that does not take its answers cannot stop the holder.
	err := c.Send(&a, true)
	if e := unix.Errno(0); len(a.FDs) > 0 && errors.As(err, &e) {
		// The engine waits for an answer; descriptors may not be had at the moment
		// (ETOOMANYREFS, unix(7)).
		a.CloseFDs()
		a = rpc.Message{Op: q.Op, Errno: e}
		err = c.Send(&a, true)
	}
	if err != nil && !h.deaf {
		h.deaf = true // said once, as the engine could have it said without end
		h.log.Warn("an answer to the engine", "op", q.Op, "error", err)
	}
	a.CloseFDs()
}

// answers are what the holder does for its engine. They check everything that
// they use of the question.
var answers = map[uint32]func(h *Holder, q, a *rpc.Message) unix.Errno{
	rpc.OpReady: func(h *Holder, _, _ *rpc.Message) unix.Errno {
		if err := h.becameReady(); err != nil {
			h.log.Error("ready", "error", err)
			return unix.EPIPE
		}
		return 0
	},
	rpc.OpStopping: func(h *Holder, _, _ *rpc.Message) unix.Errno {
		h.stop()
		return 0
	},
	rpc.OpGuard: (*Holder).takeGuard,
	rpc.OpStanding: func(h *Holder, q, a *rpc.Message) unix.Errno {
		s, e := h.members.Standing(number(q.Args[0]))
		a.Args[0], a.Args[1] = uint64(s.UID), s.Caps
		return e
	},
	rpc.OpClosesOnExec: func(h *Holder, q, a *rpc.Message) unix.Errno {
		yes, e := h.members.ClosesOnExec(number(q.Args[0]), number(q.Args[1]))
		a.Args[0] = truth(yes)
		return e
	},
	rpc.OpFind: func(h *Holder, q, a *rpc.Message) unix.Errno {
		fd, ok := h.members.FindSocket(q.Args[0])
		if !ok {
			return unix.ENOENT
		}
		a.FDs = []int{fd}
		return 0
	},
	rpc.OpInterface: func(h *Holder, q, a *rpc.Message) unix.Errno {
		if len(q.Data) >= unix.IFNAMSIZ {
			return unix.ENODEV
		}
		var index int
		var addr netip.Prefix
		var e unix.Errno
		name := string(q.Data)
		_ = h.starter.do(func() error {
			index, addr, e = hostlink.FindInterface(name)
			return nil
		})
		a.Args[0] = uint64(index)
		if addr.IsValid() {
			a.Data = []byte(addr.String())
		}
		return e
	},
	rpc.OpKeep: func(h *Holder, q, _ *rpc.Message) unix.Errno {
		fd, e := h.fromEngine(q.Args[0])
		if e != 0 {
			return e
		}
		if e = h.kept.add(fd); e != 0 {
			hostlink.CloseFD(fd)
		}
		return e
	},
	rpc.OpInherit: (*Holder).bequeath,
	rpc.OpKeeper:  (*Holder).takeKeeper,
	rpc.OpAdopted: func(h *Holder, _, _ *rpc.Message) unix.Errno {
		h.legacy.end()
		h.legacy = nil
		h.members.EndSurvey()
		return 0
	},
	rpc.OpListenKernel: func(h *Holder, q, a *rpc.Message) unix.Errno { return h.kernelSocket(q, a, hostlink.ListenKernel) },
	rpc.OpBindKernel:   (*Holder).bindKernel,
	rpc.OpDialKernel:   func(h *Holder, q, a *rpc.Message) unix.Errno { return h.kernelSocket(q, a, hostlink.DialKernel) },
}

// number makes an int of an argument; what is no positive int32 becomes -1,
// which nothing is called.
func number(v uint64) int {
	if v > 1<<31-1 {
		return -1
	}
	return int(v)
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// kernelSocket makes a socket of the kernel at one of the sandbox's addresses.
func (h *Holder) kernelSocket(q, a *rpc.Message, how func(netip.AddrPort) (int, error)) unix.Errno {
	at, err := netip.ParseAddrPort(string(q.Data))
	if err != nil || at.Port() == 0 {
		return unix.EINVAL
	}
	if !h.owns(at.Addr()) {
		return unix.EADDRNOTAVAIL
	}
	err = h.starter.do(func() error {
		fd, err := how(at)
		if err == nil {
			a.FDs = []int{fd}
		}
		return err
	})
	if e := unix.Errno(0); errors.As(err, &e) {
		return e
	}
	if err != nil {
		return unix.EIO
	}
	return 0
}

// bindKernel is OpBindKernel.
func (h *Holder) bindKernel(q, a *rpc.Message) unix.Errno {
	list := strings.Split(string(q.Data), ",")
	if len(list) > hostlink.MaxPacketFDs || q.Args[0] > 1 {
		return unix.EINVAL
	}
	at := make([]netip.AddrPort, len(list))
	for i, text := range list {
		var err error
		if at[i], err = netip.ParseAddrPort(text); err != nil {
			return unix.EINVAL
		}
		if !h.owns(at[i].Addr()) {
			return unix.EADDRNOTAVAIL
		}
	}
	last := unix.EIO
	_ = h.starter.do(func() error {
		for i := range at {
			fd, err := hostlink.BindKernel(at[i], q.Args[0] == 1)
			if err == nil {
				a.FDs = append(a.FDs, fd)
				a.Args[0] |= 1 << i
			} else if e := unix.Errno(0); errors.As(err, &e) {
				last = e
			}
		}
		return nil
	})
	if len(a.FDs) == 0 {
		return last
	}
	return 0
}

// owns reports whether the address is the sandbox's or its loopback's.
func (h *Holder) owns(a netip.Addr) bool {
	return a.IsLoopback() ||
		slices.ContainsFunc(h.cfg.Addrs, func(p netip.Prefix) bool { return p.Addr() == a })
}

// bequeath is OpInherit: first the seccomp listeners, then the legacy.
func (h *Holder) bequeath(q, a *rpc.Message) unix.Errno {
	i := q.Args[0]
	n := uint64(len(h.kept.fds))
	var give []int
	switch {
	case i < n:
		a.Args[0] = rpc.InheritListener
		give = []int{h.kept.fds[i]}
	case i == n && h.legacy != nil:
		a.Args[0] = rpc.InheritLegacy
		give = []int{h.legacy.journal}
		h.legacy.tries++
		h.members.Survey() // the engine will ask for many sockets
	default:
		return unix.ENOENT
	}
	for _, fd := range give {
		c, e := hostlink.CopyFD(fd)
		if e != 0 {
			a.CloseFDs()
			return e
		}
		a.FDs = append(a.FDs, c)
	}
	return 0
}

// fromEngine takes a descriptor of the engine by its number. It is not sent: that
// can be prevented by whoever runs as the same user (ETOOMANYREFS, unix(7)).
func (h *Holder) fromEngine(n uint64) (int, unix.Errno) {
	if h.engine == nil {
		return -1, unix.EINVAL
	}
	fd, e := hostlink.GetFD(h.engine.pidfd, number(n))
	if e != 0 {
		return -1, unix.EINVAL
	}
	return fd, 0
}

// takeKeeper is OpKeeper.
func (h *Holder) takeKeeper(q, _ *rpc.Message) unix.Errno {
	switch {
	case h.engine == nil:
		return unix.EINVAL
	case h.keeper != nil:
		return unix.EEXIST
	}
	pid := number(q.Args[0])
	pidfd, e := hostlink.OpenChild(pid, h.engine.pid)
	if e != 0 {
		return e
	}
	journal, e := h.fromEngine(q.Args[1])
	if e != 0 {
		hostlink.CloseFD(pidfd)
		return e
	}
	h.keeper = &keeper{process: process{pid, pidfd}, journal: journal, lifeline: h.asks}
	return 0
}

// listeners are the kept seccomp listeners.
type listeners struct{ fds []int }

// maxKept bounds them: programs that were started one by one in the sandbox.
const maxKept = 1024

func (l *listeners) add(fd int) unix.Errno {
	if !hostlink.IsNotifier(fd) {
		return unix.EINVAL
	}
	if len(l.fds) >= maxKept/2 {
		l.prune()
	}
	if len(l.fds) >= maxKept {
		return unix.ENFILE
	}
	l.fds = append(l.fds, fd)
	return 0
}

// prune closes listeners that no program is left for.
func (l *listeners) prune() {
	left := l.fds[:0]
	for _, fd := range l.fds {
		if hostlink.HungUp(fd) {
			hostlink.CloseFD(fd)
		} else {
			left = append(left, fd)
		}
	}
	l.fds = left
}

func (l *listeners) close() {
	for _, fd := range l.fds {
		hostlink.CloseFD(fd)
	}
	l.fds = nil
}
