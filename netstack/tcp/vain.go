package tcp

// Segments to ports at which nobody waits: FreeBSD's blackhole(4) and
// log_in_vain.

import (
	"net/netip"

	"github.com/tcpcni/tcpcni/netstack/wire"
)

// SetVain has f told of segments in vain, as the tunable log_in_vain asks for.
func (l *Layer) SetVain(f func(local, remote netip.AddrPort, flags wire.TCPFlags)) { l.vain = f }

// unwanted tells of a segment that nobody waits for, and reports whether it is
// answered.
func (l *Layer) unwanted(local, remote netip.AddrPort, flags wire.TCPFlags) bool {
	applies := func(level int32) bool { return level == 2 || level == 1 && flags&wire.TCPSyn != 0 }
	if l.vain != nil && applies(l.tun.LogInVain) {
		l.vain(local, remote, flags)
	}
	if applies(l.tun.Blackhole) {
		l.counters.Blackholed++
		return false
	}
	return true
}
