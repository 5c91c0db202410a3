package hostlink

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// FindInterface looks an interface of the calling thread's network namespace up:
// its index and its first IPv4 address, invalid when it has none. ENODEV: there
// is no such interface.
func FindInterface(name string) (index int, addr netip.Prefix, e unix.Errno) {
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return 0, netip.Prefix{}, unix.ENODEV
	}
	addrs, err := dev.Addrs()
	if err != nil {
		return dev.Index, netip.Prefix{}, 0
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			return dev.Index, p, 0
		}
	}
	return dev.Index, netip.Prefix{}, 0
}
