package main

// Capabilities of a sandboxed program: capabilities(7).

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// programCaps are what a program keeps when it runs as root: the set that
// container runtimes give, less raw sockets and device nodes. Nothing in it
// reaches the network or other processes' memory.
var programCaps = []uint{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER,
	unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP,
	unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
}

// confine leaves the calling thread, and the program that it will execute, the
// capabilities in keep and no way to others. Set-user-ID programs go on to
// work, within the bounding set. The filter does not depend on it: it was
// installed while CAP_SYS_ADMIN was there, which spares no_new_privs.
func confine(keep []uint) error {
	var mask uint64
	for _, c := range keep {
		mask |= 1 << c
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return os.NewSyscallError("PR_CAP_AMBIENT", err)
	}
	for c := uint(0); c < 64; c++ {
		// EINVAL: the kernel knows no more of them.
		if in, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0); err != nil {
			break
		} else if in == 0 || mask&(1<<c) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&hdr, &have[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	for i := range have {
		left := uint32(mask>>(32*i)) & have[i].Permitted
		have[i] = unix.CapUserData{Effective: left, Permitted: left}
	}
	return os.NewSyscallError("capset", unix.Capset(&hdr, &have[0]))
}
