package engine

import (
	"errors"
	"math/bits"
	"net/netip"

	"github.com/tcpcni/tcpcni/engine/rpc"
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// remote is the helper of an engine that has a holder: package rpc. An answer
// that cannot be had is EIO, and the call that needed it fails.
type remote struct{ conn *rpc.Conn }

func (r *remote) ask(q *rpc.Message, wantFDs int) (rpc.Message, abi.Errno) {
	a, err := r.conn.Ask(q, wantFDs)
	if err == nil {
		return a, 0
	}
	if e := abi.Errno(0); errors.As(err, &e) {
		return a, e
	}
	return a, abi.EIO
}

// tell asks for something that has no result.
func (r *remote) tell(op uint32, args [6]uint64) error {
	if _, e := r.ask(&rpc.Message{Op: op, Args: args}, 0); e != 0 {
		return e
	}
	return nil
}

func (r *remote) ready() error { return r.tell(rpc.OpReady, [6]uint64{}) }

func (r *remote) stopping() { _ = r.tell(rpc.OpStopping, [6]uint64{}) }

// keeper tells of the keeper and of the journal.
func (r *remote) keeper(pid, journal int) error {
	return r.tell(rpc.OpKeeper, [6]uint64{uint64(pid), uint64(journal)})
}

// adopted says that what the keeper before had is no longer needed. That keeper
// has ended when it returns.
func (r *remote) adopted() error { return r.tell(rpc.OpAdopted, [6]uint64{}) }

// guard gives the holder the listener of this process's filter.
func (r *remote) guard(listener int) error {
	return r.tell(rpc.OpGuard, [6]uint64{uint64(listener)})
}

func (r *remote) thread(tid uint32, place int) (hostlink.Task, abi.Errno) {
	return hostlink.AskPlace(hostlink.PlaceThread, int(tid), place)
}

// keeperBefore is a pidfd of the keeper that OpInherit told of, in its place.
func (r *remote) keeperBefore() (int, abi.Errno) {
	t, e := hostlink.AskPlace(hostlink.PlaceKeeper, 0, hostlink.KeeperPlace)
	return t.PidFD, e
}

func (r *remote) standing(tid uint32) (hostlink.Standing, abi.Errno) {
	a, e := r.ask(&rpc.Message{Op: rpc.OpStanding, Args: [6]uint64{uint64(tid)}}, 0)
	return hostlink.Standing{UID: uint32(a.Args[0]), Caps: a.Args[1]}, e
}

func (r *remote) closesOnExec(tid uint32, fd int) bool {
	a, e := r.ask(&rpc.Message{Op: rpc.OpClosesOnExec, Args: [6]uint64{uint64(tid), uint64(fd)}}, 0)
	return e == 0 && a.Args[0] != 0
}

func (r *remote) find(inode uint64) (int, bool) {
	fd, e := r.descriptor(&rpc.Message{Op: rpc.OpFind, Args: [6]uint64{inode}})
	return fd, e == 0
}

// descriptor asks for one descriptor.
func (r *remote) descriptor(q *rpc.Message) (int, abi.Errno) {
	a, e := r.ask(q, 1)
	if e != 0 {
		return -1, e
	}
	return a.FDs[0], 0
}

func (r *remote) iface(name string) (int, netip.Prefix, abi.Errno) {
	a, e := r.ask(&rpc.Message{Op: rpc.OpInterface, Data: []byte(name)}, 0)
	if e != 0 {
		return 0, netip.Prefix{}, e
	}
	addr, _ := netip.ParsePrefix(string(a.Data)) // empty: it has none
	return int(a.Args[0]), addr, 0
}

func (r *remote) listenKernel(at netip.AddrPort) (int, error) {
	return r.kernelSocket(rpc.OpListenKernel, at)
}

func (r *remote) dialKernel(to netip.AddrPort) (int, error) {
	return r.kernelSocket(rpc.OpDialKernel, to)
}

func (r *remote) kernelSocket(op uint32, a netip.AddrPort) (int, error) {
	fd, e := r.descriptor(&rpc.Message{Op: op, Data: []byte(a.String())})
	if e != 0 {
		return -1, e
	}
	return fd, nil
}

func (r *remote) bindKernel(at []netip.AddrPort, share bool) []int {
	q := rpc.Message{Op: rpc.OpBindKernel}
	if share {
		q.Args[0] = 1
	}
	fds := make([]int, len(at))
	for i := range at {
		fds[i] = -1
		if i > 0 {
			q.Data = append(q.Data, ',')
		}
		q.Data = at[i].AppendTo(q.Data)
	}
	var a rpc.Message
	err := r.conn.Send(&q, false)
	if err == nil {
		err = r.conn.Receive(&a, false)
	}
	if err != nil || a.Op != q.Op || a.Errno != 0 || len(a.FDs) != bits.OnesCount64(a.Args[0]) || a.Args[0]>>len(at) != 0 {
		a.CloseFDs()
		return fds
	}
	for i, next := 0, a.FDs; len(next) > 0; i++ {
		if a.Args[0]>>i&1 != 0 {
			fds[i], next = next[0], next[1:]
		}
	}
	return fds
}

func (r *remote) keep(listener int) abi.Errno {
	_, e := r.ask(&rpc.Message{Op: rpc.OpKeep, Args: [6]uint64{uint64(listener)}}, 0)
	return e
}

// inherit returns what the engine before this one left, counted from 0; ENOENT
// behind the last. How many descriptors come along depends on the kind.
func (r *remote) inherit(i int) (rpc.Message, abi.Errno) {
	var a rpc.Message
	err := r.conn.Send(&rpc.Message{Op: rpc.OpInherit, Args: [6]uint64{uint64(i)}}, false)
	if err == nil {
		err = r.conn.Receive(&a, false)
	}
	if err != nil || a.Op != rpc.OpInherit {
		a.CloseFDs()
		return a, abi.EIO
	}
	return a, a.Errno
}

func (r *remote) close() { r.conn.Close() }
