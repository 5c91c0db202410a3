package hostlink

// Links of descriptors that another process has opened.

import (
	"golang.org/x/sys/unix"
)

// AdoptTAP makes a TAP of a descriptor that OpenTAP opened, here or in another
// process, and takes ownership of it.
func AdoptTAP(fd int, name string) *TAP {
	t := &TAP{name: name}
	t.init(fd)
	return t
}

// AdoptPacket makes a Packet of a descriptor that OpenPacket opened and takes
// ownership of it.
func AdoptPacket(fd int, name string) *Packet {
	p := &Packet{name: name}
	p.init(fd)
	return p
}

// CopyFD returns a new close-on-exec descriptor for the open file behind fd.
func CopyFD(fd int) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return int(n), e
}
