package engine

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
	"github.com/tcpcni/tcpcni/sockopt"
)

// maxThreads bounds the cached threads, each of which is a descriptor. A thread
// that comes back after its eviction costs one pidfd_open.
const maxThreads = 256

// A thread is a thread of a program that has made notified calls.
type thread struct {
	tid   uint32
	pidfd int
	uid   uint32
	used  bool // since the eviction hand last came by
}

// threads caches pidfds by thread number. A number may be given to another
// thread when its own has ended; the old pidfd then says ESRCH for ever.
type threads struct {
	byTID map[uint32]*thread
	ring  []*thread
	hand  int
}

// get returns the thread that makes call id, opening it when needed. The check
// of the identifier after opening makes sure that the number still meant the
// caller.
func (t *threads) get(n *hostlink.Notifier, id uint64, tid uint32) (*thread, abi.Errno) {
	if th := t.byTID[tid]; th != nil {
		th.used = true
		return th, 0
	}
	fd, e := hostlink.OpenThread(int(tid))
	if e != 0 {
		return nil, e
	}
	if !n.Valid(id) {
		hostlink.CloseFD(fd)
		return nil, abi.ESRCH
	}
	th := &thread{tid: tid, pidfd: fd, used: true}
	if st, ok := hostlink.ReadThreadStatus(int(tid)); ok {
		th.uid = st.UID
	}
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
	if th.pidfd >= 0 {
		hostlink.CloseFD(th.pidfd)
		th.pidfd = -1
	}
}

// pids lists the cached threads, for a search through their descriptors.
func (t *threads) pids() []int {
	list := make([]int, 0, len(t.byTID))
	for tid := range t.byTID {
		list = append(list, int(tid))
	}
	return list
}

// privilegeOf reads what thread tid may do, and its user. It costs tens of
// microseconds, so it is asked only where a rule depends on it. Capabilities
// count in the user namespace that owns the sandbox: one that the program made
// for itself gives none.
func (e *engine) privilegeOf(tid uint32) (sockopt.Privilege, uint32) {
	st, ok := hostlink.ReadThreadStatus(int(tid))
	if !ok {
		return sockopt.Privilege{}, 0
	}
	if e.owner != 0 && st.UserNS != e.owner {
		return sockopt.Privilege{}, st.UID
	}
	has := func(c uint) bool { return st.Caps&(1<<c) != 0 }
	return sockopt.Privilege{
		NetAdmin:       has(abi.CAP_NET_ADMIN),
		NetRaw:         has(abi.CAP_NET_RAW),
		NetBindService: has(abi.CAP_NET_BIND_SERVICE),
	}, st.UID
}
