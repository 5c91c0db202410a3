package engine

import (
	"fmt"
	"net/netip"

	"github.com/tcpcni/tcpcni/engine/rpc"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// A helper does for the engine what needs more privileges than an engine has.
// There are two: an engine that has a holder asks it (remote); one that runs by
// itself, as in tests of this package, does it directly (direct).
//
// All of it is off the data path: a thread is asked for once and cached.
type helper interface {
	// ready says that the sandbox is served.
	ready() error
	// stopping says that the engine ends because it was told to.
	stopping()
	// thread takes hold of a thread of the sandbox, with the pidfd in a place of
	// hostlink.ReservePlaces where the helper is the holder. EPERM: it is not the
	// sandbox's; ESRCH: there is none. The caller owns the descriptors.
	thread(tid uint32, place int) (hostlink.Task, abi.Errno)
	// standing is who a thread is and what it may do. It costs tens of
	// microseconds, so it is asked only where a rule depends on it.
	standing(tid uint32) (hostlink.Standing, abi.Errno)
	// closesOnExec reports whether descriptor fd of a thread is close-on-exec.
	closesOnExec(tid uint32, fd int) bool
	// find searches the threads that it has handed out for the socket with that
	// inode, and while an engine takes over from another every task of the
	// sandbox. The caller owns the descriptor.
	find(inode uint64) (fd int, ok bool)
	// iface looks an interface of the sandbox up; addr is its first IPv4 address,
	// invalid when it has none. ENODEV: there is no such interface.
	iface(name string) (index int, addr netip.Prefix, e abi.Errno)
	// listenKernel makes a TCP listener of the kernel at an address of the
	// sandbox, in its network namespace: hostlink.ListenKernel.
	listenKernel(at netip.AddrPort) (fd int, err error)
	// dialKernel starts to connect to an address of the sandbox, as
	// hostlink.DialKernel.
	dialKernel(to netip.AddrPort) (fd int, err error)
	// bindKernel makes UDP sockets of the kernel at up to
	// hostlink.MaxPacketFDs addresses of the sandbox: hostlink.BindKernel. A
	// descriptor is -1 where that failed.
	bindKernel(at []netip.AddrPort, share bool) []int
	// keep lets a seccomp listener outlive this process: the engine that is
	// started in its place inherits it. The listener stays the caller's.
	keep(listener int) abi.Errno
	close()
}

// startKeeper starts the process that keeps this one's descriptors when it dies,
// and tells the holder of it and of the journal.
func (e *engine) startKeeper() error {
	pid, err := hostlink.StartKeeper(e.held.Holder)
	if err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	return e.helper.(*remote).keeper(pid, e.journal.mem.FD())
}

// lockDown gives the holder the listener of this process's own filter, and gives
// it up here: who has it decides whose descriptors this process can take.
func (e *engine) lockDown() error {
	listener, err := lockDown()
	if err != nil {
		return err
	}
	if listener < 0 {
		e.log.Warn("no listener of its own, as somebody else has one already: intercepted programs cannot be served")
		return nil
	}
	defer hostlink.CloseFD(listener)
	return e.helper.(*remote).guard(listener)
}

// inherit takes over what the engine before this one left. The result is nil
// when there was none; what it is to do begins when the engine serves.
func (e *engine) inherit() (*adoption, error) {
	var taken *adoption
	r := e.helper.(*remote)
	for i := 0; ; i++ {
		m, no := r.inherit(i)
		if no == abi.ENOENT {
			break
		}
		if no != 0 {
			return nil, no
		}
		switch {
		case m.Args[0] == rpc.InheritListener && len(m.FDs) == 1:
			if err := e.attach(m.FDs[0]); err != nil {
				e.log.Warn("a listener of the engine before", "error", err)
				m.CloseFDs()
			}
		case m.Args[0] == rpc.InheritLegacy && len(m.FDs) == 1 && taken == nil:
			keeper, no := r.keeperBefore()
			if no != 0 {
				e.log.Warn("the keeper of the engine before", "error", no)
			}
			// After the listeners: calls under way are told by them.
			taken = e.adopt(legacy{keeper: keeper, journal: m.FDs[0]})
			m.CloseFDs()
		default:
			m.CloseFDs()
		}
	}
	if taken == nil {
		return nil, nil
	}
	return taken, r.adopted()
}

// holderGone ends the engine: nobody could start it again or end it.
func (e *engine) holderGone() {
	e.log.Error("the holder is gone")
	e.stop()
}
