package engine

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
)

// maxThreads bounds the cached threads, each of which is two descriptors. A
// thread that comes back after its eviction costs a question to the helper.
const maxThreads = 256

// A thread is a thread of a program that has made notified calls.
type thread struct {
	tid   uint32
	pidfd int
	mem   int // its memory, see hostlink.ReadMemory
	uid   uint32
	brief bool // not to be used for another call, see hostlink.Task
	used  bool // since the eviction hand last came by
}

// threads caches threads by number. A number may be given to another thread when
// its own has ended; the old pidfd then says ESRCH for ever.
type threads struct {
	helper helper
	byTID  map[uint32]*thread
	ring   []*thread
	hand   int
}

// get returns the thread that makes call id, opening it when needed. The check
// of the identifier after opening makes sure that the number still meant the
// caller. EPERM: the caller has left the sandbox.
func (t *threads) get(n *hostlink.Notifier, id uint64, tid uint32) (*thread, abi.Errno) {
	if th := t.byTID[tid]; th != nil {
		if !th.brief {
			th.used = true
			return th, 0
		}
		t.forget(th)
	}
	task, e := t.helper.thread(tid)
	if e != 0 {
		return nil, e
	}
	if !n.Valid(id) {
		task.Close()
		return nil, abi.ESRCH
	}
	th := &thread{tid: tid, pidfd: task.PidFD, mem: task.Mem, uid: task.UID, brief: task.Brief, used: true}
	t.add(th)
	return th, 0
}

// known returns a thread from the cache, nil when it is not there.
func (t *threads) known(tid uint32) *thread { return t.byTID[tid] }

func (t *threads) add(th *thread) {
	if t.byTID == nil {
		t.byTID = make(map[uint32]*thread)
	}
	t.byTID[th.tid] = th
	if len(t.ring) < maxThreads {
		t.ring = append(t.ring, th)
		return
	}
	// Second chance: pass over threads that were used since the last round.
	for t.ring[t.hand].used {
		t.ring[t.hand].used = false
		t.hand = (t.hand + 1) % maxThreads
	}
	old := t.ring[t.hand]
	if t.byTID[old.tid] == old {
		delete(t.byTID, old.tid)
	}
	old.close()
	t.ring[t.hand] = th
	t.hand = (t.hand + 1) % maxThreads
}

// forget drops a thread that has ended. Its place in the ring is reused in turn.
func (t *threads) forget(th *thread) {
	if t.byTID[th.tid] == th {
		delete(t.byTID, th.tid)
	}
	th.close()
	th.used = false
}

func (th *thread) close() {
	for _, fd := range []*int{&th.pidfd, &th.mem} {
		if *fd >= 0 {
			hostlink.CloseFD(*fd)
			*fd = -1
		}
	}
}

// privilegeOf reads what thread tid may do, and its user. It costs tens of
// microseconds, so it is asked only where a rule depends on it.
func (e *engine) privilegeOf(tid uint32) (sockopt.Privilege, uint32) {
	st, no := e.helper.standing(tid)
	if no != 0 {
		return sockopt.Privilege{}, 0
	}
	has := func(c uint) bool { return st.Caps&(1<<c) != 0 }
	return sockopt.Privilege{
		NetAdmin:       has(abi.CAP_NET_ADMIN),
		NetRaw:         has(abi.CAP_NET_RAW),
		NetBindService: has(abi.CAP_NET_BIND_SERVICE),
	}, st.UID
}
