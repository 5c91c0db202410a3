package hostlink

// The keeper of a descriptor table: clone(2) with CLONE_FILES.

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Parts of the address space that a keeper does without: Go's heap, and all that
// the kernel places from the top down. A program that is linked to run at any
// address has its code there too.
const (
	heapStart = 0xc000000000
	userEnd   = 0x7ffffffff000
)

// cloneKeeper makes the keeper and returns its process id, or a negative error.
// In the child it does not return.
//
//go:noescape
func cloneKeeper(poll unsafe.Pointer, low, lowLen, high, highLen uintptr) int

// StartKeeper starts a process that shares this one's descriptor table and does
// nothing but sleep: when this process dies, the open files live on, and
// whoever may trace the keeper can take them (pidfd_getfd). What this process
// closes in its lifetime is closed for good, since there is one table only.
//
// The keeper ends when lifeline, a descriptor of this process, reports a
// hang-up or an error, or when it is killed; signals that can be blocked are, and
// it is in a session of its own. It is a child of this process and has its
// credentials, so the caller first gives up what it does not need. It keeps no
// memory but the program's own pages: the rest is unmapped, so that what this
// process writes later is not copied.
func StartKeeper(lifeline int) (pid int, err error) {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return 0, os.NewSyscallError("mmap", err)
	}
	defer func() { _ = unix.Munmap(page) }()
	poll := (*unix.PollFd)(unsafe.Pointer(&page[0]))
	poll.Fd = int32(lifeline) // no events: errors and hang-ups are always reported
	start := uintptr(unsafe.Pointer(&page[0]))
	end := start + uintptr(len(page))
	low, lowLen, high, highLen := uintptr(heapStart), start-heapStart, end, userEnd-end
	if codeAddress() >= heapStart || withCgo() {
		lowLen, highLen = 0, 0
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The child inherits the mask: no handler of the Go runtime runs in it.
	before := maskSignals(unix.SIG_BLOCK, ^uint64(0))
	pid = cloneKeeper(unsafe.Pointer(poll), low, lowLen, high, highLen)
	maskSignals(unix.SIG_SETMASK, before)
	if pid < 0 {
		return 0, os.NewSyscallError("clone", unix.Errno(-pid))
	}
	return pid, nil
}

// withCgo reports whether the C library is there. Its threads have registered
// memory with the kernel, rseq(2), that must not go away.
func withCgo() bool {
	_, _, e := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0)
	return e == syscall.ENOTSUP
}

// codeAddress is where this program's code lies.
func codeAddress() uintptr {
	pc, _, _, _ := runtime.Caller(0)
	return pc
}
