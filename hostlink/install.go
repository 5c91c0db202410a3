package hostlink

import (
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// InstallFilter puts the calling thread, and every program it starts or becomes
// from now on, under the sandbox's filter: SandboxRules, and more. It returns the listener, a
// close-on-exec descriptor that gets the notified calls; until somebody serves
// it, such calls wait.
//
// The caller must have locked its goroutine to the thread and should execve
// soon. Only calls that the filter allows may follow, so the descriptor cannot
// be passed on by SCM_RIGHTS: who serves it takes it by pidfd_getfd.
//
// The kernel wants CAP_SYS_ADMIN or no_new_privs for a filter. The latter would
// break set-user-ID programs in the sandbox and is set only when there is no
// other way.
func InstallFilter(more ...Rule) (listener int, err error) {
	prog, err := Assemble(slices.Concat(SandboxRules, more))
	if err != nil {
		return -1, err
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	fd, e := setFilter(&fprog)
	if e == unix.EACCES {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return -1, os.NewSyscallError("PR_SET_NO_NEW_PRIVS", err)
		}
		fd, e = setFilter(&fprog)
	}
	if e != 0 {
		return -1, os.NewSyscallError("seccomp", e)
	}
	return fd, nil
}

func setFilter(p *unix.SockFprog) (int, unix.Errno) {
	return seccompFilter(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, p)
}

func seccompFilter(flags uintptr, p *unix.SockFprog) (int, unix.Errno) {
	r, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(p)))
	return int(r), e
}
