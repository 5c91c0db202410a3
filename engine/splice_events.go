package engine

// Events of the kernel's ends, and what listings say about splices.

import (
	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/netstack/tcp"
)

// kernelEnds knows the ends that have a descriptor, by its number.
type kernelEnds struct {
	byFD []*kernelEnd
	gen  uint32
}

// watchKernel has x hear of what happens to its descriptor.
func (e *engine) watchKernel(x *kernelEnd) error {
	k := &e.inline.kernel
	k.gen = (k.gen + 1) & genMask
	x.gen = k.gen
	if err := e.poll.Add(x.fd, kernelMask, tag(kindKernel, x.gen, x.fd)); err != nil {
		return err
	}
	for x.fd >= len(k.byFD) {
		k.byFD = append(k.byFD, nil)
	}
	k.byFD[x.fd] = x
	return nil
}

// unwatch is called before the descriptor is closed, by which the poller forgets
// it.
func (k *kernelEnds) unwatch(x *kernelEnd) {
	if x.fd < len(k.byFD) && k.byFD[x.fd] == x {
		k.byFD[x.fd] = nil
	}
}

func (e *engine) kernelReady(gen uint32, fd int, mask uint32) {
	k := &e.inline.kernel
	if fd < len(k.byFD) && k.byFD[fd] != nil && k.byFD[fd].gen == gen {
		k.byFD[fd].event(mask)
	}
}

// close is for the engine's end: who is connected sees a reset, unless
// there is nothing unread.
func (k *kernelEnds) close() {
	for _, x := range k.byFD {
		if x != nil {
			hostlink.CloseFD(x.fd)
		}
	}
}

// spliced returns the sockets of the sandbox's own stack that are ends of
// splices.
func (e *engine) spliced() map[*tcp.Socket]bool {
	held := make(map[*tcp.Socket]bool, len(e.inline.all))
	for _, s := range e.inline.all {
		for _, x := range [...]end{s.asked, s.dialled} {
			if x, ok := x.(*stackEnd); ok && x.sock != nil {
				held[x.sock] = true
			}
		}
	}
	return held
}
