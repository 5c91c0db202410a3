package hostlink

// Privileges: capabilities(7), prctl(2), getrlimit(2).

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Capability is a number of capabilities(7): unix.CAP_SYS_PTRACE and so on.
type Capability = int

// ErrCgo says that the program was built with cgo.
var ErrCgo = errors.New("privileges of all threads can only be dropped by a program built with CGO_ENABLED=0")

// Securebits that keep user 0 from being more than any other user, now and
// after any execve: SECBIT_NOROOT, SECBIT_NO_SETUID_FIXUP and
// SECBIT_NO_CAP_AMBIENT_RAISE, each with its lock (linux/securebits.h).
const secureBits = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<6 | 1<<7

// parentBits are secureBits without the last: a process that starts others may
// hand capabilities on as ambient ones.
const parentBits = secureBits &^ (1<<6 | 1<<7)

// DropPrivileges gives up every capability but keep, for good and in every
// thread: the bounding set shrinks to keep, the permitted, effective and
// inheritable sets become keep, the ambient set becomes empty, user 0 loses its
// special treatment, execve gains nothing (no_new_privs), and the process can
// neither be traced by others nor dump core (not dumpable).
//
// Capabilities belong to threads and the Go runtime has several, so each call
// is made by all of them (syscall.AllThreadsSyscall); with cgo the runtime does
// not know all threads, and the error is ErrCgo before anything has changed.
func DropPrivileges(keep ...Capability) error { return drop(secureBits, keep) }

// LimitPrivileges is DropPrivileges for a process that starts others: it may hand
// capabilities of keep on to them (syscall.SysProcAttr.AmbientCaps).
func LimitPrivileges(keep ...Capability) error { return drop(parentBits, keep) }

func drop(bits uintptr, keep []Capability) error {
	var mask uint64
	for _, c := range keep {
		if c < 0 || c > unix.CAP_LAST_CAP {
			return fmt.Errorf("capability %d: accepted are 0 to %d", c, unix.CAP_LAST_CAP)
		}
		mask |= 1 << c
	}
	// Not being able to shrink the bounding set is no reason to stop: without
	// CAP_SETPCAP the permitted set is what limits the process, and no_new_privs
	// keeps it so.
	setpcap, err := hasEffective(unix.CAP_SETPCAP)
	if err != nil {
		return err
	}
	if err := allThreads("PR_SET_NO_NEW_PRIVS", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return err
	}
	if err := allThreads("PR_CAP_AMBIENT", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL); err != nil {
		return err
	}
	if setpcap {
		if err := shrinkBounding(bits, mask); err != nil {
			return err
		}
	}
	if err := setCapabilities(mask); err != nil {
		return err
	}
	return os.NewSyscallError("PR_SET_DUMPABLE", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// hasEffective reports whether the calling thread holds capability c.
func hasEffective(c Capability) (bool, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false, os.NewSyscallError("capget", err)
	}
	return data[c/32].Effective&(1<<(c%32)) != 0, nil
}

func shrinkBounding(bits uintptr, mask uint64) error {
	if err := allThreads("PR_SET_SECUREBITS", unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, bits); err != nil {
		return err
	}
	for c := range uintptr(64) {
		// The kernel's own last capability may be beyond the one known here.
		known, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if err != nil {
			return nil
		}
		if known == 0 || mask&(1<<c) != 0 {
			continue
		}
		if err := allThreads("PR_CAPBSET_DROP", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c); err != nil {
			return err
		}
	}
	return nil
}

// setCapabilities makes the three sets of every thread the part of mask that it
// is permitted.
func setCapabilities(mask uint64) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	for i := range data {
		part := uint32(mask>>(32*i)) & data[i].Permitted
		data[i] = unix.CapUserData{Effective: part, Permitted: part, Inheritable: part}
	}
	return allThreads("capset", unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])))
}

// allThreads makes one system call with up to two arguments on every thread.
// Pointers among them stay valid: they are moved to the heap.
//
//go:uintptrescapes
func allThreads(name string, trap, a1, a2 uintptr) error {
	_, _, e := syscall.AllThreadsSyscall6(trap, a1, a2, 0, 0, 0, 0)
	if e == syscall.ENOTSUP {
		return ErrCgo
	}
	if e != 0 {
		return os.NewSyscallError(name, e)
	}
	return nil
}

// RaiseNoFile raises the limit of open descriptors to the hard limit and
// returns it.
func RaiseNoFile() (uint64, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, os.NewSyscallError("getrlimit", err)
	}
	if lim.Cur == lim.Max {
		return lim.Max, nil
	}
	lim.Cur = lim.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, os.NewSyscallError("setrlimit", err)
	}
	return lim.Max, nil
}

// LimitFiles bounds, for good, how long this process can make any file by
// writing to it: setrlimit(2), RLIMIT_FSIZE. What is longer already is left as it
// is. A write beyond fails with EFBIG. Pipes, sockets and devices have no length.
func LimitFiles(bytes uint64) error {
	signal.Ignore(unix.SIGXFSZ)
	return os.NewSyscallError("setrlimit", unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: bytes}))
}
