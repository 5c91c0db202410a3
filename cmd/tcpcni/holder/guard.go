package holder

import (
	"golang.org/x/sys/unix"

	"github.com/tcpcni/tcpcni/engine/rpc"
	"github.com/tcpcni/tcpcni/hostlink"
)

// takeGuard is OpGuard. The engine tells of its listener before it has seen the
// first frame; what somebody who has taken it over would like to be answered on
// comes too late.
func (h *Holder) takeGuard(q, _ *rpc.Message) unix.Errno {
	if h.guarded {
		return unix.EEXIST
	}
	fd, e := h.fromEngine(q.Args[0])
	if e != 0 {
		return e
	}
	if !hostlink.IsNotifier(fd) {
		hostlink.CloseFD(fd)
		return unix.EINVAL
	}
	h.guarded = true
	go h.guard(hostlink.NewNotifier(fd), h.engine)
	return 0
}

// guard fills the places of an engine (hostlink.ReservePlaces) until it ends. The
// engine's thread has to run for that, which this goroutine waits for and the
// others do not.
func (h *Holder) guard(n *hostlink.Notifier, engine *process) {
	defer func() { _ = n.Close() }()
	for {
		q, ok := n.NextPlaceRequest()
		if !ok {
			return
		}
		t, e := hostlink.Task{PidFD: -1, Mem: -1}, unix.EPERM
		done := make(chan bool)
		h.events <- func(h *Holder) {
			if h.engine == engine {
				t, e = h.lookUp(&q)
			}
			close(done)
		}
		<-done
		if e != 0 {
			n.Refuse(q, e)
			continue
		}
		n.Grant(q, &t)
		t.Close()
	}
}

// lookUp finds whom an engine asks for. It checks everything that it uses of the
// request.
func (h *Holder) lookUp(q *hostlink.PlaceRequest) (hostlink.Task, unix.Errno) {
	t := hostlink.Task{PidFD: -1, Mem: -1}
	var e unix.Errno
	switch q.Kind {
	case hostlink.PlaceThread:
		return h.members.Thread(number(q.TID))
	case hostlink.PlaceKeeper:
		if h.legacy == nil {
			return t, unix.ENOENT
		}
		t.PidFD, e = hostlink.CopyFD(h.legacy.pidfd)
		return t, e
	}
	return t, unix.EINVAL
}
