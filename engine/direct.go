package engine

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/hostlink"
	"github.com/tcpcni/tcpcni/hostlink/abi"
)

// direct is the helper of an engine without a holder: it has the privileges
// itself, and its thread is in the sandbox's network namespace. Nothing outlives
// it.
type direct struct{ members *hostlink.Members }

// newDirect makes one for the sandbox of network namespace netNS.
func newDirect(netNS string) (*direct, error) {
	members, err := hostlink.NewMembers(netNS)
	return &direct{members}, err
}

func (d *direct) ready() error { return nil }

func (d *direct) stopping() {}

func (d *direct) thread(tid uint32, _ int) (hostlink.Task, abi.Errno) {
	return d.members.Thread(int(tid))
}

func (d *direct) standing(tid uint32) (hostlink.Standing, abi.Errno) {
	return d.members.Standing(int(tid))
}

func (d *direct) closesOnExec(tid uint32, fd int) bool {
	yes, e := d.members.ClosesOnExec(int(tid), fd)
	return e == 0 && yes
}

func (d *direct) find(inode uint64) (int, bool) { return d.members.FindSocket(inode) }

func (d *direct) iface(name string) (int, netip.Prefix, abi.Errno) {
	return hostlink.FindInterface(name)
}

func (d *direct) listenKernel(at netip.AddrPort) (int, error) { return hostlink.ListenKernel(at) }

func (d *direct) dialKernel(to netip.AddrPort) (int, error) { return hostlink.DialKernel(to) }

func (d *direct) bindKernel(at []netip.AddrPort, share bool) []int {
	fds := make([]int, len(at))
	for i := range at {
		var err error
		if fds[i], err = hostlink.BindKernel(at[i], share); err != nil {
			fds[i] = -1
		}
	}
	return fds
}

func (d *direct) keep(int) abi.Errno { return 0 }

func (d *direct) close() {}
