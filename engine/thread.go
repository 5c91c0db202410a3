package engine

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
)

// maxThreads bounds the cached threads, each of which has a place for its pidfd and
// a descriptor. A thread that comes back after its eviction costs a question to
// the helper.
const maxThreads = hostlink.KeeperPlace

// A thread is a thread of a program that has made notified calls.
type thread struct {
	hostlink.Task
	tid   uint32
	place int  // of its pidfd, and of itself in the cache
	used  bool // since the eviction hand last came by
}

// threads caches threads by number. A number may be given to another thread when
// its own has ended; the old pidfd then says ESRCH for ever.
type threads struct {
	helper helper
	byTID  map[uint32]*thread
	places []*thread // by place; nil: nobody's
	free   []int     // places that are nobody's
	hand   int
}

// get returns the thread that makes call id, opening it when needed. The check
// of the identifier after opening makes sure that the number still meant the
// caller. EPERM: the caller has left the sandbox.
func (t *threads) get(n *hostlink.Notifier, id uint64, tid uint32) (*thread, abi.Errno) {
	if th := t.byTID[tid]; th != nil {
		if !th.Brief {
			th.used = true
			return th, 0
		}
		t.forget(th)
	}
	place := t.vacate()
	task, e := t.helper.thread(tid, place)
	if e != 0 {
		return nil, e
	}
	if !n.Valid(id) {
		task.Close()
		return nil, abi.ESRCH
	}
	return t.add(tid, task), 0
}

// known returns a thread from the cache, nil when it is not there.
func (t *threads) known(tid uint32) *thread { return t.byTID[tid] }

// vacate makes sure that a place is free, and returns the last of those.
func (t *threads) vacate() int {
	if t.byTID == nil {
		t.byTID = make(map[uint32]*thread)
	}
	switch {
	case len(t.free) > 0:
	case len(t.places) < maxThreads:
		t.free = append(t.free, len(t.places))
		t.places = append(t.places, nil)
	default:
		// Second chance: pass over threads that were used since the last round.
		for t.places[t.hand].used {
			t.places[t.hand].used = false
			t.hand = (t.hand + 1) % maxThreads
		}
		t.forget(t.places[t.hand])
		t.hand = (t.hand + 1) % maxThreads
	}
	return t.free[len(t.free)-1]
}

// add puts a thread in the place that vacate has returned.
func (t *threads) add(tid uint32, task hostlink.Task) *thread {
	last := len(t.free) - 1
	th := &thread{Task: task, tid: tid, place: t.free[last], used: true}
	t.free = t.free[:last]
	t.places[th.place], t.byTID[tid] = th, th
	return th
}

// forget drops a thread that has ended. A second time does nothing.
func (t *threads) forget(th *thread) {
	if t.places[th.place] != th {
		return
	}
	t.places[th.place] = nil
	t.free = append(t.free, th.place)
	delete(t.byTID, th.tid)
	th.Close()
}

// privilegeOf reads what thread tid may do, and its user. It costs tens of
// microseconds, so it is asked only where a rule depends on it. A thread that has
// left the sandbox since it was first seen may use the sockets that it has, but
// has no privileges, and nobody's ports to share.
func (e *engine) privilegeOf(tid uint32) (sockopt.Privilege, uint32) {
	st, no := e.helper.standing(tid)
	if no != 0 {
		return sockopt.Privilege{}, noUser
	}
	has := func(c uint) bool { return st.Caps&(1<<c) != 0 }
	return sockopt.Privilege{
		NetAdmin:       has(abi.CAP_NET_ADMIN),
		NetRaw:         has(abi.CAP_NET_RAW),
		NetBindService: has(abi.CAP_NET_BIND_SERVICE),
	}, st.UID
}

// noUser is the user id that no process has: (uid_t)-1.
const noUser = 1<<32 - 1
